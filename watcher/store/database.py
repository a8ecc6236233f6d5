"""An open database and its connections, each used in threads.

One connection writes, in whole transactions, one at a time; others read. Work is a function of a
connection: it runs in one go in a thread, however many statements it has, so that the event loop
neither pauses for it nor slows it down. Work that was begun is finished even if its caller is
cancelled, so that no cancelled request can tear a transaction.
"""

import asyncio
import time
from collections.abc import Callable, Coroutine, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack, contextmanager, suppress
from typing import Any, Self, TypeVar

from sqlalchemy import Connection, select

from watcher.common.postgres_url import DatabaseLocation
from watcher.errors import StoreError, StoreOlder
from watcher.store import claims
from watcher.store.backend import Backend, Connections, Member, Work, backend_of
from watcher.store.claims_file import ClaimsFile
from watcher.store.errors import translated
from watcher.store.marks import marks, refuse_marked
from watcher.store.panels import PanelNames
from watcher.store.schema import metadata

T = TypeVar("T")
Observer = Callable[[str, float, bool], None]  # (operation, seconds, failed)

_READERS = 6  # threads


def ignore(operation: str, seconds: float, failed: bool) -> None:
    """Ignore the observation."""


class Database:
    """An open database. `edge` translates errors and measures times."""

    def __init__(self, backend: Backend, connections: Connections, observe: Observer) -> None:
        self.backend = backend
        self.claims_file = ClaimsFile(backend.path)
        self.writing = asyncio.Lock()
        self.panels = PanelNames()
        self._claims = 0
        self._lost: str | None = None  # what the last check of the files found
        self._writer, self._readers, self._is_new = connections
        self._observe = observe
        self._threads = {
            "write": ThreadPoolExecutor(1, "watcher-write"),
            "read": ThreadPoolExecutor(_READERS, "watcher-read"),
            "lease": ThreadPoolExecutor(1, "watcher-lease"),  # its thread begins with its first use
        }
        self._resources = ExitStack()
        self._tasks: set[asyncio.Future[Any]] = set()
        self._closed = False

    @classmethod
    async def open(
        cls,
        location: DatabaseLocation,
        *,
        now: float,
        observe: Observer,
        busy_timeout: float,
        disowning: bool = False,
        mark: str = "",
        member: Member | None = None,
    ) -> Self:
        """Lock the database, create it if missing, migrate its tables and check it.

        A `member` of a cluster shares it with other nodes. Refuses a database that is older than
        what was sent, except when `disowning`; and one that has another mark of a move than `mark`.
        """
        backend = await asyncio.to_thread(backend_of, location, busy_timeout, member)
        with translated(backend.place), ExitStack() as resources:
            connecting = asyncio.to_thread(backend.connect, resources, now, disowning=disowning)
            database = cls(backend, await _to_its_end(connecting), observe)
            resources.callback(database.claims_file.close)
            for threads in database._threads.values():
                resources.callback(threads.shutdown)
            await database.read("open", database._look_over)
            refuse_marked(backend.place, (await database.read("open", marks)).keys() - {mark})
            if not disowning:
                await database._compare_with_file()
            database._resources = resources.pop_all()
        return database

    async def close(self) -> None:
        """Finish running work, then close the connections and release the locks."""
        self._closed = True
        while self._tasks:
            await asyncio.wait(self._tasks)
        with translated(self.backend.place):
            with suppress(OSError):  # otherwise the system writes it within seconds
                await asyncio.to_thread(self.claims_file.sync)
            await asyncio.to_thread(self._resources.close)

    def check_files(self) -> str | None:
        """Return why nothing may be written; None if the database is still the one opened."""
        self._lost = self.backend.problem() or self._unnoted()
        return self._lost

    @property
    def claims(self) -> int:
        """Return how many committed claims are noted."""
        return self._claims

    def older(self) -> StoreOlder:
        """Return the error of a database that lacks claims."""
        return StoreOlder(
            f"{self.backend.place} is older than what was sent from it: it was put back without"
            " `watcher restore`, and what was sent since would be sent again",
            "disown",
        )

    def note_claims(self, count: int) -> None:
        """Note the committed claims; `<database>.seen` is written before anything is sent."""
        self._claims = max(self._claims, count)
        self.check_files()

    async def read(self, operation: str, work: Work[T]) -> T:
        """Do the work on a connection that can't write."""
        with self.edge(operation):
            # Without a task of its own: each takes turns of a loop that may be busy.
            return await self._in_thread("read", self.read_here, work)

    def read_here(self, work: Work[T]) -> T:
        """Do the work on a connection that can't write, in the thread of the caller."""
        return self.backend.read(self._readers, work)

    async def at_once(self, operation: str, work: Work[T]) -> T:
        """Do the work of a lease: it waits for no other work, and fails soon if it can't be done.

        Each of its statements is committed by itself.
        """
        with self.edge(operation, refuses=False):
            return await self._in_thread("lease", self.backend.at_once, work)

    async def write(self, operation: str, work: Work[T]) -> T:
        """Do the work in its own transaction, which is committed when this returns."""
        with self.edge(operation):
            return await asyncio.shield(self.spawn(self._write(work)))

    async def transaction(self, work: Work[T]) -> T:
        """Do the work in a transaction. The caller must hold `writing`."""
        self._refuse_lost()
        return await self._in_thread("write", self._transact, work)

    async def know_panels(self, names: set[str]) -> None:
        """Give each panel its number."""
        missing = names - self.panels.ids.keys()
        if missing:
            await self.write("panels", lambda connection: self.panels.add(connection, missing))
            await self.read("panels", self.panels.load)

    def spawn(self, coroutine: Coroutine[Any, Any, T]) -> asyncio.Task[T]:
        """Start a task that `close` waits for."""
        task = asyncio.create_task(coroutine)
        self._awaited(task)
        return task

    @contextmanager
    def edge(self, operation: str, *, refuses: bool = True) -> Iterator[None]:
        """Translate errors of the block, and observe its duration.

        With `refuses`, a database that is not the one opened any more raises StoreError.
        """
        if self._closed:
            raise StoreError(f"{self.backend.place} is closed")
        started = time.perf_counter()
        failed = False
        try:
            if refuses and self._lost is not None:
                self._refuse_lost()
            with translated(self.backend.place):
                yield
        except StoreError:
            failed = True
            raise
        finally:
            self._observe(operation, time.perf_counter() - started, failed)

    def _in_thread(
        self, threads: str, run: Callable[[Work[T]], T], work: Work[T]
    ) -> asyncio.Future[T]:
        loop = asyncio.get_running_loop()
        return self._awaited(loop.run_in_executor(self._threads[threads], run, work))

    def _awaited(self, future: asyncio.Future[T]) -> asyncio.Future[T]:
        self._tasks.add(future)
        future.add_done_callback(self._tasks.discard)
        return future

    async def _write(self, work: Work[T]) -> T:
        async with self.writing:
            return await self.transaction(work)

    def _transact(self, work: Work[T]) -> T:
        return self.backend.transact(self._writer, work)

    def _unnoted(self) -> str | None:
        """Write the claims to `<database>.seen`; return the error if that fails."""
        try:
            self.claims_file.note(self._claims)
        except OSError as error:
            path = self.claims_file.path
            return f"{path} can't be written ({error.strerror}): check its rights and disk"
        return None

    def _refuse_lost(self) -> None:
        """Raise StoreError if the database is gone: writes to it would be lost."""
        lost = self.check_files()
        if lost is not None:
            raise StoreError(lost)

    async def _compare_with_file(self) -> None:
        """Refuse an older database; let a new one continue the count."""
        seen = await asyncio.to_thread(self.claims_file.read)
        if self._is_new and seen:
            await self.write("open", lambda connection: claims.reach(connection, seen))
        counted = await self.read("open", claims.counted)
        if counted < seen and self.backend.is_shared:  # others may not have seen it
            await self.write("open", lambda connection: claims.know(connection, seen))
        if counted < max(seen, await self.read("open", claims.known)):
            raise self.older()
        self._claims = counted
        self.claims_file.note(counted)
        await asyncio.to_thread(self.claims_file.sync)

    def _look_over(self, connection: Connection) -> None:
        """Load the panels' names; read the last row of every table to detect damage."""
        self.panels.load(connection)
        for table in metadata.sorted_tables:
            last = select(table).order_by(*(column.desc() for column in table.primary_key)).limit(1)
            connection.execute(last)


async def _to_its_end(work: Coroutine[Any, Any, T]) -> T:
    """Wait for work in a thread even if cancelled: the caller would close what the work uses."""
    task = asyncio.create_task(work)
    try:
        return await asyncio.shield(task)
    except asyncio.CancelledError:
        await asyncio.wait([task])
        raise
