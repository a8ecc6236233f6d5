"""The hot path: all or nothing, in groups, and no more than what changed."""

import asyncio
import sqlite3
from decimal import Decimal
from pathlib import Path
from typing import Any

import msgspec
import pytest

from tests.unit.store_kit import (
    NAME,
    a_firing,
    a_plan,
    finished,
    loaded,
    moved,
    opened,
    query,
    sent,
    sql,
    tracked,
)
from watcher.errors import LifecycleError, StoreBusy, StoreError, StoreFull, StoreRefused
from watcher.model import Kind, Status, Transition
from watcher.orders.lifecycle import count
from watcher.store import Store

pytestmark = pytest.mark.engines("sqlite", "postgresql")


async def changes_of(store: Store, work: Any) -> int:
    """Rows that the writing connection inserted or updated while the work was awaited."""
    before = await sql(store, "SELECT total_changes()")
    await work
    return int(await sql(store, "SELECT total_changes()") - before)


async def test_a_change_and_its_history_are_on_record(tmp_path: Path) -> None:
    async with opened(tmp_path) as store:
        (order,) = await tracked(store)
        first = moved(order, 5.0, remains=40, charge=Decimal("0.10"))
        second = finished(first.after, 6.5)
        await store.changes.record([first], now=5.0)
        await store.changes.record([second], now=6.5)
        assert await store.orders.get("p", "1") == second.after
        assert await store.orders.history("p", "1") == [
            (5.0, {"charge": [None, "0.10"], "remains": [None, 40]}),
            (
                6.5,
                {
                    "status": ["pending", "completed"],
                    "phase": ["open", "guarded"],
                    "finished_at": [None, 6.5],
                    "status_text": [None, "Completed"],
                    "remains": [40, 0],
                },
            ),
        ]


@pytest.mark.engines("sqlite")
async def test_writes_two_rows_for_each_change_and_none_for_the_rest(tmp_path: Path) -> None:
    async with opened(tmp_path) as store:
        orders = await tracked(store, 300)
        changes = [moved(order, remains=order.key) for order in orders[:200]]
        changes += [finished(order) for order in orders[200:250]]
        groups = [changes[i : i + 5] for i in range(0, len(changes), 5)]

        async def record() -> None:
            await asyncio.gather(*(store.changes.record(group, now=5.0) for group in groups))

        assert await changes_of(store, record()) == 2 * len(changes)
        nothing = Transition(before=orders[0], after=orders[0], at=9.0, changes={})
        assert await changes_of(store, store.changes.record([nothing], now=9.0)) == 0
        assert await changes_of(store, store.changes.record([], now=9.0)) == 0


async def test_many_callers_share_a_commit(tmp_path: Path) -> None:
    async with opened(tmp_path) as store:
        orders = await tracked(store, 100)
        begun = 0
        transaction = store._db.transaction

        async def counting(work: Any) -> Any:
            nonlocal begun
            begun += 1
            return await transaction(work)

        store._db.transaction = counting  # type: ignore[method-assign]
        await asyncio.gather(
            *(store.changes.record([moved(o, remains=1)], now=5.0) for o in orders)
        )
        assert begun <= 2


async def test_one_callers_bad_part_fails_alone(tmp_path: Path) -> None:
    async with opened(tmp_path) as store:
        orders = await tracked(store, 6)
        too_big = moved(orders[1], remains=2**63)
        no_text = moved(orders[2], status_text="\ud800")
        no_money = moved(orders[0], charge=Decimal("NaN"))
        stale = moved(msgspec.structs.replace(orders[3], status=Status.PROCESSING), remains=1)
        parts: list[list[Transition]] = [
            [moved(orders[0], remains=1)],
            [moved(orders[4], remains=1), too_big],
            [no_text],
            [no_money],
            [stale],
            [moved(orders[5], remains=1)],
        ]
        results = await asyncio.gather(
            *(store.changes.record(part, now=5.0) for part in parts), return_exceptions=True
        )
        assert [type(result) for result in results] == [
            list,
            StoreRefused,
            StoreRefused,
            StoreRefused,
            LifecycleError,
            list,
        ]
        assert "order 4 at p is pending and open, not processing and open" in str(results[4])
        now = {order.id: order.remains for order in await loaded(store)}
        assert now == {"1": 1, "2": None, "3": None, "4": None, "5": None, "6": 1}
        assert await store.orders.history("p", "5") == []


