"""How soon each order is expected to change: its stage and its T (hazard rate r / T).

Vectorised over the slots of `OrderTable`: a step over a hundred orders costs little more than one
over a single order.
"""

from typing import NamedTuple

import numpy as np

from watcher.orders.columns.table import GUARDED, NONE, STATUSES, OrderTable
from watcher.orders.schedule.entries import Entry, EntryState, Floats, OrderGlimpse, Slots
from watcher.orders.schedule.hazard_model import HazardModel
from watcher.orders.schedule.poll_queue import PollQueue
from watcher.orders.schedule.rising import Rising, rising
from watcher.orders.schedule.service_stats import LEAST, USUAL_QUANTITY, exposure_of
from watcher.orders.schedule.stages import (
    COLUMNS,
    DURATION,
    IS_PENDING,
    MOVEMENT,
    STILL,
    STILL_GAPS,
    Stage,
)
from watcher.orders.schedule.standstill import SOONER

_PENDING, _STARTING, _MOVING = Stage.PENDING, Stage.STARTING, Stage.MOVING
_STOPPED, _ENDING, _GUARDED = Stage.STOPPED, Stage.ENDING, Stage.GUARDED
_WAITS_TO_START = np.array([status in IS_PENDING for status in STATUSES])  # by a status's code
_ASKED = int(EntryState.ASKED)
_SHORTEST_LEFT = 2.0  # minutes
_ON_TIME, _LEFT_SPREAD = 0.9, 0.8  # share of moving orders that end about when they seem to


class OrderHazards(NamedTuple):
    """The stages of some orders at a moment, an element for each order."""

    rows: Slots  # of their services in the model's tables
    stages: Slots
    cells: Slots  # of the flat tables: by row and stage
    minutes: Floats  # T: the time over which the order's change is expected
    growth: Floats  # minutes by which T grows in a minute
    age: Floats  # minutes in the stage
    kinds: Slots  # cells of the durations of the stage: of a quantity if no remains are told
    sizes: Floats  # logarithms of the roots of these quantities, otherwise 0


def order_hazards(
    learnt: HazardModel, records: OrderTable, slots: Slots, now: float | Floats
) -> OrderHazards:
    """Classify the orders by their last answers, at `now` (Unix time, one for all or each)."""
    rows = _rows(learnt, records, slots)
    lasts, submitted = learnt.tables.lasts[rows], np.asarray(records.submitted_at)[slots]
    stages, minutes, growth, age = _in_progress(records, slots, lasts, submitted, now)
    pending = _WAITS_TO_START[np.asarray(records.status)[slots]]
    guarded = np.asarray(records.phase)[slots] == GUARDED
    if pending.any():
        age = np.where(pending, np.maximum((now - submitted) / 60.0, 0.0), age)
        stages = np.where(pending, _PENDING, stages)
        usual = lasts[:, _PENDING]
        minutes = np.where(pending, np.maximum(age, usual), minutes)
        growth = np.where(pending, age > usual, growth)
    if guarded.any():
        stages[guarded], minutes[guarded], growth[guarded] = _GUARDED, 1.0, 0.0
    cells = rows * len(COLUMNS) + stages
    is_blind = (stages == _STARTING) & (np.asarray(records.remains)[slots] == NONE)
    kinds, sizes = cells, np.zeros(len(slots))
    if is_blind.any():
        sizes[is_blind] = np.log(_sizes(records, slots[is_blind])) / 2.0
        kinds = np.where(is_blind, cells - _STARTING + DURATION, cells)
    return OrderHazards(rows, stages, cells, minutes, growth, age, kinds, sizes)


def waits(
    learnt: HazardModel, records: OrderTable, slots: Slots, now: float, k: float = 1.0
) -> Floats:
    """Return the waits until the orders' next checks, in virtual time: sqrt(T / r).

    A unit is `k` minutes; where hazards rise, the wait depends on it.
    """
    return units_of(learnt, order_hazards(learnt, records, slots, now), k)


