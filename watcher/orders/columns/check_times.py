"""Times of the orders' last checks, stored compactly: a restart need not check all orders."""

import zlib
from array import array
from collections.abc import Iterable
from math import nan

import numpy as np
from numpy.typing import ArrayLike, NDArray

_BITS = 12
_PAGE = 1 << _BITS  # orders
_SIZE = 4 * _PAGE  # bytes


class CheckTimes:
    """Seconds by order key, in pages of 4,096 keys; pages without orders are left out."""

    def __init__(self) -> None:
        self._at: dict[int, int] = {}  # number of a page -> its position
        self._pages = np.zeros((1, _PAGE), np.uint32)  # the first page stands for unknown keys
        self.newest = 0  # Unix seconds

    def note(self, keys: ArrayLike, times: ArrayLike) -> None:
        """Store when these orders were asked about, in Unix seconds; NaN means not known."""
        noted, at = np.asarray(keys, np.int64), np.asarray(times, np.float64)
        is_known = at == at
        noted, seconds = noted[is_known], at[is_known].astype(np.uint32)
        if len(noted):
            for number in np.unique(noted >> _BITS).tolist():
                self._open(number)
            self._pages[self._where(noted)] = seconds
            self.newest = max(self.newest, int(seconds.max()))

    def times(self, keys: ArrayLike) -> "array[float]":
        """Return when these orders were asked about; NaN where it is not known."""
        seconds = self._pages[self._where(np.asarray(keys, np.int64))]
        return array("d", np.where(seconds, seconds, nan).tobytes())

    def packed(self) -> list[tuple[int, bytes]]:
        """Return the pages' numbers and compressed contents, in the machine's byte order."""
        return [(number, zlib.compress(self._pages[at], 1)) for number, at in self._at.items()]

    @classmethod
    def unpacked(cls, pages: Iterable[tuple[int, bytes]]) -> "CheckTimes":
        """Read packed pages; of several times of an order the newest counts.

        Skips unreadable pages: their orders are asked about once more.
        """
        asked = cls()
        for number, packed in pages:
            try:
                page = zlib.decompress(packed)
            except zlib.error:
                continue
            if len(page) == _SIZE:
                at = asked._open(number)
                asked._pages[at] = np.maximum(asked._pages[at], np.frombuffer(page, np.uint32))
        return asked

    def _open(self, number: int) -> int:
        """Return the page's position; adds the page if it is new."""
        at = self._at.setdefault(number, len(self._at) + 1)
        if at == len(self._pages):
            self._pages = np.concatenate([self._pages, np.zeros_like(self._pages)])
        return at

    def _where(self, keys: NDArray[np.int64]) -> tuple[NDArray[np.intp], NDArray[np.int64]]:
        """Return the position of each key's page (0 if there is none), and its place on it."""
        numbers = keys >> _BITS
        starts = np.flatnonzero(np.diff(numbers, prepend=-1))  # often many in a row are on one
        pages = [self._at.get(number, 0) for number in numbers[starts].tolist()]
        lengths = np.diff(starts, append=len(keys))
        return np.repeat(np.array(pages, np.intp), lengths), keys & (_PAGE - 1)


def pages_of(first: int, last: int) -> tuple[int, int]:
    """Return the first and the last page of the keys from `first` to `last`."""
    return first >> _BITS, last >> _BITS
