"""Entries in buckets by whole numbers: each takes a pointer, and no sorting of a million.

A bucket may hold entries that have become stale: their state or their key tell.
"""

import heapq
from itertools import islice

from watcher.cadence.entries import Entry, State

FINE = 20.0  # buckets a unit of virtual time
_ASKED, _WAITING = State.ASKED, State.WAITING


class Buckets:
    """Entries by numbers, lowest first."""

    def __init__(self) -> None:
        self._buckets: dict[int, list[Entry]] = {}
        self._numbers: list[int] = []

    def add(self, number: int, entry: Entry) -> None:
        bucket = self._buckets.get(number)
        if bucket is None:
            self._buckets[number] = [entry]
            heapq.heappush(self._numbers, number)
        else:
            bucket.append(entry)

    def first(self) -> int | None:
        return self._numbers[0] if self._numbers else None

    def pop(self) -> list[Entry]:
        """All of the first bucket."""
        return self._buckets.pop(heapq.heappop(self._numbers))

    def first_waiting(self) -> int | None:
        """The first bucket with an entry whose turn is there; what is stale before it goes."""
        while self._numbers:
            number = self._numbers[0]
            bucket = self._buckets[number]
            while bucket:
                if _waits_in(bucket[-1], number):
                    return number
                bucket.pop()
            self.pop()
        return None

    def lowest(self, count: int) -> list[Entry]:
        """About so many entries of the first buckets."""
        numbers = heapq.nsmallest(count, self._numbers)
        entries = (entry for number in numbers for entry in self._buckets[number])
        return list(islice(entries, count))

    def take_waiting(self, limit: int) -> list[Entry]:
        """Up to so many entries in their turn."""
        taken: list[Entry] = []
        while self._numbers and len(taken) < limit:
            number = self._numbers[0]
            bucket = self._buckets[number]
            while bucket and len(taken) < limit:
                entry = bucket.pop()
                if entry.state is _WAITING and int(entry.key * FINE) == number:
                    entry.state = _ASKED
                    taken.append(entry)
            if not bucket:
                self.pop()
        return taken


def _waits_in(entry: Entry, number: int) -> bool:
    return entry.state is _WAITING and int(entry.key * FINE) == number