def chances(learnt: HazardModel, found: OrderHazards, within: float | Floats) -> Floats:
    """Return the chances (0 to 1) that the orders change within so many minutes.

    Most orders that move end about when their time left has passed: neither long before nor long
    after.
    """
    alike, moves = rising_of(learnt, found), found.stages == _MOVING
    lasts = alike._replace(
        share=np.where(moves, _ON_TIME, alike.share),
        mean=np.where(moves, np.log(found.minutes), alike.mean),
        spread=np.where(moves, _LEFT_SPREAD, alike.spread),
        age=np.where(moves, 0.0, alike.age),
    ).unchanged(within)
    constant = np.exp(-alike.rate * within / found.minutes)
    changes: Floats = 1.0 - np.where(found.stages == _GUARDED, constant, lasts)
    return changes


def unchanged(poll_queue: PollQueue, learnt: HazardModel, slots: Slots, now: float) -> None:
    """Note answers of `now` with nothing new; skip orders that are not under way.

    An order that has stopped moving since its last check counts as stopped for the whole time.
    """
    records, still = poll_queue.records, poll_queue.standstill
    asked = slots[np.asarray(records.state)[slots] == _ASKED]
    found = order_hazards(learnt, records, asked, now)
    # While it stood still, no change was no evidence.
    checked_at = np.asarray(records.checked_at)[asked]
    gap = (now - np.maximum(checked_at, still.ended_at)) / 60.0
    gap[~(gap > 0.0)] = 0.0  # NaN at the first answer since the start
    before = np.maximum(found.minutes - found.growth * gap, LEAST)
    exposure = exposure_of(found.stages, before, gap)
    trusted = exposure * learnt.tables.trust.take(found.cells) * (checked_at >= still.moved_at)
    # No order changes twice in an answer: one alone never tells that the panel stands still.
    expected = np.minimum(trusted * found.minutes / _scales(learnt, found), 1.0)
    still.note(float(expected.sum()), 0, now)
    if still.since is None:
        learnt.expose(found.rows, found.stages, exposure)
    np.asarray(records.failures)[asked] = 0
    np.asarray(records.alone)[asked] = 0
    if (shown := still.clock(now)) < now:
        found = order_hazards(learnt, records, asked, shown)
    units = units_of(learnt, found, poll_queue.time.minutes_a_unit)
    poll_queue.answered(asked, units, now)


def sooner(poll_queue: PollQueue, learnt: HazardModel, slots: Slots) -> Floats:
    """Return the waits of orders not asked about since a standstill began, or since it ended.

    Once it has ended, w * P(change while it lasted) = k**2, as where hazards rise, but w is no
    longer than usual. An order that waited to start may have started and ended: two changes.
    """
    records, still, time = poll_queue.records, poll_queue.standstill, poll_queue.time
    if still.since is not None:
        return (np.asarray(records.turn)[slots] - time.v) / SOONER
    began_at = still.ended_at - still.lasted
    found = order_hazards(learnt, records, slots, began_at)
    lasted = still.ended_at - np.maximum(np.asarray(records.submitted_at)[slots], began_at)
    changes = chances(learnt, found, np.maximum(lasted / 60.0, LEAST))
    changes *= np.where(found.stages == _PENDING, 2.0, 1.0)
    k = time.minutes_a_unit
    return np.minimum(k / np.maximum(changes, 1e-9), units_of(learnt, found, k))


def glimpses(learnt: HazardModel, records: OrderTable, slots: Slots) -> list[OrderGlimpse]:
    """Return the orders as they are now, each with its stage when it was asked about last."""
    found = order_hazards(learnt, records, slots, np.asarray(records.checked_at)[slots])
    numbers = found.stages.tolist(), found.minutes.tolist(), found.age.tolist()
    return [
        OrderGlimpse(
            order=entry.order,
            asked=entry.checked_at,
            started=entry.started,
            failures=entry.failures,
            alone=entry.alone,
            stage=Stage(stage),
            minutes=minutes,
            age=age,
        )
        for entry, stage, minutes, age in zip(
            (Entry(records, slot) for slot in slots.tolist()), *numbers, strict=True
        )
    ]


