"""Opening and closing: the file, its lock, its connections, what can be wrong with it."""

import asyncio
import os
import sqlite3
import stat
import threading
import time
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy.exc import OperationalError

from tests.unit.store_kit import NAME, a_plan, child, loaded, opened, query, sql, tracked
from watcher.errors import StoreBusy, StoreCorrupt, StoreError, StoreNewer
from watcher.store import Store, sqlite, sqlite_backend

HOLD = """
import sqlite3, sys
connection = sqlite3.connect(sys.argv[1], isolation_level=None)
connection.execute("BEGIN EXCLUSIVE")
print("held", flush=True)
sys.stdin.readline()
"""


def mode(path: Path) -> int:
    return stat.S_IMODE(path.stat().st_mode)


async def test_makes_files_that_only_their_owner_reads(tmp_path: Path) -> None:
    async with opened(tmp_path, is_new=True) as store:
        await tracked(store)
        files = sorted(path.name for path in tmp_path.iterdir())
        assert files == [NAME, f"{NAME}-shm", f"{NAME}-wal", f"{NAME}.lock", f"{NAME}.seen"]
        assert {mode(path) for path in tmp_path.iterdir()} == {0o600}
    assert sorted(path.name for path in tmp_path.iterdir()) == [
        NAME,
        f"{NAME}.lock",
        f"{NAME}.seen",
    ]


async def test_finds_again_what_was_written(tmp_path: Path) -> None:
    async with opened(tmp_path) as store:
        await tracked(store, 3)
        action = await store.actions.plan(a_plan(), now=3.0)
    async with opened(tmp_path) as store:
        assert [order.id for order in await loaded(store)] == ["1", "2", "3"]
        assert await store.actions.get(action.id) == action


async def test_writes_on_one_connection_and_reads_on_others_that_can_not_write(
    tmp_path: Path,
) -> None:
    async with opened(tmp_path) as store:
        assert await sql(store, "PRAGMA journal_mode") == "wal"
        assert await sql(store, "PRAGMA synchronous") == 2
        assert await sql(store, "PRAGMA foreign_keys") == 1
        assert await sql(store, "PRAGMA busy_timeout") == 5000
        with pytest.raises(StoreError, match="can't be written"):
            await store._db.read(
                "test", lambda c: c.exec_driver_sql("INSERT INTO panels (name) VALUES ('x')")
            )


async def test_a_second_store_on_the_file_is_refused(tmp_path: Path) -> None:
    async with opened(tmp_path, now=1e9):
        (tmp_path / "link.db").symlink_to(tmp_path / NAME)
        for name in (NAME, "link.db"):
            with pytest.raises(StoreBusy) as refusal:
                await Store.open(tmp_path / name, now=0.0)
            assert f"process {os.getpid()} since 2001-09-09" in str(refusal.value)
    async with opened(tmp_path):
        pass


async def test_the_lock_of_a_process_that_died_is_free(tmp_path: Path) -> None:
    script = """
import asyncio, pathlib, sys
from watcher.store import Store, sqlite, sqlite_backend
async def main():
    await Store.open(pathlib.Path(sys.argv[1]), now=0.0)
    print("open", flush=True)
    await asyncio.sleep(60)
asyncio.run(main())
"""
    with child(script, tmp_path / NAME) as process:
        assert process.stdout is not None
        assert process.stdout.readline() == "open\n"
        with pytest.raises(StoreBusy):
            await Store.open(tmp_path / NAME, now=0.0)
        process.kill()
    async with opened(tmp_path):
        pass


async def test_a_lock_held_by_another_program_is_busy_at_start_and_later(tmp_path: Path) -> None:
    async with opened(tmp_path, busy_timeout=0.05) as store:
        await tracked(store)
        with child(HOLD, tmp_path / NAME) as process:
            assert process.stdout is not None
            assert process.stdout.readline() == "held\n"
            with pytest.raises(StoreBusy, match=r"watcher\.db is locked by another process"):
                await tracked(store, 2)
            assert [order.id for order in await loaded(store)] == ["1"]
            process.communicate("go\n")
        assert len(await tracked(store, 2)) == 1
    with child(HOLD, tmp_path / NAME) as process:
        assert process.stdout is not None
        assert process.stdout.readline() == "held\n"
        with pytest.raises(StoreBusy):
            await Store.open(tmp_path / NAME, now=0.0, busy_timeout=0.05)
        process.communicate("go\n")


async def test_a_newer_database_is_left_alone(tmp_path: Path) -> None:
    async with opened(tmp_path) as store:
        await sql(store, "UPDATE alembic_version SET version_num = '9876'")
    before = (tmp_path / NAME).read_bytes()
    with pytest.raises(StoreNewer, match=r"watcher\.db was written by a newer version.*9876"):
        await Store.open(tmp_path / NAME, now=0.0)
    assert (tmp_path / NAME).read_bytes() == before


async def test_another_programs_database_is_left_alone(tmp_path: Path) -> None:
    with closing(sqlite3.connect(tmp_path / NAME)) as other:
        other.execute("CREATE TABLE theirs (id INTEGER)")
    before = (tmp_path / NAME).read_bytes()
    with pytest.raises(StoreError, match="another program's database"):
        await Store.open(tmp_path / NAME, now=0.0)
    assert (tmp_path / NAME).read_bytes() == before


