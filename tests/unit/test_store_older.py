"""A database that is older than what was sent from it: refused, until it is set right."""

import resource
import shutil
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from tests.unit.store_kit import NAME, a_plan, child, loaded, opened, outcome, query, sent, tracked
from watcher.errors import Conflict, StoreError, StoreOlder
from watcher.model import ActionState, Kind, RuleAction
from watcher.store import Disowned, Hold, Restored, Store, disown, restore

NOW = 1_800_000_000.0
HOLD = Hold(rule="r", action=RuleAction.REFILL, panels=None)
KILLED = """
import asyncio, os, pathlib, sys
from tests.unit.store_kit import a_plan, opened, sent, tracked
async def main():
    async with opened(pathlib.Path(sys.argv[1])) as store:
        await tracked(store, 9)
        for number in range(int(sys.argv[2])):
            await sent(store, a_plan(str(number + 1)))
        os.kill(os.getpid(), 9)
asyncio.run(main())
"""


def in_thread(file: Path, database: Path, holds: Sequence[Hold] = (HOLD,)) -> Restored:
    """Both run a loop of their own, as the commands do."""
    with ThreadPoolExecutor() as pool:
        return pool.submit(restore, file, database, holds, now=NOW).result()


def disowned(database: Path, holds: Sequence[Hold] = (HOLD,)) -> Disowned:
    with ThreadPoolExecutor() as pool:
        return pool.submit(disown, database, holds, now=NOW).result()


def killed(directory: Path, claims: int) -> None:
    with child(KILLED, directory, claims) as process:
        process.communicate()


async def refused(database: Path) -> StoreOlder:
    before = database.read_bytes()
    with pytest.raises(StoreOlder) as error:
        await Store.open(database, now=0.0)
    assert database.read_bytes() == before
    return error.value


async def planned_then_copied(tmp_path: Path) -> tuple[Path, Path]:
    """A database, and a plain copy in which an action that is sent by now is planned."""
    async with opened(tmp_path) as store:
        await tracked(store, 3)
        await store.actions.plan(a_plan("1"), now=3.0)
    database, copy = tmp_path / NAME, tmp_path / "plain.db"
    shutil.copyfile(database, copy)
    async with opened(tmp_path) as store:
        (action,) = await store.actions.claim([1], now=4.0)
        await store.actions.settle([outcome(action, ActionState.ACCEPTED, "9")], now=5.0)
    return database, copy


async def backed_up(tmp_path: Path) -> Path:
    async with opened(tmp_path) as store:
        await tracked(store, 3)
        await store.actions.plan(a_plan("1"), now=3.0)
        await store.maintenance.backup(tmp_path / "copy.db")
        await store.actions.claim([1], now=4.0)
    return tmp_path / "copy.db"


async def test_a_backup_that_was_copied_into_place_is_refused(tmp_path: Path) -> None:
    shutil.copyfile(await backed_up(tmp_path), tmp_path / NAME)
    error = await refused(tmp_path / NAME)
    assert error.remedy == ("restore", str(tmp_path / NAME))
    assert "is a backup that was copied into place" in str(error)


async def test_the_mark_needs_no_file_beside_it(tmp_path: Path) -> None:
    backup = await backed_up(tmp_path)
    elsewhere = tmp_path / "elsewhere"
    elsewhere.mkdir()
    shutil.copyfile(backup, elsewhere / NAME)
    await refused(elsewhere / NAME)


async def test_restore_takes_one_that_is_in_place_already(tmp_path: Path) -> None:
    shutil.copyfile(await backed_up(tmp_path), tmp_path / NAME)
    restored = in_thread(tmp_path / NAME, tmp_path / NAME)
    assert restored.disowned.unresolved == 1
    async with opened(tmp_path) as store:
        assert [action.state for action in await store.actions.unsettled()] == [
            ActionState.UNRESOLVED
        ]
        assert await store.actions.claim([1], now=NOW) == []
        assert await store.maintenance.quick_check()


@pytest.mark.long
@pytest.mark.parametrize("way", ["restore", "disown"])
async def test_the_log_of_another_database_is_not_taken_for_its_own(
    tmp_path: Path, way: str
) -> None:
    backup = await backed_up(tmp_path)
    killed(tmp_path, 0)
    assert (tmp_path / f"{NAME}-wal").stat().st_size > 0
    shutil.copyfile(backup, tmp_path / NAME)
    await refused(tmp_path / NAME)
    assert (tmp_path / f"{NAME}-wal").stat().st_size > 0
    if way == "restore":
        in_thread(tmp_path / NAME, tmp_path / NAME)
    else:
        disowned(tmp_path / NAME)
    async with opened(tmp_path) as store:
        assert len(await loaded(store)) == 3, "as the backup has it"
        assert await store.maintenance.quick_check()
        assert [action.state for action in await store.actions.unsettled()] == [
            ActionState.UNRESOLVED
        ]


async def test_a_plain_copy_that_was_put_back_is_refused(tmp_path: Path) -> None:
    database, copy = await planned_then_copied(tmp_path)
    shutil.copyfile(copy, database)
    error = await refused(database)
    assert error.remedy == ("disown",)
    assert "older than what was sent from it" in str(error)
    assert disowned(database).unresolved == 1
    async with opened(tmp_path) as store:
        assert await store.actions.planned("p") == []
        assert await store.firings.counts() == {
            ("r", False, "p", str(n)): (1, NOW) for n in (1, 2, 3)
        }
    shutil.copyfile(copy, database)
    await refused(database)


