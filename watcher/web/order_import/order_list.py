"""Reads lists of orders in any form into orders to track: pure.

1. A line that can't be used becomes a Problem with its number and cause; reading continues.
2. If continuing would mean guessing (columns without names), the Problem is the last item.
3. What is left out, guessed or skipped is noted.
"""

import re
from collections.abc import Callable, Collection, Iterator, Mapping
from io import BytesIO
from typing import Any, BinaryIO

from watcher.web.order_import.csv_reader import csv_table
from watcher.web.order_import.dates import DateOrder
from watcher.web.order_import.html_reader import html_table
from watcher.web.order_import.ids import ListRow
from watcher.web.order_import.json_reader import (
    NotJson,
    decoded,
    document_table,
    is_row,
    lines_table,
)
from watcher.web.order_import.layouts import Match, has_order, match, score
from watcher.web.order_import.lines import ARCHIVE, ListSource, NoTable, Problem
from watcher.web.order_import.notes import Notes
from watcher.web.order_import.providers import Providers
from watcher.web.order_import.rows import Layout, RowReader
from watcher.web.order_import.table import ONE_COLUMN, Table
from watcher.web.order_import.xlsx_reader import xlsx_table

__all__ = ["Layout", "ListRow", "read"]

_FIRST_LINES = 20  # one of which is an order in JSON lines that begin badly
_FORMS = (
    (b"%PDF", "a PDF"),
    (b"\x1f\x8b", "a gzip archive"),
    (b"Rar!", "an archive"),
    (b"7z\xbc\xaf", "an archive"),
    (b"PAR1", "a Parquet file"),
    (b"SQLite format 3", "an SQLite database"),
    (b"\xd0\xcf\x11\xe0", "a workbook of the old Excel"),
)
_SQL = re.compile(rb"\s*(?:--|/\*|(?:create|insert|set|drop|use)\s)", re.IGNORECASE)


def read(
    stream: BinaryIO,
    panel: str,
    *,
    json: bool | None = None,
    columns: Mapping[str, str] | None = None,
    dates: DateOrder | None = None,
    provider: str | None = None,
    encoding: str | None = None,
    service: str | None = None,
    panels: Collection[str] = (),
    notes: Notes | None = None,
    on_layout: Callable[[Layout], None] = lambda layout: None,
) -> Iterator[ListRow | Problem]:
    """Yield the orders of a list that belong to one panel.

    `json` None decides by the first line. `columns` gives the column of a field if the usual names
    don't fit, `provider` the panel's name in a shop's list, `service` the service of orders
    without one, and `panels` all watched panels. `on_layout` is called before the first order.
    """
    source = ListSource(stream, encoding, score)
    chosen, notes = columns or {}, notes or Notes()
    try:
        for found in _tables(source, chosen, json):
            if isinstance(found, Problem):
                yield found
                continue
            matched = _matched(found, chosen)
            if provider is not None and not {"provider", "panel"} & matched.places.keys():
                raise NoTable("--provider: the list has no column of providers")
            reader = RowReader(panel, found, matched, dates, service, notes, on_layout)
            yield from reader.rows(Providers(panel, provider, panels))
    except NoTable as error:
        yield Problem(0, str(error))
    else:
        if source.is_guessed:
            told = f"not UTF-8: read as {source.encoding}, letters beyond ASCII may be wrong"
            notes.add(told, 0)


def _matched(found: Table, chosen: Mapping[str, str]) -> Match:
    if not found.names or (found.names == ONE_COLUMN and not chosen):
        return Match("", {"order": 0})
    return match(found.names, chosen, apart=found.apart)


def _tables(
    source: ListSource, chosen: Mapping[str, str], json: bool | None
) -> Iterator[Table | Problem]:
    """Yield the problems above the table, and the table; NoTable if there is none."""
    _check_form(source.head)
    if source.head.startswith(ARCHIVE):
        yield _marked(xlsx_table(source.whole(), chosen), source)
    elif source.first == "<":
        yield _marked(html_table(source.text(source.whole()), chosen), source)
    elif json or (json is None and source.first and source.first in "[{"):
        yield _json_table(source, json)
    else:
        yield from csv_table(source.lines(), chosen)


def _marked(found: Table, source: ListSource) -> Table:
    """Mark the rows as guessed if the encoding of the document is."""
    if not source.is_guessed:
        return found
    marked = (row if isinstance(row, Problem) else (*row[:2], True) for row in found.rows)
    return found._replace(rows=marked)


def _json_table(source: ListSource, json: bool | None) -> Table:
    """Read JSON lines if the first is an order, else one document, else JSON lines after all."""
    first = _decoded(source.head.removeprefix(b"\xef\xbb\xbf"))
    is_document = first is not None and not is_row(first)
    if is_row(first) or (json and not is_document and source.first != "["):
        return lines_table(source.lines())
    raw = source.whole()
    try:
        return _marked(document_table(source.text(raw)), source)
    except NotJson:
        if not any(isinstance(_decoded(line), dict) for line in raw.splitlines()[:_FIRST_LINES]):
            raise
    known = None if source.is_guessed else source.encoding
    return lines_table(ListSource(BytesIO(raw), known, score).lines())


def _decoded(line: bytes) -> Any:
    try:
        return decoded(line)
    except NotJson:
        return None


def _check_form(head: bytes) -> None:
    """Raise NoTable if the file begins as one of a form that is not read."""
    kind = next((name for mark, name in _FORMS if head.startswith(mark)), None)
    is_sql = _SQL.match(head) and not has_order(re.split("[,;\t]", head.decode("latin-1")))
    kind = kind or ("a database's dump in SQL" if is_sql else None)
    if kind is not None:
        cause = "which is not read: save the list as CSV with column names, JSON or XLSX"
        raise NoTable(f"{kind}, {cause}")
