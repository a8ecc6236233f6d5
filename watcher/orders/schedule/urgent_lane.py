"""Urgent lane: orders that somebody wants checked now. They go ahead of all others."""

from collections.abc import Iterable

from watcher.orders.columns.table import OrderTable
from watcher.orders.schedule.entries import EntryState
from watcher.orders.schedule.timed_queue import TimedQueue

BURST = 30.0  # seconds for which whole requests of the lane may follow each other


class UrgentLane(TimedQueue):
    """Orders that are asked about first, until each is answered.

    After BURST, its requests alternate with those of other orders that are due. So many urgent
    orders delay the others, and never stop them.
    """

    def __init__(self, records: OrderTable, gap: float) -> None:
        super().__init__(records)
        self._checked_at, self._gap = records.checked_at, gap
        self._wanted: set[int] = set()
        self._since: float | None = None  # since when it takes whole requests
        self._was_last = False  # it took the whole last request

    def __contains__(self, slot: object) -> bool:
        return slot in self._wanted

    def want(self, slot: int, now: float) -> None:
        """Ask about the order with the next request, or once `gap` has passed since its check."""
        is_queued = slot in self._wanted and self._state[slot] == EntryState.APPOINTED
        self._wanted.add(slot)
        if self._state[slot] == EntryState.ASKED:  # its answer counts; without one it is next
            self._turn[slot] = now
            return
        if is_queued:
            return
        rests = 0.0 <= now - self._checked_at[slot] < self._gap  # False if that is not known
        self.add(slot, self._checked_at[slot] + self._gap if rests else now)

    def put_back(self, slot: int) -> bool:
        """Ask about the order again if it is urgent; return whether it is."""
        if slot in self._wanted:
            self.add(slot, self._turn[slot])
        return slot in self._wanted

    def leave(self, slots: Iterable[int]) -> None:
        """Forget orders that were answered, or are no longer watched."""
        if self._wanted:
            self._wanted.difference_update(slots)

    def is_greedy(self, now: float) -> bool:
        """Return whether it has taken whole requests for so long that others are next."""
        return self._was_last and self._since is not None and now - self._since >= BURST

    def note(self, now: float, *, has_yielded: bool, took_all: bool) -> None:
        """Note who the orders of the request of `now` were from."""
        self._was_last = took_all
        if took_all and self._since is None:
            self._since = now
        elif not took_all and not has_yielded:
            self._since = None
