"""Files of the database that are removed or replaced while it is open, and a second daemon."""

import asyncio
import shutil
import time
from pathlib import Path

import pytest

from tests.unit.store_kit import NAME, a_plan, child, opened, query, tracked
from watcher.errors import StoreError
from watcher.store import Store

OPEN = """
import asyncio, pathlib, sys
from watcher.errors import StoreError
from watcher.store import Store
async def main():
    try:
        store = await Store.open(pathlib.Path(sys.argv[1]), now=0.0)
    except StoreError as error:
        print(type(error).__name__, error, flush=True)
    else:
        print("open", flush=True)
        sys.stdin.readline()
        await store.close()
asyncio.run(main())
"""
FILES = ["", "-wal", "-shm", ".lock"]


def spoil(path: Path, how: str) -> Path:
    """The file as it was, under another name."""
    away = path.with_name("away")
    path.rename(away)
    if how == "replaced":
        shutil.copyfile(away, path)
    return away


@pytest.mark.parametrize("how", ["removed", "replaced"])
@pytest.mark.parametrize("end", FILES)
async def test_a_file_that_goes_is_noticed_and_nothing_is_claimed(
    tmp_path: Path, end: str, how: str
) -> None:
    path = tmp_path / f"{NAME}{end}"
    async with opened(tmp_path) as store:
        orders = await tracked(store)
        action = await store.actions.plan(a_plan(), now=3.0)
        assert store.maintenance.check_files() is None
        away = spoil(path, how)
        for work in (store.actions.claim([action.id], now=4.0), store.maintenance.check_writable()):
            with pytest.raises(StoreError, match=f"{path.name} was {how} while the daemon runs"):
                await work
        with pytest.raises(StoreError, match=how):
            await store.actions.planned("p")
        with pytest.raises(StoreError, match=how):
            await store.orders.track(orders, now=5.0)
        assert f"{path} was {how}" in (store.maintenance.check_files() or "")
        away.rename(path)
        assert await store.actions.planned("p") == [(action.id, action.kind)], "by itself"
        assert len(await store.actions.claim([action.id], now=4.0)) == 1


async def test_no_empty_database_is_made_where_one_was_removed(tmp_path: Path) -> None:
    directory = tmp_path / "a b%20?c#d"
    directory.mkdir()
    async with opened(directory) as store:
        await tracked(store)
        (directory / NAME).rename(directory / "away")
        many = (store._db.read("test", lambda c: time.sleep(0.1)) for _ in range(6))
        found = await asyncio.gather(*many, return_exceptions=True)
        assert any(isinstance(one, StoreError) for one in found), "new connections find no file"
        assert not (directory / NAME).exists()
        (directory / "away").rename(directory / NAME)
        assert len(await tracked(store, 2)) == 1


async def test_a_database_in_its_place_is_left_alone(tmp_path: Path) -> None:
    other = tmp_path / "other"
    other.mkdir()
    async with opened(other) as store:
        await tracked(store, 7)
    async with opened(tmp_path) as store:
        await tracked(store, 2)
        (tmp_path / NAME).unlink()
        (other / NAME).rename(tmp_path / NAME)
        with pytest.raises(StoreError, match="replaced"):
            await tracked(store, 3)
    assert query(tmp_path / NAME, "SELECT count(*) FROM orders") == [(7,)]
    assert (tmp_path / f"{NAME}-wal.lost-1").stat().st_size > 0, "kept, out of the new one's way"


async def test_without_the_lock_file_a_second_process_is_refused_all_the_same(
    tmp_path: Path,
) -> None:
    async with opened(tmp_path) as store:
        await tracked(store)
        (tmp_path / f"{NAME}.lock").unlink()
        with child(OPEN, tmp_path / NAME) as process:
            told, _ = process.communicate("\n")
        assert told.startswith("StoreBusy"), told
        assert "in use by another watcher; its lock file was removed" in told
        assert "watcher.db.lock was replaced" in (store.maintenance.check_files() or "")
        with pytest.raises(StoreError, match="replaced"):
            await tracked(store, 2)


async def test_the_other_way_round(tmp_path: Path) -> None:
    with child(OPEN, tmp_path / NAME) as process:
        assert process.stdout is not None
        assert process.stdout.readline() == "open\n"
        (tmp_path / f"{NAME}.lock").unlink()
        with pytest.raises(StoreError, match="in use by another watcher"):
            await Store.open(tmp_path / NAME, now=0.0)
        process.communicate("\n")
    async with opened(tmp_path):
        pass


async def test_other_programs_read_and_write_meanwhile(tmp_path: Path) -> None:
    """The lock on the file is none of SQLite's."""
    async with opened(tmp_path) as store:
        await tracked(store, 2)
        assert query(tmp_path / NAME, "SELECT count(*) FROM orders") == [(2,)]
        assert await store.maintenance.quick_check()
        assert store.maintenance.check_files() is None
