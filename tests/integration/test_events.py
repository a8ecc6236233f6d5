"""Programs are told of changed orders: at least once, in order for one order, signed."""

from collections import defaultdict
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest

from tests.integration.test_notify import until
from tests.support.house import House, a_house
from tests.support.process import DaemonProcess
from tests.support.receiver import SECRET, Receiver, a_receiver
from watcher.errors import StoreFull
from watcher.panels.profiles import shipped
from watcher.simulator import SimulatedPanel
from watcher.simulator.fate import Fate

MINUTE, HOUR = 60.0, 3600.0
SHOP = '[[events]]\nname = "shop"\nsecret_env = "SECRET"\n'
STEADY = Fate(pending=30.0, per_minute=20.0)


@asynccontextmanager
async def shop(
    tmp_path: Path, *, events: str = SHOP, **options: Any
) -> AsyncIterator[tuple[House, Receiver]]:
    async with a_receiver() as receiver:
        env = {"SHOP_URL": receiver.url, "SECRET": SECRET}
        async with a_house(tmp_path, rules=events, env=env, **options) as house:
            yield house, receiver


def by_order(documents: list[Any]) -> dict[str, list[dict[str, Any]]]:
    found = defaultdict(list)
    for document in documents:
        found[document["data"]["order"]].append(document["data"]["changes"])
    return found


async def history(house: House, order: str) -> list[dict[str, Any]]:
    """The changes that a shop is to be told of, as the API has them."""
    detail = await house.call("GET", f"/v1/orders/{house.panel.profile.name}/{order}")
    told = {"status", "remains", "start_count"}
    return [h["changes"] for h in detail["history"] if told & h["changes"].keys()]


def known_by(event: Any) -> tuple[str, str, str]:
    """By which an event is known again; `current` is how the order is by now."""
    return event["timestamp"], event["data"]["order"], str(event["data"]["changes"])


def moment(event: Any) -> datetime:
    return datetime.fromisoformat(event["timestamp"])


async def attention(house: House) -> list[str]:
    """What of the events needs a person."""
    items = (await house.call("GET", "/v1/attention"))["attention"]
    return [item["kind"] for item in items if item["kind"].startswith("events")]


async def state(house: House) -> Any:
    (target,) = (await house.call("GET", "/v1/events"))["targets"]
    return target


async def test_every_change_arrives_in_order_and_signed(tmp_path: Path):
    async with shop(tmp_path) as (house, receiver):
        ids = await house.place(20, fate=STEADY, quantity=100)
        await house.run(20 * MINUTE)
        told = by_order(receiver.arrived)
        assert set(told) == set(ids)
        for order in ids:
            assert told[order] == await history(house, order)
            assert len(told[order]) >= 3
        assert len(set(receiver.ids)) == len(receiver.ids)
        assert len(receiver.deliveries) >= 3 * len(ids)
        assert [delivery.is_signed() for delivery in receiver.deliveries] == [True] * len(
            receiver.deliveries
        )
        last = receiver.arrived[-1]
        assert last["type"] in ("order.status", "order.progress")
        assert last["data"]["current"]["status"] == "completed"
        assert (await state(house))["behind"] == 0


async def test_only_what_is_asked_for(tmp_path: Path):
    events = SHOP + 'on = ["status"]\npanels = ["smmxz"]\n'
    async with shop(tmp_path, events=events, profiles=["standard", "smmxz"]) as (house, receiver):
        for name, panel in house.panels.items():
            ids = panel.world.seed_orders(3, panel.now(), fate=STEADY, quantity=100)
            await house.track(list(ids), panel=name)
        await house.run(20 * MINUTE)
        assert {d["type"] for d in receiver.arrived} == {"order.status"}
        assert {d["data"]["panel"] for d in receiver.arrived} == {"smmxz"}
        assert (await state(house))["behind"] == 0


async def test_a_new_target_is_told_of_what_changes_from_now_on(tmp_path: Path):
    async with shop(tmp_path, events="") as (house, receiver):
        await house.place(1, fate=STEADY, quantity=100)
        await house.run(20 * MINUTE)
        house.path.write_text(house.path.read_text() + SHOP)
        await house.daemon.reload()
        await house.run(5 * MINUTE)
        assert receiver.deliveries == []
        assert (await state(house))["behind"] == 0
        assert await house.metric("events_total", target="shop") == 0
        house.path.write_text(house.path.read_text().replace(SHOP, ""))
        await house.daemon.reload()
        assert 'target="shop"' not in await house.scrape()


