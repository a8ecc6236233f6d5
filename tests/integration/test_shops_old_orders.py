"""Orders of before: looked up when a shop asks, never an error while the panel has not answered."""

import asyncio
from pathlib import Path

import pytest

from tests.support.house import a_house
from tests.support.shops import Market, a_market, until
from watcher.shop_api import lookup
from watcher.simulator import Fate, SimulatedPanel
from watcher.simulator.traits import Trait

RUNNING = Fate(per_minute=0.001, start_count=500)
FINISHED = Fate(per_minute=1e9, refill_takes=1e9, start_count=500)
PENDING = {
    "charge": None,
    "start_count": None,
    "status": "Pending",
    "remains": None,
    "currency": None,
}


def seeded(panel: SimulatedPanel, count: int, fate: Fate = RUNNING) -> list[int]:
    return list(panel.world.seed_orders(count, panel.now(), services=[1], age=60, fate=fate))


async def tracked(market: Market) -> list[str]:
    return [order.id for order in (await market.daemon.store.orders.page())[0]]


async def told_of(market: Market, order: int) -> dict[str, object]:
    """The row once the panel has told of the order."""
    async with asyncio.timeout(10):
        while True:
            row: dict[str, object] = await market.ask("status", order=order)
            if row.get("status") != "Pending":
                return row
            await asyncio.sleep(0.02)


async def test_a_slow_panel_is_no_error(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(lookup, "LOOK_WITHIN", 0.05)
    async with a_market(tmp_path) as market:
        (old,) = seeded(market.panel, 1)
        market.panel.switches.on(Trait.STALL_BEFORE, amount=1.0, action="status")
        assert await market.ask("status", order=old) == PENDING
        rows = await market.ask("status", orders=f"{old},77777777")
        assert rows == {str(old): PENDING, "77777777": PENDING}
        assert await tracked(market) == []  # nobody knows yet whether it is there
        market.panel.switches.off()
        assert (await told_of(market, old))["start_count"] == "500"
        assert await told_of(market, 77777777) == {"error": "Incorrect order ID"}
        assert await tracked(market) == [str(old)]


async def test_a_panel_that_is_down_is_no_error(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(lookup, "LOOK_WITHIN", 0.05)
    async with a_market(tmp_path) as market:
        (old,) = seeded(market.panel, 1)
        await market.panel.stop()
        for _ in range(3):
            assert await market.ask("status", order=old) == PENDING
        assert await tracked(market) == []
        await market.panel.start()
        await market.restart()  # what was asked is forgotten, and asked again
        assert (await told_of(market, old))["start_count"] == "500"
        assert await tracked(market) == [str(old)]


@pytest.mark.parametrize("trait", [None, Trait.UNKNOWN_LEFT_OUT, Trait.BAD_ID_FAILS_BATCH])
async def test_unknown_ids_leave_nothing_behind(tmp_path: Path, trait: Trait | None) -> None:
    async with a_market(tmp_path, traits=[trait] if trait else []) as market:
        (old,) = seeded(market.panel, 1)
        ids = [old, *range(70_000_000, 70_000_020)]
        joined = ",".join(map(str, ids))
        rows = await market.ask("status", orders=joined)
        assert rows.pop(str(old))["start_count"] == "500"
        assert list(rows.values()) == [{"error": "Incorrect order ID"}] * 20
        assert await tracked(market) == [str(old)]
        asked = len(market.panel.journal.requests("status"))
        again = await market.ask("status", orders=joined)
        assert again == rows | {str(old): again[str(old)]}
        for action in ("refill", "cancel"):
            refused = await market.ask(action, orders="70000000")
            assert "Incorrect order ID" in str(refused)
        # The refusal answers for a minute; only the order that is watched may be checked anew.
        later = market.panel.journal.requests("status")[asked:]
        assert all("7000" not in str(entry.parameters) for entry in later)
        await market.restart()
        assert [order.id for order in market.daemon.watchlist.orders()] == [str(old)]


async def test_what_the_panel_breaks_down_at_is_no_error(tmp_path: Path) -> None:
    """A shop gives money back at an error: only that there is no such order is one."""
    async with a_market(tmp_path) as market:
        (old,) = seeded(market.panel, 1)
        market.panel.switches.on(Trait.HTML_503, action="status")
        assert await market.ask("status", order=old) == PENDING
        market.panel.switches.off()


async def test_an_order_that_is_over_is_told_at_once(tmp_path: Path) -> None:
    async with a_market(tmp_path) as market:
        (old,) = seeded(market.panel, 1)
        market.panel.world.force([old], market.panel.now(), status="Canceled")
        row = await market.ask("status", order=old)
        assert row["status"] == "Canceled"
        assert await market.ask("status", order=old) == row  # by then it is closed
        assert await tracked(market) == [str(old)]


async def test_a_kill_loses_no_order_that_was_told_of(tmp_path: Path) -> None:
    async with a_market(tmp_path) as market:
        old = seeded(market.panel, 5)
        await market.ask("status", orders=",".join(map(str, old)))
        await market.restart()
        assert sorted(order.id for order in market.daemon.watchlist.orders()) == sorted(
            map(str, old)
        )
        await until(
            lambda: market.daemon.watchlist.panel("standard").poll_queue.next_at(0.0) is not None
        )


async def test_the_orders_that_are_watched_have_every_other_request(tmp_path: Path) -> None:
    """However many ids shops invent."""
    async with a_house(
        tmp_path, defaults='requests_per_minute = 60\ncheck_within = "5m"\n'
    ) as house:
        ids = set(await house.place(300, fate=RUNNING))
        await house.run(600)
        poller = house.daemon.panel_workers["standard"].poller
        poller.untracked.want(map(str, range(70_000_000, 70_009_000)), house.clock())
        before = len(house.panel.journal)
        await house.run(300)
        entries = house.panel.journal.requests("status")
        asked = [
            set(e.parameters.get("orders", e.parameters.get("order", "")).split(","))
            for e in entries
            if e in house.panel.journal.requests()[before:]
        ]
        assert ids <= set().union(*asked)  # each within `check_within`
        assert len(poller.untracked) == 0
        assert len(list(house.daemon.watchlist.orders())) == 300
