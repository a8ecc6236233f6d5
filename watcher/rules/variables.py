"""The variables of conditions: an order, its service and its panel."""

from collections.abc import Callable, Sequence
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from operator import attrgetter
from typing import Any

import msgspec

from watcher.model import Kind, Order, Origin, Phase, Service, Status
from watcher.orders import fields
from watcher.orders.fields import Field, FieldKind


class PanelVariables(msgspec.Struct, frozen=True):
    """The variables of a panel."""

    name: str
    balance: float | None = None
    currency: str | None = None


class RuleContext(msgspec.Struct, frozen=True, kw_only=True):
    """What a decision depends on beyond the order itself."""

    panel: PanelVariables
    service: Service | None = None
    refill_disabled: str | None = None  # the panel's words, where it refused for the service
    open_actions: frozenset[Kind] = frozenset()
    refill_running: bool = False
    cancel_accepted: bool = False


class FiringHistory(msgspec.Struct, frozen=True):
    """How often a rule has fired for an order, and when last; dry runs have their own."""

    count: int = 0
    last: float = 0.0


OrderValue = Callable[[Order, FiringHistory, float], Any]  # by the order, its past and now


def moment(at: float | None) -> datetime | None:
    return None if at is None else datetime.fromtimestamp(at, UTC)


def since(at: float | None, now: float) -> timedelta | None:
    """Return the time since then, never negative: the clock may have been ahead."""
    return None if at is None else timedelta(seconds=max(0.0, now - at))


def plain(value: Any) -> Any:
    """Convert money to a float, since CEL has no decimals; other values stay."""
    return float(value) if hasattr(value, "as_tuple") else value


_CONVERT: dict[FieldKind, Callable[[Any], Any]] = {
    FieldKind.TIME: moment,
    FieldKind.MONEY: plain,
    FieldKind.CODE: str,
    FieldKind.TAGS: list,
}


def _variable(field: Field) -> OrderValue:
    get, convert = attrgetter(field.name), _CONVERT.get(field.kind)
    if convert is None:
        return lambda order, past, now: get(order)
    return lambda order, past, now: convert(get(order))


ORDER: dict[str, OrderValue] = {
    "panel": lambda order, past, now: order.panel,
    "id": lambda order, past, now: order.id,
    **{field.name: _variable(field) for field in fields.FIELDS if field.in_rules},
    "drop": lambda order, past, now: order.drop,
    "age": lambda order, past, now: since(order.submitted_at, now),
    "idle": lambda order, past, now: since(order.progressed_at, now),
    "finished_ago": lambda order, past, now: since(order.finished_at, now),
    "attempts": lambda order, past, now: past.count,
}
FIELDS: dict[str, frozenset[str]] = {
    "order": frozenset(ORDER),
    "service": frozenset(
        {"id", "name", "type", "category", "rate", "min", "max", "refill", "cancel"}
    ),
    "panel": frozenset(PanelVariables.__struct_fields__),
}
VARIABLES = frozenset(FIELDS) | {"now"}
CLOCKS: dict[str, Callable[[Order], float | None]] = {
    "age": lambda order: order.submitted_at,
    "idle": lambda order: order.progressed_at,
    "finished_ago": lambda order: order.finished_at,
}
CLOCKED = frozenset(CLOCKS)

_BEFORE_ALL = 50 * 365 * 86400.0  # seconds


def submissions(order: Order, durations: Sequence[float], now: float) -> list[Order]:
    """Return copies of the order with each earlier submission that could change a result.

    An order that was tracked without its time of submission is at least as old as its tracking.
    There is one copy for each age at which a condition with these durations may change.
    """
    if order.origin is not Origin.UNDATED:
        return []
    times = [now - seconds + shift for seconds in durations for shift in (-0.001, 0.001)]
    earlier = [at for at in times if at < order.submitted_at]
    return [msgspec.structs.replace(order, submitted_at=at) for at in (*earlier, now - _BEFORE_ALL)]


def why_unknown(names: Sequence[str], order: Order, rule_context: RuleContext) -> str:
    """Return what is missing for a condition, and what the user can do about it."""
    return "; ".join(dict.fromkeys(_why_unknown(name, order, rule_context) for name in names))


def _why_unknown(name: str, order: Order, rule_context: RuleContext) -> str:
    of, _, field = name.partition(".")
    if of == "service" or name == "order.service":
        return _why_no_service(name, order, rule_context)
    if field in ("finished_at", "finished_ago"):
        if order.phase is Phase.OPEN:
            return f"{name} is not known: the order has not finished"
        return (
            "the finish of this order is not known: it was final when it was first checked;"
            " track such orders from a list with a column of completion times"
        )
    if field in ("age", "submitted_at"):
        return (
            f"{name} is not known well enough: the order was tracked without the time of its"
            " submission, and it may be older; track it from a list with a date column"
        )
    return f"the panel has not reported {name}"


def _why_no_service(name: str, order: Order, rule_context: RuleContext) -> str:
    if order.service is None:
        return (
            "this order's service is not known: track it from a list with a service column,"
            " or with `watcher track --service`"
        )
    if rule_context.service is None:
        # Soon after a start it may not have been read at all.
        return f"service {order.service} is not in what was read of {order.panel}'s price list"
    return f"the price list of {order.panel} has no {name} for service {order.service}"


_MONEY = Decimal("1.5")


def samples() -> list[tuple[Order, RuleContext, float]]:
    """Return an order of every status with every value known, young and old."""
    service = Service(
        id="1", name="n", category="c", rate=_MONEY, min=1, max=9, refill=True, cancel=True
    )
    rule_context = RuleContext(panel=PanelVariables("p", 10.0, "USD"), service=service)
    return [
        (_sample_order(status), rule_context, now) for status in Status for now in (60.0, 4e6, 4e8)
    ]


def _sample_order(status: Status) -> Order:
    values = {field.name: field.example for field in fields.FIELDS}
    return Order(panel="p", id="1", **{**values, "status": status, "status_text": status.value})