async def test_an_untracked_order_is_a_lifecycle_error(tmp_path: Path) -> None:
    async with opened(tmp_path) as store:
        (order,) = await tracked(store)
        for key in (0, 77):
            stranger = msgspec.structs.replace(order, key=key)
            with pytest.raises(LifecycleError, match="not tracked"):
                await store.changes.record([moved(stranger, remains=1)], now=5.0)


async def test_a_change_of_what_never_changes_is_refused(tmp_path: Path) -> None:
    async with opened(tmp_path) as store:
        (order,) = await tracked(store)
        after = msgspec.structs.replace(order, link="b")
        change = Transition(before=order, after=after, at=5.0, changes={"link": (None, "b")})
        with pytest.raises(LifecycleError, match="link"):
            await store.changes.record([change], now=5.0)


async def test_two_sources_do_not_undo_each_others_fields(tmp_path: Path) -> None:
    async with opened(tmp_path) as store:
        (order,) = await tracked(store)
        measured, observed = count(order, 70, 5.0), moved(order, 6.0, remains=3)
        assert measured is not None
        await asyncio.gather(
            store.changes.record([measured], now=5.0), store.changes.record([observed], now=6.0)
        )
        now = await store.orders.get("p", "1")
        assert now is not None
        assert (now.count, now.remains, now.progressed_at) == (70, 3, 6.0)
        assert len(await store.orders.history("p", "1")) == 2


async def test_one_orders_changes_in_one_group_are_kept_in_turn(tmp_path: Path) -> None:
    async with opened(tmp_path) as store:
        (order,) = await tracked(store)
        steps: list[Transition] = []
        for number in range(8):
            fields = {"charge": Decimal(number)} if number % 3 else {}
            before = steps[-1].after if steps else order
            steps.append(moved(before, 5.0 + number, remains=100 - number, **fields))
        await store.changes.record(steps[:3], now=5.0)
        await asyncio.gather(*(store.changes.record([step], now=5.0) for step in steps[3:]))
        assert await store.orders.get("p", "1") == steps[-1].after
        assert [at for at, _ in await store.orders.history("p", "1")] == [step.at for step in steps]


async def test_plans_and_firings_are_paired(tmp_path: Path) -> None:
    async with opened(tmp_path) as store:
        orders = await tracked(store, 3)
        unresolved = await sent(store, a_plan("2"))
        await store.actions.recover()
        planned = await store.changes.record(
            [finished(order) for order in orders],
            [a_firing("1"), a_firing("2"), a_firing("3", dry_run=True), a_firing("1", "other")],
            [a_plan("1", rule="r"), a_plan("2", rule="r"), a_plan("3", Kind.CANCEL)],
            now=5.0,
        )
        assert [(a.kind, a.order, a.rule) for a in planned] == [
            (Kind.REFILL, "1", "r"),
            (Kind.CANCEL, "3", None),
        ]
        assert [a.id for a in await store.actions.unsettled()] == [
            unresolved.id,
            *(a.id for a in planned),
        ]
        fired = {(f.order, f.rule, f.dry_run) for f in await store.firings.since(0.0)}
        assert fired == {("1", "r", False), ("3", "r", True), ("1", "other", False)}


