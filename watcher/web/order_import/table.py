"""A list of orders as a table: names of columns, and rows of values."""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from itertools import chain, islice
from typing import NamedTuple

from watcher.web.order_import.layouts import has_order
from watcher.web.order_import.lines import Problem

MOST_ABOVE = 10  # rows that may stand above the names of the columns
ONE_COLUMN: tuple[str, ...] = ("order",)

ABSENT = object()  # the value of a key that a row has not

Row = tuple[int, Sequence[object], bool]  # its number, its values, whether letters are guessed


class Table(NamedTuple):
    """A list's rows. `unit` is what their numbers count."""

    form: str
    names: tuple[str, ...]
    rows: Iterable[Row | Problem]
    unit: str = "line"
    above: int = 0  # rows above the names, that are not used
    apart: bool = False  # no row has two columns of an order's id
    remark: str | None = None  # what else there is, that is not read


def table_of_rows(
    form: str, rows: Iterable[tuple[int, list[str]]], chosen: Mapping[str, str]
) -> Table | None:
    """Return the table whose names are in one of the first rows; None if there is no such row."""
    coming = ((number, cells) for number, cells in rows if any(cell.strip() for cell in cells))
    first = list(islice(coming, MOST_ABOVE))
    named = {name.strip() for name in chosen.values()}
    for place, (_, cells) in enumerate(first):
        names = tuple(cell.strip() for cell in cells)
        if has_order(names) or named & set(names):
            rest = chain(first[place + 1 :], coming)
            return Table(form, names, _fitted(rest, len(names)), "row", place)
    return None


def _fitted(rows: Iterable[tuple[int, list[str]]], width: int) -> Iterator[Row | Problem]:
    for number, cells in rows:
        if any(cell.strip() for cell in cells[width:]):
            yield Problem(number, f"{len(cells)} cells where the first row has {width}")
        else:
            yield number, cells, False
