"""Reads lists of orders in any form into orders to track: pure.

1. A line that can't be used becomes a Problem with its number and cause; reading continues.
2. If continuing would mean guessing (columns without names), the Problem is the last item.
3. What is left out, guessed or skipped is noted.
"""

import re
from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from io import BytesIO
from typing import BinaryIO

import msgspec

from watcher.cli.order_csv import csv_table
from watcher.cli.order_dates import DateOrder
from watcher.cli.order_fields import is_no_order, shown, text_of, track_item
from watcher.cli.order_html import html_table
from watcher.cli.order_ids import Row, WordFilter
from watcher.cli.order_json import NotJson, document_table, is_row, lines_table
from watcher.cli.order_layouts import Match, NoMatch, has_order, match, other_order, score
from watcher.cli.order_lines import ARCHIVE, Problem, Source
from watcher.cli.order_notes import Notes
from watcher.cli.order_providers import Providers
from watcher.cli.order_tables import ABSENT, ONE_COLUMN, Table
from watcher.cli.order_xlsx import xlsx_table

__all__ = ["Layout", "Row", "read"]

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


class Layout(msgspec.Struct, frozen=True, kw_only=True):
    """How a list was understood.

    `samples` are the first values of `columns`; `own` are columns with a shop's own numbers, which
    mean nothing at the panel; `unused` are the other columns that are not used.
    """

    form: str
    maker: str | None
    columns: dict[str, str]
    samples: dict[str, str] = {}
    own: list[str] = []
    unused: list[str] = []
    unit: str = "line"
    remarks: list[str] = []


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
) -> Iterator[Row | Problem]:
    """Yield the orders of a list that belong to one panel.

    `json` None decides by the first line. `columns` gives the column of a field if the usual names
    don't fit, `provider` the panel's name in a shop's list, `service` the service of orders
    without one, and `panels` all watched panels. `on_layout` is called before the first order.
    """
    source = Source(stream, encoding, score)
    chosen, notes = columns or {}, notes or Notes()
    for found in _tables(source, chosen, json):
        if isinstance(found, Problem):
            yield found
            continue
        try:
            plain = not found.names or (found.names == ONE_COLUMN and not chosen)
            matched = (
                Match("", {"order": 0}) if plain else match(found.names, chosen, apart=found.apart)
            )
        except NoMatch as error:
            yield Problem(0, str(error))
            return
        if provider is not None and not {"provider", "panel"} & matched.places.keys():
            yield Problem(0, "--provider: the list has no column of providers")
            return
        reading = _Reading(panel, found, matched, dates, service, notes, on_layout)
        yield from reading.rows(Providers(panel, provider, panels))
    if source.is_guessed:
        notes.add(f"not UTF-8: read as {source.encoding}, letters beyond ASCII may be others", 0)


def _tables(
    source: Source, chosen: Mapping[str, str], json: bool | None
) -> Iterator[Table | Problem]:
    """Yield the problems above the table, and the table."""
    cause = _refusal(source.head)
    if cause is not None:
        yield Problem(0, cause)
    elif source.head.startswith(ARCHIVE):
        yield _whole(source, lambda raw: xlsx_table(raw, chosen))
    elif source.first == "<":
        yield _whole(source, lambda raw: html_table(source.text(raw), chosen))
    elif json or (json is None and source.first and source.first in "[{"):
        yield _json_table(source, json)
    else:
        yield from csv_table(source.lines(), chosen)


def _whole(source: Source, table: Callable[[bytes], Table | str]) -> Table | Problem:
    raw = source.whole()
    found = raw if isinstance(raw, Problem) else table(raw)
    return Problem(0, found) if isinstance(found, str) else _marked(found, source)


def _marked(found: Table | Problem, source: Source) -> Table | Problem:
    """Mark the rows as guessed if the encoding of the document is."""
    if isinstance(found, Problem) or not source.is_guessed:
        return found
    marked = (row if isinstance(row, Problem) else (*row[:2], True) for row in found.rows)
    return found._replace(rows=marked)


def _json_table(source: Source, json: bool | None) -> Table | Problem:
    """Read JSON lines if the first is an order, else one document, else JSON lines after all."""
    try:
        first = msgspec.json.decode(source.head.removeprefix(b"\xef\xbb\xbf"))
    except (msgspec.MsgspecError, ValueError, RecursionError):
        first = None
    is_document = first is not None and not is_row(first)
    if is_row(first) or (json and not is_document and source.first != "["):
        return lines_table(source.lines())
    raw = source.whole()
    if isinstance(raw, Problem):
        return raw
    try:
        found = document_table(source.text(raw))
    except NotJson as error:
        if any(_is_object(line) for line in raw.splitlines()[:_FIRST_LINES]):
            known = None if source.is_guessed else source.encoding
            return lines_table(Source(BytesIO(raw), known, score).lines())
        found = str(error)
    return Problem(0, found) if isinstance(found, str) else _marked(found, source)


def _is_object(line: bytes) -> bool:
    try:
        return isinstance(msgspec.json.decode(line), dict)
    except (msgspec.MsgspecError, ValueError, RecursionError):
        return False


