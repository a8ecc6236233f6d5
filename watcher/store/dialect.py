"""The differences between SQL dialects: types, indexes and statements for SQLite and PostgreSQL.

Only this module and `sqlite` know a dialect. The types and statements compile for both.
"""

import re
from collections.abc import Iterable, Mapping
from decimal import Decimal, InvalidOperation
from typing import Any, Final

from sqlalchemy import (
    BigInteger,
    BindParameter,
    Boolean,
    ClauseElement,
    ColumnElement,
    Dialect,
    Index,
    Integer,
    Numeric,
    Select,
    Table,
    Text,
    TextClause,
    TypeDecorator,
    bindparam,
    column,
    func,
    literal,
    select,
)
from sqlalchemy.dialects import postgresql, sqlite
from sqlalchemy.ext.compiler import compiles
from sqlalchemy.sql.compiler import SQLCompiler
from sqlalchemy.sql.functions import FunctionElement
from sqlalchemy.types import TypeEngine

# 64 bits. SQLite's INTEGER is that wide, and only a key of exactly that type numbers rows itself.
Whole: Final = BigInteger().with_variant(Integer, "sqlite")
# Text compared in ranges: in byte order, as SQLite does.
Sorted: Final = Text().with_variant(Text(collation="C"), "postgresql")
# Table options for SQLite: rows stored in key order; ids never reused. PostgreSQL's sequences never
# reuse ids.
BY_KEY: Final[Mapping[str, Any]] = {"sqlite_with_rowid": False}
NEW_IDS: Final[Mapping[str, Any]] = {"sqlite_autoincrement": True}


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
        return money_text(value) if value is not None and dialect.name == "sqlite" else value

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


def json_list(*columns: ColumnElement[Any]) -> ColumnElement[str]:
    """Return the columns' values as the text of a JSON list."""
    return func.json_array(*columns)


def json_rows(value: ColumnElement[Any]) -> ColumnElement[str]:
    """Return the column's values in all rows as the text of a JSON list."""
    return func.json_group_array(value)


def given_keys(parameter: str) -> Select[int]:
    """Return one row (`key`) for each number in the parameter, which is a JSON list."""
    keys: BindParameter[Any] = bindparam(parameter)
    return select(column("value", Integer).label("key")).select_from(
        func.json_each(keys).table_valued("value")
    )


class _HasPart(FunctionElement[bool]):
    """Whether a text fits a pattern, in any case of its letters."""

    type = Boolean()
    inherit_cache = True


def has_part(column: ColumnElement[str], text: str) -> ColumnElement[bool]:
    """Match texts that contain the other, whatever the case of ASCII letters is."""
    pattern = re.sub(r"([%_/])", r"/\1", text)
    return _HasPart(column, literal(f"%{pattern}%"))


@compiles(_HasPart)
def _ilike(element: _HasPart, compiler: SQLCompiler, **options: Any) -> str:
    text, part = (compiler.process(clause, **options) for clause in element.clauses)
    return f"{text} ILIKE {part} ESCAPE '/'"


@compiles(_HasPart, "sqlite")
def _like(element: _HasPart, compiler: SQLCompiler, **options: Any) -> str:
    """SQLite's LIKE knows no case; to make both texts lower first would double the time."""
    return _ilike(element, compiler, **options).replace(" ILIKE ", " LIKE ", 1)


def compiled(statement: ClauseElement) -> str:
    """Return the statement as text, to run it with plain tuples of parameters on hot paths."""
    return str(statement.compile(dialect=sqlite.dialect(paramstyle="qmark")))