async def test_a_file_that_is_no_database_is_named(tmp_path: Path) -> None:
    (tmp_path / NAME).write_text("[daemon]\n" * 500)
    with pytest.raises(StoreCorrupt, match=r"watcher\.db is no database"):
        await Store.open(tmp_path / NAME, now=0.0)


@pytest.mark.parametrize("damage", ["cut", "overwritten"])
async def test_a_damaged_file_is_found_at_start(tmp_path: Path, damage: str) -> None:
    async with opened(tmp_path) as store:
        await tracked(store, 2000)
    path = tmp_path / NAME
    whole = path.read_bytes()
    root = query(path, "SELECT rootpage FROM sqlite_master WHERE name = 'orders'")[0][0]
    start = (root - 1) * 2048
    path.write_bytes(
        whole[: len(whole) // 2]
        if damage == "cut"
        else whole[:start] + b"\xff" * 2048 + whole[start + 2048 :]
    )
    with pytest.raises(StoreCorrupt, match=r"damaged.*restore a backup"):
        await Store.open(path, now=0.0)


async def test_a_path_that_can_not_be_written_is_named(tmp_path: Path) -> None:
    for path in (Path("/proc/watcher.db"), tmp_path / "missing" / NAME):
        with pytest.raises(StoreError, match=str(path)) as error:
            await Store.open(path, now=0.0)
        assert type(error.value) is StoreError
    (tmp_path / NAME).mkdir()
    with pytest.raises(StoreError, match="directory"):
        await Store.open(tmp_path / NAME, now=0.0)


async def test_a_file_that_can_only_be_read_is_named(tmp_path: Path) -> None:
    async with opened(tmp_path) as store:
        await sql(store, "PRAGMA query_only=ON")
        with pytest.raises(StoreError, match=r"can't be written.*check the rights"):
            await tracked(store)


async def test_nothing_is_left_open_after_a_failed_start(tmp_path: Path) -> None:
    (tmp_path / NAME).write_text("no database" * 500)
    with pytest.raises(StoreCorrupt):
        await Store.open(tmp_path / NAME, now=0.0)
    (tmp_path / NAME).unlink()
    async with opened(tmp_path):
        pass


async def test_a_file_system_without_a_write_ahead_log_is_refused(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(sqlite.WRITING, "journal_mode", "MEMORY")
    with pytest.raises(StoreError, match="no write-ahead log"):
        await Store.open(tmp_path / NAME, now=0.0)


async def test_a_closed_store_says_so(tmp_path: Path) -> None:
    async with opened(tmp_path) as store:
        pass
    with pytest.raises(StoreError, match="closed"):
        await loaded(store)
    await store.close()


async def test_close_finishes_what_was_begun(tmp_path: Path) -> None:
    store = await Store.open(tmp_path / NAME, now=0.0)
    await tracked(store)
    begun = asyncio.create_task(store.actions.plan(a_plan(), now=1.0))
    await asyncio.sleep(0)
    await store.close()
    action = await begun
    async with opened(tmp_path) as store:
        assert await store.actions.get(action.id) == action


async def test_a_cancelled_caller_tears_no_transaction(tmp_path: Path) -> None:
    async with opened(tmp_path) as store:
        for round_robin in range(12):
            begun = asyncio.create_task(tracked(store, 50, panel=f"p{round_robin}"))
            for _ in range(round_robin):
                await asyncio.sleep(0.0005)
            begun.cancel()
            await asyncio.gather(begun, return_exceptions=True)
        assert len(await tracked(store, 60, panel="after")) == 60
        counts = {len((await store.orders.page(panel=f"p{t}", limit=99))[0]) for t in range(12)}
        assert counts <= {0, 50}


async def test_observes_each_operation_and_whether_it_failed(tmp_path: Path) -> None:
    seen: list[tuple[str, bool]] = []

    def observe(operation: str, seconds: float, failed: bool) -> None:
        assert 0 < seconds < 60
        seen.append((operation, failed))

    async with opened(tmp_path, observe=observe) as store:
        await tracked(store)
        await sql(store, "PRAGMA query_only=ON")
        with pytest.raises(StoreError) as error:
            await tracked(store, 2)
        assert isinstance(error.value.__cause__, OperationalError)
    assert seen[0] == ("open", False)
    assert [failed for operation, failed in seen if operation == "track"] == [False, True]


async def test_an_opening_that_is_cancelled_lets_go_of_the_file(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    begun, plain = threading.Event(), sqlite_backend.migrate

    def slow(*arguments: Any) -> bool:
        begun.set()
        time.sleep(0.2)
        return plain(*arguments)

    with monkeypatch.context() as slowed:
        slowed.setattr(sqlite_backend, "migrate", slow)
        opening = asyncio.create_task(Store.open(tmp_path / NAME, now=0.0))
        await asyncio.to_thread(begun.wait)
        opening.cancel()
        with pytest.raises(asyncio.CancelledError):
            await opening
    async with opened(tmp_path) as store:
        assert len(await tracked(store)) == 1
