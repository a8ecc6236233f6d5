"""How soon each order is expected to change: its stage and its T (hazard rate r / T).

Vectorised over the slots of `OrderTable`: a step over a hundred orders costs little more than one
over a single order.
"""

from typing import NamedTuple

import numpy as np

from watcher.orders.columns.table import GUARDED, NONE, STATUSES, OrderTable
from watcher.orders.schedule.entries import Entry, EntryState, Floats, OrderGlimpse, Slots
from watcher.orders.schedule.hazard_model import LEAST, SHORTEST_LEFT, SMOOTHING, HazardModel
from watcher.orders.schedule.poll_queue import PollQueue
from watcher.orders.schedule.service_stats import A_ROOT, USUAL_QUANTITY
from watcher.orders.schedule.stages import IS_CONSTANT, IS_PENDING, STILL, STILL_GAPS, Stage

_PENDING, _STARTING, _MOVING = Stage.PENDING, Stage.STARTING, Stage.MOVING
_STOPPED, _ENDING, _GUARDED = Stage.STOPPED, Stage.ENDING, Stage.GUARDED
_WAITS_TO_START = np.array([status in IS_PENDING for status in STATUSES])  # by a status's code
_HAS_CONSTANT_HAZARD = np.array([stage in IS_CONSTANT for stage in Stage])
_ASKED = int(EntryState.ASKED)


class Standing(NamedTuple):
    """The stages of some orders at a moment, an element for each order."""

    rows: Slots  # of their services in the model's tables
    stages: Slots
    minutes: Floats  # T: the time over which the order's change is expected
    growth: Floats  # minutes by which T grows in a minute
    since: Floats  # in progress since; estimated if the start was not observed


def standing(
    learnt: HazardModel, records: OrderTable, slots: Slots, now: float | Floats
) -> Standing:
    """Classify the orders by their last answers, at `now` (Unix time, one for all or each)."""
    rows = _rows(learnt, records, slots)
    lasts, a_root = learnt.tables.lasts[rows], learnt.tables.finished[rows, A_ROOT]
    submitted = np.asarray(records.submitted_at)[slots]
    stages, minutes, growth, since = _in_progress(records, slots, lasts, a_root, submitted, now)
    pending = _WAITS_TO_START[np.asarray(records.status)[slots]]
    guarded = np.asarray(records.phase)[slots] == GUARDED
    if pending.any():
        waiting = np.maximum((now - submitted) / 60.0, 0.0) + lasts[:, _PENDING]
        stages, minutes = np.where(pending, _PENDING, stages), np.where(pending, waiting, minutes)
        growth = np.where(pending, 1.0, growth)
    if guarded.any():
        stages[guarded], minutes[guarded], growth[guarded] = _GUARDED, 1.0, 0.0
    return Standing(rows, stages, minutes, growth, since)


def waits(learnt: HazardModel, records: OrderTable, slots: Slots, now: float) -> Floats:
    """Return the waits until the orders' next checks, in virtual time: sqrt(T / r)."""
    return _units(learnt, standing(learnt, records, slots, now))


def unchanged(poll_queue: PollQueue, learnt: HazardModel, slots: Slots, now: float) -> None:
    """Note answers of `now` with nothing new; skip orders that are not under way.

    An order that has stopped moving since its last check counts as stopped for the whole time.
    """
    records = poll_queue.records
    asked = slots[np.asarray(records.state)[slots] == _ASKED]
    found = standing(learnt, records, asked, now)
    gap = (now - np.asarray(records.checked_at)[asked]) / 60.0
    gap[~(gap > 0.0)] = 0.0  # NaN at the first answer since the start
    share = gap / np.maximum(found.minutes - found.growth * gap, LEAST)
    is_constant = _HAS_CONSTANT_HAZARD[found.stages]
    learnt.expose(found.rows, found.stages, np.where(is_constant, share, np.log1p(share)))
    np.asarray(records.failures)[asked] = 0
    np.asarray(records.alone)[asked] = 0
    poll_queue.answered(asked, _units(learnt, found), now)


def sights(learnt: HazardModel, records: OrderTable, slots: Slots) -> list[OrderGlimpse]:
    """Return the orders as they are now, each with its stage when it was asked about last."""
    found = standing(learnt, records, slots, np.asarray(records.checked_at)[slots])
    numbers = found.stages.tolist(), found.minutes.tolist(), found.since.tolist()
    return [
        OrderGlimpse(
            order=entry.order,
            asked=entry.checked_at,
            started=entry.started,
            failures=entry.failures,
            alone=entry.alone,
            stage=Stage(stage),
            minutes=minutes,
            since=since,
        )
        for entry, stage, minutes, since in zip(
            (Entry(records, slot) for slot in slots.tolist()), *numbers, strict=True
        )
    ]


def _rows(learnt: HazardModel, records: OrderTable, slots: Slots) -> Slots:
    of, words = learnt.of, records.words.values
    services = np.asarray(records.service)[slots].tolist()
    return np.array([of(words[service]).row for service in services], dtype=np.intp)


def _units(learnt: HazardModel, found: Standing) -> Floats:
    rows, stages = found.rows, found.stages
    tables, borrowed = learnt.tables, np.array(learnt.borrowed)[stages]
    exposure, changes = tables.exposure[rows, stages], tables.changes[rows, stages]
    units: Floats = np.sqrt(found.minutes * (exposure + borrowed) / (changes + SMOOTHING))
    return units


def _in_progress(
    records: OrderTable,
    slots: Slots,
    lasts: Floats,
    a_root: Floats,
    submitted: Floats,
    now: float | Floats,
) -> tuple[Slots, Floats, Floats, Floats]:
    """Return stages, T, growth and since, as if all orders were in progress."""
    remains, quantity = np.asarray(records.remains)[slots], np.asarray(records.quantity)[slots]
    moved, since = np.asarray(records.progressed_at)[slots], np.asarray(records.started)[slots]
    is_told = remains != NONE
    is_sized = (quantity != NONE) & (quantity != 0)
    size = np.where(is_sized, quantity, USUAL_QUANTITY)
    unseen = np.minimum(moved, submitted + 60.0 * lasts[:, _PENDING])
    since = np.where(np.isnan(since), unseen, since)
    age, still = np.maximum((now - since) / 60.0, 0.0), now - moved
    usual = a_root * np.sqrt(size)

    has_begun = is_told & is_sized & (remains < quantity)
    is_ending = has_begun & (remains <= 0)
    is_moving = has_begun & ~is_ending
    gap = (moved - since) / np.maximum(quantity - remains, 1)  # at least 1 once it has begun
    has_stopped = is_moving & (still > STILL) & (still > STILL + STILL_GAPS * gap)
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
        minutes[is_moving] = np.maximum(left_for, SHORTEST_LEFT)
    stands = is_ending | has_stopped
    if stands.any():
        waited = np.maximum(still[stands], 0.0) / 60.0
        minutes[stands] = waited + lasts[stands, stages[stands]]
        growth[stands] = 1.0
    return stages, minutes, growth, since
