"""Reads orders that closed long ago for the archive, then removes them.

An order is removed only if nothing was added since it was read (for example an action by hand).
Unsettled actions, running refills and undelivered events also keep their order. Actions with an
idempotency key stay: a repeated submission must be recognised even after its order was archived.
"""

from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from datetime import UTC, datetime
from typing import Any, NamedTuple

import msgspec
from sqlalchemy import ColumnElement, Connection, Select, Table, delete, func, or_, select

from watcher.model import REFILL_FINAL, ActionState, Phase, RefillStatus
from watcher.store import counting
from watcher.store.action_rows import UNSETTLED_STATE
from watcher.store.base import StorePart, batched
from watcher.store.dialect import upsert
from watcher.store.row_statement import RowStatement, types_of
from watcher.store.schema import (
    actions,
    archived_orders,
    dead_events,
    event_lanes,
    event_targets,
    firings,
    history,
    notify_targets,
    order_states,
    order_tags,
    orders,
    refills,
)

_RUNNING = refills.c.status.in_([s.value for s in RefillStatus if s not in REFILL_FINAL])
_OF_ORDER = {
    table: (table.c.panel == orders.c.panel) & (table.c.order_id == orders.c.order_id)
    for table in (actions, refills)
}
_NOTE = upsert(archived_orders, ["at"])


def _delete(table: Table, *names: str, more: Sequence[ColumnElement[bool]] = ()) -> RowStatement:
    """Return a DELETE of the rows with these values, as far as they meet the conditions `more`."""
    return RowStatement.of(
        types_of(table, names),
        lambda value: delete(table).where(*(table.c[n] == value(n) for n in names), *more),
    )


_DELETE_HISTORY = _delete(history, "id")
_DELETE_BY_KEY = [
    _delete(table, "key") for table in (dead_events, firings, order_tags, order_states, orders)
]
_DELETE_BY_ORDER = [  # refills refer to actions, so they are deleted first
    _delete(refills, "panel", "order_id"),
    _delete(actions, "panel", "order_id", more=[actions.c.idempotency_key.is_(None)]),
]


def archive_name(at: float) -> str:
    """Return the name of the file for orders archived at that time."""
    return f"orders-{datetime.fromtimestamp(at, UTC):%Y%m%dT%H%M%SZ}.jsonl.gz"


class Fingerprint(NamedTuple):
    """Values of a closed order that differ as soon as anything is added: its rows only grow."""

    panel: int
    order: str
    last_change: int | None
    refilled: int
    actions: int
    refills: int
    firings: int


class Retired(msgspec.Struct, frozen=True, kw_only=True):
    """A closed order as it was read; `record` is the whole order in values that JSON has."""

    key: int
    fingerprint: Fingerprint
    history: list[int]
    record: dict[str, Any]


