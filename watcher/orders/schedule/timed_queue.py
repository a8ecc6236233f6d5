"""Orders that are asked about at a real time, the soonest first."""

import heapq
from math import inf

from watcher.orders.columns.table import OrderTable
from watcher.orders.schedule.entries import EntryState

_APPOINTED = int(EntryState.APPOINTED)


class TimedQueue:
    """Some may be stale, as state and turn of the order tell: they stay until they are first."""

    def __init__(self, records: OrderTable) -> None:
        self._state, self._turn = records.state, records.turn
        self._heap: list[tuple[float, int, int]] = []  # Unix time, serial number, slot
        self._serial = 0

    def __len__(self) -> int:
        return len(self._heap)

    def add(self, slot: int, at: float) -> None:
        """Ask about the order then, and not as it was to be before."""
        self._turn[slot] = at
        self._state[slot] = _APPOINTED
        self._serial += 1
        heapq.heappush(self._heap, (at, self._serial, slot))

    def next_at(self) -> float:
        """When the first of them is due; infinity where there is none."""
        heap = self._heap
        while heap:
            at, _, slot = heap[0]
            if self._state[slot] == _APPOINTED and self._turn[slot] == at:
                return at
            heapq.heappop(heap)
        return inf

    def first(self) -> int:
        """The order whose time `next_at` has just told."""
        return self._heap[0][2]

    def pop(self) -> None:
        """It is no longer among them."""
        heapq.heappop(self._heap)

    def lowest(self, count: int) -> list[int]:
        """About so many of the first orders."""
        return [slot for _, _, slot in heapq.nsmallest(count, self._heap)]
