"""Writes CSV whose cells no spreadsheet takes for formulas."""

import csv
import io
import re
from collections.abc import Sequence

from watcher.common.wording import clean

# How a formula begins, which may run programs. A number is no formula.
_FORMULA = re.compile(r"\s*[=+\-@\t\r\uff1d\uff0b\uff0d\uff20]")
_NUMBER = re.compile(r"[+-]?\d+(?:\.\d+)?")


def cell(value: object) -> str:
    """Return a value as a cell; an apostrophe precedes text that could be a formula."""
    if value is None:
        return ""
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, list):
        value = ", ".join(map(str, value))
    text = clean(value)
    is_risky = isinstance(value, str) and _FORMULA.match(text) and not _NUMBER.fullmatch(text)
    return f"'{text}" if is_risky else text


def csv_lines(rows: Sequence[Sequence[object]]) -> bytes:
    """Return the rows as lines of CSV in UTF-8."""
    text = io.StringIO()
    csv.writer(text, lineterminator="\n").writerows([list(map(cell, row)) for row in rows])
    return text.getvalue().encode("utf-8", "replace")
