"""Columns of numbers that may be missing."""

from array import array
from collections.abc import Sequence
from math import nan

NONE = -(2**63)  # None in a column of whole numbers; in a column of times it is NaN
NONES, NANS = array("q", [NONE]), array("d", [nan])


def whole(numbers: Sequence[int | None]) -> "array[int]":
    """Return the numbers as a column."""
    try:
        return array("q", numbers)  # type: ignore[arg-type]
    except TypeError:  # as some are None
        if is_none(numbers):
            return NONES * len(numbers)
        return array("q", [NONE if number is None else number for number in numbers])


def times(seconds: Sequence[float | None]) -> "array[float]":
    """Return the numbers as a column."""
    try:
        return array("d", seconds)  # type: ignore[arg-type]
    except TypeError:
        if is_none(seconds):
            return NANS * len(seconds)
        return array("d", [nan if at is None else at for at in seconds])


def is_none(column: Sequence[object]) -> bool:
    """Return whether all are None."""
    return column.count(None) == len(column)
