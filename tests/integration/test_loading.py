"""A start with many orders: the daemon works while they are still being loaded."""

import asyncio
from pathlib import Path

import aiohttp
import pytest

from tests.support.house import House, a_house
from watcher.errors import StoreCorrupt
from watcher.model import Status
from watcher.simulator import Fate
from watcher.store import orders as orders_module

PART = 2
QUICK = Fate(pending=60.0, per_minute=100.0)
RULES = """
[[rules]]
name = "refill"
action = "refill"
when = "order.status == 'completed'"
"""


@pytest.fixture(autouse=True)
def _small_parts(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(orders_module, "_PART", PART)


def in_book(house: House) -> list[str]:
    return sorted(order.id for order in house.daemon.book.orders())


async def readiness(house: House) -> tuple[int, str]:
    url = f"http://127.0.0.1:{house.daemon.port}/readyz"
    async with aiohttp.ClientSession() as session, session.get(url) as answer:
        return answer.status, await answer.text()


async def load_all(house: House) -> None:
    while "load" in house.schedule.tasks:
        await house.schedule.run_task("load")


async def test_the_first_orders_are_checked_while_the_others_are_loaded(tmp_path: Path):
    async with a_house(tmp_path) as house:
        ids = await house.place(9, quantity=1000, fate=QUICK)
        await house.restart()
        assert in_book(house) == ids[:PART]
        status, text = await readiness(house)
        assert (status, text) == (503, "orders are still being loaded: 2 so far\n")
        await house.schedule.run_task("poll:standard")
        assert {str(order) for order in house.panel.journal.sent("status")} == set(ids[:PART])
        await load_all(house)
        assert in_book(house) == ids
        assert await readiness(house) == (200, "ok\n")
        await house.run(3600.0)
        assert {house.order(order).status for order in ids} == {Status.COMPLETED}


async def test_rules_see_every_order_once_all_are_there(tmp_path: Path):
    async with a_house(tmp_path) as house:
        ids = await house.place(5, quantity=100, fate=QUICK, services=[1])
        await house.run(3600.0)
        house.path.write_text(house.path.read_text() + RULES)
        await house.restart()
        assert "review" not in house.schedule.tasks
        await load_all(house)
        await house.schedule.run_task("review")
        await house.schedule.run_task("actions:standard")
        assert {str(order) for order in house.panel.journal.sent("refill")} == set(ids)


async def test_an_order_that_comes_meanwhile_is_there_once(tmp_path: Path):
    async with a_house(tmp_path) as house:
        ids = await house.place(5, quantity=1000, fate=QUICK)
        await house.restart()
        (new,) = (str(n) for n in house.panel.world.seed_orders(1, house.panel.now(), fate=QUICK))
        told = await house.track([ids[-1], new])
        assert (told["tracked"], told["known"]) == (1, 1)
        await load_all(house)
        assert in_book(house) == sorted([*ids, new])
        assert sum(house.daemon.book.counts.values()) == len(ids) + 1


async def test_what_is_done_to_an_order_before_it_is_loaded_is_not_lost(tmp_path: Path):
    async with a_house(tmp_path) as house:
        ids = await house.place(5, quantity=100, fate=QUICK, services=[1])
        await house.run(3600.0)
        await house.restart()
        last = ids[-1]
        assert house.daemon.book.order("standard", last) is None
        await house.call("POST", f"/v1/orders/standard/{last}/refill")
        await house.schedule.run_task("actions:standard")
        await load_all(house)
        assert house.order(last).refills == 1
        assert [house.order(order).refills for order in ids[:-1]] == [0] * 4


async def test_a_count_waits_for_its_order(tmp_path: Path):
    async with a_house(tmp_path) as house:
        ids = await house.place(5, quantity=1000, fate=QUICK)
        await house.run(600.0)
        await house.restart()
        path = f"/v1/orders/standard/{ids[-1]}/count"
        refused = await house.call("PUT", path, json={"count": 7}, status=503)
        assert refused["error"]["code"] == "not_yet"
        await load_all(house)
        await house.call("PUT", path, json={"count": 7})
        assert house.order(ids[-1]).count == 7


async def test_a_reload_waits_until_all_are_there(tmp_path: Path):
    async with a_house(tmp_path) as house:
        ids = await house.place(5, quantity=1000, fate=QUICK)
        await house.restart()
        house.path.write_text(house.path.read_text().replace("[defaults]", "[defaults]\nbatch = 3"))
        reload = asyncio.create_task(house.daemon.reload())
        await asyncio.sleep(0.05)
        assert not reload.done()
        await load_all(house)
        await reload
        assert house.daemon.stations["standard"].line.client.limit("status") == 3
        assert in_book(house) == ids


async def test_a_clock_that_is_set_back_meanwhile_waits_too(tmp_path: Path):
    async with a_house(tmp_path) as house:
        ids = await house.place(5, quantity=1000, fate=QUICK)
        await house.restart()
        house.schedule.set_clock(-86400.0)
        await house.schedule.run_task("start_over")
        assert in_book(house) == ids[:PART]
        await load_all(house)
        await house.schedule.run_task("start_over")
        assert in_book(house) == ids
        assert "start_over" not in house.schedule.tasks


async def test_a_damaged_database_ends_the_daemon(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    async with a_house(tmp_path) as house:
        await house.place(5, quantity=1000, fate=QUICK)
        await house.restart()
        told: list[StoreCorrupt] = []
        house.daemon.on_damaged = told.append

        async def damaged(*_: object, **__: object) -> None:
            raise StoreCorrupt("a page is damaged")

        monkeypatch.setattr(house.daemon.store, "load", damaged)
        with pytest.raises(StoreCorrupt):
            await house.schedule.run_task("load")
        assert [str(error) for error in told] == ["a page is damaged"]
