"""Very many orders: read as rows, handed over as columns."""

from array import array
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

import msgspec
import numpy as np
from numpy.typing import NDArray
from sqlalchemy import Select, select

from watcher.orders.columns.check_times import CheckTimes
from watcher.orders.columns.dictionary_column import DictionaryColumn, ValueCoding
from watcher.orders.columns.growth import times, whole
from watcher.orders.columns.table import OrderRows
from watcher.store.dialect import json_list
from watcher.store.order_rows import COLUMNS
from watcher.store.schema import order_states, orders

_FIELDS = dict(zip(("key", "panel", *OrderRows.__struct_fields__[2:-1]), COLUMNS, strict=True))
_WHOLE = ("key", "panel", "quantity", "start_count", "remains", "count")
_TIMES = ("submitted_at", "progressed_at", "finished_at", "checked_at")
_TEXTS = {True: ("id", "link"), False: ("id",)}  # with links -> those that orders hardly share
# What hardly differs between orders: it is one text for each, of which there are few.
_KIND = ("service", "status", "status_text", "currency", "phase", "problem", "refills", "origin")


def select_rows(*, links: bool) -> Select[*tuple[Any, ...]]:
    """What `OrderColumns` takes. Without `links` no order has one."""
    own = (_FIELDS[name] for name in (*_WHOLE, *_TIMES, *_TEXTS[links], "charge"))
    kind = json_list(*(_FIELDS[name] for name in _KIND))
    return select(*own, kind).join_from(order_states, orders)


class OrderColumns:
    """Orders of all panels: one takes a quarter of the memory that its row takes."""

    def __init__(self, *, links: bool) -> None:
        self._whole = {name: array("q") for name in _WHOLE}
        self._times = {name: array("d") for name in _TIMES}
        self._texts: dict[str, list[Any]] = {name: [] for name in _TEXTS[links]}
        self._charges, self._kinds = ValueCoding[str | None](), ValueCoding[str]()

    @property
    def keys(self) -> "array[int]":
        """As they were added."""
        return self._whole["key"]

    def add(self, rows: Sequence[Sequence[Any]]) -> None:
        """Have these rows of `select_rows`, too."""
        columns = zip(*rows, strict=True)
        for numbers in self._whole.values():
            numbers.extend(whole(next(columns)))
        for seconds in self._times.values():
            seconds.extend(times(next(columns)))
        for texts in self._texts.values():
            texts.extend(next(columns))
        self._charges.extend(next(columns))
        self._kinds.extend(next(columns))

    def by_panel(
        self, panels: Mapping[int, str], asked: CheckTimes, most: int
    ) -> Iterator[OrderRows]:
        """All of them, no more than `most` of a panel at once."""
        charges, kinds = self._charges.coded(), self._kinds.coded(msgspec.json.decode)
        numbers = np.array(self._whole["panel"])
        order = np.argsort(numbers, kind="stable")
        ends = np.flatnonzero(np.diff(numbers[order])) + 1
        for of_panel in np.split(order, ends):
            panel = panels[int(numbers[of_panel[0]])]
            for start in range(0, len(of_panel), most):
                rows = of_panel[start : start + most]
                yield self._rows(panel, rows, charges.taken(rows), kinds.taken(rows), asked)

    def _rows(
        self,
        panel: str,
        rows: NDArray[np.intp],
        charge: DictionaryColumn[str | None],
        kind: DictionaryColumn[Any],
        asked: CheckTimes,
    ) -> OrderRows:
        places = rows.tolist()
        parted = zip(_KIND, zip(*kind.values, strict=True), strict=True)
        fields: dict[str, Any] = {
            "link": [None] * len(rows),
            **{name: _taken(column, rows) for name, column in self._whole.items()},
            **{name: _taken(column, rows) for name, column in self._times.items()},
            **{name: [*map(texts.__getitem__, places)] for name, texts in self._texts.items()},
            **{name: DictionaryColumn(values, kind.codes) for name, values in parted},
            "charge": charge,
            "panel": panel,
        }
        return OrderRows(**fields, asked_at=asked.times(fields["key"]))


def _taken(column: "array[Any]", rows: NDArray[np.intp]) -> "array[Any]":
    return array(column.typecode, np.frombuffer(column, column.typecode)[rows].tobytes())
