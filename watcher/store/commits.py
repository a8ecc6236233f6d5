"""Counts the commits to a database on a server, to notice that it has lost some.

The count is a row of `counters`, raised by each transaction. Only one daemon writes, so an
unexpected count means that the database is not the one that this daemon wrote to: an older copy, or
a standby that lacked commits. What memory and panels know is then not in it.
"""

from collections.abc import Mapping
from typing import NoReturn

from sqlalchemy import Connection

from watcher.errors import StoreError
from watcher.store.dialect import upsert
from watcher.store.schema import counters

NAME = "commits"
_READ = "SELECT name, value FROM counters WHERE name IN ({})"
_RAISE = "UPDATE counters SET value = value + 1 WHERE name IN ({}) RETURNING name, value"


def counter_of(node: str) -> str:
    """Return the name of the counter of one node's commits."""
    return f"{NAME}:{node}"


def begin_counting(connection: Connection, name: str = NAME) -> int:
    """Count the transaction of a daemon that has just started, or joined; return the count."""
    one_more = upsert(counters, {"value": counters.c.value + 1}).values(name=name, value=1)
    return int(connection.execute(one_more.returning(counters.c.value)).scalar_one())


class Commits:
    """The count as this daemon knows it."""

    def __init__(self, place: str, count: int) -> None:
        self.problem: str | None = None  # why nothing may be written any more
        self.count = count
        self._place = place
        self._is_open = False  # a commit may or may not have happened
        self._is_told = False  # and its caller got an error

    @property
    def reading(self) -> str:
        """Return the statement that reads the counts, by name."""
        return _READ.format(f"'{NAME}'")

    @property
    def raising(self) -> str:
        """Return the statement that counts a transaction and reads the counts, by name."""
        return _RAISE.format(f"'{NAME}'")

    def begun(self, counts: Mapping[str, int]) -> None:
        """Check the counts of a transaction that has begun."""
        self.check_next(counts.get(NAME, 0))

    def reconnected(self, counts: Mapping[str, int]) -> None:
        """Check the counts after the connection was lost."""
        self.found(counts.get(NAME, 0))

    def check_next(self, counted: int) -> None:
        """Raise StoreError if a transaction that has begun is not the next one."""
        if counted != self.count + 1:
            self._refuse(counted - 1)

    def trying(self) -> None:
        """Note that a transaction is about to be committed."""
        self._is_open, self._is_told = True, False

    def ended(self, *, happened: bool) -> None:
        """Note whether the commit has happened."""
        self.count += happened
        self._is_open = self._is_told = False

    def given_up(self) -> None:
        """Note that no caller waits for the result any more."""
        self._is_told = True

    def found(self, counted: int) -> bool:
        """Compare with a count after the connection was lost; return if the commit has happened.

        Raises StoreError if commits are missing, or are not ours.
        """
        has_happened = self._is_open and not self._is_told and counted == self.count + 1
        if counted != self.count + has_happened:
            self._refuse(counted)
        self.ended(happened=has_happened)
        return has_happened

    def _refuse(self, counted: int) -> NoReturn:
        if counted < self.count:
            self._lost(self.count - counted)
        if self._is_open and counted == self.count + 1:
            cause = "has committed what the daemon was told had failed"
        else:
            cause = "was written by another program that counts as a watcher"
        self._stop(cause)

    def _lost(self, commits: int) -> NoReturn:
        self._stop(f"has lost {commits} of the last commits: it is an older copy")

    def _stop(self, cause: str) -> NoReturn:
        self.problem = (
            f"{self._place} {cause}. Nothing is written or sent: restart the daemon, which then"
            " goes by the database, and says if `watcher disown` is needed"
        )
        raise StoreError(self.problem)


class NodeCommits(Commits):
    """The counts of a cluster's node: its own, as a daemon alone has it, and that of all nodes.

    The latter only has to rise. Until the node has joined, it has no own count.
    """

    def __init__(self, place: str, total: int) -> None:
        super().__init__(place, 0)
        self.total = total  # committed by all nodes, as far as this one knows
        self._own = ""  # the name of the node's own counter
        self._next = 0  # the total once the transaction under way is committed

    def joined(self, node: str, count: int) -> None:
        """Continue with the node's own count, as written by the transaction that joined."""
        self._own, self.count = counter_of(node), count

    @property
    def reading(self) -> str:
        return _READ.format(self._names)

    @property
    def raising(self) -> str:
        return _RAISE.format(self._names)

    def saw(self, total: int, known: int) -> None:
        """Check a total that was read after `known` was: another thread may have raised it since.

        Raises StoreError if commits are missing.
        """
        if total < known:
            self._lost(known - total)
        self.total = max(self.total, total)

    def begun(self, counts: Mapping[str, int]) -> None:
        self._next = counts.get(NAME, 0)
        self.saw(self._next - 1, self.total)
        if self._own:
            self.check_next(counts.get(self._own, 0))

    def reconnected(self, counts: Mapping[str, int]) -> None:
        self.saw(counts.get(NAME, 0), self.total)
        if self._own:
            self.found(counts.get(self._own, 0))

    def ended(self, *, happened: bool) -> None:
        if happened:
            self.total = max(self.total, self._next)
        super().ended(happened=happened)

    @property
    def _names(self) -> str:
        return ", ".join(f"'{name}'" for name in (NAME, self._own) if name)
