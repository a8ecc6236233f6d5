"""Reads and writes whole tables, in the way that is fastest in each kind of database.

Rows are tuples of a table's columns, in their order; money is text.
"""

from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from typing import Any, Protocol

from sqlalchemy import Column, Connection, Select, Table, func, insert, select

from watcher.store.dialect import AsText, Money, driver_text

_AT_ONCE = 5000  # rows
_INDEXES = """
SELECT indexrelid::regclass::text, pg_get_indexdef(indexrelid) FROM pg_index
WHERE indrelid = %s::regclass
  AND NOT EXISTS (SELECT FROM pg_constraint WHERE conindid = indexrelid)
"""
_FOREIGN_KEYS = """
SELECT quote_ident(conname), pg_get_constraintdef(oid) FROM pg_constraint
WHERE conrelid = %s::regclass AND contype = 'f'
"""


class Bulk(Protocol):
    """Whole tables of one database."""

    def rows(self, table: Table) -> Iterator[Sequence[Any]]:
        """Yield all rows, by their primary key."""
        ...

    def fill(self, table: Table, rows: Iterable[Sequence[Any]]) -> None:
        """Write the rows into an empty table."""
        ...

    def last_number(self, table: Table) -> int:
        """Return the highest number that the table has ever given to a row."""
        ...

    def go_on_from(self, table: Table, number: int) -> None:
        """Give higher numbers than this one to the next rows."""
        ...


def bulk_of(connection: Connection) -> Bulk:
    """Return the one for this connection."""
    return (_SqliteBulk if connection.dialect.name == "sqlite" else _PostgresBulk)(connection)


def numbered(table: Table) -> Column[Any] | None:
    """Return the column whose values the database counts up; None if there is none."""
    keys = list(table.primary_key)
    counted = len(keys) == 1 and not keys[0].foreign_keys
    whole = counted and issubclass(keys[0].type.python_type, int)
    return keys[0] if whole else None


def _all(table: Table) -> Select[Any]:
    columns = (AsText(c) if isinstance(c.type, Money) else c for c in table.columns)
    return select(*columns).order_by(*table.primary_key)


class _SqliteBulk:
    def __init__(self, connection: Connection) -> None:
        self._driver: Any = connection.connection.driver_connection
        self._connection = connection

    def rows(self, table: Table) -> Iterator[Sequence[Any]]:
        yield from self._driver.execute(driver_text(_all(table), "sqlite"))

    def fill(self, table: Table, rows: Iterable[Sequence[Any]]) -> None:
        self._driver.executemany(driver_text(insert(table), "sqlite"), rows)

    def last_number(self, table: Table) -> int:
        return max(_highest(self._connection, table), self._given(table))

    def go_on_from(self, table: Table, number: int) -> None:
        keeps = table.dialect_options["sqlite"]["autoincrement"]
        if keeps and self._given(table) < number:
            self._driver.execute("DELETE FROM sqlite_sequence WHERE name = ?", (table.name,))
            self._driver.execute("INSERT INTO sqlite_sequence VALUES (?, ?)", (table.name, number))

    def _given(self, table: Table) -> int:
        """Return the number noted by AUTOINCREMENT; without that, numbers are given again."""
        text = "SELECT seq FROM sqlite_sequence WHERE name = ?"
        row = self._driver.execute(text, (table.name,)).fetchone()
        return int(row[0]) if row else 0


class _PostgresBulk:
    def __init__(self, connection: Connection) -> None:
        self._driver: Any = connection.connection.driver_connection
        connection.exec_driver_sql(
            "SET statement_timeout = 0; SET idle_in_transaction_session_timeout = 0"
        )
        self._connection = connection

    def rows(self, table: Table) -> Iterator[Sequence[Any]]:
        with self._driver.transaction(), self._driver.cursor(name="whole_table") as cursor:
            cursor.itersize = _AT_ONCE
            cursor.execute(driver_text(_all(table), "postgresql"))
            yield from cursor

    def fill(self, table: Table, rows: Iterable[Sequence[Any]]) -> None:
        names = ", ".join(f'"{column.name}"' for column in table.columns)
        statement = f"COPY {table} ({names}) FROM STDIN"
        with self._bare(table), self._driver.cursor() as cursor, cursor.copy(statement) as copy:
            for row in rows:
                copy.write_row(row)
        self._driver.execute(f"ANALYZE {table}")  # or plans go by an empty table

    @contextmanager
    def _bare(self, table: Table) -> Iterator[None]:
        """Take the table's indexes and foreign keys away, then restore them as they were.

        Built and checked for all rows at once they cost a fraction of what each row would.
        """
        indexes = self._driver.execute(_INDEXES, (table.name,)).fetchall()
        keys = self._driver.execute(_FOREIGN_KEYS, (table.name,)).fetchall()
        for name, _ in keys:
            self._driver.execute(f"ALTER TABLE {table} DROP CONSTRAINT {name}")
        for name, _ in indexes:
            self._driver.execute(f"DROP INDEX {name}")
        yield
        for _, definition in indexes:
            self._driver.execute(definition)
        for name, definition in keys:
            self._driver.execute(f"ALTER TABLE {table} ADD CONSTRAINT {name} {definition}")

    def last_number(self, table: Table) -> int:
        text = "SELECT coalesce(pg_sequence_last_value(%s::regclass), 0)"
        (given,) = self._driver.execute(text, (self._sequence(table),)).fetchone()
        return max(_highest(self._connection, table), int(given))

    def go_on_from(self, table: Table, number: int) -> None:
        if number:
            self._driver.execute("SELECT setval(%s, %s)", (self._sequence(table), number))

    def _sequence(self, table: Table) -> str:
        column = numbered(table)
        name = column.name if column is not None else ""
        row = self._driver.execute(
            "SELECT pg_get_serial_sequence(%s, %s)", (table.name, name)
        ).fetchone()
        return str(row[0])


def _highest(connection: Connection, table: Table) -> int:
    column = numbered(table)
    return 0 if column is None else connection.execute(select(func.max(column))).scalar() or 0
