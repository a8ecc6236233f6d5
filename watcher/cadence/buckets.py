"""Slots in buckets by whole numbers: each takes four bytes, and no sorting of a million.

A bucket may hold slots that have become stale: their state or their key tell.
"""

import heapq
from array import array
from itertools import islice

from watcher.cadence.entries import State
from watcher.records import Records

FINE = 20.0  # buckets a unit of virtual time
_ASKED, _WAITING = int(State.ASKED), int(State.WAITING)


class Buckets:
    """Slots by numbers, lowest first."""

    def __init__(self, records: Records) -> None:
        self._state, self._turn = records.state, records.turn
        self._buckets: dict[int, array[int]] = {}
        self._numbers: list[int] = []

    def add(self, number: int, slot: int) -> None:
        bucket = self._buckets.get(number)
        if bucket is None:
            bucket = self._buckets[number] = array("I")
            heapq.heappush(self._numbers, number)
        bucket.append(slot)

    def first(self) -> int | None:
        return self._numbers[0] if self._numbers else None

    def pop(self) -> "array[int]":
        """All of the first bucket."""
        return self._buckets.pop(heapq.heappop(self._numbers))

    def first_waiting(self) -> int | None:
        """The first bucket with a slot whose turn is there; what is stale before it goes."""
        while self._numbers:
            number = self._numbers[0]
            bucket = self._buckets[number]
            while bucket:
                if self._waits_in(bucket[-1], number):
                    return number
                bucket.pop()
            self.pop()
        return None

    def lowest(self, count: int) -> list[int]:
        """About so many slots of the first buckets."""
        numbers = heapq.nsmallest(count, self._numbers)
        slots = (slot for number in numbers for slot in self._buckets[number])
        return list(islice(slots, count))

    def take_waiting(self, limit: int) -> list[int]:
        """Up to so many slots in their turn."""
        taken: list[int] = []
        state, turn = self._state, self._turn
        while self._numbers and len(taken) < limit:
            number = self._numbers[0]
            bucket = self._buckets[number]
            while bucket and len(taken) < limit:
                slot = bucket.pop()
                if state[slot] == _WAITING and int(turn[slot] * FINE) == number:
                    state[slot] = _ASKED
                    taken.append(slot)
            if not bucket:
                self.pop()
        return taken

    def _waits_in(self, slot: int, number: int) -> bool:
        return self._state[slot] == _WAITING and int(self._turn[slot] * FINE) == number
