"""Removes old rows, and states for every table what limits its size.

Rows are removed in slices. A reading connection finds a slice and a separate transaction removes
it, so no other write waits for long. Notifications read rows of the last hours (see
`watcher.notify.monitor`); nothing younger than LEAST is removed.
"""

import asyncio
from collections.abc import Iterator, Sequence
from functools import partial
from typing import Any

import msgspec
from sqlalchemy import (
    Column,
    ColumnElement,
    Connection,
    Table,
    bindparam,
    delete,
    func,
    or_,
    select,
    tuple_,
    update,
)

from watcher.model import REFILL_FINAL, ActionState
from watcher.store.action_rows import params_hash
from watcher.store.base import StorePart
from watcher.store.control_schema import audit
from watcher.store.schema import (
    HAS_LARGE_PARAMS,
    LARGE_PARAMS,
    actions,
    archived_orders,
    balances,
    lessons,
    orders,
    refills,
    service_changes,
    services,
)

LEAST = 7 * 86400.0  # seconds that rows stay, even if the settings are shorter
LESSONS_FOR = 100 * 86400.0  # seconds: twenty half-lives, a millionth is left
SLICE = 500  # rows per transaction
_LARGE_AT_ONCE = 20  # actions per transaction
_SHOWN = 100  # characters kept of a large value
_ARCHIVED = "goes with its order, `retain_for` after that closed"
_TARGETS = "goes when its target is no longer configured"

# Each table of the schema, and what limits its size.
BOUNDS = {
    "panels": "stays: one row for each panel that was ever configured",
    "orders": "archived `retain_for` after it closed",
    "order_states": _ARCHIVED,
    "order_tags": _ARCHIVED,
    "history": _ARCHIVED,
    "epochs": "the newest thousand stay",
    "firings": _ARCHIVED,
    "actions": "goes with its order, or `retain_for` after it was settled; an accepted one with"
    " an idempotency key after `remember_for`. Large parameters are cut down after an hour",
    "refills": f"{_ARCHIVED}; without an order, `retain_for` after it was over",
    "archived_orders": "goes after `remember_for`",
    "services": "goes `remember_for` after it left its list, when no order has it",
    "service_changes": "goes after `retain_for`",
    "balances": "goes after `retain_for`, but for each panel's last",
    "rates": "stays: one row a panel",
    "ended_sessions": "goes once the session would be over, at the next logout",
    "lessons": "goes when nothing was learnt for 100 days",
    "asked_pages": "written anew as a whole, for the orders that are watched",
    "notify_targets": _TARGETS,
    "troubles": "goes when its end was notified, or with its target",
    "outbox": "goes 30 days after it was queued, once sent or given up, or with its target",
    "event_targets": _TARGETS,
    "event_lanes": "goes when its events have arrived, or with its target",
    "dead_events": "goes with its order, when it is sent again, or with its target",
    "pauses": "goes when the pause is over",
    "audit": "goes after `audit_for`",
    "nodes": "goes when the node stops in order, or a week after its lease has ended",
    "leaders": "stays: one row for each panel and duty",
    "panel_status": "stays: one row a panel",
    "counters": "stays: one row for each thing that is counted",
}