class Archive(StorePart):
    """The table `archived_orders`, and deletion from the tables of orders."""

    async def closed_before(
        self, at: float, *, after: int, limit: int, untold: float | None = None
    ) -> list[int]:
        """Return keys above `after` of orders that closed before `at` and that nothing keeps.

        What was recorded after `untold` may still need a notification; that keeps its order.
        """
        statement = (
            _eligible(select(orders.c.key), at)
            .where(orders.c.key > after)
            .order_by(orders.c.key)
            .limit(limit)
        )
        if untold is not None:
            statement = statement.where(~_may_be_untold(untold))
        return await self._read("closed_before", statement, lambda rows: list(rows.scalars()))

    async def retired(self, keys: Sequence[int], at: float) -> list[Retired]:
        """Return those of the orders that closed before `at`, complete."""
        return await self._db.read(
            "retired", lambda c: self._read_whole(c, _fingerprints(c, keys, at))
        )

    async def remove(self, retired: Sequence[Retired], at: float, *, now: float) -> int:
        """Remove the orders unchanged since they were read, in one transaction; return how many."""

        def work(connection: Connection) -> int:
            found = _fingerprints(connection, [order.key for order in retired], at)
            same = [order for order in retired if found.get(order.key) == order.fingerprint]
            if same:
                _remove(connection, same, now)
            return len(same)

        return await self._db.write("archive", work)

    async def untrack(self, key: int) -> bool:
        """Remove an order in any phase, unless part of it is unsettled or undelivered.

        Its actions and refills stay on record.
        """

        def work(connection: Connection) -> bool:
            idle = _idle(select(orders.c.key)).where(orders.c.key == key)
            if connection.execute(idle).first() is None:
                return False
            changes = connection.execute(_histories([key])).mappings()
            if numbers := [(row["id"],) for row in changes]:
                _DELETE_HISTORY.run(connection, numbers)
                counting.reach(connection, counting.REMOVED, max(numbers)[0])
            for statement in _DELETE_BY_KEY:
                statement.run(connection, [(key,)])
            return True

        return await self._db.write("untrack", work)

    async def archived(self, panel: str, ids: Sequence[str]) -> set[str]:
        """Return those of the orders that were archived; at most a thousand ids."""
        statement = select(archived_orders.c.order_id).where(
            archived_orders.c.panel == self._panel(panel), archived_orders.c.order_id.in_(ids)
        )
        return await self._read("archived_at", statement, lambda rows: set(rows.scalars()))

    async def archived_at(self, panel: str, order: str) -> float | None:
        """Return when the order was last archived, or None if it was not."""
        statement = select(archived_orders.c.at).where(
            archived_orders.c.panel == self._panel(panel), archived_orders.c.order_id == order
        )
        return await self._read("archived_at", statement, lambda found: found.scalar())

    def _read_whole(
        self, connection: Connection, found: Mapping[int, Fingerprint]
    ) -> list[Retired]:
        """Return the complete orders; their fingerprints are older, to detect changes."""
        states = select(orders, *(c for c in order_states.c if c.name != "key")).join(
            order_states, order_states.c.key == orders.c.key
        )
        chains = _by_key(connection, _histories, found)
        fired = _by_key(
            connection, lambda keys: select(firings).where(firings.c.key.in_(keys)), found
        )
        acted, refilled = [
            _by_key(
                connection,
                lambda keys, table=table: (
                    select(orders.c.key.label("of"), table)
                    .join(orders, _OF_ORDER[table])
                    .where(orders.c.key.in_(keys))
                ),
                found,
            )
            for table in (actions, refills)
        ]
        whole = _by_key(connection, lambda keys: states.where(orders.c.key.in_(keys)), found)
        return [
            Retired(
                key=key,
                fingerprint=fingerprint,
                history=[row["id"] for row in chains[key]],
                record={
                    **self._plain(whole[key][0]),
                    "history": [
                        {"at": row["at"], "changes": msgspec.Raw(row["changes"].encode())}
                        for row in sorted(chains[key], key=lambda row: int(row["id"]))
                    ],
                    "actions": [self._plain(row) for row in acted[key]],
                    "refills": [self._plain(row) for row in refilled[key]],
                    "firings": [self._plain(row) for row in fired[key]],
                },
            )
            for key, fingerprint in found.items()
        ]

    def _plain(self, row: Mapping[Any, Any]) -> dict[str, Any]:
        """Return the row with its panel's name and without the database's internal columns."""
        left_out = {"key", "of", "last_change"}
        values = {str(name): value for name, value in row.items() if name not in left_out}
        if "panel" in values:
            values["panel"] = self._db.panels.names[values["panel"]]
        for name in ("params_hash", "labels"):
            if values.get(name, "") is None:
                del values[name]
        if values.get("tags") is not None:
            values["tags"] = msgspec.Raw(values["tags"].encode())
        if values.get("params") is not None:
            values["params"] = msgspec.Raw(values["params"].encode())
        return values


