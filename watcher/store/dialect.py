"""The differences between SQL dialects: types, indexes and statements for SQLite and PostgreSQL.

Only this module, `row_statement`, `sqlite` and `postgres` know a dialect. The types and statements
compile for both.
"""

import re
from collections.abc import Iterable, Mapping
from decimal import Decimal, InvalidOperation
from functools import cached_property
from typing import Any, Final

from sqlalchemy import (
    BigInteger,
    Boolean,
    ClauseElement,
    ColumnElement,
    Connection,
    Dialect,
    Float,
    Index,
    Integer,
    Numeric,
    Select,
    Table,
    Text,
    TextClause,
    TypeDecorator,
    bindparam,
    cast,
    literal,
    select,
)
from sqlalchemy.dialects import postgresql, sqlite
from sqlalchemy.dialects.postgresql.psycopg import PGDialect_psycopg
from sqlalchemy.ext.compiler import compiles
from sqlalchemy.sql.functions import FunctionElement
from sqlalchemy.types import TypeEngine

# For text that goes to the driver as it is, with its parameters in a tuple.
_DRIVERS: Final[Mapping[str, Dialect]] = {
    "sqlite": sqlite.dialect(paramstyle="qmark"),
    "postgresql": PGDialect_psycopg(paramstyle="format"),  # type: ignore[no-untyped-call]
}

# 64 bits. SQLite's INTEGER is that wide, and only a key of exactly that type numbers rows itself.
Whole: Final = BigInteger().with_variant(Integer, "sqlite")
# Text compared in ranges: in byte order, as SQLite does.
Sorted: Final = Text().with_variant(Text(collation="C"), "postgresql")
# Table options for SQLite: rows stored in key order; ids never reused. PostgreSQL's sequences never
# reuse ids.
BY_KEY: Final[Mapping[str, Any]] = {"sqlite_with_rowid": False}
NEW_IDS: Final[Mapping[str, Any]] = {"sqlite_autoincrement": True}
# Rows that change often: PostgreSQL writes the new one on the same page, and no index entry.
ROOM: Final[Mapping[str, Any]] = {"postgresql_with": {"fillfactor": 80}}

# An option of a statement: PostgreSQL sends its rows in binary.
IN_BINARY: Final = "in_binary"


def money_text(value: Decimal) -> str:
    """Return the text that parses to an equal Decimal."""
    if not value.is_finite():
        raise InvalidOperation(f"{value} is not an amount of money")
    return str(value)


class Money(TypeDecorator[Decimal]):
    """Decimal as text, since SQLite has no exact number; NUMERIC in other databases."""

    impl = Text
    cache_ok = True

    def load_dialect_impl(self, dialect: Dialect) -> TypeEngine[Any]:
        return dialect.type_descriptor(Text() if dialect.name == "sqlite" else Numeric())

    def process_bind_param(self, value: Decimal | None, dialect: Dialect) -> Any:
        return None if value is None else money_text(value)

    def process_result_value(self, value: Any, dialect: Dialect) -> Decimal | None:
        return None if value is None else Decimal(value)


def partial_index(
    name: str, *columns: ColumnElement[Any], where: TextClause, unique: bool = False
) -> Index:
    """Index only the rows that match `where`; an unlisted dialect would index all rows."""
    return Index(name, *columns, unique=unique, sqlite_where=where, postgresql_where=where)


def insert_or_ignore(table: Table) -> postgresql.Insert:
    """Return an INSERT that skips rows which conflict with a unique index."""
    return postgresql.insert(table).on_conflict_do_nothing()


def upsert(table: Table, update: Iterable[str] | Mapping[str, Any]) -> postgresql.Insert:
    """Return an INSERT that updates the existing row with the same primary key.

    `update` names the columns that get the inserted values, or maps columns to other values.
    """
    insert = postgresql.insert(table)
    values = (
        update if isinstance(update, Mapping) else {name: insert.excluded[name] for name in update}
    )
    return insert.on_conflict_do_update(index_elements=list(table.primary_key), set_=values)


