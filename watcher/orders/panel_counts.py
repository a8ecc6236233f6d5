"""Counts of one panel's watched orders."""

from array import array
from collections.abc import Iterator
from math import inf

import msgspec
import numpy as np
from numpy.typing import NDArray

from watcher.orders.columns.table import OPEN, OrderTable
from watcher.orders.schedule import PollQueue
from watcher.orders.schedule.entries import Floats, Slots

AT_ONCE = 2_000  # orders in one slice: some milliseconds
MOST_STALLED = 10_000  # keys of stalled orders that are kept


class PanelCounts(msgspec.Struct, frozen=True, kw_only=True):
    """Counts of one panel's orders at a moment."""

    due: int = 0
    oldest_due: float | None = None
    oldest_open: float | None = None
    stalled: int = 0
    open: int = 0
    guarded: int = 0
    problems: int = 0  # orders whose status the panel does not report
    problem_id: str = ""  # one of them
    stalled_keys: "array[int]" = msgspec.field(  # of some stalled orders, unsorted
        default_factory=lambda: array("q")
    )


def count(poll_queue: PollQueue, now: float, stalled_after: float) -> Iterator[PanelCounts]:
    """Count the orders slice by slice; yield the counts so far, at last of all orders.

    Other tasks may run between two slices.
    """
    panel_counts = PanelCounts()
    for start in range(0, max(1, len(poll_queue.records.number)), AT_ONCE):
        end = min(start + AT_ONCE, len(poll_queue.records.number))
        panel_counts = _add(
            panel_counts, poll_queue, np.arange(start, end), now, now - stalled_after
        )
        yield panel_counts


def _add(
    so_far: PanelCounts, poll_queue: PollQueue, slots: Slots, now: float, stalled_before: float
) -> PanelCounts:
    records = poll_queue.records
    slots = slots[np.asarray(records.state)[slots] != 0]  # the others are not watched
    promised = poll_queue.promised(slots)
    due = promised[promised <= now]
    still_open = slots[np.asarray(records.phase)[slots] == OPEN]
    stalled = still_open[np.asarray(records.progressed_at)[still_open] < stalled_before]
    unreported = slots[_is_unreported(records, slots)]
    keys = so_far.stalled_keys
    keys.extend(np.asarray(records.key)[stalled][: MOST_STALLED - len(keys)].tolist())
    return PanelCounts(
        due=so_far.due + len(due),
        oldest_due=_oldest(so_far.oldest_due, due),
        oldest_open=_oldest(so_far.oldest_open, np.asarray(records.submitted_at)[still_open]),
        stalled=so_far.stalled + len(stalled),
        open=so_far.open + len(still_open),
        guarded=so_far.guarded + len(slots) - len(still_open),
        problems=so_far.problems + len(unreported),
        problem_id=so_far.problem_id or next(map(records.id, unreported[:1].tolist()), ""),
        stalled_keys=keys,
    )


def _is_unreported(records: OrderTable, slots: Slots) -> NDArray[np.bool_]:
    """Return which orders have a problem that lasts.

    After the first failure the order is asked about again within a minute: a panel may show a new
    order late, or leave one out by mistake. No failure: the problem is from before a restart.
    """
    has_problem: NDArray[np.bool_] = np.asarray(records.problem)[slots] != 0
    lasts: NDArray[np.bool_] = np.asarray(records.failures)[slots] != 1
    return has_problem & lasts


def _oldest(so_far: float | None, times: Floats) -> float | None:
    oldest = float(times.min(initial=inf if so_far is None else so_far))
    return None if oldest == inf else oldest
