"""The daemon's main job against simulated panels."""

from pathlib import Path

import pytest

from tests.support.house import SELDOM, a_house
from watcher.model import Phase, Status
from watcher.simulator import Ending, Fate, Trait

BOTH = pytest.mark.engines("sqlite", "postgresql")

HOUR = 3600.0
QUICK = Fate(pending=60.0, per_minute=100.0, start_count=500)


@BOTH
async def test_orders_are_followed_to_their_end(tmp_path: Path):
    async with a_house(tmp_path) as house:
        ids = await house.place(250, quantity=1000, fate=QUICK)
        await house.run(HOUR)
        assert {house.order(order).status for order in ids} == {Status.COMPLETED}
        order = house.order(ids[0])
        assert (order.phase, order.remains, order.start_count) == (Phase.GUARDED, 0, 500)
        assert order.charge == house.panel.world.status(int(ids[0]), house.panel.now()).charge
        shown = await house.call("GET", f"/v1/orders/standard/{ids[0]}")
        statuses = [c["changes"]["status"][1] for c in shown["history"] if "status" in c["changes"]]
        assert statuses[-1] == "completed"
        assert statuses == sorted(set(statuses), key=statuses.index), "each status once"
        assert shown["history"][0]["changes"]["status"][0] == "unknown"


@BOTH
async def test_batches_are_full_and_of_different_orders(tmp_path: Path):
    async with a_house(tmp_path, defaults="requests_per_minute = 6000") as house:
        ids = await house.place(1000, fate=Fate(pending=10 * HOUR))
        await house.run(15.0)
        polls = house.panel.journal.requests("status")
        assert house.panel.journal.largest_batch() == 100
        asked = house.panel.journal.sent("status")
        assert set(asked) == {int(order) for order in ids}
        assert len(polls) <= len(ids) / 100 + 1


async def test_a_panel_without_batches_is_asked_one_by_one(tmp_path: Path):
    async with a_house(tmp_path, defaults="lacks = ['multi_status']") as house:
        ids = await house.place(3, fate=QUICK, quantity=100)
        await house.run(600.0)
        assert house.panel.journal.largest_batch() == 1
        assert {house.order(order).status for order in ids} == {Status.COMPLETED}


@pytest.mark.parametrize(
    "trait",
    [Trait.BAD_ID_FAILS_BATCH, Trait.UNKNOWN_LEFT_OUT, Trait.UNKNOWN_AS_STRING],
)
async def test_a_bad_id_spoils_nothing(tmp_path: Path, trait: Trait):
    async with a_house(tmp_path, traits=[trait], defaults="requests_per_minute = 600") as house:
        await house.track(["999999999", "999999998"])
        ids = await house.place(98, quantity=1000, fate=QUICK)
        await house.run(HOUR)
        assert {house.order(order).status for order in ids} == {Status.COMPLETED}
        bad = house.order("999999999")
        assert bad.status is Status.UNKNOWN
        assert bad.problem
        asked = house.panel.journal.sent("status")
        assert asked[999999999] < 15, "an id that is refused is asked about less and less"


async def test_a_list_without_ids_is_not_matched_but_asked_one_by_one(tmp_path: Path):
    traits = [Trait.LIST_WITHOUT_IDS]
    async with a_house(tmp_path, traits=traits, defaults="requests_per_minute = 600") as house:
        ids = await house.place(5, quantity=100, fate=QUICK)
        await house.run(HOUR)
        assert {house.order(order).status for order in ids} == {Status.COMPLETED}


async def test_one_dead_panel_holds_up_no_other(tmp_path: Path):
    async with a_house(tmp_path, profiles=["smmxz", "smmgenie"]) as house:
        ids = await house.place(50, quantity=1000, fate=QUICK)
        await house.track(["1"], panel="smmgenie")
        await house.panels["smmgenie"].stop()
        await house.run(HOUR)
        assert {house.order(order).status for order in ids} == {Status.COMPLETED}
        health = {p["panel"]: p for p in (await house.call("GET", "/v1/panels"))["panels"]}
        assert health["smmxz"]["up"]
        assert not health["smmgenie"]["up"]
        assert health["smmgenie"]["problem"]
        await house.panels["smmgenie"].start()
        await house.run(600.0)
        health = {p["panel"]: p for p in (await house.call("GET", "/v1/panels"))["panels"]}
        assert health["smmgenie"]["up"]


