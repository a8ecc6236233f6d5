"""Makes an order to be tracked from what is known about it."""

from typing import Any

import msgspec

from watcher.errors import RequestError
from watcher.model import Order, Origin
from watcher.orders.labels import labels_from

CLOCK_SKEW = 300.0  # seconds by which another clock may be ahead
_DAY = 86400.0

OrderRef = tuple[str, str]  # a panel, and an order's id there


def new_order(
    panel: str,
    order_id: str,
    now: float,
    *,
    submitted_at: float | None = None,
    finished_at: float | None = None,
    **given: Any,
) -> Order:
    """Return an order to be tracked from `now` on; raise RequestError if it can't be.

    `finished_at` counts only if the panel says at the first check that the order is final. `given`
    are the other fields that a caller gives, by their names in `watcher.orders.fields`.
    """
    printable = order_id.isprintable() and " " not in order_id and "," not in order_id
    if not order_id or len(order_id) > 64 or not printable:
        raise RequestError(f"{order_id[:64]!r} is not an order id")
    for name, at in (("submitted_at", submitted_at), ("finished_at", finished_at)):
        if at is not None and at > now + CLOCK_SKEW:
            raise RequestError(f"{name} lies in the future")
    submitted, finished = _times(submitted_at, finished_at, now)
    labels = msgspec.structs.asdict(labels_from(given))
    return Order(
        panel=panel,
        id=order_id,
        submitted_at=submitted,
        progressed_at=now,  # earlier progress is not known
        finished_at=finished,
        origin=_origin(submitted_at, finished, now),
        **{**given, **labels},
    )


def _times(
    submitted_at: float | None, finished_at: float | None, now: float
) -> tuple[float, float | None]:
    """Return when an order was submitted, at the latest, and finished, None if not known."""
    submitted = now if submitted_at is None else min(submitted_at, now)
    if finished_at is None:
        return submitted, None
    finished = min(finished_at, now)
    if submitted_at is None:
        return finished, finished
    if finished < submitted - _DAY:
        raise RequestError("finished_at lies before submitted_at")
    return submitted, max(finished, submitted)  # a list may give only the day


def _origin(submitted_at: float | None, finished_at: float | None, now: float) -> Origin:
    if submitted_at is None:
        return Origin.UNDATED
    is_new = finished_at is None and submitted_at >= now - CLOCK_SKEW
    return Origin.WHOLE if is_new else Origin.DATED
