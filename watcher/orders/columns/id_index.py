"""Index of orders by their ids."""

from array import array
from bisect import bisect_left, bisect_right
from collections.abc import Sequence

import msgspec
import numpy as np
from numpy.typing import NDArray

_MOST = 4096  # numbers in a chunk
_MOST_DIGITS = 18  # longer numbers are kept as texts
_NARROW = 2**32  # below it a number takes four bytes, else eight


class IdIndex:
    """Slots by id: sorted chunks of numbers; 8 bytes an order, 12 for large numbers.

    Nearly all ids are whole numbers. The few others are texts in a dict, and negative numbers in
    the column. An insertion moves one chunk at most.
    """

    def __init__(self, numbers: "array[int]") -> None:
        self._numbers = numbers
        self._firsts = [0]  # the lower bound of each chunk's numbers
        self._sorted, self._slots = [array("I")], [array("I")]
        self._texts: dict[str, int] = {}
        self._of_slot: dict[int, str] = {}

    def find(self, order_id: str) -> int | None:
        number = _number(order_id)
        if number is None:
            return self._texts.get(order_id)
        chunk, at = self._place(number)
        some = self._sorted[chunk]
        return self._slots[chunk][at] if at < len(some) and some[at] == number else None

    def text(self, slot: int) -> str:
        number = self._numbers[slot]
        return str(number) if number >= 0 else self._of_slot[slot]

    def add(self, order_id: str, slot: int) -> None:
        """Add an id; `slot` is one of the column's or the next one."""
        number = _number(order_id)
        if slot == len(self._numbers):
            self._numbers.append(-1)
        self._numbers[slot] = -1 if number is None else number
        if number is None:
            self._note_text(order_id, slot)
            return
        chunk, at = self._place(number)
        if number >= _NARROW and self._sorted[chunk].typecode == "I":
            self._sorted[chunk] = array("q", self._sorted[chunk])
        self._sorted[chunk].insert(at, number)
        self._slots[chunk].insert(at, slot)
        if len(self._sorted[chunk]) > _MOST:
            self._merge(chunk, np.empty(0, np.int64), np.empty(0, np.uint32))

    def extend(self, ids: Sequence[str], first: int) -> None:
        """Append ids, whose slots are those from `first` on."""
        numbers = _all_numbers(ids)
        self._numbers.frombytes(numbers.tobytes())
        for at in np.flatnonzero(numbers < 0).tolist():
            self._note_text(ids[at], first + at)
        order = np.argsort(numbers, kind="stable")
        numbers, slots = numbers[order], (first + order).astype(np.uint32)
        starts = [*np.searchsorted(numbers, self._firsts).tolist(), len(numbers)]
        for chunk in range(len(self._firsts) - 1, -1, -1):  # later chunks stay in place
            start, end = starts[chunk], starts[chunk + 1]
            if start < end:
                self._merge(chunk, numbers[start:end], slots[start:end])

    def remove(self, slot: int) -> None:
        text, number = self._of_slot.pop(slot, None), self._numbers[slot]
        self._numbers[slot] = -2
        if text is not None:
            del self._texts[text]
            return
        chunk, at = self._place(number)
        del self._sorted[chunk][at], self._slots[chunk][at]
        if not self._sorted[chunk] and chunk:
            del self._firsts[chunk], self._sorted[chunk], self._slots[chunk]

    def _note_text(self, order_id: str, slot: int) -> None:
        self._texts[order_id] = slot
        self._of_slot[slot] = order_id

    def _place(self, number: int) -> tuple[int, int]:
        """Return the number's chunk and its place in it, whether it is present or not."""
        chunk = bisect_right(self._firsts, number) - 1
        return chunk, bisect_left(self._sorted[chunk], number)

    def _merge(self, chunk: int, numbers: NDArray[np.int64], slots: NDArray[np.uint32]) -> None:
        """Merge numbers into the chunk; split it if it grows too large."""
        numbers = np.concatenate([np.array(self._sorted[chunk], np.int64), numbers])
        slots = np.concatenate([np.array(self._slots[chunk], np.uint32), slots])
        order = np.argsort(numbers, kind="stable")
        parts = np.array_split(order, -(-len(order) // _MOST))
        self._firsts[chunk + 1 : chunk + 1] = [int(numbers[part[0]]) for part in parts[1:]]
        self._sorted[chunk : chunk + 1] = [_column(numbers[part]) for part in parts]
        self._slots[chunk : chunk + 1] = [array("I", slots[part].tobytes()) for part in parts]


def _column(numbers: NDArray[np.int64]) -> "array[int]":
    kind = "I" if numbers[-1] < _NARROW else "q"
    return array(kind, numbers.astype(kind).tobytes())


def _all_numbers(ids: Sequence[str]) -> NDArray[np.int64]:
    """Return the ids as whole numbers, -1 for others."""
    joined = ",".join(ids)
    if "-" not in joined and joined.split() == [joined]:  # int() would accept both
        try:
            numbers = msgspec.json.decode(f"[{joined}]", type=list[int])
        except msgspec.DecodeError:
            numbers = []
        if len(numbers) == len(ids) and max(numbers) < 10**_MOST_DIGITS:
            return np.array(numbers, np.int64)
    found = (_number(order_id) for order_id in ids)
    return np.array([-1 if number is None else number for number in found], np.int64)


def _number(order_id: str) -> int | None:
    """Return the id as a whole number; None if that would change its text."""
    if order_id.isdecimal() and order_id.isascii() and len(order_id) <= _MOST_DIGITS:
        number = int(order_id)
        if order_id[0] != "0" or order_id == "0":
            return number
    return None
