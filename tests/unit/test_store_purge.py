"""Old rows go, young ones and those that are needed stay; no table grows for ever."""

from decimal import Decimal
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import msgspec
import pytest

from tests.unit.store_kit import (
    NAME,
    a_plan,
    a_submission,
    configured,
    moved,
    opened,
    query,
    sent,
    settled,
    sql,
    tracked,
)
from watcher.daemon.retention import CUT_DOWN_AFTER, PURGE_EVERY, RETRY_AFTER, Retention
from watcher.errors import Conflict, StoreError
from watcher.model import ActionState, Balance, Kind, RefillStatus, Service, Status
from watcher.orders.schedule import ModelRow
from watcher.store import AuditEntry, Store
from watcher.store.audit import LONGEST_DETAIL
from watcher.store.purge import BOUNDS, LEAST, LESSONS_FOR, SLICE
from watcher.store.schema import LARGE_PARAMS, metadata

pytestmark = pytest.mark.engines("sqlite", "postgresql")

DAY = 86400.0
NOW = 1_800_000_000.0
RETAINED, REMEMBERED = NOW - 90 * DAY, NOW - 365 * DAY


def rows(directory: Path, table: str) -> int:
    return int(query(directory / NAME, f"SELECT count(*) FROM {table}")[0][0])


async def purged(store: Store, now: float = NOW, **settings: float) -> dict[str, int]:
    usual = {"retain_for": 90 * DAY, "remember_for": 365 * DAY, "audit_for": 365 * DAY}
    return await store.purge.run(now, **{**usual, **settings})


def test_every_table_has_a_bound() -> None:
    assert set(BOUNDS) == set(metadata.tables)
    assert all(len(bound) > 10 for bound in BOUNDS.values())


@pytest.mark.parametrize(("at", "gone"), [(RETAINED - 1, 1), (RETAINED, 0), (RETAINED + 1, 0)])
async def test_what_was_refused_goes_when_it_is_old(tmp_path: Path, at: float, gone: int) -> None:
    async with opened(tmp_path) as store:
        await settled(store, await sent(store, a_submission("key")), ActionState.REJECTED, at)
        assert await purged(store) == ({"actions": 1} if gone else {})
        again = await store.actions.plan(a_submission("key"), now=NOW)
        assert again.state is (ActionState.PLANNED if gone else ActionState.REJECTED)
        assert again.id == 1 + gone, "an id is never used twice"


@pytest.mark.parametrize(("at", "gone"), [(REMEMBERED - 1, 1), (REMEMBERED, 0), (RETAINED, 0)])
async def test_an_accepted_key_is_known_for_longer(tmp_path: Path, at: float, gone: int) -> None:
    async with opened(tmp_path) as store:
        action = await sent(store, a_submission("key"))
        action = await settled(store, action, ActionState.ACCEPTED, at, "9")
        assert action.order is not None
        assert await purged(store) == {}, "its order is there"
        order = await store.orders.get("p", action.order)
        assert order is not None
        change = moved(order, at + 1, status=Status.CANCELED, status_text="Canceled")
        await store.changes.record([change], now=at + 1)
        await Retention(store=store, config=configured()).run_once(NOW)
        if gone or at == REMEMBERED:
            assert await store.orders.get("p", action.order) is None
        assert await purged(store) == ({"actions": 1} if gone else {})
        if not gone:
            assert (await store.actions.plan(a_submission("key"), now=NOW)).id == action.id


async def test_what_is_not_settled_stays_for_ever(tmp_path: Path) -> None:
    async with opened(tmp_path) as store:
        await store.actions.plan(a_submission("a"), now=1.0)
        await sent(store, a_submission("b"))
        lost = await sent(store, a_submission("c"))
        await settled(store, lost, ActionState.UNRESOLVED, 1.0)
        assert await purged(store) == {}
        assert len(await store.actions.unsettled()) == 3


