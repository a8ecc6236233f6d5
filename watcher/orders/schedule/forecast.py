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

WORDS = {
    Stage.PENDING: "waits to start",
    Stage.STARTING: "in progress, with nothing delivered yet",
    Stage.MOVING: "is being delivered",
    Stage.STOPPED: "in progress, but does not move",
    Stage.ENDING: "delivered; the final status is still to come",
    Stage.GUARDED: "finished, and inside the time in which rules may refill it",
}


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
        return Forecast(
            at=at, reason=f"the panel did not report it, {times(entry.failures)} in a row"
        )
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
    """Describe the order's stage without contradicting the values shown beside it."""
    if stage is Stage.PENDING and order.status is Status.UNKNOWN:
        return "its status is not understood: it is checked as if it waited to start"
    if stage is Stage.STARTING and order.remains is None:
        return "in progress; the panel does not report how much remains"
    if stage is Stage.STARTING and not order.quantity:
        return "in progress; its quantity is not known, so neither is how much is delivered"
    if stage is Stage.MOVING and now - order.progressed_at > STILL:
        return "is being delivered, in steps that lie far apart"
    return WORDS[stage]


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
