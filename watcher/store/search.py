"""Finds orders among very many, page by page, in bounded time.

A search walks one index (the narrowest that fits), reads a limited number of orders, and returns
where it stopped. So no query can block the database, and the caller can continue to the end.

The beginnings of ids and links are indexed. A text within links is looked for in one order after
another: an index of all parts of links would be larger than the orders, cost a write for each part
of a new one, and be a different one in each kind of database.
"""

from collections.abc import Sequence
from enum import StrEnum
from typing import Any

import msgspec
from sqlalchemy import (
    ColumnElement,
    Connection,
    Float,
    Select,
    and_,
    case,
    cast,
    func,
    or_,
    select,
    union_all,
)

from watcher.model import Order, Phase
from watcher.store.base import StorePart, in_range
from watcher.store.candidates import SearchCursor, SearchQuery, Walk
from watcher.store.dialect import JsonRows, has_part, in_order
from watcher.store.order_rows import COLUMNS, read_orders
from watcher.store.schema import HAS_PROBLEM, order_states, order_tags, orders

MOST_MATCHES = 2000  # orders found by a text; where more match, orders are looked through
_LAST = "\U0010ffff"  # sorts after any text that continues a prefix
_BEGINNINGS = ("", "https://", "https://www.", "http://", "http://www.")


class OrderSort(StrEnum):
    """What orders can be sorted by: when they were tracked, without limit; or a value."""

    ORDER = "order"
    DELIVERED = "delivered"
    CHARGE = "charge"
    PROGRESSED = "progressed"


_TO_DELIVER = orders.c.quantity
_VALUES: dict[OrderSort, ColumnElement[Any]] = {
    OrderSort.DELIVERED: case(
        (_TO_DELIVER > 0, cast(_TO_DELIVER - order_states.c.remains, Float) / _TO_DELIVER)
    ),
    OrderSort.CHARGE: cast(order_states.c.charge, Float),
    OrderSort.PROGRESSED: order_states.c.progressed_at,
}
_SERVICE = func.coalesce(orders.c.service, "")  # an expression, by which no index is chosen
_UNKNOWN = 1e18  # sorts orders without the value last


class SearchResult(msgspec.Struct, frozen=True):
    """Orders, the newest first unless sorted. `next` is where to continue, None at the end.

    `stopped` means that there may be more between the last one and `next`. If only the newest
    orders were sorted, `partly` is how many were looked at.
    """

    orders: list[Order]
    next: SearchCursor | None = None
    stopped: bool = False
    partly: int = 0