async def test_actions_and_refills_whose_order_is_gone_go(tmp_path: Path) -> None:
    async with opened(tmp_path) as store:
        await tracked(store, 2)
        for order in ("1", "2"):
            action = await sent(store, a_plan(order))
            await settled(store, action, ActionState.ACCEPTED, 5.0, f"r{order}")
        tasks = await store.refills.running()
        over = msgspec.structs.replace(tasks[0], status=RefillStatus.COMPLETED, finished_at=6.0)
        await store.refills.save([over])
        await sql(store, "DELETE FROM order_states")
        await sql(store, "DELETE FROM orders")
        assert await purged(store) == {"refills": 1, "actions": 1}
        assert [task.order for task in await store.refills.running()] == ["2"], "it still runs"


async def test_no_setting_is_too_short(tmp_path: Path) -> None:
    async with opened(tmp_path) as store:
        for number, at in enumerate((NOW - LEAST - 1, NOW - LEAST, NOW - 1)):
            action = await sent(store, a_submission(str(number)))
            await settled(store, action, ActionState.REJECTED, at)
        assert await purged(store, retain_for=1.0, remember_for=1.0) == {"actions": 1}


async def test_prices_balances_and_what_was_learnt(tmp_path: Path) -> None:
    async with opened(tmp_path) as store:
        await tracked(store, 1)
        await sql(store, "UPDATE orders SET service = '2'")
        for at, rate in ((REMEMBERED - 9, "1"), (RETAINED - 1, "2"), (RETAINED, "3")):
            listed = [Service(id=n, name=n, rate=Decimal(rate)) for n in ("1", "2", "3")]
            kept = listed if at < REMEMBERED else listed[2:]
            await store.services.save("p", kept, now=at)
            await store.balances.save("p", Balance(Decimal(rate), "USD"), now=at)
        await store.balances.save("quiet", Balance(Decimal(5), "USD"), now=1.0)
        await store.schedule.save_learnt(
            "p", [ModelRow("1", "w", 1, 1, 1)], now=NOW - LESSONS_FOR - 1
        )
        await store.schedule.save_learnt("p", [ModelRow("2", "w", 1, 1, 1)], now=NOW - LESSONS_FOR)
        await sql(store, f"UPDATE services SET gone_at = {REMEMBERED - 1} WHERE gone_at NOTNULL")
        gone = await purged(store)
        assert gone == {"service_changes": 3, "balances": 2, "services": 1, "lessons": 1}
        assert [one.change.at for one in await store.recent.price_changes(["p"], 9)] == [RETAINED]
        assert [at for at, _ in await store.balances.since("p", 0.0)] == [RETAINED]
        assert (await store.balances.latest())["quiet"] == (1.0, Balance(Decimal(5), "USD"))
        assert {one.service.id for one in await store.services.of_panel("p")} == {"2", "3"}
        assert [row.service for row in (await store.schedule.learnt(now=NOW))["p"]] == ["2"]
        assert await purged(store) == {}


@pytest.mark.parametrize("count", [1, SLICE - 1, SLICE, SLICE + 1, 3 * SLICE])
async def test_names_of_archived_orders_go_in_slices(tmp_path: Path, count: int) -> None:
    async with opened(tmp_path) as store:
        await tracked(store, 1)
        values = ", ".join(f"(1, 'old{n}', {REMEMBERED - 1})" for n in range(count))
        await sql(store, f"INSERT INTO archived_orders VALUES {values}")
        await sql(store, f"INSERT INTO archived_orders VALUES (1, 'young', {REMEMBERED})")
        assert await purged(store) == {"archived_orders": count}
        assert await store.archive.archived_at("p", "young") == REMEMBERED


LARGE = {"comments": "x" * LARGE_PARAMS}


