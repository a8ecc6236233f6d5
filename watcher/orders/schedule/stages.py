"""How far an order is, as its last answer tells: what its next change depends on."""

from enum import IntEnum

from watcher.model import FINAL, Order, Phase, Status

STILL = 300.0  # seconds without movement, and
STILL_GAPS = 4.0  # usual gaps between two units, after which an order counts as stopped


class Stage(IntEnum):
    """A class of orders whose next change is expected in the same way."""

    PENDING = 0
    STARTING = 1  # in progress, nothing delivered yet, or the panel does not tell
    MOVING = 2
    STOPPED = 3  # delivered some, and does not move
    ENDING = 4  # nothing remains; the final status is still to come
    GUARDED = 5
    REFILL = 6  # a refill task


_PENDING, _STARTING, _MOVING = Stage.PENDING, Stage.STARTING, Stage.MOVING
_STOPPED, _ENDING, _GUARDED = Stage.STOPPED, Stage.ENDING, Stage.GUARDED
IS_PENDING = frozenset({Status.PENDING, Status.UNKNOWN})


def stage_of(order: Order, started: float, now: float) -> Stage:
    """The order's stage at `now`, by its last answer; it is in progress since `started`."""
    if order.phase is Phase.GUARDED:
        return _GUARDED
    if order.status in IS_PENDING:
        return _PENDING
    return stage_in_progress(order.remains, order.quantity, order.progressed_at, started, now)


def stage_in_progress(
    remains: int | None, quantity: int | None, progressed_at: float, started: float, now: float
) -> Stage:
    """The same for an order that is neither pending nor guarded."""
    if remains is None or not quantity or remains >= quantity:
        return _STARTING
    if remains <= 0:
        return _ENDING
    still = now - progressed_at
    if still > STILL:
        gap = (progressed_at - started) / (quantity - remains)
        if still > STILL + STILL_GAPS * gap:
            return _STOPPED
    return _MOVING


def status_class(status: Status) -> int:
    """0 pending, 1 in progress, 2 final: moves between these are the changes that count."""
    if status in FINAL:
        return 2
    return 0 if status in IS_PENDING else 1
