"""Backup, sizes and checks of the database file."""

import asyncio
import contextlib
import os
import sqlite3
import tempfile
from collections.abc import Iterator
from contextlib import closing, contextmanager
from pathlib import Path

from sqlalchemy.ext.asyncio import AsyncConnection

from watcher.errors import Conflict, StoreCorrupt
from watcher.store.database import Database
from watcher.store.faults import translated
from watcher.store.part import Part


class Upkeep(Part):
    """What is done with the file as a whole."""

    def __init__(self, database: Database) -> None:
        super().__init__(database)
        self._copying = asyncio.Lock()

    async def backup(self, path: Path) -> None:
        """A consistent copy, whole or not there at all; an existing file is not replaced."""
        with self._db.edge("backup"):
            await asyncio.shield(self._db.spawn(self._copy(path)))

    def sizes(self) -> tuple[int, int]:
        """The bytes of the file and of its write-ahead log."""
        return _size(self._db.path), _size(Path(f"{self._db.path}-wal"))

    async def check_writable(self) -> None:
        """Commit a page with nothing new: raises what a change would."""

        async def work(connection: AsyncConnection) -> None:
            await connection.exec_driver_sql("PRAGMA user_version = 0")

        await self._db.write("check_writable", work)

    async def quick_check(self) -> bool:
        """Whether the file's structure is sound. Reads all of it: seconds a gigabyte."""

        async def work(connection: AsyncConnection) -> bool:
            found = (await connection.exec_driver_sql("PRAGMA quick_check(1)")).scalar_one()
            return bool(found == "ok")

        try:
            return await self._db.read("quick_check", work)
        except StoreCorrupt:
            return False

    async def _copy(self, path: Path) -> None:
        async with self._copying:
            await asyncio.to_thread(_copy, self._db.path, path)


def _copy(source: Path, target: Path) -> None:
    target = target.absolute()
    _refuse_existing(target)
    with _temporary(target) as partial:
        with (
            closing(sqlite3.connect(source)) as original,
            closing(sqlite3.connect(partial)) as copy,
        ):
            original.execute("PRAGMA query_only=ON")
            copy.execute("PRAGMA synchronous=OFF")  # it is synced whole, below
            with translated(target):
                original.backup(copy)
            copy.execute("PRAGMA journal_mode=DELETE")
        _sync(partial)
        _refuse_existing(target)
        partial.rename(target)
    _sync(target.parent)


@contextmanager
def _temporary(target: Path) -> Iterator[Path]:
    """A file beside the target, readable by its owner alone, gone if it is not renamed."""
    handle, name = tempfile.mkstemp(prefix=f".{target.name}.", dir=target.parent)
    os.close(handle)
    try:
        yield Path(name)
    finally:
        with contextlib.suppress(FileNotFoundError):
            os.unlink(name)


def _refuse_existing(path: Path) -> None:
    if path.exists():
        raise Conflict(f"{path} exists: name a file that does not")


def _sync(path: Path) -> None:
    handle = os.open(path, os.O_RDONLY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)


def _size(path: Path) -> int:
    try:
        return path.stat().st_size
    except FileNotFoundError:
        return 0