async def test_an_order_that_fails_holds_up_no_other(tmp_path: Path):
    async with shop(tmp_path) as (house, receiver):
        bad, *good = await house.place(10, fate=STEADY, quantity=100)
        receiver.judge = lambda document: 500 if document["data"]["order"] == bad else 200
        await house.run(20 * MINUTE)
        told = by_order(receiver.arrived)
        assert set(told) == set(good)
        found = await state(house)
        assert (found["orders_waiting"], found["behind"], found["dead"]) == (1, 0, 0)
        refused = [d.json["data"]["changes"] for d in receiver.deliveries if d.status == 500]
        assert len(refused) > 1, "it is tried again"
        assert all(changes == refused[0] for changes in refused), "what comes later waits"
        await house.restart()
        receiver.judge = lambda document: 200
        await house.run(HOUR)
        assert by_order(receiver.arrived)[bad] == await history(house, bad)
        assert (await state(house))["orders_waiting"] == 0


@pytest.mark.parametrize("status", [500, 429, 410])
async def test_a_target_that_is_down_misses_nothing_and_is_not_flooded(tmp_path: Path, status: int):
    async with shop(tmp_path) as (house, receiver):
        receiver.status = status
        ids = await house.place(30, fate=STEADY, quantity=100)
        await house.run(HOUR)
        assert len(receiver.deliveries) < 30
        found = await state(house)
        assert found["orders_waiting"] == 30
        assert found["paused_until"] is not None
        failures = await house.metric("event_failures_total", target="shop")
        assert failures == await house.metric("events_total", target="shop")
        assert failures == len(receiver.deliveries)
        assert await house.metric("events_behind", target="shop") >= 30
        assert await attention(house) == ["events_undelivered"]
        receiver.status = 200
        await house.run(HOUR + MINUTE)
        assert await house.metric("event_failures_total", target="shop") == failures
        assert await house.metric("events_behind", target="shop") == 0
        assert await attention(house) == []
        told = by_order(receiver.arrived)
        for order in ids:
            assert told[order] == await history(house, order)


async def test_a_change_that_never_arrives_becomes_a_dead_letter_and_can_be_told_again(
    tmp_path: Path,
):
    async with shop(tmp_path) as (house, receiver):
        bad, good = await house.place(2, fate=STEADY, quantity=100)
        receiver.judge = lambda document: 500 if document["data"]["order"] == bad else 200
        await house.run(20 * MINUTE)
        feed = house.daemon.receivers.feed("shop")
        while not (await state(house))["dead"]:  # days, in which nothing else happens
            house.clock.now = feed.lanes.next_at() or house.clock.now
            await feed.run_once(house.clock())
        (dead,) = (await house.call("GET", "/v1/events/shop/dead"))["dead"]
        assert (dead["panel"], dead["order"], dead["error"]) == ("standard", bad, "HTTP 500")
        receiver.judge = lambda document: 200
        await house.run(2 * MINUTE)
        assert await attention(house) == ["events_dead"]
        wanted = await history(house, bad)
        assert by_order(receiver.arrived)[bad] == wanted[1:], "the others had their turn"
        answer = await house.call("POST", "/v1/events/shop/replay", json={"dead": True})
        assert answer == {"name": "shop", "dead": 1}
        await house.run(MINUTE)
        assert by_order(receiver.arrived)[bad] == [*wanted[1:], *wanted]
        known = {d.id for d in receiver.deliveries if d.json["data"]["order"] == bad}
        assert len(known) == len(wanted), "by their ids a receiver knows what it has had"
        assert (await state(house))["dead"] == 0
        assert len(by_order(receiver.arrived)[good]) == len(await history(house, good))