async def test_two_callers_plans_for_one_order_give_one_action(tmp_path: Path) -> None:
    async with opened(tmp_path) as store:
        await tracked(store)
        results = await asyncio.gather(
            *(store.changes.record([], [a_firing()], [a_plan(rule="r")], now=5.0) for _ in range(4))
        )
        assert sorted(len(planned) for planned in results) == [0, 0, 0, 1]
        assert len(await store.firings.of_order("p", "1")) == 1


async def test_a_part_is_all_or_nothing(tmp_path: Path) -> None:
    async with opened(tmp_path) as store:
        (order,) = await tracked(store)
        with pytest.raises(StoreError):
            await store.changes.record(
                [finished(order)], [a_firing("unknown")], [a_plan(rule="r")], now=5.0
            )
        assert await loaded(store) == [order]
        assert await store.actions.unsettled() == []
        assert await store.orders.history("p", "1") == []


@pytest.mark.engines("sqlite")
async def test_a_full_disk_fails_all_and_changes_nothing(tmp_path: Path) -> None:
    async with opened(tmp_path) as store:
        orders = await tracked(store, 200)
        await sql(store, "PRAGMA max_page_count = 1")
        texts = [moved(order, status_text="x" * 3000) for order in orders]
        results = await asyncio.gather(
            *(store.changes.record([text], now=5.0) for text in texts), return_exceptions=True
        )
        assert {type(result) for result in results} == {StoreFull}
        assert "make room" in str(results[0])
        assert await loaded(store) == orders
        await sql(store, "PRAGMA max_page_count = 1000000")
        await store.changes.record(texts, now=6.0)
        assert await loaded(store) == [text.after for text in texts]


async def test_a_cancelled_callers_part_is_written_all_the_same(tmp_path: Path) -> None:
    async with opened(tmp_path) as store:
        orders = await tracked(store, 3)
        tasks = [
            asyncio.create_task(store.changes.record([moved(order, remains=1)], now=5.0))
            for order in orders
        ]
        await asyncio.sleep(0)
        tasks[1].cancel()
        results = await asyncio.gather(*tasks, return_exceptions=True)
        assert isinstance(results[1], asyncio.CancelledError)
        assert [order.remains for order in await loaded(store)] == [1, 1, 1]


@pytest.mark.engines("sqlite")
async def test_a_lost_lock_is_told_to_every_waiting_caller(tmp_path: Path) -> None:
    async with opened(tmp_path, busy_timeout=0.05) as store:
        orders = await tracked(store, 4)
        other = sqlite3.connect(tmp_path / NAME, isolation_level=None)
        other.execute("BEGIN IMMEDIATE")
        results = await asyncio.gather(
            *(store.changes.record([moved(o, remains=1)], now=5.0) for o in orders),
            return_exceptions=True,
        )
        assert {type(result) for result in results} == {StoreBusy}
        causes = {id(result.__cause__) for result in results if isinstance(result, StoreBusy)}
        assert len(causes) == 1, "each part was tried alone"
        other.execute("ROLLBACK")
        other.close()
        await store.changes.record([moved(order, remains=1) for order in orders], now=5.0)


async def test_history_ids_go_on_after_a_restart_and_a_failure(tmp_path: Path) -> None:
    async with opened(tmp_path) as store:
        orders = await tracked(store, 2)
        first = moved(orders[0], 5.0, remains=9)
        await store.changes.record([first], now=5.0)
        with pytest.raises(StoreError):
            await store.changes.record([moved(orders[1], status_text="\ud800")], now=5.0)
    async with opened(tmp_path) as store:
        await store.changes.record([moved(first.after, 6.0, remains=8)], now=6.0)
        await store.changes.record([moved(orders[1], 7.0, remains=7)], now=7.0)
        assert [at for at, _ in await store.orders.history("p", "1")] == [5.0, 6.0]
        assert [at for at, _ in await store.orders.history("p", "2")] == [7.0]
    assert query(tmp_path / NAME, "SELECT id FROM history") == [(1,), (2,), (3,)]
