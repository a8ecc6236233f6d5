"""Counts claims of actions, to detect an older database: see `watcher.store.seen`."""

from sqlalchemy import Connection, case, select

from watcher.store.dialect import upsert
from watcher.store.schema import counters

_CLAIMS = "claims"
_MINE = counters.c.name == _CLAIMS


def counted(connection: Connection) -> int:
    """Return how many claims were counted."""
    return connection.execute(select(counters.c.value).where(_MINE)).scalar() or 0


def count(connection: Connection) -> int:
    """Count one claim; return the new count."""
    one_more = upsert(counters, {"value": counters.c.value + 1}).values(name=_CLAIMS, value=1)
    return int(connection.execute(one_more.returning(counters.c.value)).scalar_one())


def reach(connection: Connection, at_least: int) -> None:
    """Raise the count to `at_least` if it is lower."""
    value = case((counters.c.value > at_least, counters.c.value), else_=at_least)
    statement = upsert(counters, {"value": value}).values(name=_CLAIMS, value=at_least)
    connection.execute(statement)