class Search(StorePart):
    """Searches of the tables `orders` and `order_states`."""

    async def find(
        self,
        sought: SearchQuery,
        *,
        limit: int = 50,
        after: SearchCursor | None = None,
        sort: OrderSort = OrderSort.ORDER,
        ascending: bool = False,
    ) -> SearchResult:
        """Return the page of matching orders that follows `after`.

        By default the newest come first. If they are sorted by a value, the newest matches are
        sorted, as many as one page may look at.
        """

        def work(connection: Connection) -> SearchResult:
            keys, conditions = self._narrowed(connection, sought)
            if sort is OrderSort.ORDER:
                walk = Walk(sought, keys, self._panel(sought.panel or ""), ascending=ascending)
                return self._page(connection, walk, conditions, limit, after)
            newest = Walk(sought, keys, self._panel(sought.panel or ""))
            value = _sorted_by(sort, ascending=ascending)
            return self._sorted(connection, newest, conditions, value, limit, after)

        return await self._db.read("find", work)

    def _narrowed(
        self, connection: Connection, sought: SearchQuery
    ) -> tuple[Sequence[int] | None, list[ColumnElement[bool]]]:
        """Return the candidates' keys if they are few, and what the orders have to fulfil."""
        keys, conditions = sought.keys, self._conditions(sought)
        if sought.text and sought.within:
            conditions.append(has_part(orders.c.link, sought.text))
        elif sought.text:
            matches = _keys(connection, self._forms(sought))
            if len(matches) >= MOST_MATCHES:
                return keys, [*conditions, _has_text(sought.text)]
            keys = list(set(matches) if keys is None else set(matches) & set(keys))
        return keys, conditions

    def _page(
        self,
        connection: Connection,
        walk: Walk,
        conditions: Sequence[ColumnElement[bool]],
        limit: int,
        after: SearchCursor | None,
    ) -> SearchResult:
        walk.start(after)
        statement = _joined(walk.looked(), conditions)
        ordered = in_order(connection, statement, walk.ordered(orders.c.key)).limit(limit + 1)
        found = self._orders(connection.execute(ordered, walk.values).all())
        found.sort(key=lambda order: order.key, reverse=not walk.ascending)
        if len(found) > limit:
            return SearchResult(found[:limit], SearchCursor(found[limit - 1].key))
        end = walk.end(connection)
        at = None if end is None else SearchCursor(end)
        return SearchResult(found, at, stopped=at is not None)

    def _sorted(
        self,
        connection: Connection,
        walk: Walk,
        conditions: Sequence[ColumnElement[bool]],
        value: ColumnElement[float],
        limit: int,
        after: SearchCursor | None,
    ) -> SearchResult:
        walk.start(None)
        statement = _joined(walk.looked(), conditions, value)
        if after is not None and after.value is not None:
            is_equal = and_(value == after.value, orders.c.key < after.key)
            statement = statement.where(or_(value > after.value, is_equal))
        ordered = statement.order_by(value, orders.c.key.desc()).limit(limit + 1)
        rows = connection.execute(ordered, walk.values).all()
        found = self._orders([row[:-1] for row in rows[:limit]])
        more = SearchCursor(found[-1].key, rows[limit - 1][-1]) if len(rows) > limit else None
        return SearchResult(found, more, partly=0 if walk.end(connection) is None else walk.most)

    def _orders(self, rows: Sequence[Any]) -> list[Order]:
        return read_orders(rows, self._db.panels.names)

    def _conditions(self, sought: SearchQuery) -> list[Any]:
        states = order_states.c
        wanted: list[Any] = [*self._within(orders.c.panel, sought.panels)]
        if sought.panel is not None:
            wanted.append(orders.c.panel == self._panel(sought.panel))
        if sought.service is not None:
            wanted.append(orders.c.service == sought.service)
        if sought.tag is not None:
            tagged = order_tags.c.key == states.key, order_tags.c.tag == sought.tag
            wanted.append(select(order_tags.c.key).where(*tagged).exists())
        if sought.status is not None:
            wanted.append(states.status == sought.status.value)
        if sought.phase is not None:
            wanted.append(states.phase == sought.phase.value)
        if sought.problem:
            wanted.append(HAS_PROBLEM)
        if sought.named:
            wanted.append(self._is_named(sought))
        if sought.progressed_before is not None:
            limits = {self._panel(name): at for name, at in sought.progressed_before.items()}
            wanted.append(states.phase == Phase.OPEN.value)
            wanted.append(states.progressed_at < case(limits or {-1: 0.0}, value=orders.c.panel))
        return wanted

    def _forms(self, sought: SearchQuery) -> list[ColumnElement[bool]]:
        """Return the ways to match the text, each of which an index serves."""
        wanted = sought.text
        forms: list[ColumnElement[bool]]
        if _is_link(wanted):
            forms = [in_range(orders.c.link, text, text + _LAST) for text in _beginnings(wanted)]
        else:
            is_panel = orders.c.panel.in_(list(self._db.panels.names))
            by_id = in_range(orders.c.order_id, wanted, wanted + _LAST)
            labelled = (orders.c.reference, orders.c.customer)
            forms = [
                and_(is_panel, by_id),
                *(in_range(column, wanted, wanted + _LAST) for column in labelled),
                orders.c.service == wanted,
                orders.c.key.in_(_tagged(wanted)),
            ]
        within = self._within(orders.c.panel, sought.panels)
        return [and_(form, *within) for form in forms]

    def _is_named(self, sought: SearchQuery) -> ColumnElement[bool]:
        """Return the condition for orders of the named services."""
        of_panel: dict[int, list[str]] = {}
        for panel, service in sought.named:
            of_panel.setdefault(self._panel(panel), []).append(service)
        return or_(
            *(
                and_(orders.c.panel == panel, _SERVICE.in_(services))
                for panel, services in of_panel.items()
            )
        )


def _has_text(text: str) -> ColumnElement[bool]:
    """Return the condition of a match in a form that keeps SQLite from going by its index."""
    if _is_link(text):
        return or_(*(_begins(orders.c.link, start) for start in _beginnings(text)))
    return or_(
        *(_begins(column, text) for column in (orders.c.order_id, orders.c.reference)),
        _begins(orders.c.customer, text),
        _SERVICE.in_([text]),
        orders.c.key.in_(_tagged(text)),
    )


def _tagged(tag: str) -> Select[Any]:
    return select(order_tags.c.key).where(order_tags.c.tag == tag)


def _is_link(text: str) -> bool:
    return "/" in text or "." in text


def _beginnings(link: str) -> list[str]:
    """Return how a link may begin that is given without its scheme."""
    return [link] if "://" in link else [f"{start}{link}" for start in _BEGINNINGS]


def _begins(column: ColumnElement[Any], text: str) -> ColumnElement[bool]:
    return func.substr(column, 1, len(text)) == text


def _keys(connection: Connection, forms: Sequence[ColumnElement[bool]]) -> list[int]:
    """Return the keys, read as one row: a thread waits for the event loop at each row.

    The key of an order that matches in several ways is there several times.
    """
    parts = [select(orders.c.key).where(form).limit(MOST_MATCHES).subquery() for form in forms]
    every = union_all(*(select(part.c.key) for part in parts)).limit(MOST_MATCHES).subquery()
    text = connection.execute(select(JsonRows(every.c.key))).scalar_one()
    return msgspec.json.decode(text, type=list[int])


def _sorted_by(sort: OrderSort, *, ascending: bool) -> ColumnElement[float]:
    """Return what rises in the order that is wanted."""
    value = _VALUES[sort] if ascending else -_VALUES[sort]
    return func.coalesce(value, _UNKNOWN)


def _joined(
    looked: Select[Any], conditions: Sequence[ColumnElement[bool]], *more: ColumnElement[Any]
) -> Select[Any]:
    """Filter the walk: SQLite joins the tables in this order, and stops early."""
    keys = looked.subquery("looked")
    return (
        select(*COLUMNS, *more)
        .select_from(keys)
        .join(orders, orders.c.key == keys.c.key)
        .join(order_states, order_states.c.key == keys.c.key)
        .where(*conditions)
    )
