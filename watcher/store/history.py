"""The history of all orders, read in parts: what changed last, or everything from some time on."""

from typing import Any, NamedTuple

import msgspec
from sqlalchemy import select
from sqlalchemy.ext.asyncio import AsyncConnection

from watcher.store.base import StorePart, from_then_on
from watcher.store.schema import history, orders

# A row's time is when its order was observed, its id when it was written: these differ a little.
_MARGIN = 3600.0


class OrderChange(NamedTuple):
    """An order's change: of each field that differs the old and the new value, as JSON has them."""

    id: int
    panel: str
    order: str
    at: float
    changes: dict[str, list[Any]]


class History(StorePart):
    """The table `history`, over all orders. That of archived ones is in their files."""

    async def changes(
        self,
        *,
        panel: str | None = None,
        since: float | None = None,
        newest: bool = False,
        limit: int = 100,
        after: int = 0,
    ) -> tuple[list[OrderChange], int | None]:
        """A page of changes, and the `after` of the next page, None on the last.

        The oldest come first, or the newest. `since` leaves out those before that time.
        """
        ids = history.c.id
        statement = select(
            ids, orders.c.panel, orders.c.order_id, history.c.at, history.c.changes
        ).join(orders, orders.c.key == history.c.key)
        if after:
            statement = statement.where(ids < after if newest else ids > after)
        if panel is not None:
            statement = statement.where(orders.c.panel == self._panel(panel))
        if since is not None:
            statement = statement.where(from_then_on(history.c.at, since))
        statement = statement.order_by(ids.desc() if newest else ids).limit(limit + 1)

        async def fetch(connection: AsyncConnection) -> list[OrderChange]:
            bound = statement
            if since is not None and (newest or not after):
                first = await _first_since(connection, since - _MARGIN)
                bound = bound.where(ids > first)
            names = self._db.panels.names
            return [
                OrderChange(number, names[of], order, at, msgspec.json.decode(changes))
                for number, of, order, at, changes in await connection.execute(bound)
            ]

        found = await self._db.read("changes", fetch)
        return found[:limit], found[limit - 1].id if len(found) > limit else None


async def _first_since(connection: AsyncConnection, at: float) -> int:
    """The id after which rows are not older: times have no index, but grow with the ids."""
    last = select(history.c.id).order_by(history.c.id.desc()).limit(1)
    low, high = 0, (await connection.execute(last)).scalar() or 0
    while low < high:
        middle = (low + high) // 2
        row = select(history.c.at).where(history.c.id > middle).order_by(history.c.id).limit(1)
        time = (await connection.execute(row)).scalar()
        if time is None or time >= at:
            high = middle
        else:
            low = middle + 1
    return low