async def test_telling_again(tmp_path: Path):
    async with shop(tmp_path) as (house, receiver):
        first, _ = await house.place(2, fate=STEADY, quantity=100)
        await house.run(20 * MINUTE)
        all_of_it = list(receiver.arrived)

        async def replay(status: int = 202, **body: Any) -> list[Any]:
            receiver.deliveries.clear()
            await house.call("POST", "/v1/events/shop/replay", status=status, json=body)
            await house.run(MINUTE)
            return receiver.arrived

        named = {"panel": "standard", "order": first}
        assert by_order(await replay(order=named)) == {first: by_order(all_of_it)[first]}
        start = datetime.fromtimestamp(house.clock() - HOUR, UTC).isoformat()
        assert by_order(await replay(since=start)) == by_order(all_of_it)
        for one in all_of_it[:: max(1, len(all_of_it) // 5)]:
            told = await replay(since=one["timestamp"])
            since = [event for event in all_of_it if moment(event) >= moment(one)]
            assert one in since
            assert {known_by(event) for event in since} <= {known_by(event) for event in told}
        later = datetime.fromtimestamp(house.clock() + HOUR, UTC).isoformat()
        assert await replay(since=later) == []
        assert await replay(dead=True) == []
        assert await replay(400) == []
        assert await replay(400, dead=True, since=start) == []
        assert await replay(400, since="2026-01-01T00:00:00") == []
        assert await replay(404, order={"panel": "standard", "order": "none"}) == []
        await house.call("POST", "/v1/events/none/replay", status=404, json={"dead": True})


async def test_what_could_not_be_recorded_is_told_again_after_a_crash(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    async with shop(tmp_path) as (house, receiver):

        async def full(*args: object) -> None:
            raise StoreFull

        monkeypatch.setattr(house.daemon.store.events, "save_lanes", full)
        (order,) = await house.place(1, fate=STEADY, quantity=100)
        with pytest.raises(StoreFull):
            await house.run(20 * MINUTE)
        before = receiver.ids
        await house.restart()
        await house.run(20 * MINUTE)
        assert set(before) <= set(receiver.ids[len(before) :])
        assert by_order(receiver.arrived[len(before) :])[order] == await history(house, order)


async def test_a_kill_in_the_middle_loses_nothing(tmp_path: Path):
    async with (
        a_receiver() as receiver,
        SimulatedPanel(shipped()["standard"], key="key-of-the-tests", speed=600) as panel,
    ):
        receiver.judge = lambda document: None
        env = {"SHOP_URL": receiver.url, "SECRET": SECRET}
        daemon = DaemonProcess(tmp_path, {"p": panel}, rules=SHOP, env=env)
        await daemon.start()
        try:
            ids = panel.world.seed_orders(50, panel.now(), fate=Fate(per_minute=100.0))
            await daemon.track("p", ids)
            await until(lambda: receiver.deliveries)
            cut_off = set(receiver.ids)
            await daemon.kill()
            receiver.judge = lambda document: 200
            await daemon.start()
            await until(lambda: len(by_order(receiver.arrived)) == len(ids))
            assert cut_off <= {d.id for d in receiver.deliveries if d.status == 200}
            assert "s3cret" not in daemon.text()
        finally:
            await daemon.stop()


async def test_nothing_is_archived_that_is_yet_to_be_told(tmp_path: Path):
    daemon = '[daemon]\nlisten = "127.0.0.1:0"\nretain_for = "1h"\n'
    async with shop(tmp_path, defaults='guard_for = "1m"\n') as (house, receiver):
        text = house.path.read_text()
        house.path.write_text(text.replace('[daemon]\nlisten = "127.0.0.1:0"\n', daemon))
        await house.daemon.reload()
        receiver.status = 500
        (order,) = await house.place(1, fate=STEADY, quantity=100)
        await house.run(75 * MINUTE)
        house.schedule.wake("retention")
        await house.run(MINUTE)
        wanted = await history(house, order)
        receiver.status = 200
        await house.run(70 * MINUTE)
        assert by_order(receiver.arrived)[order][: len(wanted)] == wanted
        house.schedule.wake("retention")
        await house.run(MINUTE)
        await house.call("GET", f"/v1/orders/standard/{order}", status=404)
        # Numbers of changes are not used again, or the next order's would be taken for told.
        await house.restart()
        (other,) = await house.place(1, fate=STEADY, quantity=100)
        await house.run(20 * MINUTE)
        assert by_order(receiver.arrived)[other] == await history(house, other)


async def test_fixed_headers_are_sent_with_every_event(tmp_path: Path):
    events = SHOP + 'headers = { Authorization = { env = "AUTH" } }\n'
    async with a_receiver() as receiver:
        env = {"SHOP_URL": receiver.url, "SECRET": SECRET, "AUTH": "Bearer of-the-tests"}
        async with a_house(tmp_path, rules=events, env=env) as house:
            await house.place(1, fate=STEADY, quantity=100)
            await house.run(5 * MINUTE)
    assert receiver.deliveries
    for delivery in receiver.deliveries:
        assert delivery.headers["authorization"] == "Bearer of-the-tests"
        assert delivery.is_signed()
