"""The database's file, its lock and its connections.

One connection writes, behind one lock, in whole transactions; reading ones have their own pool.
A transaction awaits nothing but its own connection. Work that was begun is finished even if its
caller is cancelled, so that no cancelled request can tear a transaction.
"""

import asyncio
import glob
import sqlite3
import time
from collections.abc import Awaitable, Callable, Coroutine, Iterator, Mapping
from contextlib import AsyncExitStack, closing, contextmanager, suppress
from pathlib import Path
from typing import Any, TypeVar

from sqlalchemy import URL, Connection, Engine, create_engine, event, select
from sqlalchemy.ext.asyncio import AsyncConnection, AsyncEngine, create_async_engine

from watcher.errors import StoreError, StoreOlder
from watcher.store import claims
from watcher.store.errors import translated
from watcher.store.files import PUT_ASIDE
from watcher.store.lock import Held
from watcher.store.migrate import migrate
from watcher.store.panels import PanelNames
from watcher.store.schema import BACKUP_ID, OUR_IDS, metadata
from watcher.store.seen import Seen

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
        self,
        path: Path,
        held: Held,
        writer: AsyncConnection,
        readers: AsyncEngine,
        observe: Observer,
    ) -> None:
        self.path = path
        self.seen = Seen(path)
        self.writing = asyncio.Lock()
        self.panels = PanelNames()
        self._held = held
        self._claims = 0
        self._lost: str | None = None  # what became of the files, as last looked
        self._writer = writer
        self._readers = readers
        self._observe = observe
        self._resources = AsyncExitStack()
        self._tasks: set[asyncio.Task[Any]] = set()
        self._closed = False

    @classmethod
    async def open(
        cls,
        path: Path,
        *,
        now: float,
        observe: Observer,
        busy_timeout: float,
        disowning: bool = False,
    ) -> "Database":
        """Lock the file, make it if there is none, bring its tables up to date, look it over.

        A database that is older than what was sent is refused, but for `disowning` it.
        """
        path = await asyncio.to_thread(path.resolve)
        with translated(path):
            async with AsyncExitStack() as resources:
                held = Held.take(path, now)
                resources.callback(held.close)
                is_new = await asyncio.to_thread(
                    _inspect, path, held, busy_timeout, disowning=disowning
                )
                writing = _engine(path, busy_timeout, pool_size=1, pragmas=_WRITING)
                resources.push_async_callback(writing.dispose)
                event.listen(writing.sync_engine, "begin", _begin)
                reading = _engine(path, busy_timeout, pool_size=_READERS, pragmas=_READING)
                resources.push_async_callback(reading.dispose)
                writer = await resources.enter_async_context(writing.connect())
                await writer.run_sync(migrate, path)
                held.know_sides()
                database = cls(path, held, writer, reading, observe)
                resources.callback(database.seen.close)
                await database.read("open", database._look_over)
                if not disowning:
                    await database._compare_with_seen(is_new)
                database._resources = resources.pop_all()
        return database

    async def close(self) -> None:
        """Finish what was begun and let go of the file."""
        self._closed = True
        while self._tasks:
            await asyncio.wait(self._tasks)
        with translated(self.path):
            with suppress(OSError):  # the system does it within seconds anyway
                await asyncio.to_thread(self.seen.sync)
            await self._resources.aclose()

    def check_files(self) -> str | None:
        """What became of the database's files behind its back; None where all are in place."""
        self._lost = self._held.problem() or self._unnoted()
        return self._lost

    def note_claims(self, count: int) -> None:
        """So many claims are committed; `<database>.seen` is to know before anything is sent."""
        self._claims = max(self._claims, count)
        self.check_files()

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
        self._refuse_lost()
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
            if self._lost is not None:
                self._refuse_lost()
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

    def _unnoted(self) -> str | None:
        """Note the claims; why that can't be done."""
        try:
            self.seen.note(self._claims)
        except OSError as error:
            return (
                f"{self.seen.path} can't be written ({error.strerror}): check its rights and disk"
            )
        return None

    def _refuse_lost(self) -> None:
        """What is written to a file that is gone would be lost."""
        lost = self.check_files()
        if lost is not None:
            raise StoreError(lost)

    async def _compare_with_seen(self, is_new: bool) -> None:
        """Refuse an older database; a new one goes on counting."""
        seen = await asyncio.to_thread(self.seen.read)
        if is_new and seen:
            await self.write("open", lambda connection: claims.reach(connection, seen))
        counted = await self.read("open", claims.counted)
        if counted < seen:
            raise StoreOlder(
                f"{self.path} is older than what was sent from it: it was put back without"
                " `watcher restore`, and what was sent since would be sent again",
                "disown",
            )
        self._claims = counted
        self.seen.note(counted)
        await asyncio.to_thread(self.seen.sync)

    async def _look_over(self, connection: AsyncConnection) -> None:
        """The panels' names, and the last row of every table: a cheap look for damage."""
        await self.panels.load(connection)
        for table in metadata.sorted_tables:
            last = select(table).order_by(*(column.desc() for column in table.primary_key)).limit(1)
            await connection.execute(last)


def _inspect(path: Path, held: Held, busy_timeout: float, *, disowning: bool) -> bool:
    """Lock the file, made if there is none; whether it is new. Refuse one that is not ours."""
    _refuse_half_restored(path)
    held.lock_database(create=True)
    if held.application_id() == BACKUP_ID and not disowning:
        raise StoreOlder(
            f"{path} is a backup that was copied into place: what was sent since it was made would"
            " be sent again",
            "restore",
            str(path),
        )
    with closing(sqlite3.connect(path, timeout=busy_timeout)) as connection:
        (tables,) = connection.execute("SELECT count(*) FROM sqlite_master").fetchone()
        (owner,) = connection.execute("PRAGMA application_id").fetchone()
    if tables and owner not in OUR_IDS:
        raise StoreError(f"{path} is another program's database: name another file")
    return not tables


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
        _url("sqlite", path),
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
        _url("sqlite+aiosqlite", path),
        connect_args={"isolation_level": None, "timeout": busy_timeout},
        pool_size=pool_size,
        max_overflow=0,
        pool_timeout=60,
    )
    _prepare(engine.sync_engine, path, pragmas)
    return engine


def _url(driver: str, path: Path) -> URL:
    """A connection to a file that is there: it makes none in the place of one that was removed."""
    return URL.create(driver, database=path.as_uri(), query={"mode": "rw", "uri": "true"})


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
