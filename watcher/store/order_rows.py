"""Converts orders to and from rows of `orders` and `order_states`, by the table of fields."""

from collections.abc import Callable, Iterable, Mapping, Sequence
from decimal import Decimal
from operator import attrgetter
from typing import Any

import msgspec
from sqlalchemy import ColumnElement, Connection, Table, Text, delete, func, select, type_coerce

from watcher.model import Order
from watcher.orders.fields import FIELDS, Field, FieldKind, FieldSource, tags_of, tags_text
from watcher.store.dialect import AsText, money_text
from watcher.store.panels import PanelNames
from watcher.store.row_statement import RowStatement, row_insert, types_of
from watcher.store.schema import order_states, order_tags, orders

Convert = Callable[[Any], Any]


def _column(field: Field) -> ColumnElement[Any]:
    """Return the field's database column; an amount is read as text."""
    table = orders if field.source is FieldSource.CALLER else order_states
    column = table.c[field.name]
    return AsText(type_coerce(column, Text)) if field.kind is FieldKind.MONEY else column


def _writer(field: Field) -> Convert | None:
    """Return the converter from an order's value to the database's; None if they are equal."""
    if field.kind is FieldKind.CODE:
        return {**{code: code.value for code in field.codes}, field.null: None}.__getitem__
    if field.kind is FieldKind.MONEY:
        return lambda amount: None if amount is None else money_text(amount)
    return tags_text if field.kind is FieldKind.TAGS else None


def _reader(field: Field) -> Convert | None:
    """Return the converter from the database's value to an order's; None if they are equal."""
    if field.kind is FieldKind.CODE:
        codes: dict[str | None, Any] = {code.value: code for code in field.codes}
        return {**codes, None: field.null}.__getitem__
    if field.kind is FieldKind.MONEY:
        return lambda text: None if text is None else Decimal(text)
    return tags_of if field.kind is FieldKind.TAGS else None


SQL_COLUMNS: dict[str, ColumnElement[Any]] = {
    "key": orders.c.key,
    "panel": orders.c.panel,
    "id": orders.c.order_id,
    **{field.name: _column(field) for field in FIELDS},
}
COLUMNS = tuple(SQL_COLUMNS.values())
SELECT_ORDER = select(*COLUMNS).join_from(order_states, orders)
LAST_KEY = select(func.coalesce(func.max(orders.c.key), 0))  # key of the newest order
WRITERS = {field.name: write for field in FIELDS if (write := _writer(field))}
READERS = {field.name: read for field in FIELDS if (read := _reader(field))}
_GIVEN = tuple(field.name for field in FIELDS if field.source is FieldSource.CALLER)
STATE = tuple(field.name for field in FIELDS if field.source is not FieldSource.CALLER)
_ADDED = select(orders.c.key, orders.c.panel, orders.c.order_id).order_by(orders.c.key)


def _insert(table: Table, but: str = "", *, ignore: bool = False) -> RowStatement:
    """Return an INSERT with a value for each of the table's columns, in their order."""
    types = types_of(table, (column.name for column in table.columns if column.name != but))
    return RowStatement.of(
        types, lambda value: row_insert(table, {n: value(n) for n in types}, ignore=ignore)
    )


_INSERT = _insert(orders, "key", ignore=True)
_INSERT_STATE = _insert(order_states, "last_change")
_INSERT_TAG = _insert(order_tags)
_DELETE_TAGS = RowStatement.of(
    types_of(order_tags, ("key",)),
    lambda value: delete(order_tags).where(order_tags.c.key == value("key")),
)


def read_orders(rows: Iterable[Sequence[Any]], panels: Mapping[int, str]) -> list[Order]:
    """Return an order for each row of `SELECT_ORDER`; `panels` are the panels' names."""
    found = []
    for row in rows:
        fields = dict(zip(SQL_COLUMNS, row, strict=True))
        fields["panel"] = panels[fields["panel"]]
        for name, read in READERS.items():
            fields[name] = read(fields[name])
        found.append(Order(**fields))
    return found


def _values_of(names: Sequence[str]) -> Callable[[Order], list[Any]]:
    """Return a function that lists these fields' values of an order, converted for the database."""
    get = attrgetter(*names)
    writers = [(at, WRITERS[name]) for at, name in enumerate(names) if name in WRITERS]

    def values(order: Order) -> list[Any]:
        found = list(get(order))
        for at, write in writers:
            found[at] = write(found[at])
        return found

    return values


_given, _state = _values_of(_GIVEN), _values_of(STATE)


def add_orders(
    connection: Connection, panels: PanelNames, found: Sequence[Order], now: float
) -> list[Order]:
    """Insert the orders that are not known yet; return them with their keys."""
    given: dict[tuple[int, str], Order] = {}
    for order in found:
        given.setdefault((panels.ids[order.panel], order.id), order)
    last = connection.execute(LAST_KEY).scalar_one()
    rows = [(*named, now, *_given(order)) for named, order in given.items()]
    _INSERT.run(connection, rows)
    added = [
        msgspec.structs.replace(given[panel, order_id], key=key)
        for key, panel, order_id in connection.execute(_ADDED.where(orders.c.key > last))
    ]
    if added:
        states = [(order.key, now, *_state(order)) for order in added]
        _INSERT_STATE.run(connection, states)
        tag_orders(connection, {order.key: order.tags for order in added if order.tags})
    return added


def tag_orders(connection: Connection, tags: Mapping[int, Iterable[str]]) -> None:
    """Index the tags of orders, by key, for searches."""
    rows = [(tag, key) for key, of_order in tags.items() for tag in of_order]
    _INSERT_TAG.run(connection, rows)


def retag_orders(connection: Connection, tags: Mapping[int, Iterable[str]]) -> None:
    """Replace the indexed tags of orders."""
    _DELETE_TAGS.run(connection, [(key,) for key in tags])
    tag_orders(connection, tags)
