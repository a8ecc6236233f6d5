"""State of the event webhooks: how far each target was notified. `history` is the queue."""

from collections.abc import Collection, Iterable, Mapping

import msgspec
from sqlalchemy import Connection, delete, func, select, tuple_, update

from watcher.alerts import RetryLane
from watcher.store.base import StorePart, batched
from watcher.store.changes import last_history_id
from watcher.store.dialect import insert_or_ignore, upsert
from watcher.store.schema import dead_events, event_lanes, event_targets, orders

_UPSERT = upsert(event_lanes, ("first", "attempts", "next_at", "error"))
_BURY = upsert(dead_events, ("key", "at", "error"))


class DeadEvent(msgspec.Struct, frozen=True):
    """A change that was given up after failed deliveries."""

    change: int
    key: int
    at: float
    error: str
    panel: str
    order: str


OpenLanes = tuple[int, list[RetryLane]]  # the cursor, and the lanes that wait


class Events(StorePart):
    """The tables `event_targets`, `event_lanes` and `dead_events`."""

    async def open_lanes(self, names: Collection[str]) -> dict[str, OpenLanes]:
        """Return each target's cursor and retry lanes; a new target starts at the newest change."""

        def work(connection: Connection) -> dict[str, OpenLanes]:
            newest = last_history_id(connection)
            if names:
                connection.execute(
                    insert_or_ignore(event_targets), [{"name": n, "cursor": newest} for n in names]
                )
            lanes: dict[str, list[RetryLane]] = {name: [] for name in names}
            for row in connection.execute(select(event_lanes)):
                if row.target in lanes:
                    lane = RetryLane(row.key, row.first, row.attempts, row.next_at, row.error)
                    lanes[row.target].append(lane)
            cursors = {row.name: row.cursor for row in connection.execute(select(event_targets))}
            return {name: (cursors[name], lanes[name]) for name in names}

        return await self._db.write("event_targets", work)

    async def forget_targets(self, but: Collection[str]) -> None:
        """Remove all state of other targets than these."""
        columns = (event_targets.c.name, event_lanes.c.target, dead_events.c.target)

        def work(connection: Connection) -> None:
            for column in columns:
                connection.execute(delete(column.table).where(column.not_in(but)))

        await self._db.write("event_targets", work)

    async def save_lanes(
        self,
        target: str,
        cursor: int,
        changed: Mapping[int, RetryLane | None],
        dead: Iterable[DeadEvent] = (),
    ) -> None:
        """Write the target's progress, all or nothing. `changed` has None for lanes that ended."""
        there = [
            {"target": target, **msgspec.structs.asdict(lane)} for lane in changed.values() if lane
        ]
        gone = [key for key, lane in changed.items() if lane is None]
        given_up = [
            {"target": target, "change": d.change, "key": d.key, "at": d.at, "error": d.error}
            for d in dead
        ]
        to_cursor = update(event_targets).values(cursor=cursor)

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

    async def dead(self, target: str, limit: int) -> list[DeadEvent]:
        """Return the target's dead letters, newest first."""
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
        """Return how many dead letters each target has."""
        statement = select(dead_events.c.target, func.count()).group_by(dead_events.c.target)
        return await self._read(
            "count_dead_events", statement, lambda rows: {row[0]: row[1] for row in rows}
        )

    async def bury(self, target: str, changes: Iterable[int]) -> None:
        """Remove these changes from the dead letters."""
        which = [(target, change) for change in changes]

        def work(connection: Connection) -> None:
            for some in batched(which):
                mine = tuple_(dead_events.c.target, dead_events.c.change).in_(some)
                connection.execute(delete(dead_events).where(mine))

        await self._db.write("bury", work)