def _refusal(head: bytes) -> str | None:
    """Return why a file that begins like this is not read."""
    kind = next((name for mark, name in _FORMS if head.startswith(mark)), None)
    if (
        kind is None
        and _SQL.match(head)
        and not has_order(re.split("[,;\t]", head.decode("latin-1")))
    ):
        kind = "a database's dump in SQL"
    return (
        kind and f"{kind}, which is not read: save the list as CSV with column names, JSON or XLSX"
    )


class _Reading:
    """Reads the rows of one table."""

    def __init__(
        self,
        panel: str,
        table: Table,
        matched: Match,
        dates: DateOrder | None,
        service: str | None,
        notes: Notes,
        on_layout: Callable[[Layout], None],
    ) -> None:
        self._panel, self._table, self._match = panel, table, matched
        self._dates, self._service, self._notes = dates, service, notes
        self._on_layout = on_layout
        self._words = WordFilter()

    def rows(self, providers: Providers[Row]) -> Iterator[Row | Problem]:
        """Yield the panel's orders; those that only the whole list can decide on come last."""
        is_told = not self._table.names or self._table.names == ONE_COLUMN
        for row in self._table.rows:
            if isinstance(row, Problem):
                yield row
                continue
            number, values, guessed = row
            cells = self._cells(values)
            if not is_told:
                is_told = True
                self._on_layout(self._layout(cells))
            found = self._row(number, cells, providers, guessed=guessed)
            if found is not None and self._words.passes(found):
                yield found
        if not is_told:
            self._on_layout(self._layout({}))
        for waited in providers.rest():
            if self._words.passes(waited):
                yield waited
        yield from self._words.rest()
        self._sum_up(providers)

    def _cells(self, values: Sequence[object]) -> dict[str, object]:
        """Return the row's value of each field."""
        places = self._match.places.items()
        there = [(field, values[at]) for field, at in places if at < len(values)]
        cells = {field: value for field, value in there if value is not ABSENT}
        if "order" not in cells and not self._match.is_shop:
            held = [value is not ABSENT for value in values]
            names = self._table.names[: len(held)]
            other = other_order(names, held[: len(names)])
            if other is not None:
                cells["order"] = values[other]
        return cells

    def _row(
        self, number: int, cells: Mapping[str, object], providers: Providers[Row], *, guessed: bool
    ) -> Row | Problem | None:
        """Return the row; None if it is not the panel's, or if that is not clear yet."""
        try:
            if self._match.is_shop and is_no_order(cells.get("order")):
                self._notes.add("not ordered at a panel, skipped", number)
                return None
            item = track_item(
                self._panel,
                cells,
                self._dates,
                note=lambda kind, example: self._notes.add(kind, number, example),
                dotted=self._match.dotted,
                guessed=guessed,
            )
            provider = _provider(cells)
        except ValueError as error:
            return Problem(number, str(error))
        if item.service is None and self._service is not None:
            item = msgspec.structs.replace(item, service=self._service)
        found = Row(number, item)
        if provider is None or providers.takes(provider, number, found):
            return found
        return None

    def _layout(self, cells: Mapping[str, object]) -> Layout:
        names, matched = self._table.names, self._match
        columns = {field: names[place] for field, place in matched.places.items()}
        unused = [name for name in names if name not in columns.values() and name]
        return Layout(
            form=self._table.form,
            maker=matched.maker or None,
            columns=columns,
            samples={field: shown(cells[field]) for field in columns if field in cells},
            own=list(matched.own),
            unused=[name for name in unused if name not in matched.own],
            unit=self._table.unit,
            remarks=self._remarks(),
        )

    def _remarks(self) -> list[str]:
        remarks = [] if self._table.remark is None else [self._table.remark]
        if self._table.above:
            remarks.append(f"skipped: {self._table.above} {self._table.unit}s above the names")
        if self._match.has_people and not self._match.is_shop:
            name = self._table.names[self._match.places["order"]]
            remarks.append(
                f"this looks like the list of a shop of your own: {name!r} has to be the order's "
                "number at the panel, and the service the panel's; --column order=NAME names others"
            )
        return remarks

    def _sum_up(self, providers: Providers[Row]) -> None:
        for name, rows, first, why in providers.skipped():
            whose = f"of provider {name!r}" if name else "of no provider"
            self._notes.add(f"{whose}, not {self._panel}; {why}", first, rows=rows)
        if providers.taken is not None and providers.taken:
            name = providers.taken
            self._notes.add(f"provider {name!r} is taken for {self._panel}: no other can be it", 0)
        self._words.sum_up(self._notes)


def _provider(cells: Mapping[str, object]) -> str | None:
    """Return the provider of a row's order; None if the list has none."""
    panel = text_of(cells.get("panel"), "panel", 1000)
    if panel is not None or "provider" not in cells:
        return panel
    raw = cells["provider"]
    if isinstance(raw, dict):  # as {"id": 3, "name": "genie"}
        raw = raw.get("name", raw.get("id"))
    return text_of(raw, "provider", 1000) or ""
