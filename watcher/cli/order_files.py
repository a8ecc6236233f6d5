"""Lists of orders as people have them, CSV or JSON lines, into orders to track: pure.

1. What can't be used becomes a Problem with its line and cause, and the reading goes on.
2. Where going on would be guessing (columns without names), the Problem is the last.
"""

import csv
import re
from collections import deque
from collections.abc import Callable, Iterable, Iterator, Mapping
from functools import lru_cache
from itertools import chain
from typing import BinaryIO, NamedTuple

import msgspec

from watcher.cli.order_dates import DateOrder
from watcher.cli.order_fields import track_item
from watcher.cli.order_lines import Line, Problem, read_lines
from watcher.web.shapes import TrackItem

MOST_LINES = 50  # in a row, where a quoted cell goes on over lines
_DELIMITERS = ",;\t"
_DELIMITER_NAMES = {",": "commas", ";": "semicolons", "\t": "tabs"}

# The names of columns, the surest first, as they are without case, spaces and marks. In a list of
# one's own shop the panel's id is the external one.
_NAMES = {
    "order": (
        *("externalorderid", "externalid", "providerorderid", "apiorderid"),
        *("orderid", "order", "ordernumber", "orderno", "id"),
    ),
    "service": ("serviceid", "service"),
    "link": ("link", "url"),
    "quantity": ("quantity", "qty"),
    "submitted_at": (
        *("submittedat", "submitted", "createdat", "createdon", "created", "datecreated"),
        *("createddate", "orderdate", "date", "datetime", "timestamp"),
    ),
    "panel": ("panel",),
}
FIELDS = tuple(_NAMES)


class Row(msgspec.Struct, frozen=True):
    """An order to track, and the line that it stood in."""

    line: int
    item: TrackItem


class Layout(msgspec.Struct, frozen=True):
    """What was understood of a list: which of its columns is what, and which are not used."""

    form: str
    columns: dict[str, str]
    unused: list[str]


class Record(NamedTuple):
    line: int
    values: dict[str, object]


def read(
    stream: BinaryIO,
    panel: str,
    *,
    json: bool | None = None,
    columns: Mapping[str, str] | None = None,
    dates: DateOrder | None = None,
    on_layout: Callable[[Layout], None] = lambda layout: None,
) -> Iterator[Row | Problem]:
    """Every order of a list for one panel.

    `json` None is told by the first line. `columns` names the column of a field where the usual
    names don't fit. `on_layout` hears of what was understood, before the first order.
    """
    lines = read_lines(stream)
    early: list[Line | Problem] = []
    for found in lines:
        early.append(found)
        if isinstance(found, Line):
            json = found.text.lstrip().startswith(("{", "[")) if json is None else json
            break
    names = _Names(columns or {}, on_layout)
    every = chain(early, lines)
    for record in _json_records(every, names) if json else _csv_records(every, names):
        yield record if isinstance(record, Problem) else _row(record, panel, dates)


def _row(record: Record, panel: str, dates: DateOrder | None) -> Row | Problem:
    try:
        return Row(record.line, track_item(panel, record.values, dates))
    except ValueError as error:
        return Problem(record.line, str(error))


class _Names:
    """Which column is what, by its name; told of once."""

    def __init__(self, chosen: Mapping[str, str], on_layout: Callable[[Layout], None]) -> None:
        self._chosen = chosen
        self._on_layout = on_layout
        self._told = False

    def places(self, names: tuple[str, ...], form: str) -> dict[str, int]:
        """Where each value is found among columns of these names."""
        places = dict(_places(names))
        for field, name in self._chosen.items():
            places.pop(field, None)
            if name in names:
                places[field] = names.index(name)
        if places and not self._told:
            self._told = True
            used = set(places.values())
            unused = [name for place, name in enumerate(names) if place not in used]
            known = {field: names[place] for field, place in places.items()}
            self._on_layout(Layout(form, known, unused))
        return places


def _json_records(lines: Iterable[Line | Problem], names: _Names) -> Iterator[Record | Problem]:
    for line in lines:
        yield line if isinstance(line, Problem) else _json_record(line, names)


