"""Columns of few values: in code they are what they were as lists."""

from collections import Counter

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from watcher.orders.columns.dictionary_column import DictionaryColumn, ValueCoding

COLUMNS = st.lists(st.none() | st.text(max_size=2))


@given(COLUMNS)
def test_a_column_stays_what_it_was(column: list[str | None]):
    coded = DictionaryColumn.of(column)
    assert DictionaryColumn.of(coded) is coded
    assert [*coded] == column
    assert len(coded) == len(column)
    assert [coded[row] for row in range(len(column))] == column
    assert [*coded[1:3]] == column[1:3]
    assert dict(coded.counts()) == Counter(column)


@given(COLUMNS, st.lists(st.integers(0, 1000)))
def test_some_rows_have_their_values_and_no_others(column: list[str | None], which: list[int]):
    rows = [number % len(column) for number in which if column]
    taken = DictionaryColumn.of(column).taken(np.array(rows, np.intp))
    assert [*taken] == [column[row] for row in rows]
    assert set(taken.values) == set(taken)


@given(st.lists(COLUMNS))
def test_a_column_that_becomes_longer(parts: list[list[str | None]]):
    coding = ValueCoding[str | None]()
    for part in parts:
        coding.extend(part)
    whole = [value for part in parts for value in part]
    assert [*coding.coded()] == whole
    assert [*coding.coded(repr)] == [*map(repr, whole)]


def test_codes_from_elsewhere():
    coded = DictionaryColumn.of(["a", "b", "a"])
    assert (
        coded.translated({"a": 7, "b": 300}.__getitem__, "I")
        == np.array([7, 300, 7], "I").tobytes()
    )
