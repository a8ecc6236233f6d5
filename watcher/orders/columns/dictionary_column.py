"""Dictionary-encoded columns."""

from array import array
from collections.abc import Callable, Iterable, Iterator, Sequence
from typing import Any, Generic, TypeVar, overload

import numpy as np
from numpy.typing import NDArray

T = TypeVar("T")


class DictionaryColumn(Sequence[T], Generic[T]):
    """A dictionary-encoded column: the distinct values, and a code for each row."""

    def __init__(self, values: Sequence[T], codes: NDArray[np.uint32]) -> None:
        self.values = values
        self.codes = codes

    @classmethod
    def of(cls, column: Sequence[T]) -> "DictionaryColumn[T]":
        """Return the column, encoded if it is not yet."""
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
        """Return a column of these rows, without unused values."""
        codes = self.codes[rows]
        used = np.flatnonzero(np.bincount(codes))
        numbers = np.zeros(len(self.values), np.uint32)
        numbers[used] = np.arange(len(used))
        return DictionaryColumn([self.values[code] for code in used.tolist()], numbers[codes])

    def translated(self, code: Callable[[T], int], kind: str) -> bytes:
        """Return the column's bytes, with the values' codes in another dictionary."""
        return np.array([*map(code, self.values)], kind)[self.codes].tobytes()

    def counts(self) -> list[tuple[T, int]]:
        """Return each value and its number of rows."""
        many = np.bincount(self.codes, minlength=len(self.values))
        return [*zip(self.values, many.tolist(), strict=True)]


class ValueCoding(Generic[T]):
    """Builder of a dictionary-encoded column."""

    def __init__(self) -> None:
        self._numbers = _Numbers[T]()
        self._codes = array("I")

    def extend(self, column: Iterable[T]) -> None:
        self._codes.extend(map(self._numbers.__getitem__, column))

    def coded(self, read: Callable[[T], Any] = lambda value: value) -> "DictionaryColumn[Any]":
        """Return the column; `read` converts its values."""
        return DictionaryColumn([*map(read, self._numbers)], np.array(self._codes))


class _Numbers(dict[T, int], Generic[T]):
    """Assigns codes from 0 on, in the order of first use."""

    def __missing__(self, value: T) -> int:
        number = self[value] = len(self)
        return number
