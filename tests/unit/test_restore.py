"""Restoring: the copy checked, the present kept, and what may have been done not done again."""

import os
import stat
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from tests.unit.store_kit import (
    NAME,
    a_firing,
    a_plan,
    a_submission,
    child,
    loaded,
    opened,
    outcome,
    query,
    sent,
    sql,
    tracked,
)
from watcher.errors import Conflict, StoreBusy, StoreCorrupt, StoreError, StoreNewer
from watcher.model import ActionState, Kind, RuleAction
from watcher.store import Hold, Restored, Store, restore

NOW = 1_800_000_000.0
STAMP = "20270115T080000Z"
HOLD = Hold(rule="r", action=RuleAction.REFILL, panels=None)


async def a_backup(tmp_path: Path) -> Path:
    """A backup of three orders, with an action in each state that is not settled."""
    async with opened(tmp_path) as store:
        await tracked(store, 3)
        await store.changes.record([], [a_firing("1", at=100.0)], now=100.0)
        await store.actions.plan(a_plan("1"), now=3.0)
        await store.actions.plan(a_submission("key"), now=3.0)
        await sent(store, a_plan("2"))
        settled = await sent(store, a_plan("3", Kind.CANCEL))
        await store.actions.settle([outcome(settled, ActionState.ACCEPTED, "9")], now=20.0)
        await store.maintenance.backup(tmp_path / "copy.db")
    return tmp_path / "copy.db"


async def test_the_copy_takes_the_place_of_the_database_which_is_kept(tmp_path: Path) -> None:
    backup = await a_backup(tmp_path)
    async with opened(tmp_path) as store:
        await tracked(store, 5)
    before, copied = (tmp_path / NAME).read_bytes(), backup.read_bytes()
    restored = in_thread(backup, tmp_path)
    assert restored.kept == tmp_path / f"{NAME}.before-restore-{STAMP}"
    assert restored.kept.read_bytes() == before
    assert backup.read_bytes() == copied
    assert stat.S_IMODE((tmp_path / NAME).stat().st_mode) == 0o600
    names = {path.name for path in tmp_path.iterdir()}
    assert names == {NAME, f"{NAME}.lock", f"{NAME}.seen", "copy.db", restored.kept.name}
    async with opened(tmp_path) as store:
        assert len(await loaded(store)) == 3
        assert await store.maintenance.quick_check()


async def test_what_was_not_settled_is_unresolved_and_never_sent(tmp_path: Path) -> None:
    restored = in_thread(await a_backup(tmp_path), tmp_path)
    assert restored.disowned.unresolved == 3
    async with opened(tmp_path) as store:
        states = {action.id: action.state for action in (await store.actions.page())[0]}
        unresolved = ActionState.UNRESOLVED
        assert states == {1: unresolved, 2: unresolved, 3: unresolved, 4: ActionState.ACCEPTED}
        assert await store.actions.planned("p") == []
        assert await store.actions.claim([1, 2, 3], now=NOW) == []
        with pytest.raises(Conflict, match="refill of order 1 at p is unresolved"):
            await store.actions.plan(a_plan("1"), now=NOW)
        again = await store.actions.plan(a_submission("key"), now=NOW)
        assert (again.id, again.state) == (2, unresolved)
        settled = await store.actions.resolve(1, ActionState.REJECTED, result=None, now=NOW)
        assert settled.actions[0].state is ActionState.REJECTED


async def test_rules_count_as_having_fired_at_the_restore(tmp_path: Path) -> None:
    backup = await a_backup(tmp_path)
    holds = [HOLD, Hold(rule="other", action=RuleAction.CANCEL, panels=("q",))]
    assert in_thread(backup, tmp_path, holds).disowned.orders == 3
    async with opened(tmp_path) as store:
        assert await store.firings.counts() == {
            ("r", False, "p", "1"): (2, NOW),
            ("r", False, "p", "2"): (1, NOW),
            ("r", False, "p", "3"): (1, NOW),
        }
        assert await store.firings.since(NOW - 3600) == [], "the brakes don't count them"
        assert "restored" in (await store.firings.of_order("p", "2"))[0].detail


