"""What the answers teach: when orders are checked next, and what is told and kept of it."""

from pathlib import Path

from tests.support.house import House, a_house
from watcher.simulator import Fate
from watcher.simulator.fate import Ending

MINUTE = 60.0
HOUR = 3600.0
SLOW = Fate(pending=40 * HOUR)
FAST = Fate(pending=5 * MINUTE, per_minute=100.0)


async def shown(house: House, order_id: str) -> dict:
    return await house.call("GET", f"/v1/orders/standard/{order_id}")


async def test_an_order_tells_when_it_is_checked_next_and_why(tmp_path: Path):
    async with a_house(tmp_path) as house:
        (first,) = await house.place(1, quantity=1000, services=[1], fate=SLOW)
        told = (await shown(house, first))["next_check"]
        assert told["stage"] is None
        assert told["reason"] == "the panel has not reported it yet"
        await house.run(2 * MINUTE)
        order = await shown(house, first)
        young = order["next_check"]
        assert young["stage"] == "pending"
        assert young["at"] == order["state"]["next_check_at"]
        assert 0 < young["change_within_hour"] < 1
        await house.run(30 * HOUR)
        old = (await shown(house, first))["next_check"]
        assert old["every"] > 3 * young["every"]
        assert old["hazard_per_hour"] < young["hazard_per_hour"]


async def test_a_check_comes_when_it_was_told(tmp_path: Path):
    async with a_house(tmp_path) as house:
        (first,) = await house.place(1, quantity=1000, services=[1], fate=SLOW)
        await house.run(HOUR)
        entry = house.daemon.watchlist.entry("standard", first)
        at = house.daemon.watchlist.panel("standard").predict(first, house.clock()).at
        before = entry.checked_at
        await house.run(at - house.clock() - 1.0)
        assert entry.checked_at == before
        await house.run(2.0)
        assert entry.checked_at > before


async def test_a_closed_order_has_no_next_check(tmp_path: Path):
    async with a_house(tmp_path) as house:
        (first,) = await house.place(
            1, services=[1], fate=Fate(pending=60.0, ending=Ending.CANCELED)
        )
        await house.run(HOUR)
        order = await shown(house, first)
        assert order["state"]["phase"] == "closed"
        assert order["next_check"] is None


async def test_what_a_service_taught_is_told_and_outlives_a_restart(tmp_path: Path):
    async with a_house(tmp_path) as house:
        await house.place(20, quantity=1000, services=[1], fate=FAST)
        await house.run(HOUR)
        taught = await lesson(house, "1")
        assert 4 * MINUTE <= taught["start_delay"] <= 8 * MINUTE
        assert taught["completed"] == 1.0
        assert taught["orders"] >= 19.9
        assert taught["duration"]["10000"] > 2 * taught["duration"]["1000"] > 0
        assert await lesson(house, "2") is None
        await house.restart()
        again = await lesson(house, "1")
        assert again["start_delay"] == taught["start_delay"]
        assert again["orders"] >= 19.8
        assert again["duration"] == taught["duration"]


async def test_a_reload_forgets_nothing_that_was_learnt(tmp_path: Path):
    async with a_house(tmp_path) as house:
        await house.place(20, quantity=1000, services=[1], fate=FAST)
        await house.run(HOUR)
        taught = await lesson(house, "1")
        house.path.write_text(
            house.path.read_text().replace("[defaults]", "[defaults]\ntimeout='9s'")
        )
        await house.daemon.reload()
        assert (await lesson(house, "1"))["start_delay"] == taught["start_delay"]


async def test_after_a_start_checks_are_spread_and_none_is_left_out(tmp_path: Path):
    async with a_house(tmp_path, defaults="requests_per_minute = 600\n") as house:
        ids = await house.place(300, quantity=1000, services=[1], fate=SLOW)
        await house.run(20 * MINUTE)
        await house.restart()
        house.panel.journal.clear()
        await house.run(30 * MINUTE)
        assert set(house.panel.journal.sent("status")) == {int(order_id) for order_id in ids}


async def lesson(house: House, service: str) -> dict | None:
    listed = await house.call("GET", "/v1/panels/standard/services")
    return {each["service"]: each["learnt"] for each in listed["services"]}[service]
