"""Orders: tracking them, loading those that are watched, looking them up."""

from collections.abc import Collection, Iterator, Mapping, Sequence
from functools import cache
from typing import Any

import msgspec
from sqlalchemy import (
    CTE,
    ColumnElement,
    Connection,
    Select,
    and_,
    bindparam,
    case,
    literal_column,
    or_,
    select,
    update,
)

from watcher.model import Order, Phase, Status
from watcher.orders.columns.table import OrderRows
from watcher.orders.fields import OWN
from watcher.store.base import StorePart, from_then_on
from watcher.store.dialect import IN_BINARY, DriverText
from watcher.store.order_columns import OrderColumns, select_rows
from watcher.store.order_rows import LAST_KEY, SELECT_ORDER, add_orders, read_orders
from watcher.store.schedule import asked_between
from watcher.store.schema import NOT_CLOSED, history, order_states, order_tags, orders

_PART = 16_000  # orders read at once
_SLICE = 4_000  # of those, converted per turn of the event loop: some milliseconds


def _within_part(key: ColumnElement[int]) -> ColumnElement[bool]:
    return and_(key > bindparam("after"), key <= bindparam("last"))


# Of both tables: else PostgreSQL reads `orders` from the first row on for each part.
_IS_WATCHED = and_(NOT_CLOSED, _within_part(order_states.c.key), _within_part(orders.c.key))
_NAME_SERVICE = (
    update(orders)
    .where(
        orders.c.panel == bindparam("_panel"),
        orders.c.order_id == bindparam("_order"),
        orders.c.service.is_(None),
    )
    .values(service=bindparam("_to"))
)