def _eligible(statement: Select[*tuple[Any, ...]], at: float) -> Select[*tuple[Any, ...]]:
    return _idle(statement).where(
        order_states.c.phase == Phase.CLOSED.value, order_states.c.changed_at < at
    )


def _idle(statement: Select[*tuple[Any, ...]]) -> Select[*tuple[Any, ...]]:
    """Keep only orders that nothing holds back."""
    unsettled = select(actions.c.id).where(_OF_ORDER[actions], UNSETTLED_STATE).exists()
    # Undelivered notifications keep their order.
    waits = select(event_lanes.c.key).where(event_lanes.c.key == orders.c.key).exists()
    untold = (
        select(event_targets.c.name)
        .where(event_targets.c.cursor < order_states.c.last_change)
        .exists()
    )
    running = select(refills.c.key).where(_OF_ORDER[refills], _RUNNING).exists()
    states = statement.join(order_states, order_states.c.key == orders.c.key)
    return states.where(~unsettled, ~running, ~waits, ~untold)


def _may_be_untold(since: float) -> ColumnElement[bool]:
    """Match orders with news that a target may still need: see `watcher.store.recent`."""
    refused = actions.c.state == ActionState.REJECTED.value
    return select(notify_targets.c.name).exists() & or_(
        select(firings.c.id).where(firings.c.key == orders.c.key, firings.c.at >= since).exists(),
        select(refills.c.key).where(_OF_ORDER[refills], refills.c.finished_at >= since).exists(),
        select(actions.c.id)
        .where(_OF_ORDER[actions], refused, actions.c.settled_at >= since)
        .exists(),
    )


def _fingerprints(connection: Connection, keys: Sequence[int], at: float) -> dict[int, Fingerprint]:
    counts = [
        select(func.count()).select_from(table).where(condition).scalar_subquery()
        for table, condition in (*_OF_ORDER.items(), (firings, firings.c.key == orders.c.key))
    ]
    columns = orders.c.panel, orders.c.order_id, order_states.c.last_change, order_states.c.refills
    statement = _eligible(select(orders.c.key, *columns, *counts), at).order_by(orders.c.key)
    return {
        key: Fingerprint(*values)
        for some in batched(keys)
        for key, *values in connection.execute(statement.where(orders.c.key.in_(some)))
    }


def _histories(keys: Sequence[int]) -> Select[*tuple[Any, ...]]:
    """Return the statement that reads each order's history from its last change back."""
    last = select(order_states.c.last_change).where(order_states.c.key.in_(keys))
    chain = select(history).where(history.c.id.in_(last)).cte(recursive=True)
    chain = chain.union_all(select(history).where(history.c.id == chain.c.previous))
    return select(chain)


def _by_key(
    connection: Connection, statement: Any, keys: Iterable[int]
) -> defaultdict[int, list[Mapping[Any, Any]]]:
    """Return the rows that the statement finds, grouped by order."""
    rows: defaultdict[int, list[Mapping[Any, Any]]] = defaultdict(list)
    for some in batched(list(keys)):
        for row in connection.execute(statement(some)).mappings():
            rows[row["of"] if "of" in row else row["key"]].append(row)
    return rows


def _remove(connection: Connection, same: Sequence[Retired], now: float) -> None:
    changes = [(number,) for order in same for number in order.history]
    if changes:
        _DELETE_HISTORY.run(connection, changes)
        for counter in (counting.REMOVED, counting.ARCHIVED):
            counting.reach(connection, counter, max(changes)[0])
    names = [(order.fingerprint.panel, order.fingerprint.order) for order in same]
    for statement in _DELETE_BY_ORDER:
        statement.run(connection, names)
    for statement in _DELETE_BY_KEY:
        statement.run(connection, [(order.key,) for order in same])
    rows = [{"panel": panel, "order_id": order, "at": now} for panel, order in names]
    connection.execute(_NOTE, rows)