async def test_a_log_beside_the_present_database_goes_with_it(tmp_path: Path) -> None:
    backup = await a_backup(tmp_path)
    killed = """
import asyncio, os, pathlib, sys
from tests.unit.store_kit import opened, tracked
async def main():
    async with opened(pathlib.Path(sys.argv[1])) as store:
        await tracked(store, 50)
        os.kill(os.getpid(), 9)
asyncio.run(main())
"""
    with child(killed, tmp_path) as process:
        process.communicate()
    assert (tmp_path / f"{NAME}-wal").stat().st_size > 0
    kept = in_thread(backup, tmp_path).kept
    assert kept is not None
    assert not (tmp_path / f"{NAME}-wal").exists()
    async with opened(tmp_path) as store:
        assert len(await loaded(store)) == 3
    # What is kept is whole, and can be restored in turn.
    assert query(kept, "SELECT count(*) FROM orders") == [(50,)]
    in_thread(kept, tmp_path)
    async with opened(tmp_path) as store:
        assert len(await loaded(store)) == 50


async def test_there_need_not_be_a_database(tmp_path: Path) -> None:
    backup = await a_backup(tmp_path)
    new = tmp_path / "new"
    new.mkdir()
    assert in_thread(backup, new).kept is None
    async with opened(new) as store:
        assert len(await loaded(store)) == 3


async def test_a_running_daemon_is_left_alone(tmp_path: Path) -> None:
    backup = await a_backup(tmp_path)
    async with opened(tmp_path):
        with pytest.raises(StoreBusy, match="in use by another watcher"):
            in_thread(backup, tmp_path)
    assert not list(tmp_path.glob("*before*"))


@pytest.mark.parametrize(
    ("fault", "kind", "message"),
    [
        ("missing", StoreError, "no such file"),
        ("empty", StoreError, "no database of watcher"),
        ("text", StoreCorrupt, "no database"),
        ("damaged", StoreCorrupt, "is damaged"),
        ("cut", StoreCorrupt, "is damaged"),
        ("newer", StoreNewer, r"copy\.db was written by a newer version"),
        ("itself", Conflict, "is the database itself"),
    ],
)
async def test_what_is_no_good_backup_changes_nothing(
    tmp_path: Path, fault: str, kind: type[Exception], message: str
) -> None:
    backup = await a_backup(tmp_path)
    async with opened(tmp_path) as store:
        await tracked(store, 3000)
        if fault == "newer":
            await sql(store, "UPDATE alembic_version SET version_num = '9876'")
        backup.unlink()
        await store.maintenance.backup(backup)
    spoil(backup, fault)
    if fault == "itself":
        backup = tmp_path / NAME
    before = (tmp_path / NAME).read_bytes()
    with pytest.raises(kind, match=message):
        in_thread(backup, tmp_path)
    assert (tmp_path / NAME).read_bytes() == before
    assert not [path for path in tmp_path.iterdir() if "restore" in path.name]


async def test_a_restore_that_was_cut_short_is_no_empty_database(tmp_path: Path) -> None:
    backup = await a_backup(tmp_path)
    (tmp_path / NAME).rename(tmp_path / f"{NAME}.before-restore-{STAMP}")
    with pytest.raises(StoreError, match="cut short"):
        await Store.open(tmp_path / NAME, now=0.0)
    (tmp_path / ".restore-abc").mkdir()
    restored = in_thread(backup, tmp_path)
    assert restored.kept is None
    assert not (tmp_path / ".restore-abc").exists()
    async with opened(tmp_path) as store:
        assert len(await loaded(store)) == 3


async def test_two_restores_in_a_second_keep_both(tmp_path: Path) -> None:
    backup = await a_backup(tmp_path)
    kept = [in_thread(backup, tmp_path).kept for _ in range(3)]
    assert len(set(kept)) == 3
    assert all(path is not None and path.exists() for path in kept)


def in_thread(file: Path, directory: Path, holds: Sequence[Hold] = (HOLD,)) -> Restored:
    """The restore runs a loop of its own, as the command does."""
    with ThreadPoolExecutor() as pool:
        return pool.submit(restore, file, directory / NAME, holds, now=NOW).result()


def spoil(path: Path, fault: str) -> None:
    whole = bytearray(path.read_bytes())
    middle = len(whole) // 2 // 2048 * 2048
    if fault == "missing":
        path.unlink()
    elif fault == "empty":
        path.write_bytes(b"")
    elif fault == "text":
        path.write_text("no database " * 500)
    elif fault == "cut":
        path.write_bytes(whole[:middle])
    elif fault == "damaged":
        whole[middle + 8 : middle + 2048] = os.urandom(2040)
        path.write_bytes(whole)
