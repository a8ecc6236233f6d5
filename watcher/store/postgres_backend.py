"""A database of a PostgreSQL server: its sessions, the lock of its one daemon, lost connections.

1. The session that writes holds an advisory lock for as long as it lives: a second daemon is
   refused, and a session that the server still holds for us is ended first.
2. Each transaction takes a second lock, so that ids are in the order of commits whoever writes, and
   counts itself in `counters`. A count that is not the next one means that the database has lost
   commits (an older copy, a failover), or that another daemon has written: nothing is written then.
3. A commit whose answer is lost has either happened or not: the count tells, once the server is
   back and our former session is over.
"""

import asyncio
import time
from contextlib import ExitStack
from pathlib import Path
from typing import Any, TypeVar

from sqlalchemy import Connection, Engine, RootTransaction, event
from sqlalchemy.exc import DBAPIError

from watcher.common.postgres_url import PostgresUrl
from watcher.errors import StoreBusy, StoreGone, Unsupported
from watcher.store import marks
from watcher.store.backend import Connections, Work, files_of
from watcher.store.commits import RAISE, READ, Commits, begin_counting
from watcher.store.migrate import migrate
from watcher.store.postgres import (
    LOCKS,
    READERS,
    WRITER,
    driver,
    engine,
    refuse_foreign,
    refuse_unfit,
    session,
    store_error,
    take,
    told,
    unhurried,
)

T = TypeVar("T")

COMMIT_WITHIN = 30.0  # seconds to find out whether a commit has happened
_AGAIN_AFTER = 0.25  # seconds between attempts to connect
_BEGIN = f"BEGIN; SELECT pg_advisory_xact_lock({LOCKS}, {WRITER})"
_SIZE = "SELECT pg_database_size(current_database())"
_ARCHIVED = """
SELECT CAST(coalesce(extract(epoch FROM last_archived_time), 0) AS float8) FROM pg_stat_archiver
WHERE current_setting('archive_mode') <> 'off'
"""
_CHECKSUMS = """
SELECT coalesce(checksum_failures, 0) FROM pg_stat_database WHERE datname = current_database()
"""


class PostgresBackend:
    """A database on a server, from `connect` on with its lock."""

    name = "postgresql"

    def __init__(self, url: PostgresUrl) -> None:
        self.place = str(url)
        self.path = files_of(url)
        self.version = ""
        self._url = url
        self._commits: Commits | None = None  # none before the tables are there
        self._session = 0  # the process of the server that serves the session that writes
        self._readers: Engine | None = None

    def connect(self, resources: ExitStack, now: float, *, disowning: bool) -> Connections:
        writing = engine(self._writing_session, 1)
        event.listen(writing, "begin", self._begin)
        resources.callback(writing.dispose)
        readers = engine(self._reading_session, READERS)
        resources.callback(readers.dispose)
        writer = resources.enter_context(writing.connect())
        with unhurried(writer.connection.driver_connection):
            is_new = migrate(writer, self.place)
        with writer.begin():
            count = begin_counting(writer)
        self._commits = Commits(self.place, count)
        self._readers = readers
        return Connections(writer, readers, is_new)

    def read(self, readers: Engine, work: Work[T]) -> T:
        """Do the work; once more if its connection was lost."""
        try:
            with readers.connect() as connection:
                return work(connection)
        except DBAPIError as error:
            if not error.connection_invalidated:
                raise
        with readers.connect() as connection:
            return work(connection)

    def transact(self, writer: Connection, work: Work[T]) -> T:
        transaction = self._begun(writer)
        try:
            result = work(writer)
        except BaseException:
            transaction.rollback()
            raise
        self._commit(writer, transaction)
        return result

    def problem(self) -> str | None:
        return self._commits.problem if self._commits else None

    def touch(self, connection: Connection) -> None:
        """Do nothing: each transaction raises the count of commits."""

    def sizes(self, connection: Connection) -> tuple[int, int]:
        return int(connection.exec_driver_sql(_SIZE).scalar_one()), 0

    def wal_archived_at(self, connection: Connection) -> float | None:
        return connection.exec_driver_sql(_ARCHIVED).scalar()

    async def is_sound(self) -> bool:
        """Return whether the server has met no page with a wrong checksum."""
        return self._readers is None or await asyncio.to_thread(self.read, self._readers, _is_sound)

    async def back_up(self, target: Path) -> None:
        raise Unsupported(
            "the database is on a PostgreSQL server: back it up there, with pg_dump, pg_basebackup"
            " or your provider's means; docs/postgres.md says how to restore"
        )

    # --- sessions ---

    def _writing_session(self) -> Any:
        connection = session(self._url, writing=True)
        try:
            with told(self.place):
                self._session = take(connection, self.place, self._session)
                self.version = refuse_unfit(connection, self.place)
                refuse_foreign(connection, self.place)
                if self._commits is not None:
                    row = connection.execute(READ).fetchone()
                    self._commits.found(row[0] if row else 0)
            return connection
        except BaseException:
            connection.close()
            raise

    def _reading_session(self) -> Any:
        return session(self._url, writing=False)

    # --- transactions ---

    def _begun(self, writer: Connection) -> RootTransaction:
        """Begin a transaction, on a new session if the server has ended the former one."""
        try:
            return writer.begin()
        except StoreGone:
            return writer.begin()

    def _begin(self, connection: Connection) -> None:
        """Take the lock and raise the count, in one message to the server."""
        own: Any = connection.connection.driver_connection
        try:
            if self._commits is None:
                own.execute(_BEGIN, prepare=False)
                return
            cursor = own.execute(f"{_BEGIN}; {RAISE}", prepare=False)
            while cursor.nextset():
                pass
            row = cursor.fetchone()
            self._commits.check_next(row[0] if row else 0)
        except driver().Error as error:
            if own.closed:
                connection.invalidate(error)
            else:
                own.rollback()
            raise store_error(error, self.place) from error
        except BaseException:
            own.rollback()
            raise

    def _commit(self, writer: Connection, transaction: RootTransaction) -> None:
        """Commit; if the answer is lost, find out whether it has happened."""
        if (commits := self._commits) is None:
            transaction.commit()
            return
        commits.trying()
        try:
            transaction.commit()
        except BaseException as error:
            transaction.rollback()
            if not (isinstance(error, DBAPIError) and error.connection_invalidated):
                commits.ended(happened=False)
                raise
            if not self._has_happened(writer, commits):
                raise
        else:
            commits.ended(happened=True)

    def _has_happened(self, writer: Connection, commits: Commits) -> bool:
        """Return whether the last commit has happened, once there is a new session."""
        before, until = commits.count, time.monotonic() + COMMIT_WITHIN
        while True:
            try:
                _ = writer.connection
                return commits.count > before
            except (StoreGone, StoreBusy):
                if time.monotonic() > until:
                    commits.given_up()
                    raise
                time.sleep(_AGAIN_AFTER)
            except BaseException:
                commits.given_up()
                raise


def check_server(url: PostgresUrl) -> str:
    """Return the server's version, writing nothing; StoreError if the database can't be used."""
    place = str(url)
    connection = session(url, writing=False)
    try:
        with told(place):
            version = refuse_unfit(connection, place)
            if refuse_foreign(connection, place):
                marks.refuse_marked(place, [name for (name,) in connection.execute(marks.READ)])
    finally:
        connection.close()
    return version


def _is_sound(connection: Connection) -> bool:
    return not connection.exec_driver_sql(_CHECKSUMS).scalar()
