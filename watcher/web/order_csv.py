"""Orders as CSV: for `watcher export orders` and for the status page."""

from collections.abc import Iterable, Mapping
from typing import Any

from watcher.common.spreadsheet import csv_lines
from watcher.web.shapes import OrderView

# next_check_at changes all the time, and costs the daemon most to find.
ORDER_FIELDS = tuple(name for name in OrderView.__struct_fields__ if name != "next_check_at")
HEAD = csv_lines([ORDER_FIELDS])


def order_rows(items: Iterable[Mapping[str, Any]]) -> list[list[Any]]:
    """Return the values of orders as the API lists them, in the columns' order."""
    return [[item.get(name) for name in ORDER_FIELDS] for item in items]


def order_lines(items: Iterable[Mapping[str, Any]]) -> bytes:
    """Return lines of CSV, to follow HEAD."""
    return csv_lines(order_rows(items))
