"""What can be done to the daemon's database: a file, or a server of the tests' own."""

import asyncio
import signal
import sqlite3
import threading
from typing import Any, Protocol

import psycopg

from tests.acceptance.harness.stage import Stage
from tests.support.database import CURRENT
from tests.support.postgres import databases
from watcher.errors import StoreError
from watcher.store.postgres_lock import LOCKS, WRITER

FROZEN_FOR = 0.5  # real seconds
_HOLD = f"SELECT pg_advisory_lock({LOCKS}, {WRITER})"
# A full disk is met when something is written, or only when it is committed.
_FILL = """
CREATE OR REPLACE FUNCTION no_room() RETURNS trigger LANGUAGE plpgsql AS
$$ BEGIN RAISE EXCEPTION 'could not extend file' USING ERRCODE = 'disk_full'; END $$;
CREATE CONSTRAINT TRIGGER no_room AFTER INSERT OR UPDATE ON {table}
DEFERRABLE INITIALLY {when} FOR EACH ROW EXECUTE FUNCTION no_room()
"""
_MAKE_ROOM = "DROP FUNCTION IF EXISTS no_room CASCADE"
_FULL = (("order_states", "IMMEDIATE"), ("actions", "IMMEDIATE"), ("counters", "DEFERRED"))


class Troubles(Protocol):
    """What can be done to a database; what undoes it may be called at any time."""

    async def lock(self) -> bool:
        """Keep everybody else from writing; False if that is so already."""
        ...

    async def unlock(self) -> None: ...

    async def fill(self) -> None:
        """Let it have no room left."""
        ...

    async def make_room(self) -> None: ...

    async def suffer(self, word: str, delay: float) -> None:
        """Let that happen to the server after so many real seconds."""
        ...

    async def be_well(self) -> None:
        """Undo what is under way: a daemon is to start."""
        ...


def of_stage(stage: Stage) -> Troubles:
    """Those of the kind of database that the stage has."""
    return FileTroubles(stage) if CURRENT.engine == "sqlite" else ServerTroubles(stage)


class FileTroubles:
    """Of SQLite's file."""

    def __init__(self, stage: Stage) -> None:
        self._stage = stage
        self._lock: sqlite3.Connection | None = None

    async def lock(self) -> bool:
        if self._lock is not None:
            return False
        await self._pragma("busy_timeout = 1")
        self._lock = sqlite3.connect(self._stage.database, isolation_level=None)
        self._lock.execute("BEGIN IMMEDIATE")
        return True

    async def unlock(self) -> None:
        if self._lock is not None:
            self._lock.execute("ROLLBACK")
            self._lock.close()
            self._lock = None
            await self._pragma("busy_timeout = 5000")

    async def fill(self) -> None:
        await self._pragma("max_page_count = 1")  # SQLite takes the size that the file has

    async def make_room(self) -> None:
        await self._pragma("max_page_count = 1073741823")

    async def suffer(self, word: str, delay: float) -> None:
        raise NotImplementedError

    async def be_well(self) -> None:
        await self.unlock()

    async def _pragma(self, text: str) -> None:
        """Set up the writing connection of the daemon that runs."""
        await _on_writer(self._stage, f"PRAGMA {text}")


class ServerTroubles:
    """Of a PostgreSQL server, which nobody else uses."""

    def __init__(self, stage: Stage) -> None:
        self._stage = stage
        self._lock: psycopg.Connection[Any] | None = None
        self._directory = stage.path.parent
        self._is_full = False

    async def lock(self) -> bool:
        if self._lock is not None or _is_away():
            return False
        await _on_writer(self._stage, "SET lock_timeout = '5ms'")
        self._lock = psycopg.connect(str(self._stage.database), autocommit=True)
        self._lock.execute(_HOLD)
        return True

    async def unlock(self) -> None:
        if self._lock is not None:
            self._lock.close()
            self._lock = None
            await _on_writer(self._stage, "SET lock_timeout = '5s'")

    async def fill(self) -> None:
        if _is_away():  # another fault of the same step
            return
        await self.make_room()
        table, when = self._stage.chance.choice(_FULL)
        self._sql(_FILL.format(table=table, when=when))
        self._is_full = True

    async def make_room(self) -> None:
        if self._is_full and not _is_away():
            self._sql(_MAKE_ROOM)
            self._is_full = False

    async def suffer(self, word: str, delay: float) -> None:
        await asyncio.sleep(delay)
        getattr(self, f"_{word}")()

    async def be_well(self) -> None:
        server = databases().server
        if server.process is None:
            server.start()
        await self.unlock()
        await self.make_room()

    # --- what happens to it ---

    def _cut(self) -> None:
        if not _is_away():
            databases().cut(self._directory)

    def _killed(self) -> None:
        self._restart(signal.SIGKILL)

    def _restarted(self) -> None:
        self._restart(signal.SIGINT)

    def _frozen(self) -> None:
        """Thawed by a thread: the loop may wait for an answer."""
        server = databases().server
        server.freeze(on=True)
        threading.Timer(FROZEN_FOR, lambda: server.freeze(on=False)).start()

    def _away(self) -> None:
        databases().server.stop(signal.SIGQUIT)

    # --- means ---

    def _restart(self, how: signal.Signals) -> None:
        server = databases().server
        if server.process is not None:
            server.stop(how)
        server.start()

    def _sql(self, statement: str) -> None:
        databases().server.sql(statement, databases().name(self._directory))


def _is_away() -> bool:
    return databases().server.process is None


async def _on_writer(stage: Stage, statement: str) -> None:
    """Run it on the writing connection of the daemon that runs, if it has one now."""
    if stage.up:
        database: Any = stage.daemon.store._db
        async with database.writing:
            try:
                database._writer.connection.driver_connection.execute(statement)
            except (psycopg.Error, StoreError):
                return
