"""Retention: old closed orders go to archive files, whole, and nothing is lost on the way."""

import gzip
import json
import stat
from decimal import Decimal
from pathlib import Path
from typing import Any

import msgspec
import pytest
from structlog.testing import capture_logs

from tests.unit.store_kit import (
    CURRENT,
    NAME,
    a_firing,
    a_plan,
    a_submission,
    an_order,
    configured,
    moved,
    opened,
    outcome,
    query,
    sent,
    settled,
    sql,
    tracked,
)
from watcher.daemon import retention
from watcher.daemon.retention import EVERY, MORE_AFTER, RETRY_AFTER, TOLD_WITHIN, Retention
from watcher.errors import Conflict, StoreError
from watcher.events.retry_lanes import RetryLanes
from watcher.model import Action, ActionState, Kind, Order, Refill, RefillStatus, Status
from watcher.store import Store
from watcher.store.archive import Archive

pytestmark = pytest.mark.engines("sqlite", "postgresql")

DAY = 86400.0
NOW = 1_800_000_000.0
OLD = NOW - 91 * DAY
TABLES = ("orders", "order_states", "history", "actions", "refills", "firings")


def made(store: Store, **settings: Any) -> Retention:
    return Retention(store=store, config=configured(**settings))


async def closed(store: Store, count: int, at: float = OLD, panel: str = "p") -> list[Order]:
    """Orders with two changes each, closed at the time given."""
    orders = await tracked(store, count, panel)
    first = [moved(order, at - 10, remains=400, charge=Decimal("0.10")) for order in orders]
    await store.changes.record(first, now=at - 10)
    last = [
        moved(change.after, at, status=Status.CANCELED, status_text="Canceled", remains=400)
        for change in first
    ]
    await store.changes.record(last, now=at)
    return [change.after for change in last]


async def acted(store: Store, order: str, kind: Kind = Kind.REFILL) -> Action:
    """An accepted action for the order."""
    action = await sent(store, a_plan(order, kind), now=OLD)
    return await settled(store, action, ActionState.ACCEPTED, OLD + 1, f"r{order}")


async def ended(store: Store, order: str, status: RefillStatus = RefillStatus.COMPLETED) -> Refill:
    (task,) = await store.refills.of_order("p", order)
    over = msgspec.structs.replace(task, status=status, finished_at=OLD + 2)
    await store.refills.save([over])
    return over


def lines(directory: Path) -> list[dict[str, Any]]:
    return [
        json.loads(line)
        for path in sorted((directory / "archive").glob("orders-*.jsonl.gz"))
        for line in gzip.decompress(path.read_bytes()).splitlines()
    ]


def counts(directory: Path) -> dict[str, int]:
    return {
        table: query(directory / NAME, f"SELECT count(*) FROM {table}")[0][0] for table in TABLES
    }


async def test_old_closed_orders_go_to_a_file_whole_and_the_rest_stays(tmp_path: Path) -> None:
    async with opened(tmp_path) as store:
        await closed(store, 3)
        await closed(store, 1, NOW - 89 * DAY, panel="recent")
        await tracked(store, 1, panel="open")
        await store.changes.record([], [a_firing("1", at=OLD)], now=OLD)
        await acted(store, "1")
        await ended(store, "1")
        assert await made(store).run_once(NOW) == NOW + EVERY
        assert {order.panel for order in (await store.orders.page())[0]} == {"recent", "open"}
        assert await store.orders.history("recent", "1")
        assert await store.maintenance.quick_check()
    file = tmp_path / "archive" / "orders-20270115T080000Z.jsonl.gz"
    assert stat.S_IMODE(file.stat().st_mode) == 0o600
    assert stat.S_IMODE(file.parent.stat().st_mode) == 0o700
    assert [path.name for path in file.parent.iterdir()] == [file.name]
    first, second, third = lines(tmp_path)
    assert [line["order_id"] for line in (first, second, third)] == ["1", "2", "3"]
    assert (first["panel"], first["status"], first["charge"]) == ("p", "canceled", "0.10")
    assert [change["changes"].get("status") for change in first["history"]] == [
        None,
        ["pending", "canceled"],
    ]
    (action,), (refill,), (firing,) = first["actions"], first["refills"], first["firings"]
    assert (action["kind"], action["state"], action["result"]) == ("refill", "accepted", "r1")
    assert (refill["refill_id"], refill["status"], refill["action"]) == (
        "r1",
        "completed",
        action["id"],
    )
    assert (firing["rule"], firing["at"]) == ("r", OLD)
    assert second["actions"] == second["refills"] == second["firings"] == []
    assert counts(tmp_path) == {
        "orders": 2,
        "order_states": 2,
        "history": 2,
        "actions": 0,
        "refills": 0,
        "firings": 0,
    }


