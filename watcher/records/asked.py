"""When orders were asked about last, in little room, so that a restart need not ask about all."""

import zlib
from array import array
from collections.abc import Iterable, Sequence
from math import nan

_BITS = 12
_PAGE = 1 << _BITS  # orders
_EMPTY = bytes(4 * _PAGE)


class Asked:
    """By the orders' keys, to the second: pages of so many keys each, those without orders not."""

    def __init__(self) -> None:
        self._pages: dict[int, array[int]] = {}
        self.newest = 0  # Unix seconds

    def note(self, keys: Sequence[int], times: Sequence[float]) -> None:
        """These orders were asked about then, in Unix seconds; NaN: that is not known."""
        pages = self._pages
        for key, at in zip(keys, times, strict=True):
            if at != at:
                continue
            page = pages.get(key >> _BITS)
            if page is None:
                page = pages[key >> _BITS] = array("I", _EMPTY)
            page[key % _PAGE] = second = int(at)
            if second > self.newest:
                self.newest = second

    def times(self, keys: Iterable[int]) -> list[float]:
        """When these orders were asked about; NaN where it is not known."""
        pages = self._pages
        found = []
        for key in keys:
            page = pages.get(key >> _BITS)
            found.append(float(page[key % _PAGE] or nan) if page else nan)
        return found

    def packed(self) -> list[tuple[int, bytes]]:
        """The pages' numbers and what they hold, to be unpacked on the same kind of machine."""
        return [(number, zlib.compress(page, 1)) for number, page in self._pages.items()]

    @classmethod
    def unpacked(cls, pages: Iterable[tuple[int, bytes]]) -> "Asked":
        """The same again. What can't be read is left out: its orders are asked about once more."""
        asked = cls()
        for number, packed in pages:
            try:
                page = zlib.decompress(packed)
            except zlib.error:
                continue
            if len(page) == len(_EMPTY):
                asked._pages[number] = array("I", page)
        return asked


def pages_of(first: int, last: int) -> tuple[int, int]:
    """The first and the last page of the keys from `first` to `last`."""
    return first >> _BITS, last >> _BITS
