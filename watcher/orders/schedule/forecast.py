"""Forecast for people: when and why an order is checked next, and a service's statistics."""

from math import exp, inf

import msgspec
import numpy as np

from watcher.common.wording import lasting, times
from watcher.model import Order, Status
from watcher.orders.schedule.entries import Entry, EntryState
from watcher.orders.schedule.hazard_model import HazardModel
from watcher.orders.schedule.order_hazards import (
    OrderHazards,
    chances,
    order_hazards,
    rising_of,
    units_of,
)
from watcher.orders.schedule.poll_queue import PollQueue
from watcher.orders.schedule.service_stats import LEAST, NARROW
from watcher.orders.schedule.stages import DURATION, STILL, Stage

HOUR = 60.0  # minutes
LONGEST = 10 * 365 * 1440.0  # minutes: longer forecasts are left out
_TIMES = np.geomspace(LEAST, LONGEST, 500)  # minutes


class Forecast(msgspec.Struct, frozen=True, kw_only=True):
    """Forecast of an order. `stage` is None where the panel does not answer about the order."""

    at: float | None
    reason: str
    stage: Stage | None = None
    hazard: float | None = None  # expected changes an hour, as of now
    within_hour: float | None = None  # chance (0 to 1) of a change within the hour
    change_at: float | None = None  # by then it has changed with a probability of one half
    every: float | None = None  # seconds between two checks, as things stand


class ServiceStats(msgspec.Struct, frozen=True, kw_only=True):
    """Statistics of a service; durations in seconds, shares from 0 to 1.

    `orders` counts the ends behind the shares; old ones weigh less.
    """

    start_delay: float | None
    duration: dict[int, float]  # by quantity
    orders: float
    completed: float | None
    partial: float | None
    canceled: float | None


def predict(poll_queue: PollQueue, learnt: HazardModel, entry: Entry, now: float) -> Forecast:
    """Return the forecast as of now."""
    at, order = poll_queue.expected_at(entry.slot, now), entry.order
    if entry.failures:
        return Forecast(at=at, reason=f"not found at the panel, {times(entry.failures)} in a row")
    if entry.is_new:
        return Forecast(at=at, reason="the panel has not reported it yet")
    found = order_hazards(learnt, poll_queue.records, np.array([entry.slot]), now)
    stage = Stage(int(found.stages[0]))
    (units,) = units_of(learnt, found, poll_queue.time.minutes_a_unit).tolist()
    words, alike = _words(order, stage, now), rising_of(learnt, found)
    if alike.share[0] > 0.0 and alike.spread[0] < NARROW[1]:
        words += f"; with its service this nearly always lasts {lasting(60 * exp(alike.mean[0]))}"
    at_times = OrderHazards._make(np.repeat(column, len(_TIMES)) for column in found)
    soon = chances(learnt, at_times, _TIMES)
    median = float(np.interp(0.5, soon, _TIMES, right=inf))
    return Forecast(
        at=at,
        reason=_reason(entry, words),
        stage=stage,
        hazard=HOUR * float(soon[0]) / LEAST,
        within_hour=float(np.interp(HOUR, _TIMES, soon)),
        change_at=None if median == inf else now + 60.0 * median,
        every=poll_queue.seconds(units, poll_queue.cap(order.phase)),
    )


def stats_of(learnt: HazardModel, service: str, quantities: tuple[int, ...]) -> ServiceStats | None:
    """Return the service's statistics; None if there are none."""
    record = learnt.services.get(service)
    if record is None or not any(record.exposure):
        return None
    total = sum(record.ends.values())
    shares = {end: count / total for end, count in record.ends.items()}
    start_delay = 60.0 * float(record.lasts[Stage.PENDING])
    return ServiceStats(
        start_delay=start_delay if record.changes[Stage.PENDING] else None,
        duration={
            quantity: 60.0 * record.minutes_in_progress(quantity)
            for quantity in quantities
            if record.changes[DURATION]
        },
        orders=total,
        completed=shares.get("completed", 0.0) if total else None,
        partial=shares.get("partial", 0.0) if total else None,
        canceled=shares.get("canceled", 0.0) if total else None,
    )


def _words(order: Order, stage: Stage, now: float) -> str:
    """Describe the order by the values that are shown beside it, not by what its stage assumes."""
    is_guarded = stage is Stage.GUARDED
    if order.status is Status.UNKNOWN:
        as_if = "finished, as it was before" if is_guarded else "waiting to start"
        return f"its status is not understood, so it counts as {as_if}"
    if is_guarded:
        return "finished, and still guarded: rules may refill it"
    if order.status is Status.PENDING and not _may_have_begun(order):
        return "waits to start"
    return f"{order.status.replace('_', ' ')}; {_delivery(order, stage, now)}"


def _delivery(order: Order, stage: Stage, now: float) -> str:
    left, quantity = order.remains, order.quantity
    if left is None:
        return "the panel does not report how much remains"
    if left <= 0:
        return "nothing remains, the final status is still to come"
    if stage is Stage.STOPPED:
        return "it has stopped moving"
    if not quantity:
        return f"{left:,} remain of a quantity that is not known"
    if left >= quantity:
        return "all of it still remains"
    if stage is not Stage.MOVING:
        return "a part of it is delivered"
    is_slow = now - order.progressed_at > STILL
    return "it moves in steps that lie far apart" if is_slow else "it is being delivered"


def _may_have_begun(order: Order) -> bool:
    """Return whether the panel may have delivered a part: for all that is shown, it may."""
    return order.remains is not None and order.remains < (order.quantity or inf)


def _reason(entry: Entry, words: str) -> str:
    if entry.state is EntryState.ASKED:
        return f"{words}: a check is under way"
    if entry.state is EntryState.APPOINTED:
        return f"{words}: its check is due at this time, whatever else waits"
    return words
