"""Reads lists of orders as CSV: delimiters, quotes, and the names in the first line."""

import csv
import re
from collections import deque
from collections.abc import Iterator, Mapping

from watcher.web.order_import.layouts import has_order, match
from watcher.web.order_import.lines import NoTable, Problem, TextLine
from watcher.web.order_import.list_fields import order_id
from watcher.web.order_import.table import MOST_ABOVE, ONE_COLUMN, Row, Table

MOST_LINES = 50  # in a row, where a quoted cell continues on further lines
_DELIMITERS = ",;\t|"
_DELIMITER_NAMES = {",": "commas", ";": "semicolons", "\t": "tabs", "|": "bars"}
_NO_ID = "is neither an order's id nor a column named order"


def csv_table(
    lines: Iterator[TextLine | Problem], chosen: Mapping[str, str]
) -> Iterator[Table | Problem]:
    """Yield the problems of the lines above the table, then the table, if there is one."""
    ahead, delimiters = _Ahead(lines), _DELIMITERS
    above: list[Problem] = []
    while len(above) < MOST_ABOVE and (line := ahead.take()) is not None:
        if isinstance(line, Problem):
            yield line
            continue
        told = re.fullmatch(r"sep=(.)", line.text.strip(" \r"))
        if told:  # Excel's own first line
            delimiters = told[1]
            continue
        found = _begun(line, ahead, delimiters, chosen)
        if isinstance(found, Problem):
            above.append(found)
        elif found.names != ONE_COLUMN or not above:
            yield found._replace(above=len(above))
            return
        elif all(_is_one_cell(problem) for problem in above):  # words in a list of ids
            yield from above
            yield found
            return
        else:
            break
    yield from above[:1]


def _is_one_cell(problem: Problem) -> bool:
    return problem.cause.endswith(_NO_ID)


def _begun(
    line: TextLine, ahead: "_Ahead", delimiters: str, chosen: Mapping[str, str]
) -> Table | Problem:
    """Return the table that begins with the line."""
    delimiter = _delimiter(line.text, delimiters)
    cells = _cells(line, ahead, delimiter)
    if isinstance(cells, Problem):
        return cells
    form = f"CSV with {_DELIMITER_NAMES.get(delimiter, repr(delimiter))} between cells"
    names = tuple(cell.strip() for cell in cells)
    if not has_order(names):
        headless = _headless(line, cells, chosen)
        if headless is not None:
            ahead.give_back([line])
            width = len(headless)
            return Table(form, headless, _rows(ahead, delimiter, width))
        if len(cells) == 1 and not chosen:
            return Problem(line.number, f"{cells[0][:60]!r} {_NO_ID}")
    try:
        match(names, chosen)
    except NoTable as error:
        return Problem(line.number, str(error))
    return Table(form, names, _rows(ahead, delimiter, len(cells)))


def _headless(
    line: TextLine, cells: list[str], chosen: Mapping[str, str]
) -> tuple[str, ...] | None:
    """Return the columns of a list without names: one of ids, or those chosen by place."""
    place, names = chosen.get("order", ""), ONE_COLUMN
    if len(cells) == 1 and not place:
        column = 0
    elif place.isdecimal() and place.isascii() and 1 <= int(place) <= len(cells):
        column, names = int(place) - 1, tuple(f"column {n}" for n in range(1, len(cells) + 1))
    else:
        return None
    try:
        written = order_id(cells[column])
    except ValueError:
        # An id that a spreadsheet has spoilt has to be reported.
        is_id = bool(re.fullmatch(r"\d[\d.,]*(E\+\d+)?", cells[column].strip(), re.IGNORECASE))
    else:
        is_id = bool(re.search(r"\d", written))
    return names if is_id else None


def _rows(ahead: "_Ahead", delimiter: str, width: int) -> Iterator[Row | Problem]:
    while (line := ahead.take()) is not None:
        if isinstance(line, Problem):
            yield line
            continue
        cells = _cells(line, ahead, delimiter)
        if isinstance(cells, Problem):
            yield cells
        elif any(cell.strip() for cell in cells[width:]):
            # A delimiter inside a cell without quotes has moved the cells after it.
            yield Problem(line.number, f"{len(cells)} cells where the first line has {width}")
        elif any(cell.strip() for cell in cells):
            yield line.number, cells, line.guessed


def _delimiter(text: str, delimiters: str) -> str:
    bare = re.sub(r'"[^"]*"', "", text)
    return max(delimiters, key=bare.count)


class _Ahead:
    """A stream of lines that takes lines back."""

    def __init__(self, lines: Iterator[TextLine | Problem]) -> None:
        self._lines = lines
        self._back: deque[TextLine | Problem] = deque()

    def take(self) -> TextLine | Problem | None:
        return self._back.popleft() if self._back else next(self._lines, None)

    def give_back(self, lines: list[TextLine | Problem]) -> None:
        self._back.extendleft(reversed(lines))


def _cells(line: TextLine, ahead: _Ahead, delimiter: str) -> list[str] | Problem:
    """Return the cells of the row that begins with the line.

    A quoted cell may continue on further lines. If it never ends, only its first line is bad: the
    others are given back, so that one stray quote does not swallow the rest of the file.
    """
    text = line.text
    if '"' not in text:
        return text.split(delimiter)
    taken: list[TextLine | Problem] = []
    while True:
        try:
            return next(csv.reader([text], delimiter=delimiter, strict=True))
        except csv.Error as error:
            may_go_on = text.count('"') % 2 == 1 and len(taken) < MOST_LINES
            cause = f"not CSV: {error}"
        more = ahead.take() if may_go_on else None
        if more is not None:
            taken.append(more)
        if not isinstance(more, TextLine):
            ahead.give_back(taken)
            return Problem(line.number, cause)
        text += "\n" + more.text
