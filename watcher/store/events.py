"""What programs have yet to be told of changed orders: `history` is the queue."""

from collections.abc import Collection, Iterable
from typing import Any

import msgspec
from sqlalchemy import delete, func, insert, select, tuple_, update
from sqlalchemy.dialects import sqlite
from sqlalchemy.ext.asyncio import AsyncConnection

from watcher.alerts import RetryLane
from watcher.events.retry_lanes import RetryLanes
from watcher.store.base import StorePart, batched, from_then_on
from watcher.store.changes import last_history_id
from watcher.store.schema import (
    dead_events,
    event_lanes,
    event_targets,
    history,
    order_states,
    orders,
)

_CURRENT = ("status", "status_text", "remains", "start_count", "charge", "currency")
_COLUMNS = (
    history.c.id,
    history.c.key,
    history.c.at,
    history.c.changes,
    orders.c.panel,
    orders.c.order_id,
    orders.c.service,
    orders.c.quantity,
    *(order_states.c[name] for name in _CURRENT),
)
_INSERT = sqlite.insert(event_lanes)
_UPSERT = _INSERT.on_conflict_do_update(
    set_={name: _INSERT.excluded[name] for name in ("first", "attempts", "next_at", "error")}
)


class OrderEvent(msgspec.Struct, frozen=True, kw_only=True):
    """A change of an order. `changes` is JSON; `current` is how the order is by now."""

    id: int
    key: int
    at: float
    changes: str
    panel: str
    order: str
    service: str | None
    quantity: int | None
    current: dict[str, Any]


class DeadEvent(msgspec.Struct, frozen=True):
    """A change that was given up."""

    change: int
    key: int
    at: float
    error: str
    panel: str
    order: str


