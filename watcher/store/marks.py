"""Marks that `watcher migrate` leaves in `counters`: no daemon starts on a marked database.

The value of a mark is the time of the move, by which both databases of one move are known.
"""

from collections.abc import Collection, Mapping
from typing import Final

from sqlalchemy import Connection, delete, select

from watcher.errors import StoreError
from watcher.store.dialect import upsert
from watcher.store.schema import counters

ARRIVING: Final = "arriving"  # the target, until its source is put aside
MOVED: Final = "moved"  # a source on a server; a file is renamed
NAMES: Final = (ARRIVING, MOVED)
READ: Final = "SELECT name FROM counters WHERE name IN ('arriving', 'moved')"
_MEANINGS: Final[Mapping[str, str]] = {
    ARRIVING: "is the target of a `watcher migrate` that was cut short: run it again, or name the"
    " database that it was to move",
    MOVED: "was moved away by `watcher migrate`: name the database that it was moved to; to move"
    " it here again, create this one anew",
}


def marks(connection: Connection) -> dict[str, int]:
    """Return the database's marks with their values."""
    found = select(counters.c.name, counters.c.value).where(counters.c.name.in_(NAMES))
    return {row.name: row.value for row in connection.execute(found)}


def mark(connection: Connection, name: str, value: int) -> None:
    """Set the mark."""
    connection.execute(upsert(counters, ["value"]).values(name=name, value=value))


def unmark(connection: Connection, name: str) -> None:
    """Remove the mark."""
    connection.execute(delete(counters).where(counters.c.name == name))


def refuse_marked(place: str, found: Collection[str]) -> None:
    """Raise StoreError if there is a mark."""
    for name in found:
        raise StoreError(f"{place} {_MEANINGS[name]}")
