"""The interface to a kind of database, and the choice of one."""

from collections.abc import Callable
from contextlib import ExitStack
from pathlib import Path
from typing import NamedTuple, Protocol, TypeVar

from sqlalchemy import Connection, Engine

from watcher.common.postgres_url import DatabaseLocation, PostgresUrl

T = TypeVar("T")
Work = Callable[[Connection], T]


class Member(NamedTuple):
    """This node of a cluster: its name, and for how many seconds it leads without a renewal."""

    name: str
    lease: float


class Connections(NamedTuple):
    """The connections of an open database: one that writes, and a pool of those that read."""

    writer: Connection
    readers: Engine
    is_new: bool  # it had no tables before


class Backend(Protocol):
    """One kind of database: its connections and locks, and what is done to it as a whole."""

    place: str  # what messages call it
    path: Path  # the daemon's own files are beside it, and named by it
    name: str  # of the engine
    version: str
    is_shared: bool  # other nodes write to it too

    def connect(self, resources: ExitStack, now: float, *, disowning: bool) -> Connections:
        """Lock the database, create or migrate its tables; `resources` then close it."""
        ...

    def read(self, readers: Engine, work: Work[T]) -> T:
        """Do the work on a connection that can't write."""
        ...

    def transact(self, writer: Connection, work: Work[T]) -> T:
        """Do the work in a transaction, which is committed when this returns."""
        ...

    def at_once(self, work: Work[T]) -> T:
        """Do the work of a lease, on a session of its own, soon or not at all."""
        ...

    def compare(self, connection: Connection) -> None:
        """Raise StoreError if the database has lost commits of any node."""
        ...

    def joined(self, epoch: int, commits: int) -> None:
        """Write from now on only as long as the lease of this epoch lasts."""
        ...

    def problem(self) -> str | None:
        """Return why nothing may be written any more; None if all is well."""
        ...

    def touch(self, connection: Connection) -> None:
        """Write without a change."""
        ...

    def sizes(self, connection: Connection) -> tuple[int, int]:
        """Return the sizes in bytes of the database and of what its log keeps back."""
        ...

    def wal_archived_at(self, connection: Connection) -> float | None:
        """Return when the log was last archived, 0 if never; None if nothing archives it."""
        ...

    async def is_sound(self) -> bool:
        """Return whether what can be checked while others write is undamaged."""
        ...

    async def back_up(self, target: Path) -> None:
        """Make a consistent copy, complete or not at all; never replace an existing file."""
        ...


def files_of(url: PostgresUrl) -> Path:
    """Return the path that the daemon's own files of a server's database are named by."""
    return url.directory / "postgresql"


def backend_of(
    location: DatabaseLocation, busy_timeout: float, member: Member | None = None
) -> Backend:
    """Return the backend for a file's path or a URL; only a server's database has members."""
    if isinstance(location, PostgresUrl):
        from watcher.store.postgres_backend import PostgresBackend

        return PostgresBackend(location, member)
    from watcher.store.sqlite_backend import SqliteBackend

    return SqliteBackend(location.resolve(), busy_timeout)
