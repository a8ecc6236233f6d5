"""Statements of the hot path, each run for very many rows of plain values.

SQLite runs one row by row. PostgreSQL runs it once, over an array for each parameter (`unnest`): a
third of the time that the driver's own way takes. The arrays are written here, a column at a time,
since the driver writes them value by value.
"""

from collections.abc import Callable, Iterable, Mapping, Sequence
from functools import cached_property
from typing import Any, Self

from sqlalchemy import (
    ARRAY,
    BigInteger,
    BindParameter,
    Boolean,
    ClauseElement,
    ColumnElement,
    Connection,
    Float,
    Numeric,
    Table,
    Text,
    bindparam,
    func,
    insert,
    select,
)
from sqlalchemy.types import TypeEngine

from watcher.store.dialect import Money, driver_text, insert_or_ignore

Values = Callable[[str], ColumnElement[Any]]  # a parameter's name -> its value in a row
Write = Callable[[Sequence[Any]], str]  # a column's values -> a literal of PostgreSQL's arrays


class RowStatement:
    """A statement with a parameter for each value of a row: for one row, and for arrays of rows."""

    def __init__(self, one: ClauseElement, arrays: ClauseElement, write: Sequence[Write]) -> None:
        self._one = one
        self._arrays = arrays
        self._write = write  # for each parameter

    @classmethod
    def of(
        cls, types: Mapping[str, TypeEngine[Any]], build: Callable[[Values], ClauseElement]
    ) -> Self:
        """Return the statement that `build` returns.

        `types` are the parameters, in the order of a row's values. `build` gets each value by its
        parameter's name, in the order of `types`.
        """
        elements = {name: _element(kind) for name, kind in types.items()}
        arrays = (bindparam(name, type_=ARRAY(kind)) for name, kind in elements.items())
        given = func.unnest(*arrays).table_valued(*types, name="given").render_derived()
        write = [
            array_of_texts if isinstance(kind, Text) else array_of_numbers
            for kind in elements.values()
        ]
        return cls(build(bindparam), build(given.c.__getitem__), write)

    def run(self, connection: Connection, rows: Sequence[Sequence[Any]]) -> int:
        """Run the statement for each row; return how many rows of the table it has met."""
        if not rows:
            return 0
        if connection.dialect.name == "sqlite":
            return connection.exec_driver_sql(self._by_row, list(map(tuple, rows))).rowcount
        columns = zip(*rows, strict=True)
        arrays = tuple(write(values) for write, values in zip(self._write, columns, strict=True))
        return connection.exec_driver_sql(self._at_once, arrays).rowcount

    @cached_property
    def _by_row(self) -> str:
        return driver_text(self._one, "sqlite")

    @cached_property
    def _at_once(self) -> str:
        return driver_text(self._arrays, "postgresql")


def row_insert(
    table: Table, values: Mapping[str, ColumnElement[Any]], *, ignore: bool = False
) -> ClauseElement:
    """Return an INSERT of the values, for `build`; `ignore` skips rows that conflict."""
    statement = insert_or_ignore(table) if ignore else insert(table)
    if any(isinstance(value, BindParameter) for value in values.values()):
        return statement.values(values)
    return statement.from_select(list(values), select(*values.values()))


def array_of_numbers(values: Sequence[Any]) -> str:
    """Return the literal of an array of numbers, amounts (as text), truth values and None."""
    return "{" + ",".join(["NULL" if value is None else str(value) for value in values]) + "}"


def array_of_texts(values: Sequence[str | None]) -> str:
    """Return the literal of an array of texts and None."""
    return "{" + ",".join(["NULL" if text is None else _quoted(text) for text in values]) + "}"


def types_of(table: Table, names: Iterable[str]) -> dict[str, TypeEngine[Any]]:
    """Return the types of the table's columns of these names."""
    return {name: table.c[name].type for name in names}


def _quoted(text: str) -> str:
    escaped = text.replace("\\", "\\\\").replace('"', '\\"')
    return f'"{escaped}"'


def _element(kind: TypeEngine[Any]) -> TypeEngine[Any]:
    """Return the type of an array's elements for a column of this type."""
    if isinstance(kind, Money):
        return Numeric()
    if isinstance(kind, BigInteger):
        return BigInteger()
    return kind if isinstance(kind, Float | Boolean) else Text()
