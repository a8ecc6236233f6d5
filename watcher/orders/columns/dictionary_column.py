"""Columns of few different values, of which many rows have each."""

from array import array
from collections.abc import Callable, Iterable, Iterator, Sequence
from typing import Any, Generic, TypeVar, overload

import numpy as np
from numpy.typing import NDArray

T = TypeVar("T")


class DictionaryColumn(Sequence[T], Generic[T]):
    """Each value once or some times, and of every row which of them it has."""

    def __init__(self, values: Sequence[T], codes: NDArray[np.uint32]) -> None:
        self.values = values
        self.codes = codes

    @classmethod
    def of(cls, column: Sequence[T]) -> "DictionaryColumn[T]":
        """The same column."""
        if isinstance(column, DictionaryColumn):
            return column
        coding = ValueCoding[T]()
        coding.extend(column)
        return coding.coded()

    def __len__(self) -> int:
        return len(self.codes)

    @overload
    def __getitem__(self, row: int) -> T: ...
    @overload
    def __getitem__(self, row: slice) -> "DictionaryColumn[T]": ...
    def __getitem__(self, row: int | slice) -> "T | DictionaryColumn[T]":
        if isinstance(row, slice):
            return DictionaryColumn(self.values, self.codes[row])
        return self.values[int(self.codes[row])]

    def __iter__(self) -> Iterator[T]:
        return map(self.values.__getitem__, self.codes.tolist())

    def taken(self, rows: NDArray[np.intp]) -> "DictionaryColumn[T]":
        """A column of these rows, and of no value that none of them has."""
        codes = self.codes[rows]
        used = np.flatnonzero(np.bincount(codes))
        numbers = np.zeros(len(self.values), np.uint32)
        numbers[used] = np.arange(len(used))
        return DictionaryColumn([self.values[code] for code in used.tolist()], numbers[codes])

    def translated(self, code: Callable[[T], int], kind: str) -> bytes:
        """As a column of this typecode, with the codes that the values have elsewhere."""
        return np.array([*map(code, self.values)], kind)[self.codes].tobytes()

    def counts(self) -> list[tuple[T, int]]:
        """How many rows there are of each of the values."""
        many = np.bincount(self.codes, minlength=len(self.values))
        return [*zip(self.values, many.tolist(), strict=True)]


class ValueCoding(Generic[T]):
    """Such a column as it becomes longer."""

    def __init__(self) -> None:
        self._numbers = _Numbers[T]()
        self._codes = array("I")

    def extend(self, column: Iterable[T]) -> None:
        self._codes.extend(map(self._numbers.__getitem__, column))

    def coded(self, read: Callable[[T], Any] = lambda value: value) -> "DictionaryColumn[Any]":
        """The column, of what `read` makes of the values."""
        return DictionaryColumn([*map(read, self._numbers)], np.array(self._codes))


class _Numbers(dict[T, int], Generic[T]):
    """Numbers what it is asked for, from 0 on, in the order in which it was."""

    def __missing__(self, value: T) -> int:
        number = self[value] = len(self)
        return number
