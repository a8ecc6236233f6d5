"""Forecast for people: when and why an order is checked next, and a service's statistics."""

from math import exp, inf, log

import msgspec
import numpy as np

from watcher.common.wording import lasting, times
from watcher.model import Order, Status
from watcher.orders.schedule.entries import Entry, EntryState
from watcher.orders.schedule.hazard_model import HazardModel
from watcher.orders.schedule.poll_queue import PollQueue
from watcher.orders.schedule.stages import IS_CONSTANT, STILL, Stage
from watcher.orders.schedule.standing import rising_of, standing, units_of

HOUR = 60.0  # minutes
LONGEST = 10 * 365 * 1440.0  # minutes: longer forecasts are left out


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


def prospect(poll_queue: PollQueue, learnt: HazardModel, entry: Entry, now: float) -> Forecast:
    """Return the forecast as of now."""
    at, order = poll_queue.expected_at(entry.slot, now), entry.order
    if entry.failures:
        return Forecast(at=at, reason=f"not found at the panel, {times(entry.failures)} in a row")
    if entry.is_new:
        return Forecast(at=at, reason="the panel has not reported it yet")
    found = standing(learnt, poll_queue.records, np.array([entry.slot]), now)
    stage, minutes = Stage(int(found.stages[0])), float(found.minutes[0])
    rate, k = learnt.rate(order.service, stage), poll_queue.time.minutes_a_unit
    (units,) = units_of(learnt, found, k).tolist()
    words, soon = _words(order, stage, now), 1.0 - _unchanged(stage, minutes, rate, HOUR)
    hazard, median = HOUR * rate / minutes, _median(stage, minutes, rate)
    alike = rising_of(learnt, found)
    if stage not in IS_CONSTANT and alike.share[0] > 0.0:
        words += f"; with its service this nearly always lasts {lasting(60 * exp(alike.mean[0]))}"
        soon, median = 1.0 - float(alike.unchanged(HOUR)[0]), alike.median()
        hazard = HOUR * (1.0 - float(alike.unchanged(1.0)[0]))
    return Forecast(
        at=at,
        reason=_reason(entry, words),
        stage=stage,
        hazard=hazard,
        within_hour=soon,
        change_at=None if median > LONGEST else now + 60.0 * median,
        every=poll_queue.interval(entry.slot, units),
    )


def lesson(learnt: HazardModel, service: str, quantities: tuple[int, ...]) -> ServiceStats | None:
    """Return the service's statistics; None if there are none."""
    record = learnt.services.get(service)
    if record is None or not any(record.exposure):
        return None
    total = sum(record.ends.values())
    shares = {end: count / total for end, count in record.ends.items()}
    return ServiceStats(
        start_delay=60.0 * record.lasts[Stage.PENDING] if record.changes[Stage.PENDING] else None,
        duration={
            quantity: 60.0 * record.minutes_in_progress(quantity)
            for quantity in quantities
            if record.completions
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


def _unchanged(stage: Stage, minutes: float, rate: float, within: float) -> float:
    """Return the chance that nothing changes within so many minutes (survival function)."""
    if stage in IS_CONSTANT:
        return exp(-rate * within / minutes)
    return exp(rate * log(minutes / (minutes + within)))


def _median(stage: Stage, minutes: float, rate: float) -> float:
    """Return the median time until a change, in minutes."""
    if stage in IS_CONSTANT:
        return minutes * log(2) / rate
    return minutes * (exp(log(2) / rate) - 1.0) if rate > 0.01 else inf