class AsText(FunctionElement[Any]):
    """An amount as text; SQLite has it as text already."""

    inherit_cache = True
    type = Text()


class DatabaseClock(FunctionElement[float]):
    """The time by the clock of the database's machine, in Unix seconds."""

    inherit_cache = True
    type = Float()


class JsonList(FunctionElement[Any]):
    """The arguments' values as the text of a JSON list."""

    inherit_cache = True
    type = Text()


class JsonRows(FunctionElement[Any]):
    """The argument's values in all rows as the text of a JSON list."""

    inherit_cache = True
    type = Text()


class _JsonNumbers(FunctionElement[Any]):
    """A row (`key`) for each number in the text of a JSON list."""

    inherit_cache = True


def given_keys(parameter: str) -> Select[int]:
    """Return one row (`key`) for each number in the parameter, which is a JSON list."""
    given = _JsonNumbers(bindparam(parameter, type_=Text)).table_valued("value")
    return select(cast(given.c.value, Whole).label("key")).select_from(given)


class _HasPart(FunctionElement[bool]):
    """Whether a text fits a pattern, in any case of its letters."""

    inherit_cache = True
    type = Boolean()


def has_part(column: ColumnElement[str], text: str) -> ColumnElement[bool]:
    """Match texts that contain the other, whatever the case of ASCII letters is."""
    pattern = re.sub(r"([%_/])", r"/\1", text)
    return _HasPart(column, literal(f"%{pattern}%"))


def in_order(
    connection: Connection, statement: Select[Any], order: ColumnElement[int]
) -> Select[Any]:
    """Order the statement, where a subquery's order does not last in a join.

    In SQLite it does, and an ORDER BY would cost reading every row before the first is returned.
    """
    return statement if connection.dialect.name == "sqlite" else statement.order_by(order)


class DriverText:
    """A statement as text for each driver, to run it with plain tuples of parameters."""

    def __init__(self, statement: ClauseElement) -> None:
        self._statement = statement

    def of(self, connection: Connection) -> str:
        """Return the text for the connection's driver."""
        return self._texts[connection.dialect.name]

    @cached_property
    def _texts(self) -> Mapping[str, str]:
        return {name: driver_text(self._statement, name) for name in _DRIVERS}


def driver_text(statement: ClauseElement, dialect: str) -> str:
    """Return the statement as text for the dialect's driver."""
    return str(statement.compile(dialect=_DRIVERS[dialect]))


# For each dialect: {0} are all arguments, {1} and {2} the single ones.
_SPELLINGS: Final[Mapping[type[FunctionElement[Any]], tuple[str, str]]] = {
    AsText: ("{0}", "CAST({0} AS TEXT)"),
    DatabaseClock: (
        "((julianday('now') - 2440587.5) * 86400.0)",
        "CAST(extract(epoch FROM clock_timestamp()) AS DOUBLE PRECISION)",
    ),
    JsonList: ("json_array({0})", "CAST(json_build_array({0}) AS TEXT)"),
    JsonRows: ("json_group_array({0})", "CAST(coalesce(json_agg({0}), '[]') AS TEXT)"),
    _JsonNumbers: ("json_each({0})", "json_array_elements_text(CAST({0} AS JSON))"),
    # SQLite's LIKE knows no case; to make both texts lower first would double the time.
    _HasPart: ("{1} LIKE {2} ESCAPE '/'", "{1} ILIKE {2} ESCAPE '/'"),
}


def _spell(kind: type[FunctionElement[Any]], dialect: str, spelling: str) -> None:
    def render(element: Any, compiler: Any, **options: Any) -> str:
        parts = [compiler.process(clause, **options) for clause in element.clauses]
        return spelling.format(", ".join(parts), *parts)

    compiles(kind, dialect)(render)


for _kind, _spellings in _SPELLINGS.items():
    for _dialect, _spelling in zip(_DRIVERS, _spellings, strict=True):
        _spell(_kind, _dialect, _spelling)
