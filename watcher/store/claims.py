"""Counts claims of actions, to detect an older database: see `watcher.store.claims_file`."""

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
    """Return the highest count that any node has found to be missing here; 0 if none has."""
    return counting.value(connection, _KNOWN)


def know(connection: Connection, at_least: int) -> None:
    """Record a known count: for every node, a database with fewer claims is an older copy."""
    counting.reach(connection, _KNOWN, at_least)