async def test_a_copy_since_which_nothing_was_sent_is_none(tmp_path: Path) -> None:
    async with opened(tmp_path) as store:
        await tracked(store, 3)
        await sent(store, a_plan("1"))
    shutil.copyfile(tmp_path / NAME, tmp_path / "plain.db")
    async with opened(tmp_path) as store:
        await store.actions.plan(a_plan("2"), now=3.0)
        await store.actions.plan(a_plan("3", Kind.CANCEL), now=3.0)
        assert await store.actions.claim([77], now=4.0) == [], "nothing claimed counts for nothing"
    shutil.copyfile(tmp_path / "plain.db", tmp_path / NAME)
    async with opened(tmp_path) as store:
        assert [action.order for action in await store.actions.unsettled()] == ["1"]


@pytest.mark.long
@pytest.mark.parametrize("claims", [1, 3])
async def test_a_killed_process_has_noted_what_it_claimed(tmp_path: Path, claims: int) -> None:
    async with opened(tmp_path):
        pass
    shutil.copyfile(tmp_path / NAME, tmp_path / "plain.db")
    killed(tmp_path, claims)
    assert int((tmp_path / f"{NAME}.seen").read_text()) == claims
    async with opened(tmp_path) as store:
        assert len(await store.actions.unsettled()) == claims
    shutil.copyfile(tmp_path / "plain.db", tmp_path / NAME)
    await refused(tmp_path / NAME)


async def test_what_a_restore_has_put_aside_is_older_too(tmp_path: Path) -> None:
    restored = in_thread(await backed_up(tmp_path), tmp_path / NAME)
    assert restored.kept is not None
    shutil.copyfile(restored.kept, tmp_path / NAME)
    await refused(tmp_path / NAME)
    in_thread(restored.kept, tmp_path / NAME)
    async with opened(tmp_path) as store:
        assert await store.actions.planned("p") == []


async def test_without_the_file_beside_it_nothing_is_refused(tmp_path: Path) -> None:
    await planned_then_copied(tmp_path)
    (tmp_path / f"{NAME}.seen").unlink()
    async with opened(tmp_path):
        assert int((tmp_path / f"{NAME}.seen").read_text()) == 1


@pytest.mark.long
@pytest.mark.parametrize("text", ["nonsense", "-5", "1.5", "\x00\x00", "٣"])
async def test_a_file_beside_it_that_can_not_be_read_is_refused_and_mended(
    tmp_path: Path, text: str
) -> None:
    database, _ = await planned_then_copied(tmp_path)
    (tmp_path / f"{NAME}.seen").write_text(text)
    assert "seen can't be read" in str(await refused(database))
    disowned(database)
    async with opened(tmp_path):
        assert int((tmp_path / f"{NAME}.seen").read_text()) == 2


async def test_a_new_database_goes_on_counting(tmp_path: Path) -> None:
    database, copy = await planned_then_copied(tmp_path)
    database.rename(tmp_path / "away.db")
    async with opened(tmp_path):
        pass
    assert query(database, "SELECT value FROM counters WHERE name = 'claims'") == [(1,)]
    shutil.copyfile(copy, database)
    await refused(database)


async def test_a_count_that_can_not_be_noted_stops_what_is_sent(tmp_path: Path) -> None:
    async with opened(tmp_path) as store:
        await tracked(store, 3)
        actions = [await store.actions.plan(a_plan(str(n)), now=3.0) for n in (1, 2)]
        seen = tmp_path / f"{NAME}.seen"
        seen.unlink()
        seen.mkdir()
        assert len(await store.actions.claim([actions[0].id], now=4.0)) == 1
        with pytest.raises(StoreError, match=r"seen can't be written"):
            await store.actions.claim([actions[1].id], now=4.0)
        seen.rmdir()
        assert len(await store.actions.claim([actions[1].id], now=4.0)) == 1
        assert int(seen.read_text()) == 2


@pytest.mark.parametrize("how", ["removed", "replaced"])
async def test_the_file_beside_it_may_go_and_is_written_anew(tmp_path: Path, how: str) -> None:
    async with opened(tmp_path) as store:
        await tracked(store, 3)
        await sent(store, a_plan("1"))
        seen = tmp_path / f"{NAME}.seen"
        seen.unlink()
        if how == "replaced":
            seen.write_text("")
        await sent(store, a_plan("2"))
        assert int(seen.read_text()) == 2


async def test_no_further_handle_is_needed_to_note_a_claim(tmp_path: Path) -> None:
    async with opened(tmp_path) as store:
        await tracked(store, 3)
        action = await store.actions.plan(a_plan("1"), now=3.0)
        limit = resource.getrlimit(resource.RLIMIT_NOFILE)
        resource.setrlimit(resource.RLIMIT_NOFILE, (3, limit[1]))
        try:
            assert len(await store.actions.claim([action.id], now=4.0)) == 1
        finally:
            resource.setrlimit(resource.RLIMIT_NOFILE, limit)
        assert int((tmp_path / f"{NAME}.seen").read_text()) == 1


async def test_disown_needs_a_database_that_no_daemon_uses(tmp_path: Path) -> None:
    with pytest.raises(StoreError, match="no such file"):
        disowned(tmp_path / NAME)
    async with opened(tmp_path):
        with pytest.raises(StoreError, match="in use by another watcher"):
            disowned(tmp_path / NAME)
    with pytest.raises(Conflict, match="watcher disown"):
        in_thread(tmp_path / NAME, tmp_path / NAME)
