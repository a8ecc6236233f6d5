"""The history of all orders: the last changes, changes since a time, one order's changes.

Event webhooks read it as their queue, by row id.
"""

from collections.abc import Collection
from typing import Any, NamedTuple

import msgspec
from sqlalchemy import Connection, Select, select

from watcher.model import Labels
from watcher.orders.fields import LABELS, FieldSource, names_of, tags_of
from watcher.store.base import Rows, StorePart, from_then_on
from watcher.store.changes import last_history_id
from watcher.store.schema import history, order_states, orders

# A row's time is when its order was observed; its id follows the order of writing. They differ a
# little.
_MARGIN = 3600.0
_CURRENT = names_of(source=FieldSource.PANEL)
_EVENTS = (
    select(
        history.c.id,
        history.c.key,
        history.c.at,
        history.c.changes,
        orders.c.panel,
        orders.c.order_id,
        orders.c.service,
        orders.c.quantity,
        *(orders.c[name] for name in sorted(LABELS)),
        *(order_states.c[name] for name in _CURRENT),
    )
    .select_from(history)
    .join(orders, orders.c.key == history.c.key)
    .join(order_states, order_states.c.key == history.c.key)
    .order_by(history.c.id)
)


class OrderChange(NamedTuple):
    """A change of an order: for each changed field its old and new value, as JSON has them."""

    id: int
    panel: str
    order: str
    at: float
    changes: dict[str, list[Any]]


class OrderEvent(msgspec.Struct, frozen=True, kw_only=True):
    """A change of an order. `changes` is JSON; `labels` and `current` are those of now."""

    id: int
    key: int
    at: float
    changes: str
    panel: str
    order: str
    service: str | None
    quantity: int | None
    labels: Labels
    current: dict[str, Any]


class History(StorePart):
    """The table `history`, over all orders. Archived orders have theirs in their files."""

    async def changes(
        self,
        *,
        panel: str | None = None,
        panels: Collection[str] | None = None,
        since: float | None = None,
        newest: bool = False,
        limit: int = 100,
        after: int = 0,
    ) -> tuple[list[OrderChange], int | None]:
        """Return a page of changes, and `after` for the next page (None on the last).

        The oldest come first, or the newest if `newest`. `since` leaves out earlier changes;
        `panels` are those that the caller may see, None for all of them.
        """
        ids = history.c.id
        statement = select(
            ids, orders.c.panel, orders.c.order_id, history.c.at, history.c.changes
        ).join(orders, orders.c.key == history.c.key)
        if after:
            statement = statement.where(ids < after if newest else ids > after)
        statement = statement.where(*self._within(orders.c.panel, panels))
        if panel is not None:
            statement = statement.where(orders.c.panel == self._panel(panel))
        if since is not None:
            statement = statement.where(from_then_on(history.c.at, since))
        statement = statement.order_by(ids.desc() if newest else ids).limit(limit + 1)

        def fetch(connection: Connection) -> list[OrderChange]:
            bound = statement
            if since is not None and (newest or not after):
                bound = bound.where(ids > _first_since(connection, since - _MARGIN))
            names = self._db.panels.names
            return [
                OrderChange(number, names[of], order, at, msgspec.json.decode(changes))
                for number, of, order, at, changes in connection.execute(bound)
            ]

        found = await self._db.read("changes", fetch)
        return found[:limit], found[limit - 1].id if len(found) > limit else None

    async def newest_change(self) -> int:
        """Return the id of the last change on record."""
        return await self._db.read("newest_change", last_history_id)

    async def changes_after(self, cursor: int, limit: int) -> list[OrderEvent]:
        """Return the next changes, of any order."""
        return await self._events(_EVENTS.where(history.c.id > cursor).limit(limit))

    async def changes_of(self, key: int, first: int, last: int, limit: int) -> list[OrderEvent]:
        """Return one order's changes from `first` to `last`, oldest first."""
        chain = (
            select(history.c.id, history.c.previous)
            .join(order_states, order_states.c.last_change == history.c.id)
            .where(order_states.c.key == key)
            .cte(recursive=True)
        )
        earlier = history.alias()
        chain = chain.union_all(
            select(earlier.c.id, earlier.c.previous).where(
                earlier.c.id == chain.c.previous, earlier.c.id >= first
            )
        )
        wanted = select(chain.c.id).where(chain.c.id >= first, chain.c.id <= last)
        return await self._events(_EVENTS.where(history.c.id.in_(wanted)).limit(limit))

    async def first_change_since(self, at: float) -> int | None:
        """Return the id of the first change since then. Reads older rows to find it."""
        since = select(history.c.id).where(from_then_on(history.c.at, at))
        first = since.order_by(history.c.id).limit(1)
        return await self._read("first_change_since", first, lambda found: found.scalar())

    async def _events(self, statement: Select[*tuple[Any, ...]]) -> list[OrderEvent]:
        return await self._read("order_events", statement, self._made)

    def _made(self, rows: Rows) -> list[OrderEvent]:
        return [
            OrderEvent(
                id=row.id,
                key=row.key,
                at=row.at,
                changes=row.changes,
                panel=self._db.panels.names[row.panel],
                order=row.order_id,
                service=row.service,
                quantity=row.quantity,
                labels=Labels(
                    reference=row.reference,
                    customer=row.customer,
                    tags=tags_of(row.tags),
                    note=row.note,
                ),
                current={name: getattr(row, name) for name in _CURRENT},
            )
            for row in rows
        ]


def _first_since(connection: Connection, at: float) -> int:
    """Return the id after which no row is older: times grow with ids, but have no index."""
    last = select(history.c.id).order_by(history.c.id.desc()).limit(1)
    low, high = 0, connection.execute(last).scalar() or 0
    while low < high:
        middle = (low + high) // 2
        row = select(history.c.at).where(history.c.id > middle).order_by(history.c.id).limit(1)
        time = connection.execute(row).scalar()
        if time is None or time >= at:
            high = middle
        else:
            low = middle + 1
    return low
