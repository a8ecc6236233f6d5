"""What programs have yet to be told of changed orders: `history` is the queue."""

from collections.abc import Collection, Iterable

import msgspec
from sqlalchemy import Connection, delete, func, select, tuple_, update

from watcher.store.changes import last_history_id
from watcher.store.dialect import insert_or_ignore, upsert
from watcher.store.part import Part, batched
from watcher.store.schema import dead_events, event_lanes, event_targets, orders
from watcher.telling.lanes import Lane, Lanes

_UPSERT = upsert(event_lanes, ("first", "attempts", "next_at", "error"))
_BURY = upsert(dead_events, ("key", "at", "error"))


class DeadEvent(msgspec.Struct, frozen=True):
    """A change that was given up."""

    change: int
    key: int
    at: float
    error: str
    panel: str
    order: str


class Events(Part):
    """The tables `event_targets`, `event_lanes` and `dead_events`."""

    async def open_lanes(self, names: Collection[str]) -> dict[str, Lanes]:
        """What each of the targets has yet to be told; a new one, what changes from now on."""

        def work(connection: Connection) -> dict[str, Lanes]:
            newest = last_history_id(connection)
            if names:
                connection.execute(
                    insert_or_ignore(event_targets), [{"name": n, "cursor": newest} for n in names]
                )
            lanes: dict[str, list[Lane]] = {name: [] for name in names}
            for row in connection.execute(select(event_lanes)):
                if row.target in lanes:
                    lane = Lane(row.key, row.first, row.attempts, row.next_at, row.error)
                    lanes[row.target].append(lane)
            cursors = {row.name: row.cursor for row in connection.execute(select(event_targets))}
            return {name: Lanes(cursors[name], lanes[name]) for name in names}

        return await self._db.write("event_targets", work)

    async def forget_targets(self, but: Collection[str]) -> None:
        """Remove all that concerns other targets than these: nothing waits for them."""
        columns = (event_targets.c.name, event_lanes.c.target, dead_events.c.target)

        def work(connection: Connection) -> None:
            for column in columns:
                connection.execute(delete(column.table).where(column.not_in(but)))

        await self._db.write("event_targets", work)

    async def save_lanes(self, target: str, lanes: Lanes, dead: Iterable[DeadEvent] = ()) -> None:
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

        def work(connection: Connection) -> None:
            connection.execute(to_cursor.where(event_targets.c.name == target))
            if there:
                connection.execute(_UPSERT, there)
            for some in batched(gone):
                mine = (event_lanes.c.target == target) & event_lanes.c.key.in_(some)
                connection.execute(delete(event_lanes).where(mine))
            if given_up:
                connection.execute(_BURY, given_up)

        await self._db.write("save_lanes", work)
        lanes.changed -= changed

    async def dead(self, target: str, limit: int) -> list[DeadEvent]:
        """The target's dead letters, the newest first."""
        statement = (
            select(dead_events, orders.c.panel, orders.c.order_id)
            .join(orders, orders.c.key == dead_events.c.key)
            .where(dead_events.c.target == target)
            .order_by(dead_events.c.change.desc())
            .limit(limit)
        )
        names = self._db.panels.names
        return await self._read(
            "dead_events",
            statement,
            lambda rows: [
                DeadEvent(r.change, r.key, r.at, r.error, names[r.panel], r.order_id) for r in rows
            ],
        )

    async def count_dead(self) -> dict[str, int]:
        """How many dead letters each target has."""
        statement = select(dead_events.c.target, func.count()).group_by(dead_events.c.target)
        return await self._read(
            "count_dead_events", statement, lambda rows: {row[0]: row[1] for row in rows}
        )

    async def bury(self, target: str, changes: Iterable[int]) -> None:
        """These are no dead letters any more."""
        which = [(target, change) for change in changes]

        def work(connection: Connection) -> None:
            for some in batched(which):
                mine = tuple_(dead_events.c.target, dead_events.c.change).in_(some)
                connection.execute(delete(dead_events).where(mine))

        await self._db.write("bury", work)
