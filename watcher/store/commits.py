"""Counts the commits to a database on a server, to notice that it has lost some.

The count is a row of `counters`, raised by each transaction. Only one daemon writes, so a count
that is not what this daemon knows means that the database is another than it was: an older copy, or
a standby that had not got everything. What memory and panels know is then not in it.
"""

from sqlalchemy import Connection

from watcher.errors import StoreError
from watcher.store.dialect import upsert
from watcher.store.schema import counters

NAME = "commits"
READ = "SELECT value FROM counters WHERE name = 'commits'"
RAISE = "UPDATE counters SET value = value + 1 WHERE name = 'commits' RETURNING value"


def begin_counting(connection: Connection) -> int:
    """Count the transaction of a daemon that has just started; return the count."""
    one_more = upsert(counters, {"value": counters.c.value + 1}).values(name=NAME, value=1)
    return int(connection.execute(one_more.returning(counters.c.value)).scalar_one())


class Commits:
    """The count as this daemon knows it."""

    def __init__(self, place: str, count: int) -> None:
        self.problem: str | None = None  # why nothing may be written any more
        self.count = count
        self._place = place
        self._is_open = False  # a commit may or may not have happened
        self._is_told = False  # and whoever wanted it was told that it failed

    def check_next(self, counted: int) -> None:
        """Raise StoreError if a transaction that has begun is not the next one."""
        if counted != self.count + 1:
            self._refuse(counted - 1)

    def trying(self) -> None:
        """Note that a transaction is about to be committed."""
        self._is_open, self._is_told = True, False

    def ended(self, *, happened: bool) -> None:
        """Note what became of it."""
        self.count += happened
        self._is_open = self._is_told = False

    def given_up(self) -> None:
        """Note that nobody waits any longer to learn what became of it."""
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

    def _refuse(self, counted: int) -> None:
        if counted < self.count:
            cause = f"has lost {self.count - counted} of the last commits: it is an older copy"
        elif self._is_open and counted == self.count + 1:
            cause = "has committed what the daemon was told had failed"
        else:
            cause = "was written by another program that counts as a watcher"
        self.problem = (
            f"{self._place} {cause}. Nothing is written or sent: restart the daemon, which then"
            " goes by the database, and says if `watcher disown` is needed"
        )
        raise StoreError(self.problem)
