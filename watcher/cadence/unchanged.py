"""The same as `Learnt.answered` and `units`, for orders in columns whose answers say nothing new.

Most answers do that, by far: it is made to be quick.
"""

from collections.abc import Iterable
from math import log1p, sqrt

from watcher.cadence.agenda import Agenda
from watcher.cadence.entries import State
from watcher.cadence.learnt import (
    SMOOTHING,
    Learnt,
    ServiceRecord,
    minutes_pending,
    standing_in_progress,
)
from watcher.cadence.stages import IS_PENDING, Stage
from watcher.records import GUARDED, NONE, STATUSES, Records

_PENDING, _MOVING, _GUARDED = Stage.PENDING, Stage.MOVING, Stage.GUARDED
_WAITS_TO_START = tuple(status in IS_PENDING for status in STATUSES)  # by a status's code
_ASKED = int(State.ASKED)
_LEAST = 1 / 60  # minutes


def unchanged(agenda: Agenda, learnt: Learnt, slots: Iterable[int], now: float) -> None:
    """The panel told at `now` of those of these orders that are under way, and no news.

    An order that has stopped moving since it was asked about counts as stopped all the time.
    """
    records, services = agenda.records, learnt.services
    words, service, state = records.words.values, records.service, records.state
    checked_at, failures, alone = records.checked_at, records.failures, records.alone
    borrowed, total = learnt.borrowed, learnt.exposure
    asked = [slot for slot in slots if state[slot] == _ASKED]
    waits = []
    for slot in asked:
        record = services.get(words[service[slot]]) or learnt.of(words[service[slot]])
        stage, minutes, growth = _standing(record, records, slot, now)
        gap = (now - checked_at[slot]) / 60.0
        if gap > 0.0:  # NaN where it is the first answer since the start
            then = minutes - growth * gap
            then = then if then > _LEAST else _LEAST
            is_constant = stage is _MOVING or stage is _GUARDED
            exposure = gap / then if is_constant else log1p(gap / then)
            record.exposure[stage] += exposure
            record.touched = True
            total[stage] += exposure
        failures[slot] = alone[slot] = 0
        scale = (record.exposure[stage] + borrowed[stage]) / (record.changes[stage] + SMOOTHING)
        waits.append(sqrt(minutes * scale))
    agenda.answered_all(asked, waits, now)


def wait_of(learnt: Learnt, records: Records, slot: int, now: float) -> float:
    """The wait until the order's next check, in virtual time: sqrt(T / r)."""
    record = learnt.of(records.words.values[records.service[slot]])
    stage, minutes, _ = _standing(record, records, slot, now)
    return sqrt(learnt.scale(record, stage, minutes))


def _standing(
    record: ServiceRecord, records: Records, slot: int, now: float
) -> tuple[Stage, float, float]:
    """The order's stage, its T in minutes, and how many minutes T grows in one."""
    if records.phase[slot] == GUARDED:
        return _GUARDED, 1.0, 0.0
    if _WAITS_TO_START[records.status[slot]]:
        return _PENDING, minutes_pending(record, records.submitted_at[slot], now), 1.0
    remains, quantity = records.remains[slot], records.quantity[slot]
    moved, since = records.progressed_at[slot], records.started[slot]
    if since != since:
        since = min(moved, records.submitted_at[slot] + 60.0 * record.lasts[_PENDING])
    return standing_in_progress(
        record,
        None if remains == NONE else remains,
        None if quantity == NONE else quantity,
        moved,
        since,
        now,
    )