async def test_nothing_old_makes_no_file(tmp_path: Path) -> None:
    async with opened(tmp_path) as store:
        await closed(store, 2, NOW - 89 * DAY)
        assert await made(store).run_once(NOW) == NOW + EVERY
        assert not (tmp_path / "archive").exists()
        assert await made(store, retain_for=88 * DAY).run_once(NOW) == NOW + EVERY
    assert len(lines(tmp_path)) == 2


async def test_what_is_not_settled_keeps_its_order(tmp_path: Path) -> None:
    async with opened(tmp_path) as store:
        await closed(store, 6)
        await store.actions.plan(a_plan("1"), now=OLD)
        await sent(store, a_plan("2"))
        lost = await sent(store, a_plan("3", Kind.CANCEL))
        await settled(store, lost, ActionState.UNRESOLVED, OLD)
        await acted(store, "4")  # its refill task is still running
        refused = await sent(store, a_plan("5"))
        await settled(store, refused, ActionState.REJECTED, OLD)
        await made(store).run_once(NOW)
        assert [order.id for order in (await store.orders.page())[0]] == ["1", "2", "3", "4"]
        assert [action.id for action in await store.actions.unsettled()] == [1, 2, 3]
        await store.actions.resolve(lost.id, ActionState.REJECTED, result=None, now=NOW)
        await made(store).run_once(NOW + DAY)
        assert [order.id for order in (await store.orders.page())[0]] == ["1", "2", "4"]


async def test_an_idempotency_key_is_known_after_its_order_is_archived(tmp_path: Path) -> None:
    async with opened(tmp_path) as store:
        action = await sent(store, a_submission("key"))
        placed = await store.actions.settle([outcome(action, ActionState.ACCEPTED, "77")], now=OLD)
        change = moved(placed.orders[0], OLD, status=Status.CANCELED, status_text="Canceled")
        await store.changes.record([change], now=OLD)
        await made(store).run_once(NOW)
        assert await store.orders.get("p", "77") is None
        assert await store.archive.archived_at("p", "77") == NOW
        again = await store.actions.plan(a_submission("key"), now=NOW)
        assert (again.id, again.state, again.order) == (action.id, ActionState.ACCEPTED, "77")
        with pytest.raises(Conflict, match="used for something else"):
            await store.actions.plan(a_submission("key", quantity="9"), now=NOW)
    assert lines(tmp_path)[0]["actions"][0]["params"]["quantity"] == "500"


async def test_an_archived_order_that_is_tracked_again_starts_anew(tmp_path: Path) -> None:
    async with opened(tmp_path) as store:
        await closed(store, 1)
        await store.changes.record([], [a_firing("1", at=OLD)], now=OLD)
        await acted(store, "1")
        await ended(store, "1")
        await made(store).run_once(NOW)
        (again,) = await store.orders.track([an_order("1")], now=NOW)
        assert again.refills == 0
        assert await store.orders.history("p", "1") == []
        assert await store.firings.counts() == {}
        change = moved(again, NOW + 5, status=Status.CANCELED, status_text="Canceled")
        await store.changes.record([change], now=NOW + 5)
        await made(store).run_once(NOW + 95 * DAY)
        assert await store.archive.archived_at("p", "1") == NOW + 95 * DAY
    assert [len(line["history"]) for line in lines(tmp_path)] == [2, 1]


