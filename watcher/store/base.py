"""What the parts of the store have in common."""

from collections.abc import Iterator, Sequence
from typing import TypeVar, cast

import aiosqlite
from sqlalchemy import ClauseElement, ColumnElement
from sqlalchemy.dialects import sqlite
from sqlalchemy.ext.asyncio import AsyncConnection

from watcher.store.database import Database

T = TypeVar("T")


class StorePart:
    """Some of the store's tables, with what is read and written there."""

    def __init__(self, database: Database) -> None:
        self._db = database

    def _panel(self, name: str) -> int:
        """The panel's number; -1, which no row has, where it is unknown."""
        return self._db.panels.ids.get(name, -1)


def compiled(statement: ClauseElement) -> str:
    """The statement's text, to be run with plain tuples: compiled once, where it runs hot."""
    return str(statement.compile(dialect=sqlite.dialect(paramstyle="qmark")))


async def driver_of(connection: AsyncConnection) -> aiosqlite.Connection:
    """The driver's own connection, for very many rows as plain tuples."""
    raw = await connection.get_raw_connection()
    return cast(aiosqlite.Connection, raw.driver_connection)


def from_then_on(at: ColumnElement[float], since: float) -> ColumnElement[bool]:
    """Whether a row is of then or later. Times are told rounded to a microsecond."""
    return at >= since - 1e-6


def batched(items: Sequence[T], size: int = 1000) -> Iterator[Sequence[T]]:
    """Parts that fit into one statement's parameters."""
    for start in range(0, len(items), size):
        yield items[start : start + size]
