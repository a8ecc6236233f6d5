"""Backup, sizes and checks of the file, and what is said when the disk fails."""

import asyncio
import os
import resource
import stat
from pathlib import Path

import pytest

from tests.unit.store_kit import NAME, child, loaded, moved, opened, query, sql, tracked
from watcher.errors import Conflict, StoreError, StoreFull
from watcher.store import Store
from watcher.store.database import Database, ignore

LIMITED = """
import asyncio, pathlib, resource, sys
from tests.unit.store_kit import an_order, loaded, opened
from watcher.errors import StoreError

async def main():
    async with opened(pathlib.Path(sys.argv[1])) as store:
        await store.orders.track([an_order("1")], now=1.0)
        resource.setrlimit(resource.RLIMIT_FSIZE, (300_000, 300_000))
        try:
            for number in range(100):
                await store.orders.track([an_order(f"{number}-{i}") for i in range(200)], now=1.0)
                print(number, flush=True)
        except StoreError as error:
            print(type(error).__name__, error, flush=True)
        print(len(await loaded(store)), flush=True)

asyncio.run(main())
"""


async def test_a_backup_is_a_whole_store(tmp_path: Path) -> None:
    async with opened(tmp_path) as store:
        orders = await tracked(store, 500)
        await store.changes.record([moved(order, remains=5) for order in orders], now=5.0)
        await store.maintenance.backup(tmp_path / "copy.db")
        expected = await loaded(store)
        assert stat.S_IMODE((tmp_path / "copy.db").stat().st_mode) == 0o600
        needs_no_log = (tmp_path / "copy.db").read_bytes()[18:20] == b"\1\1"
        assert needs_no_log, "it could not be read from a medium that can't be written"
        options = {"now": 0.0, "observe": ignore, "busy_timeout": 5.0, "disowning": True}
        copy = Store(await Database.open(tmp_path / "copy.db", **options))
        assert await loaded(copy) == expected
        assert await copy.maintenance.quick_check()
        await copy.close()
    assert not [path.name for path in tmp_path.iterdir() if path.name.startswith(".")]


async def test_a_backup_is_consistent_while_changes_go_on(tmp_path: Path) -> None:
    async with opened(tmp_path) as store:
        orders = await tracked(store, 50)

        async def change() -> None:
            now = orders
            for number in range(30):
                changes = [moved(order, 5.0, remains=1000 - number) for order in now]
                await store.changes.record(changes, now=5.0)
                now = [change.after for change in changes]

        changing = asyncio.create_task(change())
        for number in range(4):
            await asyncio.sleep(0.02)
            await store.maintenance.backup(tmp_path / f"copy-{number}.db")
        await changing
    for number in range(4):
        states = "SELECT DISTINCT remains, last_change - key FROM order_states"
        assert len(query(tmp_path / f"copy-{number}.db", states)) == 1


async def test_a_backup_replaces_nothing(tmp_path: Path) -> None:
    async with opened(tmp_path) as store:
        (tmp_path / "copy.db").write_text("mine")
        with pytest.raises(Conflict, match=r"copy\.db exists"):
            await store.maintenance.backup(tmp_path / "copy.db")
        with pytest.raises(Conflict):
            await store.maintenance.backup(tmp_path / NAME)
        assert (tmp_path / "copy.db").read_text() == "mine"
        results = await asyncio.gather(
            *(store.maintenance.backup(tmp_path / "twice.db") for _ in range(2)),
            return_exceptions=True,
        )
        assert sorted(type(result).__name__ for result in results) == ["Conflict", "NoneType"]


async def test_a_backup_that_can_not_be_made_leaves_nothing(tmp_path: Path) -> None:
    async with opened(tmp_path) as store:
        await tracked(store, 500)
        with pytest.raises(StoreError, match="missing"):
            await store.maintenance.backup(tmp_path / "missing" / "copy.db")
        limit = resource.getrlimit(resource.RLIMIT_FSIZE)
        resource.setrlimit(resource.RLIMIT_FSIZE, (20_000, limit[1]))
        try:
            with pytest.raises(StoreError, match=r"copy\.db"):
                await store.maintenance.backup(tmp_path / "copy.db")
        finally:
            resource.setrlimit(resource.RLIMIT_FSIZE, limit)
    assert sorted(os.listdir(tmp_path)) == [NAME, f"{NAME}.lock", f"{NAME}.seen"]


async def test_tells_the_sizes_of_the_files(tmp_path: Path) -> None:
    async with opened(tmp_path) as store:
        await tracked(store, 10)
        sizes = await store.maintenance.sizes()
        assert sizes == tuple((tmp_path / f"{NAME}{end}").stat().st_size for end in ("", "-wal"))
        assert sizes[1] > 0
        assert store.path == tmp_path / NAME


async def test_tells_whether_it_can_write(tmp_path: Path) -> None:
    async with opened(tmp_path) as store:
        await store.maintenance.check_writable()
        await sql(store, "PRAGMA query_only = ON")
        with pytest.raises(StoreError, match="can't be written"):
            await store.maintenance.check_writable()


async def test_tells_whether_the_file_is_sound(tmp_path: Path) -> None:
    async with opened(tmp_path) as store:
        await tracked(store, 3000)
        assert await store.maintenance.quick_check()
    path = tmp_path / NAME
    pages = query(path, "SELECT count(*) FROM orders JOIN order_states USING (key)")
    assert pages == [(3000,)]
    whole = bytearray(path.read_bytes())
    middle = len(whole) // 2 // 2048 * 2048
    whole[middle + 8 : middle + 2048] = os.urandom(2040)
    path.write_bytes(whole)
    async with opened(tmp_path) as store:
        assert not await store.maintenance.quick_check()


async def test_a_full_disk_is_told_and_read_on(tmp_path: Path) -> None:
    async with opened(tmp_path) as store:
        await tracked(store, 10)
        await sql(store, "PRAGMA max_page_count = 1")
        with pytest.raises(StoreFull, match=r"no room left for .*watcher\.db: make room"):
            await tracked(store, 10_000)
        assert len(await loaded(store)) == 10
        await sql(store, "PRAGMA max_page_count = 1000000")
        assert len(await tracked(store, 10_000)) == 9_990


def test_a_limit_on_the_file_size_is_told_and_read_on(tmp_path: Path) -> None:
    with child(LIMITED, tmp_path) as process:
        *steps, error, count = process.communicate()[0].splitlines()
    assert error.startswith("StoreError ")
    assert "can't be read or written" in error
    assert int(count) == 1 + 200 * len(steps)
