"""Columns of few different values, of which many rows have each."""

from collections.abc import Iterator, Mapping, Sequence
from typing import Generic, TypeVar, overload

import numpy as np
from numpy.typing import NDArray

T = TypeVar("T")


class Coded(Sequence[T], Generic[T]):
    """Each value once or some times, and of every row which of them it has."""

    def __init__(self, values: Sequence[T], codes: NDArray[np.uint32]) -> None:
        self.values = values
        self.codes = codes

    @classmethod
    def of(cls, column: Sequence[T]) -> "Coded[T]":
        """The same column."""
        if isinstance(column, Coded):
            return column
        numbers = _Numbers[T]()
        codes = np.fromiter(map(numbers.__getitem__, column), np.uint32, len(column))
        return cls([*numbers], codes)

    def __len__(self) -> int:
        return len(self.codes)

    @overload
    def __getitem__(self, row: int) -> T: ...
    @overload
    def __getitem__(self, row: slice) -> "Coded[T]": ...
    def __getitem__(self, row: int | slice) -> "T | Coded[T]":
        if isinstance(row, slice):
            return Coded(self.values, self.codes[row])
        return self.values[int(self.codes[row])]

    def __iter__(self) -> Iterator[T]:
        return map(self.values.__getitem__, self.codes.tolist())

    def translated(self, codes: Mapping[T, int], kind: str) -> bytes:
        """As a column of this typecode, with the codes that the values have elsewhere."""
        return np.array([codes[value] for value in self.values], kind)[self.codes].tobytes()

    def counts(self) -> list[tuple[T, int]]:
        """How many rows there are of each value."""
        many = np.bincount(self.codes, minlength=len(self.values))
        return [*zip(self.values, many.tolist(), strict=True)]


class _Numbers(dict[T, int], Generic[T]):
    """Numbers what it is asked for, from 0 on, in the order in which it was."""

    def __missing__(self, value: T) -> int:
        number = self[value] = len(self)
        return number
