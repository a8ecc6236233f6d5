"""Orders and their rows in `orders` and `order_states`. Made to be quick: there are millions."""

from collections.abc import Iterable, Mapping, Sequence
from decimal import Decimal
from typing import Any, TypeVar

import msgspec
from sqlalchemy import Connection, Text, bindparam, func, insert, select, type_coerce

from watcher.model import Order, Origin, Phase, Status
from watcher.store.dialect import compiled, insert_or_ignore, money_text
from watcher.store.panels import PanelNames
from watcher.store.schema import order_states, orders

_MOST_SHARED = 50_000
_STATUSES = {status.value: status for status in Status}
_ORIGINS = {origin.value: origin for origin in Origin}
_PHASES = {phase.value: phase for phase in Phase}
T = TypeVar("T")

COLUMNS = (
    orders.c.key,
    orders.c.panel,
    orders.c.order_id,
    orders.c.service,
    orders.c.link,
    orders.c.quantity,
    orders.c.submitted_at,
    order_states.c.status,
    order_states.c.status_text,
    type_coerce(order_states.c.charge, Text),
    order_states.c.currency,
    order_states.c.start_count,
    order_states.c.remains,
    order_states.c.count,
    order_states.c.phase,
    order_states.c.progressed_at,
    order_states.c.finished_at,
    order_states.c.checked_at,
    order_states.c.problem,
    order_states.c.refills,
    orders.c.origin,
)
SELECT_ORDER = select(*COLUMNS).join_from(order_states, orders)
LAST_KEY = select(func.coalesce(func.max(orders.c.key), 0))  # of the newest order
_ADDED = select(orders.c.key, orders.c.panel, orders.c.order_id)
_IDENTITY = (
    "panel",
    "order_id",
    "service",
    "link",
    "quantity",
    "submitted_at",
    "tracked_at",
    "origin",
)
_INSERT = compiled(insert_or_ignore(orders).values({name: bindparam(name) for name in _IDENTITY}))
_STATE = [column.name for column in order_states.columns if column.name != "last_change"]
_INSERT_STATE = compiled(insert(order_states).values({name: bindparam(name) for name in _STATE}))


class OrderReader:
    """Makes orders of rows. What many orders have in common is held once."""

    def __init__(self, panels: Mapping[int, str]) -> None:
        self._panels = panels
        self._texts = _Shared[str]()
        self._numbers = _Shared[int]()
        self._amounts = _Amounts()

    def read(self, rows: Iterable[Sequence[Any]]) -> list[Order]:
        """An order of each row of `SELECT_ORDER`."""
        for shared in (self._texts, self._numbers, self._amounts):
            if len(shared) > _MOST_SHARED:
                shared.clear()
        panels, statuses, phases = self._panels, _STATUSES, _PHASES
        texts, numbers, amounts = self._texts, self._numbers, self._amounts
        return [
            Order(
                key=key,
                panel=panels[panel],
                id=order_id,
                service=texts[service],
                link=link,
                quantity=numbers[quantity],
                submitted_at=submitted_at,
                status=statuses[status],
                status_text=texts[status_text],
                charge=amounts[charge],
                currency=texts[currency],
                start_count=start_count,
                remains=numbers[remains],
                count=count,
                phase=phases[phase],
                progressed_at=progressed_at,
                finished_at=finished_at,
                checked_at=progressed_at if checked_at == progressed_at else checked_at,
                problem=texts[problem],
                refills=refills,
                origin=Origin.WHOLE if origin is None else _ORIGINS[origin],
            )
            for (
                key,
                panel,
                order_id,
                service,
                link,
                quantity,
                submitted_at,
                status,
                status_text,
                charge,
                currency,
                start_count,
                remains,
                count,
                phase,
                progressed_at,
                finished_at,
                checked_at,
                problem,
                refills,
                origin,
            ) in rows
        ]


class _Shared(dict[T | None, T | None]):
    """Gives for every value the first one that was equal to it."""

    def __missing__(self, value: T | None) -> T | None:
        self[value] = value
        return value


class _Amounts(dict[str | None, Decimal | None]):
    """Gives the amount that a text says."""

    def __missing__(self, text: str | None) -> Decimal | None:
        amount = self[text] = None if text is None else Decimal(text)
        return amount


def add_orders(
    connection: Connection, panels: PanelNames, found: Sequence[Order], now: float
) -> list[Order]:
    """Insert the orders that are not known; those, with their keys, which follow the last one."""
    given: dict[tuple[int, str], Order] = {}
    for order in found:
        given.setdefault((panels.ids[order.panel], order.id), order)
    last = connection.execute(LAST_KEY).scalar_one()
    rows = [_order_row(panel, order, now) for (panel, _), order in given.items()]
    connection.exec_driver_sql(_INSERT, rows)
    added = [
        msgspec.structs.replace(given[panel, order_id], key=key)
        for key, panel, order_id in connection.execute(_ADDED.where(orders.c.key > last))
    ]
    if added:
        connection.exec_driver_sql(_INSERT_STATE, [_state_row(o, now) for o in added])
    return added


def _order_row(panel: int, order: Order, now: float) -> tuple[Any, ...]:
    return (
        panel,
        order.id,
        order.service,
        order.link,
        order.quantity,
        order.submitted_at,
        now,
        None if order.origin is Origin.WHOLE else order.origin.value,
    )


def _state_row(order: Order, now: float) -> tuple[Any, ...]:
    return (
        order.key,
        order.status.value,
        order.status_text,
        None if order.charge is None else money_text(order.charge),
        order.currency,
        order.start_count,
        order.remains,
        order.count,
        order.phase.value,
        order.progressed_at,
        order.finished_at,
        now,
        order.checked_at,
        order.problem,
        order.refills,
    )
