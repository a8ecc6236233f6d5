"""A database of a PostgreSQL server: its sessions, the lock of its one daemon, lost connections.

1. The session that writes holds an advisory lock for as long as it lives: a second daemon is
   refused, and a session that the server still holds for us is ended first.
2. Each transaction takes a second lock, so that ids are in the order of commits whoever writes, and
   counts itself in `counters`. A count that is not the next one means that the database has lost
   commits (an older copy, a failover), or that another daemon has written: nothing is written then.
3. Nodes of a cluster share the first lock. Each of their transactions also checks, under the second
   one, that the node's lease has not ended; the count of all then only has to rise, and each node
   counts its own.
4. A commit whose answer is lost has either happened or not: the count tells, once the server is
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
from watcher.errors import StoreBusy, StoreFenced, StoreGone, Unsupported
from watcher.store import marks
from watcher.store.backend import Connections, Member, Work, files_of
from watcher.store.commits import NAME as COMMITS
from watcher.store.commits import Commits, NodeCommits, begin_counting
from watcher.store.migrate import migrate, refuse_other
from watcher.store.postgres import (
    READERS,
    answers,
    driver,
    driver_errors,
    engine,
    refuse_foreign,
    refuse_unfit,
    session,
    store_error,
    unhurried,
)
from watcher.store.postgres_lock import LOCKS, WRITER, share, take, take_alone

T = TypeVar("T")

COMMIT_WITHIN = 30.0  # seconds to find out whether a commit has happened
_AGAIN_AFTER = 0.25  # seconds between attempts to connect
_BEGIN = f"BEGIN; SELECT pg_advisory_xact_lock({LOCKS}, {WRITER})"
_SIZE = "SELECT pg_database_size(current_database())"
_ARCHIVED = """
SELECT CAST(coalesce(extract(epoch FROM last_archived_time), 0) AS float8) FROM pg_stat_archiver
WHERE current_setting('archive_mode') <> 'off'
"""
_FENCE = (
    "SELECT 1 FROM nodes WHERE epoch = {}"
    " AND until > CAST(extract(epoch FROM clock_timestamp()) AS DOUBLE PRECISION); "
)
_CHECKSUMS = """
SELECT coalesce(checksum_failures, 0) FROM pg_stat_database WHERE datname = current_database()
"""


class PostgresBackend:
    """A database on a server, from `connect` on with its lock."""

    name = "postgresql"

    def __init__(self, url: PostgresUrl, member: Member | None = None) -> None:
        self.is_shared = member is not None
        self.place = str(url)
        self.path = files_of(url)
        self.version = ""
        self._url = url
        self._commits: Commits | None = None  # none before the tables are there
        self._member = member
        self._is_alone = member is None  # no other node has the database open
        self._fence = ""  # the statement that each transaction of a node begins with
        self._leases: Engine | None = None
        self._session = 0  # the process of the server that serves the session that writes
        self._readers: Engine | None = None

    def connect(self, resources: ExitStack, now: float, *, disowning: bool) -> Connections:
        writing = engine(self._writing_session, 1)
        event.listen(writing, "begin", self._begin)
        resources.callback(writing.dispose)
        readers = engine(self._reading_session, READERS)
        resources.callback(readers.dispose)
        writer = resources.enter_context(writing.connect())
        is_new = self._prepare_tables(writer)
        with writer.begin():
            count = begin_counting(writer)
        self._commits = (NodeCommits if self.is_shared else Commits)(self.place, count)
        if self._member is not None:
            leases = engine(self._leasing_session, 1)
            resources.callback(leases.dispose)
            self._leases = leases
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

    def at_once(self, work: Work[T]) -> T:
        if self._leases is None:
            raise Unsupported("[cluster] is not configured")
        with self._leases.connect() as connection:
            return work(connection)

    def compare(self, connection: Connection) -> None:
        if isinstance(self._commits, NodeCommits):
            known = self._commits.total
            counts = connection.exec_driver_sql(self._commits.reading)
            found = {row.name: row.value for row in counts}
            self._commits.saw(found.get(COMMITS, 0), known)

    def joined(self, epoch: int, commits: int) -> None:
        """Write from now on only as long as the lease of this epoch lasts."""
        if self._member is not None and isinstance(self._commits, NodeCommits):
            self._commits.joined(self._member.name, commits)
            self._fence = _FENCE.format(epoch)

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

    def _prepare_tables(self, writer: Connection) -> bool:
        """Create or migrate the tables, which only a daemon alone may; return if they are new."""
        own: Any = writer.connection.driver_connection
        if not self._is_alone:
            refuse_other(writer, self.place)
            return False
        with unhurried(own):
            is_new = migrate(writer, self.place)
        if self.is_shared:
            with driver_errors(self.place):
                share(own)
                self._hurry(own)
        return is_new

    def _writing_session(self) -> Any:
        connection = session(self._url, writing=True)
        try:
            with driver_errors(self.place):
                self._take(connection)
                self.version = refuse_unfit(connection, self.place)
                refuse_foreign(connection, self.place)
                if self._commits is not None:
                    counts = connection.execute(self._commits.reading).fetchall()
                    self._commits.reconnected(dict(counts))
            return connection
        except BaseException:
            connection.close()
            raise

    def _take(self, connection: Any) -> None:
        """Take the lock of the database: alone, or shared with other nodes."""
        if self.is_shared and self._commits is None and take_alone(connection):
            self._is_alone = True  # until the tables are prepared
            self._session = int(connection.info.backend_pid)
            return
        self._session = take(connection, self.place, self._session, shared=self.is_shared)
        if self.is_shared:
            self._hurry(connection)

    def _hurry(self, connection: Any) -> None:
        """Let the server end a transaction that stands still well before the lease does."""
        if self._member is not None:
            within = round(self._member.lease * 1000 / 2)
            connection.execute(f"SET idle_in_transaction_session_timeout = {within}")

    def _leasing_session(self) -> Any:
        lease = self._member.lease if self._member is not None else 0.0
        return session(self._url, writing=True, within=lease / 4)

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
            cursor = own.execute(f"{_BEGIN}; {self._fence}{self._commits.raising}", prepare=False)
            *before, counts = answers(cursor)
            if self._fence and not before[-1]:
                raise StoreFenced(f"{self.place}: this node's lease is over: nothing was written")
            self._commits.begun(dict(counts))
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
        with driver_errors(place):
            version = refuse_unfit(connection, place)
            if refuse_foreign(connection, place):
                marks.refuse_marked(place, [name for (name,) in connection.execute(marks.READ)])
    finally:
        connection.close()
    return version


def _is_sound(connection: Connection) -> bool:
    return not connection.exec_driver_sql(_CHECKSUMS).scalar()