def _json_record(line: Line, names: _Names) -> Record | Problem:
    try:
        raw = msgspec.json.decode(line.text)
    except (msgspec.MsgspecError, ValueError, RecursionError) as error:
        return Problem(line.number, f"not JSON: {error}")
    if not isinstance(raw, dict):
        return Problem(line.number, "not a JSON object: one is wanted on each line")
    places = names.places(tuple(raw), "JSON lines")
    values = list(raw.values())
    return Record(line.number, {name: values[place] for name, place in places.items()})


def _csv_records(lines: Iterable[Line | Problem], names: _Names) -> Iterator[Record | Problem]:
    ahead = _Ahead(iter(lines))
    places: dict[str, int] | None = None
    width, delimiter, delimiters = 1, ",", _DELIMITERS
    while (line := ahead.take()) is not None:
        if isinstance(line, Problem):
            yield line
            continue
        if places is None:
            told = re.fullmatch(r"sep=(.)", line.text.strip(" \r"))
            if told:  # Excel's own first line
                delimiters = told[1]
                continue
            delimiter = _delimiter(line.text, delimiters)
        cells = _cells(line, ahead, delimiter)
        if isinstance(cells, Problem):
            yield cells
            continue
        if places is None:
            form = f"CSV with {_DELIMITER_NAMES.get(delimiter, repr(delimiter))} between cells"
            headers = tuple(cell.strip() for cell in cells)
            places, width = names.places(headers, form), len(cells)
            problem = _header_problem(line, cells, places)
            if problem is not None:
                yield problem
                return
            if places:
                continue
            places = {"order": 0}
        yield _csv_record(line, cells, places, width)


def _csv_record(
    line: Line, cells: list[str], places: dict[str, int], width: int
) -> Record | Problem:
    if any(cell.strip() for cell in cells[width:]):
        # A delimiter inside a cell without quotes has moved the cells after it.
        return Problem(line.number, f"{len(cells)} cells where the first line has {width}")
    values = {name: cells[place] for name, place in places.items() if place < len(cells)}
    return Record(line.number, dict(values))


def _header_problem(line: Line, cells: list[str], places: dict[str, int]) -> Problem | None:
    if "order" in places:
        return None
    if places or len(cells) > 1:
        cause = "no column is named order, order_id or id: name it with --column order=NAME"
        return Problem(line.number, cause)
    if not re.search(r"\d", cells[0]):
        cause = f"{cells[0][:60]!r} is neither an order's id nor a column named order"
        return Problem(line.number, cause)
    return None


@lru_cache(maxsize=64)
def _places(names: tuple[str, ...]) -> dict[str, int]:
    plain = [re.sub(r"[\W_]+", "", name.lower()) for name in names]
    places = {}
    for name, known in _NAMES.items():
        found = next((word for word in known if word in plain), None)
        if found is not None:
            places[name] = plain.index(found)
    return places


def _delimiter(text: str, delimiters: str) -> str:
    bare = re.sub(r'"[^"]*"', "", text)
    return max(delimiters, key=bare.count)


class _Ahead:
    """Lines that may be given back."""

    def __init__(self, lines: Iterator[Line | Problem]) -> None:
        self._lines = lines
        self._back: deque[Line | Problem] = deque()

    def take(self) -> Line | Problem | None:
        return self._back.popleft() if self._back else next(self._lines, None)

    def give_back(self, lines: list[Line | Problem]) -> None:
        self._back.extendleft(reversed(lines))


def _cells(line: Line, ahead: _Ahead, delimiter: str) -> list[str] | Problem:
    """The cells of the row that begins with the line.

    A quoted cell may go on over lines. Where it never ends only its first line is bad: the
    others are given back, so that one stray quote does not swallow the rest of a file.
    """
    text = line.text
    if '"' not in text:
        return text.split(delimiter)
    taken: list[Line | Problem] = []
    while True:
        try:
            return next(csv.reader([text], delimiter=delimiter, strict=True))
        except csv.Error as error:
            may_go_on = text.count('"') % 2 == 1 and len(taken) < MOST_LINES
            cause = f"not CSV: {error}"
        more = ahead.take() if may_go_on else None
        if more is not None:
            taken.append(more)
        if not isinstance(more, Line):
            ahead.give_back(taken)
            return Problem(line.number, cause)
        text += "\n" + more.text
