"""Lists of orders as people have them, into orders to track: pure.

1. What can't be used becomes a Problem with its line and cause, and the reading goes on.
2. Where going on would be guessing (columns without names), the Problem is the last.
3. What is left out, guessed or skipped is noted.
"""

import re
from collections import Counter
from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from io import BytesIO
from typing import BinaryIO

import msgspec

from watcher.cli.order_import.csv_reader import csv_table
from watcher.cli.order_import.dates import DateOrder
from watcher.cli.order_import.html_reader import html_table
from watcher.cli.order_import.json_reader import NotJson, document_table, is_row, lines_table
from watcher.cli.order_import.layouts import (
    FIELDS,
    Match,
    NoMatch,
    has_order,
    match,
    other_order,
    score,
)
from watcher.cli.order_import.lines import ARCHIVE, ListSource, Problem
from watcher.cli.order_import.list_fields import is_no_order, shown, text_of, track_item
from watcher.cli.order_import.notes import Notes
from watcher.cli.order_import.providers import Providers
from watcher.cli.order_import.table import ABSENT, ONE_COLUMN, Table
from watcher.cli.order_import.xlsx_reader import xlsx_table
from watcher.web.shapes import TrackItem

__all__ = ["FIELDS", "Layout", "ListRow", "read"]

_SHORTEST_WORD = 4
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


class ListRow(msgspec.Struct, frozen=True):
    """An order to track, and the line that it stood in."""

    line: int
    item: TrackItem


class Layout(msgspec.Struct, frozen=True, kw_only=True):
    """What was understood of a list: whose it is, and which of its columns is what.

    `samples` are the first values of `columns`; `own` holds numbers of a shop that mean nothing
    at the panel; `unused` are the other columns that are not used.
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
) -> Iterator[ListRow | Problem]:
    """Every order of a list for one panel.

    `json` None is told by the first line. `columns` names the column of a field where the usual
    names don't fit, `provider` what a shop's list calls the panel, `service` that of the orders
    without one, and `panels` all that are watched. `on_layout` hears of what was understood,
    before the first order.
    """
    source = ListSource(stream, encoding, score)
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
    source: ListSource, chosen: Mapping[str, str], json: bool | None
) -> Iterator[Table | Problem]:
    """The list's table, and the problems before it."""
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


def _whole(source: ListSource, table: Callable[[bytes], Table | str]) -> Table | Problem:
    raw = source.whole()
    found = raw if isinstance(raw, Problem) else table(raw)
    return Problem(0, found) if isinstance(found, str) else _marked(found, source)


def _marked(found: Table | Problem, source: ListSource) -> Table | Problem:
    """The table, its letters marked as guessed where those of the whole document are."""
    if isinstance(found, Problem) or not source.is_guessed:
        return found
    marked = (row if isinstance(row, Problem) else (*row[:2], True) for row in found.rows)
    return found._replace(rows=marked)


def _json_table(source: ListSource, json: bool | None) -> Table | Problem:
    """JSON lines where the first is an order, else one document, else lines after all."""
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
            return lines_table(ListSource(BytesIO(raw), known, score).lines())
        found = str(error)
    return Problem(0, found) if isinstance(found, str) else _marked(found, source)


def _is_object(line: bytes) -> bool:
    try:
        return isinstance(msgspec.json.decode(line), dict)
    except (msgspec.MsgspecError, ValueError, RecursionError):
        return False


def _refusal(head: bytes) -> str | None:
    """Why a file of this beginning is not read."""
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
        self._words = _Words()

    def rows(self, providers: Providers[ListRow]) -> Iterator[ListRow | Problem]:
        """The orders at the panel, those at the end of which only the whole list can tell."""
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
            if found is not None and self._words.takes(found):
                yield found
        if not is_told:
            self._on_layout(self._layout({}))
        for waited in providers.rest():
            if self._words.takes(waited):
                yield waited
        yield from self._words.rest()
        self._sum_up(providers)

    def _cells(self, values: Sequence[object]) -> dict[str, object]:
        """The row's value of each field."""
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
        self,
        number: int,
        cells: Mapping[str, object],
        providers: Providers[ListRow],
        *,
        guessed: bool,
    ) -> ListRow | Problem | None:
        """The row; None where it is not the panel's, or where that is not clear yet."""
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
        found = ListRow(number, item)
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

    def _sum_up(self, providers: Providers[ListRow]) -> None:
        for name, rows, first, why in providers.skipped():
            whose = f"of provider {name!r}" if name else "of no provider"
            self._notes.add(f"{whose}, not {self._panel}; {why}", first, rows=rows)
        if providers.taken is not None and providers.taken:
            name = providers.taken
            self._notes.add(f"provider {name!r} is taken for {self._panel}: no other can be it", 0)
        self._words.sum_up(self._notes)


def _provider(cells: Mapping[str, object]) -> str | None:
    """Whose order a row is; None where the list does not tell."""
    panel = text_of(cells.get("panel"), "panel", 1000)
    if panel is not None or "provider" not in cells:
        return panel
    raw = cells["provider"]
    if isinstance(raw, dict):  # as {"id": 3, "name": "genie"}
        raw = raw.get("name", raw.get("id"))
    return text_of(raw, "provider", 1000) or ""


class _Words:
    """Ids without a digit. They wait for the end, where it is known what ids the list has.

    They are taken where others are of letters and digits, and as long; or where there are no
    others, and all are equally long.
    """

    def __init__(self) -> None:
        self._numbers = 0
        self._mixed: Counter[int] = Counter()  # how long they are
        self._first_mixed: tuple[int, str] | None = None
        self._waiting: list[ListRow] = []

    def takes(self, found: ListRow | Problem) -> bool:
        """Whether it can be passed on now."""
        if isinstance(found, Problem):
            return True
        text = str(found.item.order)
        if text.isdecimal():
            self._numbers += 1
            return True
        if any(letter.isdigit() for letter in text):
            self._mixed[len(text)] += 1
            self._first_mixed = self._first_mixed or (found.line, text)
            return True
        self._waiting.append(found)
        return False

    def rest(self) -> Iterator[ListRow | Problem]:
        """Those that waited, as orders or as problems."""
        lengths = {len(str(row.item.order)) for row in self._waiting}
        alone = not self._numbers and not self._mixed and len(lengths) == 1
        known = {n for n in (lengths if alone else self._mixed) if n >= _SHORTEST_WORD}
        for row in self._waiting:
            text = str(row.item.order)
            if len(text) in known:
                yield row
                continue
            by_hand = f"`watcher track {row.item.panel} {text}` tracks it all the same"
            yield Problem(row.line, f"{text!r} is a word, and no id as the others: {by_hand}")

    def sum_up(self, notes: Notes) -> None:
        """Note the ids that are of another form than nearly all."""
        mixed = self._mixed.total()
        if self._first_mixed is not None and self._numbers > 9 * mixed:
            line, text = self._first_mixed
            notes.add("ids with letters among numbers", line, repr(text), mixed)
