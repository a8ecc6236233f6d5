"""What the parts of the store have in common."""

from collections.abc import Callable, Iterator, Sequence
from typing import Any, TypeVar

from sqlalchemy import ColumnElement, CursorResult, Executable

from watcher.store.database import Database

T = TypeVar("T")
Rows = CursorResult[*tuple[Any, ...]]


class StorePart:
    """Some of the store's tables, with what is read and written there."""

    def __init__(self, database: Database) -> None:
        self._db = database

    def _panel(self, name: str) -> int:
        """Return the panel's number; -1, which no row has, where it is unknown."""
        return self._db.panels.ids.get(name, -1)

    async def _read(self, operation: str, statement: Executable, make: Callable[[Rows], T]) -> T:
        """Run the statement in a reading thread; return what `make` makes of the rows there."""
        return await self._db.read(operation, lambda c: make(c.execute(statement)))


def from_then_on(at: ColumnElement[float], since: float) -> ColumnElement[bool]:
    """Whether a row is of then or later. Times are told rounded to a microsecond."""
    return at >= since - 1e-6


def batched(items: Sequence[T], size: int = 1000) -> Iterator[Sequence[T]]:
    """Parts that fit into one statement's parameters."""
    for start in range(0, len(items), size):
        yield items[start : start + size]
