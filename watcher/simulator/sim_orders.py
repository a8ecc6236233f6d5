"""Orders of a simulated panel and what each is at a given time."""

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
    """What was ordered. `fate` is kept only where a test gave it: others are drawn anew."""

    service: int
    link: str
    quantity: int
    paid: Decimal
    placed: float
    fate: Fate | None = None


class OrderRow(msgspec.Struct, frozen=True, gc=False):
    """An order as the panel shows it."""

    charge: Decimal
    start_count: int
    status: str
    remains: int

    def fields(self) -> dict[str, object]:
        return {
            "charge": self.charge,
            "start_count": self.start_count,
            "status": self.status,
            "remains": self.remains,
        }


def row_at(order: SimOrder, fate: Fate, now: float, cancel_at: float = NEVER) -> OrderRow:
    """What the order is at a time, if a cancel takes effect at `cancel_at`."""
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
    """When the order gets its final status."""
    if fate.ending is Ending.STALLED:
        return cancel_at
    return min(_span(order, fate)[1] + fate.linger, cancel_at)


def delivered_at(order: SimOrder, fate: Fate, now: float) -> int:
    """How many were delivered until then."""
    begin, finish, goal = _span(order, fate)
    # Compared, not computed: a rounding error at the end would leave one undelivered for ever.
    if now >= finish:
        return goal
    return min(goal, int((now - begin) * fate.per_minute / MINUTE)) if now > begin else 0


def refundable(order: SimOrder, fate: Fate) -> bool:
    """Whether a part of the price will come back by itself."""
    return fate.ending is not Ending.STALLED and _goal(order, fate) < order.quantity


def _span(order: SimOrder, fate: Fate) -> tuple[float, float, int]:
    """When delivery begins, when it has delivered all it ever will, and how many that are."""
    begin = order.placed + fate.pending + fate.processing
    goal = _goal(order, fate)
    return begin, begin + goal * MINUTE / fate.per_minute, goal


def _goal(order: SimOrder, fate: Fate) -> int:
    """How many this order will ever get."""
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
