"""Writes the consequences for orders and refill tasks when a panel accepts an action."""

from collections.abc import Sequence
from typing import Any

import msgspec
from sqlalchemy import Connection, bindparam, select, update

from watcher.model import Action, Kind, Labels, Order, Refill, RefillStatus
from watcher.panels.protocol.serve import whole
from watcher.store.dialect import insert_or_ignore
from watcher.store.order_rows import add_orders
from watcher.store.panels import PanelNames
from watcher.store.refills import to_refill
from watcher.store.schema import order_states, orders, refills

_COUNT_REFILL = (
    update(order_states)
    .where(
        order_states.c.key
        == select(orders.c.key)
        .where(orders.c.panel == bindparam("_panel"), orders.c.order_id == bindparam("_order"))
        .scalar_subquery()
    )
    .values(refills=order_states.c.refills + 1)
)


def track_placed(
    connection: Connection, panels: PanelNames, accepted: Sequence[Action], now: float
) -> list[Order]:
    """Track the orders that were placed; return those that were not tracked before."""
    placed = [_order(action, now) for action in accepted if action.kind is Kind.SUBMIT]
    return add_orders(connection, panels, placed, now) if placed else []


def note_refills(
    connection: Connection, panels: PanelNames, accepted: Sequence[Action], now: float
) -> list[Refill]:
    """Count accepted refills at their orders; return the new tasks, where the panel gave an id.

    A panel that gives every refill the same id leaves one task to follow.
    """
    asked = [action for action in accepted if action.kind is Kind.REFILL]
    if not asked:
        return []
    counted = [{"_panel": panels.ids[action.panel], "_order": action.order} for action in asked]
    connection.execute(_COUNT_REFILL, counted)
    tasks = [_task(action, panels.ids[action.panel], now) for action in asked if action.result]
    if not tasks:
        return []
    statement = insert_or_ignore(refills).returning(*refills.c)
    added = (connection.execute(statement, tasks)).mappings()
    return sorted((to_refill(row, panels.names) for row in added), key=lambda refill: refill.key)


def _task(action: Action, panel: int, now: float) -> dict[str, Any]:
    return {
        "panel": panel,
        "order_id": action.order,
        "refill_id": action.result,
        "action": action.id,
        "status": RefillStatus.PENDING.value,
        "requested_at": action.sent_at or now,
    }


def _order(action: Action, now: float) -> Order:
    params = action.params or {}
    at = action.sent_at or now
    return Order(
        panel=action.panel,
        id=str(action.result),
        service=params.get("service"),
        link=params.get("link"),
        quantity=whole(params.get("quantity", "")),
        submitted_at=at,
        progressed_at=at,
        **msgspec.structs.asdict(action.labels or Labels()),
    )
