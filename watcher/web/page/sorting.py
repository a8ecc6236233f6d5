"""Sorting of lists by their columns, kept in the address as `sort=price` or `sort=-price`."""

from collections.abc import Mapping, Sequence

import msgspec
from aiohttp import web

from watcher.errors import RequestError
from watcher.web.page.rendering import query


class SortColumn(msgspec.Struct, frozen=True):
    """A column of a list. `key` sorts by it, "" if nothing does; `falls`: first the largest.

    `rising` and `falling` are the names of the two orders.
    """

    name: str
    key: str = ""
    falls: bool = False
    is_number: bool = False
    rising: str = "rising"
    falling: str = "falling"


class Sorting(msgspec.Struct, frozen=True):
    """By which column a list is sorted; `address` is "" if that is as usual."""

    key: str
    descending: bool
    address: str = ""

    def __str__(self) -> str:
        return f"-{self.key}" if self.descending else self.key


class Heading(msgspec.Struct, frozen=True):
    """The head of a column. `url` sorts by it; `order` is "" if the list is not sorted by it."""

    name: str
    url: str | None
    order: str
    is_number: bool


def sorting_of(request: web.Request, columns: Sequence[SortColumn], default: str) -> Sorting:
    """Read how the list is to be sorted; RequestError names the columns that can be."""
    text = request.query.get("sort", "") or default
    key = text.removeprefix("-")
    known = [column.key for column in columns if column.key]
    if key not in known:
        raise RequestError(f"sort: one of {', '.join(known)}, with - before it for the reverse")
    return Sorting(key, text.startswith("-"), "" if text == default else text)


def headings(
    path: str, wanted: Mapping[str, str], sorting: Sorting, columns: Sequence[SortColumn]
) -> list[Heading]:
    """Return the heads of the columns; that of the sorted one turns the order round."""
    return [_heading(path, wanted, sorting, column) for column in columns]


def _heading(path: str, wanted: Mapping[str, str], sorting: Sorting, column: SortColumn) -> Heading:
    if not column.key:
        return Heading(column.name, None, "", column.is_number)
    is_it = column.key == sorting.key
    falls = not sorting.descending if is_it else column.falls
    order = ("descending" if sorting.descending else "ascending") if is_it else ""
    url = query(path, {**wanted, "sort": str(Sorting(column.key, falls))})
    return Heading(column.name, url, order, column.is_number)


def choices(columns: Sequence[SortColumn], default: str) -> list[tuple[str, str]]:
    """Return each order and its name, for narrow screens, which have no heads of columns.

    The usual order is "".
    """
    return [
        (
            "" if (text := str(Sorting(column.key, falls))) == default else text,
            f"{column.name}, {column.falling if falls else column.rising}",
        )
        for column in columns
        if column.key
        for falls in (column.falls, not column.falls)
    ]