class Events(StorePart):
    """The tables `event_targets`, `event_lanes` and `dead_events`, and `history` as their queue."""

    async def open_lanes(self, names: Collection[str]) -> dict[str, RetryLanes]:
        """What each of the targets has yet to be told; a new one, what changes from now on."""
        known = sqlite.insert(event_targets).on_conflict_do_nothing()

        async def work(connection: AsyncConnection) -> dict[str, RetryLanes]:
            newest = await last_history_id(connection)
            if names:
                await connection.execute(known, [{"name": n, "cursor": newest} for n in names])
            lanes: dict[str, list[RetryLane]] = {name: [] for name in names}
            for row in await connection.execute(select(event_lanes)):
                if row.target in lanes:
                    lane = RetryLane(row.key, row.first, row.attempts, row.next_at, row.error)
                    lanes[row.target].append(lane)
            cursors = {
                row.name: row.cursor for row in await connection.execute(select(event_targets))
            }
            return {name: RetryLanes(cursors[name], lanes[name]) for name in names}

        return await self._db.write("event_targets", work)

    async def forget_event_targets(self, but: Collection[str]) -> None:
        """Remove all that concerns other targets than these: nothing waits for them."""
        columns = (event_targets.c.name, event_lanes.c.target, dead_events.c.target)

        async def work(connection: AsyncConnection) -> None:
            for column in columns:
                await connection.execute(delete(column.table).where(column.not_in(but)))

        await self._db.write("event_targets", work)

    async def newest_change(self) -> int:
        """The number of the last change on record."""
        return await self._db.read("newest_change", last_history_id)

    async def changes_after(self, cursor: int, limit: int) -> list[OrderEvent]:
        """The next changes, whichever orders they are of."""
        statement = _joined(history).where(history.c.id > cursor).order_by(history.c.id)
        return await self._events(statement.limit(limit))

    async def changes_of(self, key: int, first: int, last: int, limit: int) -> list[OrderEvent]:
        """One order's changes from `first` to `last`, the oldest first."""
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
        statement = _joined(history).where(history.c.id.in_(wanted)).order_by(history.c.id)
        return await self._events(statement.limit(limit))

    async def first_change_since(self, at: float) -> int | None:
        """The number of the first change since then. Reads what is older."""
        statement = (
            select(history.c.id)
            .where(from_then_on(history.c.at, at))
            .order_by(history.c.id)
            .limit(1)
        )

        async def fetch(connection: AsyncConnection) -> int | None:
            return (await connection.execute(statement)).scalar()

        return await self._db.read("first_change_since", fetch)

    async def save_lanes(
        self, target: str, lanes: RetryLanes, dead: Iterable[DeadEvent] = ()
    ) -> None:
        """Write how far the target was told, all or nothing; what changed counts as saved then."""
        changed = set(lanes.changed)
        there = [
            {"target": target, **msgspec.structs.asdict(lanes.held[key])}
            for key in changed
            if key in lanes.held
        ]
        gone = [key for key in changed if key not in lanes.held]
        given_up = [
            {"target": target, "change": d.change, "key": d.key, "at": d.at, "error": d.error}
            for d in dead
        ]
        to_cursor = update(event_targets).values(cursor=lanes.cursor)

        async def work(connection: AsyncConnection) -> None:
            await connection.execute(to_cursor.where(event_targets.c.name == target))
            if there:
                await connection.execute(_UPSERT, there)
            for some in batched(gone):
                mine = (event_lanes.c.target == target) & event_lanes.c.key.in_(some)
                await connection.execute(delete(event_lanes).where(mine))
            if given_up:
                again = insert(dead_events).prefix_with("OR REPLACE")
                await connection.execute(again, given_up)

        await self._db.write("save_lanes", work)
        lanes.changed -= changed

    async def dead_events(self, target: str, limit: int) -> list[DeadEvent]:
        """The target's dead letters, the newest first."""
        statement = (
            select(dead_events, orders.c.panel, orders.c.order_id)
            .join(orders, orders.c.key == dead_events.c.key)
            .where(dead_events.c.target == target)
            .order_by(dead_events.c.change.desc())
            .limit(limit)
        )
        names = self._db.panels.names

        async def fetch(connection: AsyncConnection) -> list[DeadEvent]:
            return [
                DeadEvent(r.change, r.key, r.at, r.error, names[r.panel], r.order_id)
                for r in await connection.execute(statement)
            ]

        return await self._db.read("dead_events", fetch)

    async def count_dead_events(self) -> dict[str, int]:
        """How many dead letters each target has."""
        statement = select(dead_events.c.target, func.count()).group_by(dead_events.c.target)

        async def fetch(connection: AsyncConnection) -> dict[str, int]:
            return {row[0]: row[1] for row in await connection.execute(statement)}

        return await self._db.read("count_dead_events", fetch)

    async def bury(self, target: str, changes: Iterable[int]) -> None:
        """These are no dead letters any more."""
        which = [(target, change) for change in changes]

        async def work(connection: AsyncConnection) -> None:
            for some in batched(which):
                mine = tuple_(dead_events.c.target, dead_events.c.change).in_(some)
                await connection.execute(delete(dead_events).where(mine))

        await self._db.write("bury", work)

    async def _events(self, statement: Any) -> list[OrderEvent]:
        names = self._db.panels.names

        async def fetch(connection: AsyncConnection) -> list[OrderEvent]:
            return [
                OrderEvent(
                    id=row.id,
                    key=row.key,
                    at=row.at,
                    changes=row.changes,
                    panel=names[row.panel],
                    order=row.order_id,
                    service=row.service,
                    quantity=row.quantity,
                    current={name: getattr(row, name) for name in _CURRENT},
                )
                for row in await connection.execute(statement)
            ]

        return await self._db.read("order_events", fetch)


def _joined(changes: Any) -> Any:
    return (
        select(*_COLUMNS)
        .select_from(changes)
        .join(orders, orders.c.key == changes.c.key)
        .join(order_states, order_states.c.key == changes.c.key)
    )
