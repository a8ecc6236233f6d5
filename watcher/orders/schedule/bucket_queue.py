"""Bucket queue of order slots (4 bytes each); avoids sorting.

Deletion is lazy: a bucket may hold stale slots, recognised by their state or virtual deadline.
"""

import heapq
from array import array
from itertools import islice
from math import inf

import numpy as np

from watcher.orders.columns.table import OrderTable
from watcher.orders.schedule.entries import EntryState, Floats, Slots

FINE = 20.0  # buckets a unit of virtual time
_STALE_AT_ONCE = 1000  # slots: a millisecond
_NOT_TAKEN_AT_ONCE = 2000  # slots, between those that are taken
_ASKED, _WAITING = int(EntryState.ASKED), int(EntryState.WAITING)


class BucketQueue:
    """Slots by whole numbers, lowest first."""

    def __init__(self, records: OrderTable) -> None:
        self.early: list[int] = []  # taken out: within MIN_GAP of their last check
        self._state, self._turn = records.state, records.turn
        self._checked_at = records.checked_at
        self._buckets: dict[int, array[int]] = {}
        self._numbers: list[int] = []

    def add(self, numbers: Floats, slots: Slots) -> None:
        """Put the slots into the buckets of the whole parts of their numbers."""
        buckets = self._buckets
        for number, slot in zip(numbers.astype(int).tolist(), slots.tolist(), strict=True):
            bucket = buckets.get(number)
            if bucket is None:
                bucket = buckets[number] = array("I")
                heapq.heappush(self._numbers, number)
            bucket.append(slot)

    def first(self) -> int | None:
        """Return the number of the first bucket."""
        return self._numbers[0] if self._numbers else None

    def take(self, limit: int, last: float = inf) -> tuple[Slots, Slots]:
        """Remove and return up to `limit` slots and their buckets' numbers, up to number `last`."""
        slots, numbers, lengths = array("I"), list[int](), list[int]()
        while self._numbers and self._numbers[0] <= last and len(slots) < limit:
            number = self._numbers[0]
            bucket = self._buckets[number]
            some = bucket[: -1 - limit + len(slots) : -1]
            del bucket[-len(some) :]
            if not bucket:
                self._pop()
            slots.extend(some)
            numbers.append(number)
            lengths.append(len(some))
        return np.array(slots, dtype=np.intp), np.repeat(np.array(numbers, dtype=np.intp), lengths)

    def clear(self, rested: float) -> bool:
        """Drop stale slots from the front; False where a limit left some.

        Orders that were asked about before their deadline stay here until then: after a start these
        may be all. Those that were checked after `rested` go to `early`.
        """
        left = _STALE_AT_ONCE
        while self._numbers:
            number = self._numbers[0]
            bucket = self._buckets[number]
            while bucket:
                slot = bucket[-1]
                if self._state[slot] == _WAITING and int(self._turn[slot] * FINE) == number:
                    if not self._checked_at[slot] > rested:  # NaN: never
                        return True
                    self.early.append(slot)
                bucket.pop()
                left -= 1
                if not left:
                    return False
            self._pop()
        return True

    def lowest(self, count: int) -> list[int]:
        """Return about `count` slots of the first buckets."""
        numbers = heapq.nsmallest(count, self._numbers)
        slots = (slot for number in numbers for slot in self._buckets[number])
        return list(islice(slots, count))

    def take_waiting(self, limit: int, rested: float) -> list[int]:
        """Take up to `limit` waiting slots; fewer where many stale ones come between.

        Those that were checked after `rested` go to `early`.
        """
        taken: list[int] = []
        wanted, left = limit, _NOT_TAKEN_AT_ONCE
        while self._numbers and len(taken) < limit and left > 0:
            slots, numbers = self.take(wanted)
            state, deadline = np.asarray(self._state), np.asarray(self._turn)
            bucket = (deadline[slots] * FINE).astype(int)
            is_meant = (state[slots] == _WAITING) & (bucket == numbers)
            is_early = is_meant & (np.asarray(self._checked_at)[slots] > rested)  # NaN: never
            self.early.extend(slots[is_early].tolist())
            # A slot may be in a bucket twice; one of the two is stale.
            in_turn = [*dict.fromkeys(slots[is_meant & ~is_early].tolist())]
            room = limit - len(taken)
            for slot in in_turn[:room]:
                self._state[slot] = _ASKED
            taken += in_turn[:room]
            left_over = np.array(in_turn[room:], dtype=np.intp)
            self.add(deadline[left_over] * FINE, left_over)
            wanted, left = _STALE_AT_ONCE, left - len(slots) + len(in_turn[:room])
        return taken

    def _pop(self) -> None:
        """Remove the first bucket, which is empty."""
        del self._buckets[heapq.heappop(self._numbers)]
