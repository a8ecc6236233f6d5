"""Base class and helpers for the parts of the store."""

from collections.abc import Callable, Collection, Iterator, Sequence
from typing import Any, TypeVar

from sqlalchemy import ColumnElement, CursorResult, Executable

from watcher.store.database import Database

T = TypeVar("T")
Rows = CursorResult[*tuple[Any, ...]]


class StorePart:
    """A part of the store: some tables and their queries."""

    def __init__(self, database: Database) -> None:
        self._db = database

    def _panel(self, name: str) -> int:
        """Return the panel's number, or -1 (which no row has) if it is unknown."""
        return self._db.panels.ids.get(name, -1)

    def _within(
        self, column: ColumnElement[int], panels: Collection[str] | None
    ) -> list[ColumnElement[bool]]:
        """Return the conditions that a row is of one of the panels: none if `panels` is None."""
        return [] if panels is None else [column.in_([self._panel(name) for name in panels])]

    async def _read(self, operation: str, statement: Executable, make: Callable[[Rows], T]) -> T:
        """Run the statement in a reading thread; return `make` applied to its rows there."""
        return await self._db.read(operation, lambda c: make(c.execute(statement)))


def from_then_on(at: ColumnElement[float], since: float) -> ColumnElement[bool]:
    """Match rows at `since` or later. Callers know times rounded to a microsecond."""
    return at >= since - 1e-6


def in_range(text: ColumnElement[str], first: str, last: str) -> ColumnElement[bool]:
    """Match texts from `first` to `last`. PostgreSQL takes no collation within BETWEEN."""
    return (text >= first) & (text <= last)


def batched(items: Sequence[T], size: int = 1000) -> Iterator[Sequence[T]]:
    """Split the items into parts that fit into one statement's parameters."""
    for start in range(0, len(items), size):
        yield items[start : start + size]
