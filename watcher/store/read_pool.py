"""Reading for people, beside the daemon's work: in threads of its own.

A statement takes several turns of the daemon's loop, and while it checks at full speed a turn takes
long. A page is read here, however many statements that takes, and waits for one turn.
"""

import asyncio
from collections.abc import Callable, Coroutine
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any, TypeVar, cast

from sqlalchemy import Connection, CursorResult, Executable
from sqlalchemy.ext.asyncio import AsyncConnection

from watcher.errors import StoreError
from watcher.store.actions import Actions
from watcher.store.balances import Balances
from watcher.store.database import Database, Work, reading_engine
from watcher.store.errors import translated
from watcher.store.firings import Firings
from watcher.store.orders import Orders
from watcher.store.panels import PanelNames
from watcher.store.refills import Refills
from watcher.store.search import Search
from watcher.store.services import Services
from watcher.store.status_page import StatusPage

T = TypeVar("T")
_THREADS = 2


class Look(Orders, Search, StatusPage, Actions, Refills, Firings, Services, Balances):
    """What of the store is read for people. It can't write."""


class ReadPool:
    """The threads, from the first reading until `close`."""

    def __init__(self, path: Path, panels: PanelNames) -> None:
        self._path = path
        self._panels = panels
        self._threads = ThreadPoolExecutor(_THREADS, "watcher-aside")
        self._engine = reading_engine(path, pool_size=_THREADS)
        self._closed = False

    async def read(self, work: Callable[[Look], Coroutine[Any, Any, T]]) -> T:
        """What `work` returns. It runs in a thread, and touches nothing of the daemon's."""
        if self._closed:
            raise StoreError(f"{self._path} is closed")
        return await asyncio.get_running_loop().run_in_executor(self._threads, self._read, work)

    async def close(self) -> None:
        """Let what was begun end (it is little), and let go of the file."""
        self._closed = True
        await asyncio.to_thread(self._threads.shutdown, cancel_futures=True)
        self._engine.dispose()

    def _read(self, work: Callable[[Look], Coroutine[Any, Any, T]]) -> T:
        with translated(self._path), self._engine.connect() as connection:
            reader = _Reader(_AtOnce(connection), self._panels)
            return _finished(work(Look(cast(Database, reader))))


class _Reader:
    """As much of a Database as reading needs."""

    def __init__(self, connection: "_AtOnce", panels: PanelNames) -> None:
        self.panels = panels
        self._connection = connection

    async def read(self, operation: str, work: Work[T]) -> T:
        return await work(cast(AsyncConnection, self._connection))


class _AtOnce:
    """As much of an AsyncConnection as reading needs; it never has to be waited for."""

    def __init__(self, connection: Connection) -> None:
        self._connection = connection

    async def execute(self, statement: Executable, values: Any = None) -> CursorResult[Any]:
        return self._connection.execute(statement, values)


def _finished(work: Coroutine[Any, Any, T]) -> T:
    """The result of a coroutine that waits for nothing."""
    try:
        work.send(None)
    except StopIteration as done:
        return cast(T, done.value)
    work.close()
    raise RuntimeError("what is read aside can't wait for anything else")
