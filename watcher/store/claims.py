"""Counts claims of actions, to detect an older database: see `watcher.store.seen`."""

from sqlalchemy import Connection

from watcher.store import counting
from watcher.store.dialect import upsert
from watcher.store.schema import counters

_CLAIMS = "claims"
_KNOWN = "claims_known"


def counted(connection: Connection) -> int:
    """Return how many claims were counted."""
    return counting.value(connection, _CLAIMS)


def count(connection: Connection) -> int:
    """Count one claim; return the new count."""
    one_more = upsert(counters, {"value": counters.c.value + 1}).values(name=_CLAIMS, value=1)
    return int(connection.execute(one_more.returning(counters.c.value)).scalar_one())


def reach(connection: Connection, at_least: int) -> None:
    """Raise the count to `at_least` if it is lower."""
    counting.reach(connection, _CLAIMS, at_least)


def known(connection: Connection) -> int:
    """Return how many claims a node knows of, that found fewer in the database: 0 if none did."""
    return counting.value(connection, _KNOWN)


def know(connection: Connection, at_least: int) -> None:
    """Record that so many claims are known: a database with fewer is an older copy to all nodes."""
    counting.reach(connection, _KNOWN, at_least)
