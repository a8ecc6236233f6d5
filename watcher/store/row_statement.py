"""Statements of the hot path, each run for very many rows of plain values.

SQLite runs one row by row. PostgreSQL runs it once, over an array for each parameter (`unnest`): a
third of the time that the driver's own way takes.
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


class RowStatement:
    """A statement with a parameter for each value of a row: for one row, and for arrays of rows."""

    def __init__(self, one: ClauseElement, arrays: ClauseElement) -> None:
        self._one = one
        self._arrays = arrays

    @classmethod
    def of(
        cls, types: Mapping[str, TypeEngine[Any]], build: Callable[[Values], ClauseElement]
    ) -> Self:
        """Return the statement that `build` returns.

        `types` are the parameters, in the order of a row's values. `build` gets each value by its
        parameter's name, in the order of `types`.
        """
        arrays = (bindparam(name, type_=ARRAY(_element(t))) for name, t in types.items())
        given = func.unnest(*arrays).table_valued(*types, name="given").render_derived()
        return cls(build(bindparam), build(given.c.__getitem__))

    def run(self, connection: Connection, rows: Sequence[Sequence[Any]]) -> int:
        """Run the statement for each row; return how many rows of the table it has met."""
        if not rows:
            return 0
        if connection.dialect.name == "sqlite":
            return connection.exec_driver_sql(self._by_row, list(map(tuple, rows))).rowcount
        arrays = tuple(map(list, zip(*rows, strict=True)))
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


def types_of(table: Table, names: Iterable[str]) -> dict[str, TypeEngine[Any]]:
    """Return the types of the table's columns of these names."""
    return {name: table.c[name].type for name in names}


def _element(kind: TypeEngine[Any]) -> TypeEngine[Any]:
    """Return the type of an array's elements for a column of this type."""
    if isinstance(kind, Money):
        return Numeric()
    if isinstance(kind, BigInteger):
        return BigInteger()
    return kind if isinstance(kind, Float | Boolean) else Text()
