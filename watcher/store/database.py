"""The database's file, its lock and its connections.

One connection writes, behind one lock, in whole transactions; reading ones have their own pool.
A transaction awaits nothing but its own connection. Work that was begun is finished even if its
caller is cancelled, so that no cancelled request can tear a transaction.
"""

import asyncio
import fcntl
import glob
import os
import sqlite3
import time
from collections.abc import Awaitable, Callable, Coroutine, Iterator, Mapping
from contextlib import AsyncExitStack, closing, contextmanager
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, TypeVar

from sqlalchemy import URL, Connection, Engine, create_engine, event, select
from sqlalchemy.ext.asyncio import AsyncConnection, AsyncEngine, create_async_engine

from watcher.errors import StoreBusy, StoreError
from watcher.store.faults import translated
from watcher.store.files import PUT_ASIDE
from watcher.store.migrate import migrate
from watcher.store.panels import PanelNames
from watcher.store.schema import APPLICATION_ID, metadata

T = TypeVar("T")
Work = Callable[[AsyncConnection], Awaitable[T]]
Observer = Callable[[str, float, bool], None]  # (operation, seconds, failed)

_READERS = 4
_WRITING = {
    "page_size": 2048,  # of a new file. Changes are scattered: a smaller page, less to write
    "journal_mode": "WAL",
    "synchronous": "FULL",
    "foreign_keys": "ON",
    "wal_autocheckpoint": 8000,  # 16 MB: pages changed again and again are copied back once
    "journal_size_limit": 64 * 2**20,
}
_READING = {"query_only": "ON"}


def ignore(operation: str, seconds: float, failed: bool) -> None:
    """Observe nothing."""


class Database:
    """An open database. `edge` is where its errors get their names and its times are taken."""

    def __init__(
        self, path: Path, writer: AsyncConnection, readers: AsyncEngine, observe: Observer
    ) -> None:
        self.path = path
        self.writing = asyncio.Lock()
        self.panels = PanelNames()
        self._writer = writer
        self._readers = readers
        self._observe = observe
        self._resources = AsyncExitStack()
        self._tasks: set[asyncio.Task[Any]] = set()
        self._closed = False

    @classmethod
    async def open(
        cls, path: Path, *, now: float, observe: Observer, busy_timeout: float
    ) -> "Database":
        """Lock the file, make it if there is none, bring its tables up to date, look it over."""
        path = await asyncio.to_thread(path.resolve)
        with translated(path):
            async with AsyncExitStack() as resources:
                resources.callback(os.close, _lock(path, now))
                await asyncio.to_thread(_inspect, path, busy_timeout)
                writing = _engine(path, busy_timeout, pool_size=1, pragmas=_WRITING)
                resources.push_async_callback(writing.dispose)
                event.listen(writing.sync_engine, "begin", _begin)
                reading = _engine(path, busy_timeout, pool_size=_READERS, pragmas=_READING)
                resources.push_async_callback(reading.dispose)
                writer = await resources.enter_async_context(writing.connect())
                await writer.run_sync(migrate, path)
                database = cls(path, writer, reading, observe)
                await database.read("open", database._look_over)
                database._resources = resources.pop_all()
        return database

    async def close(self) -> None:
        """Finish what was begun and let go of the file."""
        self._closed = True
        while self._tasks:
            await asyncio.wait(self._tasks)
        with translated(self.path):
            await self._resources.aclose()

    async def read(self, operation: str, work: Work[T]) -> T:
        """Do the work on a connection that can't write."""
        with self.edge(operation):
            return await asyncio.shield(self.spawn(self._read(work)))

    async def write(self, operation: str, work: Work[T]) -> T:
        """Do the work in one transaction of its own; it is committed when this returns."""
        with self.edge(operation):
            return await asyncio.shield(self.spawn(self._write(work)))

    async def transaction(self, work: Work[T]) -> T:
        """The same for a caller that holds `writing`."""
        async with self._writer.begin():
            return await work(self._writer)

    async def know_panels(self, names: set[str]) -> None:
        """Give each panel its number."""
        missing = names - self.panels.ids.keys()
        if missing:
            await self.write("panels", lambda connection: self.panels.add(connection, missing))
            await self.read("panels", self.panels.load)

    def spawn(self, coroutine: Coroutine[Any, Any, T]) -> asyncio.Task[T]:
        """Run it as a task that `close` waits for."""
        task = asyncio.create_task(coroutine)
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)
        return task

    @contextmanager
    def edge(self, operation: str) -> Iterator[None]:
        """Name the errors of what is done within, and observe how long it takes."""
        if self._closed:
            raise StoreError(f"{self.path} is closed")
        started = time.perf_counter()
        failed = False
        try:
            with translated(self.path):
                yield
        except StoreError:
            failed = True
            raise
        finally:
            self._observe(operation, time.perf_counter() - started, failed)

    async def _read(self, work: Work[T]) -> T:
        async with self._readers.connect() as connection:
            return await work(connection)

    async def _write(self, work: Work[T]) -> T:
        async with self.writing:
            return await self.transaction(work)

    async def _look_over(self, connection: AsyncConnection) -> None:
        """The panels' names, and the last row of every table: a cheap look for damage."""
        await self.panels.load(connection)
        for table in metadata.sorted_tables:
            last = select(table).order_by(*(column.desc() for column in table.primary_key)).limit(1)
            await connection.execute(last)