class Orders(StorePart):
    """The tables `orders`, `order_states` and `history`, except for writing changes."""

    async def track(self, found: Sequence[Order], *, now: float) -> list[Order]:
        """Add the orders that are not tracked yet; return them with their keys."""
        if not found:
            return []
        await self._db.know_panels({order.panel for order in found})
        panels = self._db.panels
        return await self._db.write("track", lambda c: add_orders(c, panels, found, now))

    async def name_services(self, found: Sequence[Order]) -> list[Order]:
        """Record the service of orders that have none yet; return these orders."""
        await self._db.know_panels({order.panel for order in found})
        panels = self._db.panels.ids

        def write(connection: Connection) -> list[Order]:
            named: list[Order] = []
            for order in found:
                values = {"_panel": panels[order.panel], "_order": order.id, "_to": order.service}
                if connection.execute(_NAME_SERVICE, values).rowcount:
                    named.append(order)
            return named

        return await self._db.write("name_services", write) if found else []

    async def last_key(self) -> int:
        """Return the newest order's key; orders tracked later have higher ones."""
        return await self._read("last_key", LAST_KEY, lambda found: int(found.scalar_one()))

    async def load(
        self,
        after: int,
        last: int,
        *,
        keeps: frozenset[str] = frozenset(OWN),
        panels: Collection[str] | None = None,
    ) -> tuple[Iterator[OrderRows], int | None]:
        """Return a part of the orders that are not closed, oldest first, by panel.

        The part has keys above `after`, up to `last`. Also returns `after` for the next part, None
        if this is the last. Of the values that are each order's own, it has those in `keeps`. None
        are all panels.
        """
        numbers = None if panels is None else frozenset(map(self._panel, panels))

        def fetch(connection: Connection) -> tuple[Iterator[OrderRows], int | None]:
            columns = OrderColumns(keeps)
            statement = f"{_load(keeps, numbers).of(connection)} LIMIT {_PART}"
            # The driver's own cursor gives plain tuples.
            bounds = (after, last) * 2
            cursor = connection.exec_driver_sql(statement, bounds, {IN_BINARY: True}).cursor
            while rows := cursor.fetchmany(_SLICE):
                columns.add(rows)
            keys, names = columns.keys, self._db.panels.names
            if not keys:
                return iter(()), None
            asked = asked_between(connection, keys[0], keys[-1])
            parts = columns.by_panel(names, asked, _SLICE)
            return parts, keys[-1] if len(keys) == _PART else None

        return await self._db.read("load", fetch)

    async def get(self, panel: str, order_id: str) -> Order | None:
        """Return the order, or None if it is not tracked."""
        statement = SELECT_ORDER.where(
            orders.c.panel == self._panel(panel), orders.c.order_id == order_id
        )
        found = await self._found("order", statement)
        return found[0] if found else None

    async def by_id(self, panel: str, ids: Sequence[str]) -> list[Order]:
        """Return those of the orders that are tracked; at most a thousand ids."""
        statement = SELECT_ORDER.where(
            orders.c.panel == self._panel(panel), orders.c.order_id.in_(ids)
        )
        return await self._found("orders", statement)

    async def page(
        self,
        *,
        panel: str | None = None,
        panels: Collection[str] | None = None,
        status: Status | None = None,
        phase: Phase | None = None,
        problem: bool | None = None,
        progressed_before: Mapping[str, float] | None = None,
        submitted_since: float | None = None,
        tag: str | None = None,
        reference: str | None = None,
        customer: str | None = None,
        limit: int = 100,
        after: int = 0,
    ) -> tuple[list[Order], int | None]:
        """Return a page of orders, oldest first, and `after` for the next page (None on the last).

        `panels` are those that the caller may see, None for all of them. `problem` selects orders
        with one (False: without). `progressed_before` selects stalled orders: open, at one of these
        panels, without progress since the time given for the panel.
        """
        # A panel's index has its orders' keys in order, but not those of the joined table.
        statement = SELECT_ORDER
        key = order_states.c.key if panel is None else orders.c.key
        if tag is not None:  # their keys are in order in its index
            statement = statement.join(order_tags, order_tags.c.key == order_states.c.key)
            statement, key = statement.where(order_tags.c.tag == tag), order_tags.c.key
        statement = statement.where(key > after, *self._within(orders.c.panel, panels))
        if reference is not None:
            statement = statement.where(orders.c.reference == reference)
        if customer is not None:
            statement = statement.where(orders.c.customer == customer)
        if panel is not None:
            statement = statement.where(orders.c.panel == self._panel(panel))
        if status is not None:
            statement = statement.where(order_states.c.status == status.value)
        if phase is not None:
            statement = statement.where(order_states.c.phase == phase.value)
        if problem is not None:
            has_none = order_states.c.problem.is_(None)
            statement = statement.where(~has_none if problem else has_none)
        if submitted_since is not None:
            statement = statement.where(from_then_on(orders.c.submitted_at, submitted_since))
        if progressed_before is not None:
            limits = {self._panel(name): at for name, at in progressed_before.items()}
            statement = _stalled(statement, limits)
        ordered = statement.order_by(key).limit(limit + 1)
        found = await self._found("orders", ordered)
        return found[:limit], found[limit - 1].key if len(found) > limit else None

    async def history(self, panel: str, order_id: str) -> list[tuple[float, dict[str, list[Any]]]]:
        """Return the order's changes, oldest first: the time, and each field's old and new value.

        The values are as JSON has them: money is text.
        """
        chain = _chain(self._panel(panel), order_id)
        statement = select(chain.c.at, chain.c.changes).order_by(chain.c.id)
        return await self._read(
            "history",
            statement,
            lambda rows: [(at, msgspec.json.decode(changes)) for at, changes in rows],
        )

    async def _found(self, operation: str, statement: Select[*tuple[Any, ...]]) -> list[Order]:
        names = self._db.panels.names
        return await self._read(operation, statement, lambda rows: read_orders(rows, names))


@cache
def _load(keeps: frozenset[str], panels: frozenset[int] | None) -> DriverText:
    """Return the statement that reads watched orders; None are those of all panels."""
    statement = select_rows(keeps).where(_IS_WATCHED).order_by(order_states.c.key)
    if panels is not None:
        of_these = or_(*(orders.c.panel == literal_column(str(number)) for number in panels))
        statement = statement.where(of_these)
    return DriverText(statement)


def _chain(panel: int, order_id: str) -> CTE:
    """Return the query of the order's history, from its last change back."""
    last = (
        select(order_states.c.last_change)
        .join(orders, orders.c.key == order_states.c.key)
        .where(orders.c.panel == panel, orders.c.order_id == order_id)
    )
    chain = select(history).where(history.c.id == last.scalar_subquery()).cte(recursive=True)
    return chain.union_all(select(history).where(history.c.id == chain.c.previous))


def _stalled(
    statement: Select[*tuple[Any, ...]], limits: Mapping[int, float]
) -> Select[*tuple[Any, ...]]:
    if not limits:
        return statement.where(orders.c.panel < 0)
    return statement.where(
        order_states.c.phase == Phase.OPEN.value,
        order_states.c.progressed_at < case(limits, value=orders.c.panel),
    )
