"""Lists of orders as people have them, CSV or JSON lines, into orders to track: pure.

1. Lines are read one at a time and no longer than a bound, so that a file may have any size.
2. What can't be used becomes a Problem with its line and cause, and the reading goes on.
3. Where going on would be guessing (columns without names), the Problem is the last.
"""

import csv
import re
from collections import deque
from collections.abc import Iterable, Iterator
from functools import lru_cache
from itertools import chain
from typing import BinaryIO, NamedTuple

import msgspec

from watcher.cli.order_fields import track_item
from watcher.web.shapes import TrackItem

MOST_BYTES = 1 << 20  # in a line
MOST_LINES = 50  # in a row, where a quoted cell goes on over lines
_DELIMITERS = ",;\t"

# The names of columns, the surest first, as they are without case, spaces and marks.
_NAMES = {
    "order": ("orderid", "order", "ordernumber", "orderno", "id"),
    "service": ("serviceid", "service"),
    "link": ("link", "url"),
    "quantity": ("quantity", "qty"),
    "submitted_at": ("submittedat", "submitted", "createdat", "created", "orderdate", "date"),
    "panel": ("panel",),
}


class Row(msgspec.Struct, frozen=True):
    """An order to track, and the line that it stood in."""

    line: int
    item: TrackItem


class Problem(msgspec.Struct, frozen=True):
    """Why a line can't be used."""

    line: int
    cause: str


class Line(NamedTuple):
    number: int
    text: str


class Record(NamedTuple):
    line: int
    values: dict[str, object]


def read(stream: BinaryIO, panel: str, *, json: bool | None = None) -> Iterator[Row | Problem]:
    """Every order of a list for one panel; `json` None is told by the first line."""
    lines = read_lines(stream)
    early: list[Line | Problem] = []
    for found in lines:
        early.append(found)
        if isinstance(found, Line):
            json = found.text.lstrip().startswith("{") if json is None else json
            break
    every = chain(early, lines)
    for record in _json_records(every) if json else _csv_records(every):
        yield record if isinstance(record, Problem) else _row(record, panel)


def read_lines(stream: BinaryIO) -> Iterator[Line | Problem]:
    """The lines that are not blank, numbered from 1."""
    number = 0
    while raw := stream.readline(MOST_BYTES):
        number += 1
        if number == 1 and raw.startswith((b"\xff\xfe", b"\xfe\xff")):
            yield Problem(1, "this is UTF-16: save the file as UTF-8")
            return
        if len(raw) == MOST_BYTES and not raw.endswith(b"\n"):
            _skip_line(stream)
            yield Problem(number, f"longer than {MOST_BYTES} bytes")
            continue
        try:
            text = raw.decode("utf-8-sig" if number == 1 else "utf-8").rstrip("\r\n")
        except UnicodeDecodeError:
            yield Problem(number, "not UTF-8")
            continue
        if text.strip():
            yield Line(number, text)


def _skip_line(stream: BinaryIO) -> None:
    while (raw := stream.readline(MOST_BYTES)) and not raw.endswith(b"\n"):
        pass


def _row(record: Record, panel: str) -> Row | Problem:
    try:
        return Row(record.line, track_item(panel, record.values))
    except ValueError as error:
        return Problem(record.line, str(error))


def _json_records(lines: Iterable[Line | Problem]) -> Iterator[Record | Problem]:
    for line in lines:
        yield line if isinstance(line, Problem) else _json_record(line)


def _json_record(line: Line) -> Record | Problem:
    try:
        raw = msgspec.json.decode(line.text)
    except (msgspec.MsgspecError, ValueError, RecursionError) as error:
        return Problem(line.number, f"not JSON: {error}")
    if not isinstance(raw, dict):
        return Problem(line.number, "not a JSON object")
    places = _places(tuple(raw))
    values = list(raw.values())
    return Record(line.number, {name: values[place] for name, place in places.items()})


def _csv_records(lines: Iterable[Line | Problem]) -> Iterator[Record | Problem]:
    ahead = _Ahead(iter(lines))
    places: dict[str, int] | None = None
    width, delimiter = 1, ","
    while (line := ahead.take()) is not None:
        if isinstance(line, Problem):
            yield line
            continue
        if places is None:
            delimiter = _delimiter(line.text)
        cells = _cells(line, ahead, delimiter)
        if isinstance(cells, Problem):
            yield cells
            continue
        if places is None:
            places, width = _places(tuple(cells)), len(cells)
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
        cause = "no column is named order, order_id or id: columns need names in the first line"
        return Problem(line.number, cause)
    if not re.search(r"\d", cells[0]):
        cause = f"{cells[0][:60]!r} is neither an order's id nor a column named order"
        return Problem(line.number, cause)
    return None


@lru_cache(maxsize=64)
def _places(names: tuple[str, ...]) -> dict[str, int]:
    """Where each value is found among columns of these names."""
    plain = [re.sub(r"[\W_]+", "", name.lower()) for name in names]
    places = {}
    for name, known in _NAMES.items():
        found = next((word for word in known if word in plain), None)
        if found is not None:
            places[name] = plain.index(found)
    return places


def _delimiter(text: str) -> str:
    bare = re.sub(r'"[^"]*"', "", text)
    return max(_DELIMITERS, key=bare.count)


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