async def test_what_comes_between_the_reading_and_the_removal_keeps_the_order(
    tmp_path: Path,
) -> None:
    async with opened(tmp_path) as store:
        await closed(store, 5)
        before = NOW - 90 * DAY
        keys = await store.archive.closed_before(before, after=0, limit=10)
        read = await store.archive.retired(keys, before)
        await store.actions.plan(a_plan("1"), now=NOW)
        await acted(store, "2", Kind.CANCEL)
        await acted(store, "3")
        await ended(store, "3")
        await store.changes.record([], [a_firing("4", at=NOW)], now=NOW)
        assert await store.archive.remove(read, before, now=NOW) == 1
        assert [order.id for order in (await store.orders.page())[0]] == ["1", "2", "3", "4"]
        assert len(await store.orders.history("p", "2")) == 2


async def test_a_crash_before_the_removal_archives_twice_and_loses_nothing(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    async with opened(tmp_path) as store:
        await closed(store, 25)

        async def crash(*_: object, **__: object) -> int:
            raise StoreError("the disk went away")

        with monkeypatch.context() as broken, capture_logs() as logs:
            broken.setattr(Archive, "remove", crash)
            task = made(store)
            assert await task.run_once(NOW) == NOW + RETRY_AFTER
            await task.run_once(NOW + 1)
        assert [entry["event"] for entry in logs] == ["archive.failed"], "told once"
        assert len(await store.archive.closed_before(NOW, after=0, limit=99)) == 25
        (tmp_path / "archive" / ".orders-x.jsonl.gz.part").write_text("half of a file")
        await made(store).run_once(NOW + 2)
        assert await store.archive.closed_before(NOW, after=0, limit=99) == []
    found = [line["order_id"] for line in lines(tmp_path)]
    assert sorted(found) == sorted([str(n) for n in range(1, 26)] * 3)
    assert not list((tmp_path / "archive").glob(".*"))


async def test_a_file_of_the_same_name_is_never_overwritten(tmp_path: Path) -> None:
    there = tmp_path / "archive" / "orders-20270115T080000Z.jsonl.gz"
    there.parent.mkdir()
    there.write_bytes(b"of earlier")
    async with opened(tmp_path) as store:
        await closed(store, 3)
        with capture_logs() as logs:
            assert await made(store).run_once(NOW) == NOW + RETRY_AFTER
        assert f"{there} exists" in logs[0]["cause"]
        assert there.read_bytes() == b"of earlier"
        assert len((await store.orders.page())[0]) == 3, "nothing is removed without a file"
        await made(store).run_once(NOW + RETRY_AFTER)
        assert (await store.orders.page())[0] == []
    assert there.read_bytes() == b"of earlier"
    there.unlink()
    assert len(lines(tmp_path)) == 3


@pytest.mark.parametrize(("behind", "stays"), [(0, False), (1, True), (2, True)])
async def test_an_order_stays_until_each_target_was_told_of_its_last_change(
    tmp_path: Path, behind: int, stays: bool
) -> None:
    async with opened(tmp_path) as store:
        await closed(store, 1)
        found = await store.events.open_lanes(["shop", "other"])
        lanes = {name: RetryLanes(*one) for name, one in found.items()}
        assert lanes["shop"].cursor == 2
        lanes["shop"].cursor -= behind
        await store.events.save_lanes("shop", lanes["shop"].cursor, lanes["shop"].unsaved())
        await made(store).run_once(NOW)
        assert bool((await store.orders.page())[0]) is stays
        lanes["shop"].cursor = 2
        await store.events.save_lanes("shop", lanes["shop"].cursor, lanes["shop"].unsaved())
        await made(store).run_once(NOW + 1)
        assert (await store.orders.page())[0] == []


async def test_an_order_stays_as_long_as_events_wait_in_its_lane(tmp_path: Path) -> None:
    async with opened(tmp_path) as store:
        first, _ = await closed(store, 2)
        lanes = RetryLanes(*(await store.events.open_lanes(["shop"]))["shop"])
        lanes.hold(first.key, 0, NOW)
        await store.events.save_lanes("shop", lanes.cursor, lanes.unsaved())
        await made(store).run_once(NOW)
        assert [order.id for order in (await store.orders.page())[0]] == [first.id]
        lanes.go_on(first.key, None, NOW)
        await store.events.save_lanes("shop", lanes.cursor, lanes.unsaved())
        await made(store).run_once(NOW + 1)
        assert (await store.orders.page())[0] == []


@pytest.mark.parametrize("what", ["firing", "refill", "action"])
async def test_an_order_stays_until_people_can_have_been_told(tmp_path: Path, what: str) -> None:
    since = NOW - TOLD_WITHIN
    async with opened(tmp_path) as store:
        await closed(store, 2)
        for order, at in (("1", since - 1), ("2", since)):
            if what == "firing":
                await store.changes.record([], [a_firing(order, at=at)], now=at)
            elif what == "refill":
                await acted(store, order)
                task = await ended(store, order)
                await sql(store, f"UPDATE refills SET finished_at = {at} WHERE key = {task.key}")
            else:
                refused = await sent(store, a_plan(order))
                await settled(store, refused, ActionState.REJECTED, at)
        await store.outbox.know_targets(["phone"], now=1.0)
        await made(store, retain_for=1.0).run_once(NOW)
        assert [order.id for order in (await store.orders.page())[0]] == ["2"]
        await store.outbox.forget_targets([])
        await made(store, retain_for=1.0).run_once(NOW + 1)
        assert (await store.orders.page())[0] == [], "nobody is to be told"


@pytest.mark.parametrize(("at", "stays"), [(-1.0, False), (0.0, True), (1.0, True)])
async def test_it_goes_when_it_is_older_than_is_retained(
    tmp_path: Path, at: float, stays: bool
) -> None:
    async with opened(tmp_path) as store:
        await closed(store, 1, NOW - 90 * DAY + at)
        await made(store).run_once(NOW)
        assert bool((await store.orders.page())[0]) is stays


async def test_no_place_for_the_archive_removes_nothing(tmp_path: Path) -> None:
    (tmp_path / "archive").write_text("a file is in the way")
    async with opened(tmp_path) as store:
        await closed(store, 3)
        with capture_logs() as logs:
            assert await made(store).run_once(NOW) == NOW + RETRY_AFTER
        assert str(tmp_path / "archive") in logs[0]["cause"]
        assert len((await store.orders.page())[0]) == 3


@pytest.mark.long
async def test_many_go_in_several_runs_and_small_transactions(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(retention, "MOST_AT_ONCE", 2000)
    sizes: list[int] = []
    remove = Archive.remove

    async def noted(archive: Archive, retired: Any, at: float, *, now: float) -> int:
        sizes.append(len(retired))
        return await remove(archive, retired, at, now=now)

    monkeypatch.setattr(Archive, "remove", noted)
    async with opened(tmp_path) as store:
        await closed(store, 3000)
        task = made(store)
        assert await task.run_once(NOW) == NOW + MORE_AFTER
        assert await task.run_once(NOW + 5) == NOW + 5 + EVERY
    assert max(sizes) <= 1000
    assert len(sizes) > 4
    assert counts(tmp_path)["history"] == 0
    assert len(list((tmp_path / "archive").iterdir())) == 2
    assert len({line["order_id"] for line in lines(tmp_path)}) == 3000


async def test_ids_of_removed_changes_confuse_no_history(tmp_path: Path) -> None:
    async with opened(tmp_path) as store:
        (other,) = await store.orders.track([an_order("9", "q")], now=1.0)
        await closed(store, 2)
        await made(store).run_once(NOW)
    async with opened(tmp_path) as store:
        change = moved(other, NOW, remains=3)
        await store.changes.record([change], now=NOW)
        await store.changes.record([moved(change.after, NOW + 1, remains=2)], now=NOW + 1)
        assert [at for at, _ in await store.orders.history("q", "9")] == [NOW, NOW + 1]
        if CURRENT.engine == "sqlite":
            assert await sql(store, "PRAGMA foreign_key_check") is None