def _rows(learnt: HazardModel, records: OrderTable, slots: Slots) -> Slots:
    of, words = learnt.of, records.words.values
    services = np.asarray(records.service)[slots].tolist()
    return np.array([of(words[service]).row for service in services], dtype=np.intp)


def rising_of(learnt: HazardModel, found: OrderHazards) -> Rising:
    """Return how soon the orders change where their hazards may rise."""
    rate = found.minutes / _scales(learnt, found)
    return rising(learnt.tables, found.kinds, found.sizes, found.age, found.minutes, rate)


def _scales(learnt: HazardModel, found: OrderHazards) -> Floats:
    return learnt.scales(found.rows, found.stages, found.minutes)


def units_of(learnt: HazardModel, found: OrderHazards, k: float) -> Floats:
    """Return the orders' waits in units of k minutes."""
    units: Floats = np.sqrt(_scales(learnt, found))
    is_narrow = learnt.tables.is_narrow.take(found.kinds)
    if is_narrow.any():
        some = OrderHazards._make(column[is_narrow] for column in found)
        units[is_narrow] = rising_of(learnt, some).waits(k)
    return units


def _sizes(records: OrderTable, slots: Slots) -> Floats:
    """Return the orders' quantities, or a usual one."""
    quantity = np.asarray(records.quantity)[slots]
    sizes: Floats = np.where(quantity > 0, quantity, float(USUAL_QUANTITY))
    return sizes


def _in_progress(
    records: OrderTable,
    slots: Slots,
    lasts: Floats,
    submitted: Floats,
    now: float | Floats,
) -> tuple[Slots, Floats, Floats, Floats]:
    """Return stages, T, growth and age, as if all orders were in progress."""
    remains, quantity = np.asarray(records.remains)[slots], np.asarray(records.quantity)[slots]
    moved, since = np.asarray(records.progressed_at)[slots], np.asarray(records.started)[slots]
    is_told = remains != NONE
    is_sized, size = quantity > 0, _sizes(records, slots)
    unseen = np.minimum(moved, submitted + 60.0 * lasts[:, _PENDING])
    since = np.where(np.isnan(since), unseen, since)
    age, still = np.maximum((now - since) / 60.0, 0.0), now - moved
    usual = lasts[:, DURATION] * np.sqrt(size)

    has_begun = is_told & is_sized & (remains < quantity)
    is_ending = has_begun & (remains <= 0)
    is_moving = has_begun & ~is_ending
    gap = (moved - since) / np.maximum(quantity - remains, 1)  # at least 1 once it has begun
    usual_gap = np.maximum(gap, 60.0 * lasts[:, MOVEMENT])
    has_stopped = is_moving & (still > STILL) & (still > STILL + STILL_GAPS * usual_gap)
    is_moving &= ~has_stopped
    stages = np.full(len(slots), int(_STARTING))
    stages[is_ending], stages[has_stopped], stages[is_moving] = _ENDING, _STOPPED, _MOVING

    # Starting, without remains: the end is expected at its usual time.
    is_early = ~is_told & (age < usual)
    minutes = np.where(is_early, 2 * usual - age, age + usual * is_told)
    growth = np.where(is_early, -1.0, 1.0)
    if is_moving.any():  # the undelivered share by speed, smoothed by the usual speed
        left = remains[is_moving] / size[is_moving]
        growth[is_moving] = slowness = left / (1.1 - left)
        left_for = slowness * (age + 0.1 * usual)[is_moving]
        minutes[is_moving] = np.maximum(left_for, _SHORTEST_LEFT)
    stands = is_ending | has_stopped
    if stands.any():
        waited = np.maximum(still[stands], 0.0) / 60.0
        minutes[stands] = waited + lasts[stands, stages[stands]]
        growth[stands], age[stands] = 1.0, waited
    return stages, minutes, growth, age
