"""By when orders should be asked about, and how late the checks are."""

import numpy as np

from watcher.orders.columns.table import PHASES, OrderTable
from watcher.orders.schedule.deadlines import Deadlines
from watcher.orders.schedule.entries import EntryState, Floats, Slots

_WAITING = int(EntryState.WAITING)


class Promises:
    """The promised times of one panel's orders: slots of its records."""

    def __init__(self, records: OrderTable, deadlines: Deadlines) -> None:
        self._records = records
        self._waits = np.array([deadlines.promise(code) for code in range(len(PHASES))])

    def times(self, slots: Slots) -> Floats:
        """Return the times by which the orders should be asked about; NaN: not known."""
        records = self._records
        checked_at, phase = np.asarray(records.checked_at)[slots], np.asarray(records.phase)[slots]
        promised: Floats = checked_at + self._waits[phase]
        is_told = checked_at == checked_at
        is_apart = np.asarray(records.failures)[slots] != 0
        is_apart |= np.asarray(records.alone)[slots] != 0
        is_apart |= ~is_told & np.isnan(np.asarray(records.told_at)[slots])
        if is_apart.any():  # these have, or had, a real time
            waits = np.asarray(records.state)[slots] == _WAITING
            due = np.where(waits, np.nan, np.asarray(records.turn)[slots])
            promised = np.where(is_apart, due, promised)
        return promised

    def lag(self, slots: Slots, now: float) -> float:
        """Return the seconds by which the most overdue of the orders is late."""
        return float(np.fmax.reduce(now - self.times(slots), initial=0.0))
