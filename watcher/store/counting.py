"""Counters that only grow, by name: the table `counters`."""

from sqlalchemy import Connection, case, select

from watcher.store.dialect import upsert
from watcher.store.schema import counters

REMOVED = "history_removed"  # the highest id of a row of `history` that was removed
ARCHIVED = "history_archived"  # of one that was moved to the archive


def value(connection: Connection, name: str) -> int:
    """Return the counter's value, 0 for one that was never raised."""
    statement = select(counters.c.value).where(counters.c.name == name)
    return connection.execute(statement).scalar() or 0


def reach(connection: Connection, name: str, at_least: int) -> None:
    """Raise the counter to `at_least` if it is lower."""
    higher = case((counters.c.value > at_least, counters.c.value), else_=at_least)
    connection.execute(upsert(counters, {"value": higher}).values(name=name, value=at_least))
