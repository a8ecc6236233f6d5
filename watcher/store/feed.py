"""The changes of all orders for programs that fetch them, each with its order as it is now."""

import secrets
from collections.abc import Collection, Sequence
from typing import Any

import msgspec
from sqlalchemy import Connection, delete, insert, select

from watcher.model import Order
from watcher.store import counting
from watcher.store.base import StorePart
from watcher.store.changes import last_history_id
from watcher.store.cursors import Cursor, Epoch, cursor_from, named, resumed
from watcher.store.order_rows import SELECT_ORDER, read_orders
from watcher.store.schema import epochs, history, order_tags, orders

_KEPT = 1000  # epochs
_LOOKED_AT = 5000  # changes read for a page that has a filter
_EPOCHS = select(epochs).order_by(epochs.c.id)
_OLDEST_KEPT = select(epochs.c.id).order_by(epochs.c.id.desc()).offset(_KEPT - 1).limit(1)
_ROWS = select(history.c.id, history.c.key, history.c.at, history.c.changes)


class FeedChange(msgspec.Struct, frozen=True):
    """A change of the order with this key: for each field its old and new value, as in JSON."""

    id: int
    key: int
    at: float
    changes: dict[str, list[Any]]


class FeedPage(msgspec.Struct, frozen=True):
    """Changes in the order of recording, and their orders by key.

    `cursor` is where to go on; `more`: there are further changes, which may not fit the filter.
    """

    changes: list[FeedChange]
    orders: dict[int, Order]
    cursor: Cursor
    more: bool


class Feed(StorePart):
    """Reads the table `history` by cursors, and writes the table `epochs`."""

    _epochs: tuple[Epoch, ...] | None = None

    async def begin(self) -> None:
        """Begin an epoch; call this at a start, before any change is recorded."""

        def work(connection: Connection) -> None:
            row = {"first": last_history_id(connection), "mark": secrets.randbits(48)}
            connection.execute(insert(epochs), row)
            connection.execute(delete(epochs).where(epochs.c.id < _OLDEST_KEPT.scalar_subquery()))

        await self._db.write("begin_epoch", work)
        self._epochs = None

    async def resume(self, text: str | None) -> Cursor:
        """Return the cursor with this text as one of this database; None begins with the oldest.

        Raises BadCursor if the text is no cursor.
        """
        if text is not None:
            return resumed(cursor_from(text), await self._known())
        archived = await self._db.read("feed", lambda c: counting.value(c, counting.ARCHIVED))
        return Cursor(archived=archived)

    async def newest(self) -> Cursor:
        """Return the cursor of a reader that has read everything."""
        return Cursor(id=await self._db.read("feed", last_history_id))

    async def page(
        self,
        cursor: Cursor,
        *,
        panel: str | None = None,
        panels: Collection[str] | None = None,
        tag: str | None = None,
        limit: int = 100,
    ) -> FeedPage | None:
        """Return the next changes; None if some after the cursor were archived since it was made.

        A page with a filter may be empty although there is more.
        """
        filters = self._filters(panel, panels, tag)
        own = await self._known()

        def fetch(connection: Connection) -> FeedPage | None:
            archived = counting.value(connection, counting.ARCHIVED)
            removed = counting.value(connection, counting.REMOVED)
            found, last, more = _read(connection, cursor.id, filters, limit)
            if not more:  # there is nothing of older ids any more
                last = max(last, removed)
            orders_of = _orders(connection, {change.key for change in found}, self._db.panels.names)
            found = [change for change in found if change.key in orders_of]
            if archived != (now := counting.value(connection, counting.ARCHIVED)):
                return fetch(connection)  # read it again without what was archived meanwhile
            if now > max(cursor.id, cursor.archived):
                return None
            after = Cursor(last, archived, tuple(named(own)))
            return FeedPage(found, orders_of, after, more)

        return await self._db.read("feed", fetch)

    def _filters(
        self, panel: str | None, panels: Collection[str] | None, tag: str | None
    ) -> list[Any]:
        filters: list[Any] = [*self._within(orders.c.panel, panels)]
        if panel is not None:
            filters.append(orders.c.panel == self._panel(panel))
        if tag is not None:
            tagged = order_tags.c.key == history.c.key, order_tags.c.tag == tag
            filters.append(select(order_tags.c.key).where(*tagged).exists())
        return filters

    async def _known(self) -> tuple[Epoch, ...]:
        if self._epochs is None:
            self._epochs = await self._read(
                "epochs", _EPOCHS, lambda rows: tuple(Epoch(row.first, row.mark) for row in rows)
            )
        return self._epochs


def _read(
    connection: Connection, after: int, filters: Sequence[Any], limit: int
) -> tuple[list[FeedChange], int, bool]:
    """Return the changes, the id up to which all were looked at, and whether there is more."""
    most = _LOOKED_AT if filters else limit + 1
    window = select(history.c.id).where(history.c.id > after).order_by(history.c.id).limit(most)
    ids = connection.execute(window).scalars().all()
    if not ids:
        return [], after, False
    statement = (
        _ROWS.join(orders, orders.c.key == history.c.key)
        .where(history.c.id > after, history.c.id <= ids[-1], *filters)
        .order_by(history.c.id)
        .limit(limit + 1)
    )
    found = [
        FeedChange(number, key, at, msgspec.json.decode(changes))
        for number, key, at, changes in connection.execute(statement)
    ]
    if len(found) > limit:
        return found[:limit], found[limit - 1].id, True
    return found, ids[-1], len(ids) == most


def _orders(connection: Connection, keys: set[int], panels: Any) -> dict[int, Order]:
    rows = connection.execute(SELECT_ORDER.where(orders.c.key.in_(keys)))
    return {order.key: order for order in read_orders(rows, panels)}