@BOTH
async def test_nothing_is_lost_or_forgotten_over_a_restart(tmp_path: Path):
    async with a_house(tmp_path) as house:
        ids = await house.place(120, quantity=1000, fate=QUICK)
        await house.run(300.0)
        before = {order: house.order(order) for order in ids}
        await house.restart()
        after = {order: house.order(order) for order in ids}
        for order in ids:
            assert after[order].status is before[order].status
            assert after[order].remains == before[order].remains
            assert after[order].charge == before[order].charge
        await house.run(HOUR)
        assert {house.order(order).status for order in ids} == {Status.COMPLETED}


@BOTH
async def test_balances_and_price_lists_are_read_on_their_own(tmp_path: Path):
    async with a_house(tmp_path, defaults="balance_every = '5m'\nservices_every = '1h'") as house:
        await house.run(2 * HOUR)
        assert 23 <= len(house.panel.journal.requests("balance")) <= 26
        assert 2 <= len(house.panel.journal.requests("services")) <= 4
        house.panel.world.set_balance("3.14159", house.panel.now())
        await house.run(600.0)
        panel = (await house.call("GET", "/v1/panels"))["panels"][0]
        assert (panel["balance"], panel["currency"]) == ("3.14159", "USD")
        services = (await house.call("GET", "/v1/panels/standard/services"))["services"]
        assert {s["service"]: s["rate"] for s in services}["1"] == "0.90"


async def test_a_guard_ends_and_the_order_closes(tmp_path: Path):
    async with a_house(tmp_path, defaults=SELDOM + "guard_for = '2d'") as house:
        ids = await house.place(2, quantity=100, fate=QUICK)
        await house.run(HOUR)
        assert house.order(ids[0]).phase is Phase.GUARDED
        await house.run(49 * HOUR)
        assert house.daemon.watchlist.entry("standard", ids[0]) is None
        shown = await house.call("GET", f"/v1/orders/standard/{ids[0]}")
        assert shown["state"]["phase"] == "closed"
        asked = house.panel.journal.sent("status")[int(ids[0])]
        await house.run(49 * HOUR)
        assert house.panel.journal.sent("status")[int(ids[0])] == asked


async def test_a_stalled_order_is_told_of(tmp_path: Path):
    async with a_house(tmp_path, defaults="stalled_after = '3h'") as house:
        fate = Fate(ending=Ending.STALLED, share=0.3, per_minute=100.0)
        ids = await house.place(1, quantity=1000, fate=fate)
        await house.run(2 * HOUR)
        assert (await house.call("GET", "/v1/orders?stalled=true"))["orders"] == []
        await house.run(2 * HOUR)
        found = (await house.call("GET", "/v1/orders?stalled=true"))["orders"]
        assert [order["order"] for order in found] == ids
        assert found[0]["stalled"] is True
        assert house.daemon.daemon_status.state().panels[0].stalled == 1


async def test_orders_are_checked_on_when_the_clock_is_set_back(tmp_path: Path):
    async with a_house(tmp_path) as house:
        ids = await house.place(5, quantity=1000, services=[1], fate=Fate(per_minute=1.0))
        await house.run(HOUR)
        before = len(house.panel.journal.requests("status"))
        house.schedule.set_clock(-86400.0)
        house.panel.advance(86400.0)  # the panels' clock is their own
        await house.run(HOUR)
        assert len(house.panel.journal.requests("status")) > before + 2
        for order_id in ids:
            entry = house.daemon.watchlist.entry("standard", order_id)
            assert entry is not None
            assert house.clock() - HOUR <= entry.checked_at <= house.clock()