async def test_large_parameters_are_cut_down_and_known_again(tmp_path: Path) -> None:
    async with opened(tmp_path) as store:
        action = await sent(store, a_submission("key", **LARGE))
        await settled(store, action, ActionState.REJECTED, 100.0)
        assert await store.purge.cut_down(100.0) == 0
        assert await store.purge.cut_down(100.1) == 1
        assert await store.purge.cut_down(100.1) == 0
        (found,) = await store.actions.by_id([action.id])
        assert found.params == {**(action.params or {}), "comments": "x" * 100 + "…"}
        assert (await store.actions.plan(a_submission("key", **LARGE), now=200.0)).id == action.id
        for other in ({"comments": "x" * 100 + "…"}, {"comments": "x" * (LARGE_PARAMS + 1)}, {}):
            with pytest.raises(Conflict, match="used for something else"):
                await store.actions.plan(a_submission("key", **other), now=200.0)


async def test_many_names_leave_nothing_but_the_hash(tmp_path: Path) -> None:
    async with opened(tmp_path) as store:
        many = {f"n{number}": "x" * 90 for number in range(30)}
        action = await sent(store, a_submission("key", **many))
        await settled(store, action, ActionState.REJECTED, 100.0)
        assert await store.purge.cut_down(200.0) == 1
        assert (await store.actions.by_id([action.id]))[0].params is None
        assert (await store.actions.plan(a_submission("key", **many), now=200.0)).id == action.id


async def test_what_may_still_be_sent_keeps_its_parameters(tmp_path: Path) -> None:
    async with opened(tmp_path) as store:
        await store.actions.plan(a_submission("a", **LARGE), now=1.0)
        lost = await sent(store, a_submission("b", **LARGE))
        await settled(store, lost, ActionState.UNRESOLVED, 1.0)
        small = await sent(store, a_submission("c", comments="x" * (LARGE_PARAMS - 200)))
        await settled(store, small, ActionState.REJECTED, 1.0)
        assert await store.purge.cut_down(NOW) == 0
        many = [await sent(store, a_submission(f"d{n}", **LARGE)) for n in range(41)]
        for action in many:
            await settled(store, action, ActionState.REJECTED, 2.0)
        assert await store.purge.cut_down(NOW) == 41


async def test_it_runs_by_the_hour_and_looks_through_all_once_a_day(tmp_path: Path) -> None:
    calls: list[str] = []

    class Told:
        fails = False

        async def cut_down(self, before: float) -> int:
            assert before == NOW - CUT_DOWN_AFTER
            calls.append("cut")
            return 0

        async def run(self, now: float, **settings: Any) -> dict[str, int]:
            if self.fails:
                raise StoreError("no")
            calls.append("purge")
            return {}

    purge = Told()
    retention = Retention(store=SimpleNamespace(purge=purge), config=configured())  # type: ignore[arg-type]
    purge.fails = True
    assert await retention.purge(NOW) == NOW + RETRY_AFTER
    purge.fails = False
    for _ in range(48):
        assert await retention.purge(NOW) == NOW + PURGE_EVERY
    assert calls.count("purge") == 2
    assert calls.count("cut") == 49


async def test_refused_refills_of_watched_orders_stay(tmp_path: Path) -> None:
    async with opened(tmp_path) as store:
        await tracked(store, 1)
        action = await sent(store, a_plan("1", Kind.REFILL))
        await settled(store, action, ActionState.REJECTED, 5.0)
        assert await purged(store) == {}
        assert rows(tmp_path, "actions") == 1


async def test_the_audit_log_goes_by_its_own_age(tmp_path: Path) -> None:
    async with opened(tmp_path) as store:
        for days in (400.0, 300.0, 1.0):
            at, detail = NOW - days * DAY, "x" * 900
            entry = AuditEntry(at=at, by="token", via="cli", did="refill", detail=detail)
            await store.audit.add(entry)
        assert await purged(store) == {"audit": 1}
        assert await purged(store, audit_for=0.0) == {"audit": 1}  # a week at least
        (left,), cursor = await store.audit.page(limit=10)
        assert (left.at, len(left.detail or ""), cursor) == (NOW - DAY, LONGEST_DETAIL, None)