class Purge(StorePart):
    """Old rows of all tables, except the rows of orders that are not archived."""

    async def run(
        self, now: float, *, retain_for: float, remember_for: float, audit_for: float
    ) -> dict[str, int]:
        """Remove older rows; return how many rows of each table."""
        old = now - max(retain_for, LEAST)
        forgotten = min(old, now - remember_for)
        removed: dict[str, int] = {}
        unaudited = audit, audit.c.at < now - max(audit_for, LEAST)
        for table, condition in (*_conditions(now, old, forgotten), unaudited):
            gone = await self._purge(table, condition)
            if gone:
                removed[table.name] = gone
        return removed

    async def cut_down(self, before: float) -> int:
        """Replace large parameters of actions settled before then by a hash and their beginning."""
        found = (
            select(actions.c.id, actions.c.params)
            .where(
                HAS_LARGE_PARAMS,
                _is_settled(actions.c.state),
                actions.c.settled_at < before,
            )
            .limit(_LARGE_AT_ONCE)
        )
        smaller = update(actions).where(actions.c.id == bindparam("_id"))

        def work(connection: Connection) -> int:
            rows = [_cut_down(row.id, row.params) for row in connection.execute(found)]
            if rows:
                connection.execute(smaller, rows)
            return len(rows)

        count = 0
        while some := await self._db.write("cut_down", work):
            count += some
            await asyncio.sleep(0)
        return count

    async def _purge(self, table: Table, condition: ColumnElement[bool]) -> int:
        key: list[Column[Any]] = list(table.primary_key)
        row_of = tuple_(*key)
        found = select(*key).where(condition).order_by(*key).limit(SLICE)
        # Check the condition again: a row that changed since it was read stays.
        one = delete(table).where(*(c == bindparam(f"_{c.name}") for c in key), condition)
        removed, after = 0, None
        while True:
            statement = found if after is None else found.where(row_of > tuple_(*after))
            rows = await self._read("purge", statement, lambda rows: rows.all())
            if not rows:
                return removed
            removed += await self._db.write("purge", partial(_remove, one, key, rows))
            after = rows[-1]
            await asyncio.sleep(0)


def _conditions(
    now: float, old: float, forgotten: float
) -> Iterator[tuple[Table, ColumnElement[bool]]]:
    """Yield the tables and which rows to remove; refills first, since they refer to actions."""
    yield (
        refills,
        refills.c.status.in_([status.value for status in REFILL_FINAL])
        & (func.coalesce(refills.c.finished_at, refills.c.requested_at) < old)
        & ~_has_order(refills),
    )
    key = actions.c.idempotency_key
    yield (
        actions,
        or_(
            (actions.c.state == ActionState.REJECTED.value) & (actions.c.settled_at < old),
            (actions.c.state == ActionState.ACCEPTED.value)
            & key.is_(None)
            & (actions.c.settled_at < old),
            (actions.c.state == ActionState.ACCEPTED.value) & (actions.c.settled_at < forgotten),
        )
        & ~_has_order(actions)
        & ~select(refills.c.key).where(refills.c.action == actions.c.id).exists(),
    )
    yield archived_orders, archived_orders.c.at < forgotten
    yield service_changes, service_changes.c.at < old
    later = balances.alias()
    newer = (later.c.panel == balances.c.panel) & (later.c.id > balances.c.id)
    yield balances, (balances.c.at < old) & select(later.c.id).where(newer).exists()
    of_it = (orders.c.panel == services.c.panel) & (orders.c.service == services.c.id)
    yield services, (services.c.gone_at < forgotten) & ~select(orders.c.key).where(of_it).exists()
    yield lessons, lessons.c.at < now - LESSONS_FOR


def _has_order(table: Table) -> ColumnElement[bool]:
    mine = (orders.c.panel == table.c.panel) & (orders.c.order_id == table.c.order_id)
    return select(orders.c.key).where(mine).exists()


def _is_settled(state: Column[Any]) -> ColumnElement[bool]:
    return state.in_([ActionState.ACCEPTED.value, ActionState.REJECTED.value])


def _cut_down(number: int, text: str) -> dict[str, Any]:
    params = msgspec.json.decode(text, type=dict[str, str])
    shown = {_clipped(name): _clipped(value) for name, value in params.items()}
    small = msgspec.json.encode(shown).decode()
    return {
        "_id": number,
        "params": small if len(small) <= LARGE_PARAMS else None,
        "params_hash": params_hash(params),
    }


def _clipped(text: str) -> str:
    return text if len(text) <= _SHOWN else f"{text[:_SHOWN]}…"


def _remove(
    statement: Any, key: Sequence[Column[Any]], rows: Sequence[Any], connection: Connection
) -> int:
    names = [f"_{column.name}" for column in key]
    values = [dict(zip(names, row, strict=True)) for row in rows]
    return connection.execute(statement, values).rowcount
