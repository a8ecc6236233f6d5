"""The same as `Learnt.answered` and `units`, for many orders in columns at once.

Most answers say nothing new, by far: it is made to be quick. A step over a hundred orders costs
little more than one over a single order.
"""

import numpy as np

from watcher.orders.columns.table import GUARDED, NONE, STATUSES, OrderTable
from watcher.orders.schedule.entries import EntryState, Floats, Slots
from watcher.orders.schedule.hazard_model import (
    LEAST,
    SHORTEST_LEFT,
    SMOOTHING,
    HazardModel,
)
from watcher.orders.schedule.poll_queue import PollQueue
from watcher.orders.schedule.service_stats import A_ROOT, USUAL_QUANTITY
from watcher.orders.schedule.stages import IS_PENDING, STILL, STILL_GAPS, Stage

_PENDING, _STARTING, _MOVING = Stage.PENDING, Stage.STARTING, Stage.MOVING
_STOPPED, _ENDING, _GUARDED = Stage.STOPPED, Stage.ENDING, Stage.GUARDED
_WAITS_TO_START = np.array([status in IS_PENDING for status in STATUSES])  # by a status's code
_IS_CONSTANT = np.array([stage in (_MOVING, _GUARDED) for stage in Stage])  # its hazard
_ASKED = int(EntryState.ASKED)


def unchanged(poll_queue: PollQueue, learnt: HazardModel, slots: Slots, now: float) -> None:
    """The panel told at `now` of those of these orders that are under way, and no news.

    An order that has stopped moving since it was asked about counts as stopped all the time.
    """
    records = poll_queue.records
    asked = slots[np.asarray(records.state)[slots] == _ASKED]
    rows = _rows(learnt, records, asked)
    stages, minutes, growth = _standing_all(learnt, records, asked, rows, now)
    gap = (now - np.asarray(records.checked_at)[asked]) / 60.0
    gap[~(gap > 0.0)] = 0.0  # NaN where it is the first answer since the start
    share = gap / np.maximum(minutes - growth * gap, LEAST)
    learnt.expose(rows, stages, np.where(_IS_CONSTANT[stages], share, np.log1p(share)))
    np.asarray(records.failures)[asked] = 0
    np.asarray(records.alone)[asked] = 0
    poll_queue.answered_all(asked, _units(learnt, rows, stages, minutes), now)


def waits(learnt: HazardModel, records: OrderTable, slots: Slots, now: float) -> Floats:
    """The waits until the orders' next checks, in virtual time: sqrt(T / r)."""
    rows = _rows(learnt, records, slots)
    stages, minutes, _ = _standing_all(learnt, records, slots, rows, now)
    return _units(learnt, rows, stages, minutes)


def _rows(learnt: HazardModel, records: OrderTable, slots: Slots) -> Slots:
    """The orders' services, by their rows in what was learnt."""
    of, words = learnt.of, records.words.values
    services = np.asarray(records.service)[slots].tolist()
    return np.array([of(words[service]).row for service in services], dtype=np.intp)


def _units(learnt: HazardModel, rows: Slots, stages: Slots, minutes: Floats) -> Floats:
    tables, borrowed = learnt.tables, np.array(learnt.borrowed)[stages]
    exposure, changes = tables.exposure[rows, stages], tables.changes[rows, stages]
    units: Floats = np.sqrt(minutes * (exposure + borrowed) / (changes + SMOOTHING))
    return units


def _standing_all(
    learnt: HazardModel, records: OrderTable, slots: Slots, rows: Slots, now: float
) -> tuple[Slots, Floats, Floats]:
    """The orders' stages, their T in minutes, and how many minutes T grows in one."""
    status, phase = np.asarray(records.status)[slots], np.asarray(records.phase)[slots]
    submitted = np.asarray(records.submitted_at)[slots]
    lasts = learnt.tables.lasts[rows]
    stages, minutes, growth = _in_progress(
        records, slots, lasts, learnt.tables.finished[rows, A_ROOT], submitted, now
    )
    pending, guarded = _WAITS_TO_START[status], phase == GUARDED
    if pending.any():
        waiting = np.maximum((now - submitted) / 60.0, 0.0) + lasts[:, _PENDING]
        stages, minutes = np.where(pending, _PENDING, stages), np.where(pending, waiting, minutes)
        growth = np.where(pending, 1.0, growth)
    if guarded.any():
        stages[guarded], minutes[guarded], growth[guarded] = _GUARDED, 1.0, 0.0
    return stages, minutes, growth


def _in_progress(
    records: OrderTable, slots: Slots, lasts: Floats, a_root: Floats, submitted: Floats, now: float
) -> tuple[Slots, Floats, Floats]:
    """The same as if all were in progress: what `stages` and `learnt` say of one order."""
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
    gap = (moved - since) / np.maximum(quantity - remains, 1)  # at least 1 where it has begun
    has_stopped = is_moving & (still > STILL) & (still > STILL + STILL_GAPS * gap)
    is_moving &= ~has_stopped
    stages = np.full(len(slots), int(_STARTING))
    stages[is_ending], stages[has_stopped], stages[is_moving] = _ENDING, _STOPPED, _MOVING

    # Starting: the end is expected about when it usually comes, where the panel tells no more.
    is_early = ~is_told & (age < usual)
    minutes = np.where(is_early, 2 * usual - age, age + usual * is_told)
    growth = np.where(is_early, -1.0, 1.0)
    if is_moving.any():  # the undelivered share by speed, the speed smoothed by what is usual
        left = remains[is_moving] / size[is_moving]
        growth[is_moving] = slowness = left / (1.1 - left)
        left_for = slowness * (age + 0.1 * usual)[is_moving]
        minutes[is_moving] = np.maximum(left_for, SHORTEST_LEFT)
    stands = is_ending | has_stopped
    if stands.any():
        waited = np.maximum(still[stands], 0.0) / 60.0
        minutes[stands] = waited + lasts[stands, stages[stands]]
        growth[stands] = 1.0
    return stages, minutes, growth
