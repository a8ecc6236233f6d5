"""Orders of a simulated panel, and their rows at a given time."""

from decimal import Decimal

import msgspec

from watcher.simulator.catalog import cents
from watcher.simulator.fate import MINUTE, NEVER, Ending, Fate

PENDING = "Pending"
PROCESSING = "Processing"
IN_PROGRESS = "In progress"
COMPLETED = "Completed"
PARTIAL = "Partial"
CANCELED = "Canceled"

FINAL = frozenset({COMPLETED, PARTIAL, CANCELED})
NOTHING = Decimal("0.00000")


class SimOrder(msgspec.Struct, gc=False):
    """A placed order. Only tests set `fate`; other fates are drawn when needed."""

    service: int
    link: str
    quantity: int
    paid: Decimal
    placed: float
    fate: Fate | None = None


class OrderRow(msgspec.Struct, frozen=True, gc=False):
    """An order's row in the panel's answer."""

    charge: Decimal
    start_count: int
    status: str
    remains: int

    def fields(self) -> dict[str, object]:
        return msgspec.structs.asdict(self)


def row_at(order: SimOrder, fate: Fate, now: float, cancel_at: float = NEVER) -> OrderRow:
    """Return the order's row at a time; a cancel takes effect at `cancel_at`."""
    end = ends_at(order, fate, cancel_at)
    at = min(now, end)
    delivered = delivered_at(order, fate, at)
    begin = order.placed + fate.pending + fate.processing
    if now >= end:
        status = _final(order, delivered)
    else:
        status = IN_PROGRESS if now >= begin else _waiting(order, fate, now)
    return OrderRow(
        _charge(order, status, delivered),
        fate.start_count if at >= begin else 0,
        status,
        order.quantity - delivered,
    )


def ends_at(order: SimOrder, fate: Fate, cancel_at: float = NEVER) -> float:
    """Return when the order gets its final status."""
    if fate.ending is Ending.STALLED:
        return cancel_at
    return min(_span(order, fate)[1] + fate.linger, cancel_at)


def delivered_at(order: SimOrder, fate: Fate, now: float) -> int:
    """Return how many units were delivered until `now`."""
    begin, finish, goal = _span(order, fate)
    # Compared, not computed: a rounding error at the end would leave one undelivered forever.
    if now >= finish:
        return goal
    return min(goal, int((now - begin) * fate.per_minute / MINUTE)) if now > begin else 0


def refundable(order: SimOrder, fate: Fate) -> bool:
    """Return whether a part of the price will be refunded."""
    return fate.ending is not Ending.STALLED and _goal(order, fate) < order.quantity


def _span(order: SimOrder, fate: Fate) -> tuple[float, float, int]:
    """Return when delivery begins, when it ends, and how many units are delivered by then."""
    begin = order.placed + fate.pending + fate.processing
    goal = _goal(order, fate)
    return begin, begin + goal * MINUTE / fate.per_minute, goal


def _goal(order: SimOrder, fate: Fate) -> int:
    """Return how many units this order will ever deliver."""
    if fate.ending is Ending.COMPLETED:
        return order.quantity
    if fate.ending is Ending.CANCELED:
        return 0
    return min(max(1, int(order.quantity * fate.share)), order.quantity - 1)


def _waiting(order: SimOrder, fate: Fate, now: float) -> str:
    return PENDING if now < order.placed + fate.pending else PROCESSING


def _final(order: SimOrder, delivered: int) -> str:
    if delivered == order.quantity:
        return COMPLETED
    return PARTIAL if delivered else CANCELED


def _charge(order: SimOrder, status: str, delivered: int) -> Decimal:
    if status == PARTIAL:
        return cents(order.paid * delivered / order.quantity)
    return NOTHING if status == CANCELED else order.paid