@contextmanager
def locked(path: Path, now: float) -> Iterator[None]:
    """No daemon runs on the database meanwhile: raises StoreBusy where one does."""
    lock = _lock(path, now)
    try:
        yield
    finally:
        os.close(lock)


def _lock(path: Path, now: float) -> int:
    """Hold `<database>.lock`: two daemons on one database would both send its actions."""
    lock = os.open(path.with_name(path.name + ".lock"), os.O_RDWR | os.O_CREAT, 0o600)
    try:
        fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        holder = os.read(lock, 200).decode(errors="replace").strip()
        os.close(lock)
        raise StoreBusy(
            f"{path} is in use by another watcher ({holder}): stop that one first"
        ) from None
    except OSError:
        os.close(lock)
        raise
    since = datetime.fromtimestamp(now, UTC).isoformat(timespec="seconds")
    os.ftruncate(lock, 0)
    os.pwrite(lock, f"process {os.getpid()} since {since}\n".encode(), 0)
    return lock


def _inspect(path: Path, busy_timeout: float) -> None:
    """Make the file, readable by its owner alone; refuse one that another program wrote."""
    _refuse_half_restored(path)
    os.close(os.open(path, os.O_RDWR | os.O_CREAT, 0o600))
    with closing(sqlite3.connect(path, timeout=busy_timeout)) as connection:
        (tables,) = connection.execute("SELECT count(*) FROM sqlite_master").fetchone()
        (owner,) = connection.execute("PRAGMA application_id").fetchone()
    if tables and owner != APPLICATION_ID:
        raise StoreError(f"{path} is another program's database: name another file")


def _refuse_half_restored(path: Path) -> None:
    """An empty database in the place of one that is put aside would forget all that was sent."""
    aside = sorted(path.parent.glob(f"{glob.escape(path.name)}{PUT_ASIDE}*"))
    if aside and not path.exists():
        raise StoreError(
            f"{path} is missing and {aside[-1].name} is there: a restore was cut short. Run it"
            " again; or move that file away, to begin with an empty database"
        )


def reading_engine(path: Path, *, pool_size: int, busy_timeout: float = 5.0) -> Engine:
    """Connections that can't write, for threads of their own."""
    engine = create_engine(
        URL.create("sqlite", database=str(path)),
        connect_args={
            "isolation_level": None,
            "timeout": busy_timeout,
            "check_same_thread": False,
        },
        pool_size=pool_size,
        max_overflow=0,
    )
    _prepare(engine, path, _READING)
    return engine


def _engine(
    path: Path, busy_timeout: float, *, pool_size: int, pragmas: Mapping[str, object]
) -> AsyncEngine:
    """The driver begins no transaction by itself, so that DDL is transactional too."""
    engine = create_async_engine(
        URL.create("sqlite+aiosqlite", database=str(path)),
        connect_args={"isolation_level": None, "timeout": busy_timeout},
        pool_size=pool_size,
        max_overflow=0,
        pool_timeout=60,
    )
    _prepare(engine.sync_engine, path, pragmas)
    return engine


def _prepare(engine: Engine, path: Path, pragmas: Mapping[str, object]) -> None:
    @event.listens_for(engine, "connect")
    def _prepared(connection: Any, record: object) -> None:
        try:
            _set_up(connection, path, pragmas)
        except BaseException:
            connection.close()
            raise


def _set_up(connection: Any, path: Path, pragmas: Mapping[str, object]) -> None:
    with closing(connection.cursor()) as cursor:
        for name, value in pragmas.items():
            cursor.execute(f"PRAGMA {name}={value}")
            if name == "journal_mode" and cursor.fetchone() != ("wal",):
                raise StoreError(f"{path}: its file system has no write-ahead log: move it")


def _begin(connection: Connection) -> None:
    connection.exec_driver_sql("BEGIN IMMEDIATE")
