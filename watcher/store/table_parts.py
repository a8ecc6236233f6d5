"""Columns that several tables have, and the metadata that all tables belong to."""

from collections.abc import Iterator
from typing import Any

from sqlalchemy import Column, Constraint, Float, ForeignKey, Index, MetaData, Table, Text

from watcher.orders.fields import FIELDS, FieldKind, FieldSource
from watcher.store.dialect import Money, Sorted, Whole

_TYPES: dict[FieldKind, Any] = {
    FieldKind.WHOLE: Whole,
    FieldKind.SMALL: Whole,
    FieldKind.TIME: Float,
    FieldKind.MONEY: Money,
    FieldKind.TEXT: Sorted,
}


def columns_of(*sources: FieldSource) -> list[Column[Any]]:
    """Return a column for each of an order's fields from these sources."""
    return [
        Column(field.name, _TYPES.get(field.kind, Text), nullable=not field.required)
        for field in FIELDS
        if field.source in sources
    ]


metadata = MetaData()


def table(name: str, *parts: Column[Any] | Constraint | Index, **options: Any) -> Table:
    """Return a table of the database."""
    return Table(name, metadata, *parts, **options)


def panel_column(**more: Any) -> Column[int]:
    """Return the column of the panel's number."""
    return Column("panel", Whole, ForeignKey("panels.id"), **{"nullable": False, **more})


def key_columns(kind: Any, *names: str) -> Iterator[Column[Any]]:
    """Yield columns of the primary key."""
    return (Column(name, kind, primary_key=True) for name in names)


def needed(kind: Any, *names: str) -> Iterator[Column[Any]]:
    """Yield columns that always have a value."""
    return (Column(name, kind, nullable=False) for name in names)


def optional(kind: Any, *names: str) -> Iterator[Column[Any]]:
    """Yield columns that may have no value."""
    return (Column(name, kind) for name in names)
