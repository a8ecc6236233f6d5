"""Reads very many orders as rows and hands them over as columns."""

from array import array
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any, cast

import msgspec
import numpy as np
from numpy.typing import NDArray
from sqlalchemy import Select, select

from watcher.orders.columns.check_times import CheckTimes
from watcher.orders.columns.dictionary_column import DictionaryColumn, ValueCoding
from watcher.orders.columns.optional_numbers import times, whole
from watcher.orders.columns.table import OrderRows
from watcher.orders.fields import FieldKind, names_of
from watcher.store.dialect import JsonList
from watcher.store.order_rows import SQL_COLUMNS
from watcher.store.schema import order_states, orders

_NUMBERS: dict[str, Callable[[Sequence[Any]], "array[Any]"]] = {
    **dict.fromkeys(("key", "panel", *names_of(FieldKind.WHOLE)), whole),
    **dict.fromkeys(names_of(FieldKind.TIME), times),
}
_MONEY = names_of(FieldKind.MONEY)
# Fields with few distinct values: each text is stored once.
_KIND = names_of(FieldKind.CODE, FieldKind.WORD, FieldKind.SMALL)


def _names(keeps: frozenset[str]) -> tuple[str, ...]:
    return (*_NUMBERS, "id", *sorted(keeps), *_MONEY)


def select_rows(keeps: frozenset[str]) -> Select[*tuple[Any, ...]]:
    """Return the statement whose rows `OrderColumns` takes; `keeps` of what is an order's own."""
    own = [SQL_COLUMNS[name] for name in _names(keeps)]
    kind = JsonList(*(SQL_COLUMNS[name] for name in _KIND))
    return select(*own, kind).join_from(order_states, orders)


class OrderColumns:
    """Orders of all panels as columns; an order takes a quarter of its row's memory."""

    def __init__(self, keeps: frozenset[str]) -> None:
        self._columns = {name: _empty(name) for name in _names(keeps)}
        self._kinds = ValueCoding[str]()

    @property
    def keys(self) -> "array[int]":
        """Return the orders' keys in insertion order."""
        return cast("array[int]", self._columns["key"])

    def add(self, rows: Sequence[Sequence[Any]]) -> None:
        """Append rows of `select_rows`."""
        *columns, kinds = zip(*rows, strict=True)
        for (name, column), values in zip(self._columns.items(), columns, strict=True):
            column.extend(_NUMBERS[name](values) if name in _NUMBERS else values)
        self._kinds.extend(kinds)

    def by_panel(
        self, panels: Mapping[int, str], asked: CheckTimes, most: int
    ) -> Iterator[OrderRows]:
        """Yield all orders by panel, at most `most` of a panel at once."""
        kinds = self._kinds.coded(msgspec.json.decode)
        columns = self._columns | {name: self._columns[name].coded() for name in _MONEY}
        numbers = np.array(columns.pop("panel"))
        order = np.argsort(numbers, kind="stable")
        ends = np.flatnonzero(np.diff(numbers[order])) + 1
        for of_panel in np.split(order, ends):
            panel = panels[int(numbers[of_panel[0]])]
            for start in range(0, len(of_panel), most):
                rows = of_panel[start : start + most]
                fields = {name: _taken(column, rows) for name, column in columns.items()}
                key, ids = fields.pop("key"), fields.pop("id")
                fields |= _parted(kinds.taken(rows))
                asked_at = asked.times(key)
                yield OrderRows(panel=panel, key=key, id=ids, fields=fields, asked_at=asked_at)


def _empty(name: str) -> Any:
    if name in _NUMBERS:
        return _NUMBERS[name](())
    return ValueCoding[str | None]() if name in _MONEY else []


def _parted(kinds: DictionaryColumn[Any]) -> dict[str, Any]:
    """Split the dictionary-encoded kinds into one column for each of their fields."""
    parted = zip(_KIND, zip(*kinds.values, strict=True), strict=True)
    return {name: DictionaryColumn(values, kinds.codes) for name, values in parted}


def _taken(column: Any, rows: NDArray[np.intp]) -> Any:
    if isinstance(column, array):
        taken = np.frombuffer(column, column.typecode)[rows]
        return array(column.typecode, taken.tobytes())
    if isinstance(column, DictionaryColumn):
        return column.taken(rows)
    return [*map(column.__getitem__, rows.tolist())]
