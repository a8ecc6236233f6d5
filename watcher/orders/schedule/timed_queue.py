"""Timed queue: orders that are asked about at a real time, the soonest first."""

import heapq
from math import inf

from watcher.orders.columns.table import OrderTable
from watcher.orders.schedule.entries import EntryState

_APPOINTED = int(EntryState.APPOINTED)


class TimedQueue:
    """A heap with lazy deletion: stale entries stay until they are first.

    The order's state and deadline show whether its entry is stale.
    """

    def __init__(self, records: OrderTable) -> None:
        self._state, self._turn = records.state, records.turn
        self._heap: list[tuple[float, int, int]] = []  # Unix time, serial number, slot
        self._serial = 0

    def __len__(self) -> int:
        return len(self._heap)

    def add(self, slot: int, at: float) -> None:
        """Schedule the order; replaces its earlier time."""
        self._turn[slot] = at
        self._state[slot] = _APPOINTED
        self._serial += 1
        heapq.heappush(self._heap, (at, self._serial, slot))

    def next_at(self) -> float:
        """Return when the first order is due; infinity if there is none."""
        heap = self._heap
        while heap:
            at, _, slot = heap[0]
            if self._state[slot] == _APPOINTED and self._turn[slot] == at:
                return at
            heapq.heappop(heap)
        return inf

    def first(self) -> int:
        """Return the order whose time `next_at` has just returned."""
        return self._heap[0][2]

    def pop(self) -> None:
        """Remove the first order."""
        heapq.heappop(self._heap)

    def lowest(self, count: int) -> list[int]:
        """Return about `count` of the first orders."""
        return [slot for _, _, slot in heapq.nsmallest(count, self._heap)]
