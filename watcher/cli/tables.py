"""Tables that fit the window, whatever is in them."""

from collections.abc import Iterable, Sequence
from datetime import datetime
from typing import TYPE_CHECKING, NamedTuple

from watcher.cli.output import ago, clean, output

if TYPE_CHECKING:  # imported late, as in output.py
    from rich.console import Console
    from rich.text import Text

_GAP = 2
_FLEXIBLE = 12  # a text that may be cut or wrapped has at least so much room

_STYLES = {
    "completed": "green",
    "accepted": "green",
    "up": "green",
    "partial": "yellow",
    "canceled": "red",
    "refunded": "red",
    "failed": "red",
    "rejected": "red",
    "down": "red",
    "unresolved": "bold red",
    "unknown": "magenta",
}


class Column(NamedTuple):
    """A table's column; in a narrow window those with the highest `drop` go first."""

    name: str
    drop: int = 0  # 0 never goes
    flexible: bool = False  # may be cut
    wraps: bool = False  # may go on over lines
    right: bool = False

    @property
    def bends(self) -> bool:
        return self.flexible or self.wraps


def show_table(columns: Sequence[Column], rows: Iterable[Sequence[object]]) -> None:
    """The rows below the columns' names, no wider than the window."""
    _show(table_lines(output(), columns, rows))


def table_lines(
    console: "Console", columns: Sequence[Column], rows: Iterable[Sequence[object]]
) -> list["Text"]:
    """The same as lines, for whoever shows them another way."""
    from rich.text import Text

    cells = [[_cell(value) for value in row] for row in rows]
    names = [Text(column.name, style="bold") for column in columns]
    widths = _widths(columns, cells, console.width)
    return [line for row in (names, *cells) for line in _row_lines(console, columns, row, widths)]


def show_facts(facts: Iterable[tuple[str, object]]) -> None:
    """Names and values, one a line; what is not known is left out."""
    from rich.text import Text

    console = output()
    columns = (Column(""), Column("", wraps=True))
    rows = [
        [Text(name, style="bold"), _cell(value)]
        for name, value in facts
        if value not in (None, "", [])
    ]
    widths = _widths(columns, rows, console.width)
    _show(line for row in rows for line in _row_lines(console, columns, row, widths))


def _show(lines: Iterable["Text"]) -> None:
    console = output()
    for line in lines:
        console.print(line, soft_wrap=True)


def _cell(value: object) -> "Text":
    from rich.text import Text

    if value is None:
        return Text("")
    if isinstance(value, bool):
        return Text("yes" if value else "no")
    if isinstance(value, datetime):
        return Text(ago(value))
    if isinstance(value, list):
        value = ", ".join(map(str, value))
    text = clean(value)
    return Text(text, style=_STYLES.get(text, ""))


def _widths(columns: Sequence[Column], cells: list[list["Text"]], window: int) -> dict[int, int]:
    """The places and widths of the columns that the window has room for.

    1. A column that says nothing is left out, where it may be.
    2. What goes first goes until the others fit at their least.
    3. What room is left goes to those that may be cut or wrapped, the first first.
    """
    from rich.cells import cell_len

    full = [
        max([cell_len(column.name), *(row[place].cell_len for row in cells)])
        for place, column in enumerate(columns)
    ]
    least = [
        min(full[place], max(_FLEXIBLE, cell_len(column.name))) if column.bends else full[place]
        for place, column in enumerate(columns)
    ]
    widths = {
        place: least[place]
        for place, column in enumerate(columns)
        if not column.drop or any(row[place].plain for row in cells)
    }
    while (left := window + _GAP - sum(width + _GAP for width in widths.values())) < 0:
        droppable = [place for place in widths if columns[place].drop]
        if not droppable:
            break
        del widths[max(droppable, key=lambda place: columns[place].drop)]
    for place in widths:
        more = max(0, min(left, full[place] - widths[place]))
        widths[place] += more
        left -= more
    return widths


def _row_lines(
    console: "Console", columns: Sequence[Column], row: Sequence["Text"], widths: dict[int, int]
) -> list["Text"]:
    """By hand, as rich's own tables share out the room differently from version to version."""
    from rich.text import Text

    blocks = [_block(console, columns[place], row[place], widths[place]) for place in widths]
    lines = []
    for height in range(max(map(len, blocks))):
        line = Text(" " * _GAP).join(
            block[height] if height < len(block) else Text(" " * width)
            for block, width in zip(blocks, widths.values(), strict=True)
        )
        line.rstrip()
        line.truncate(console.width)
        lines.append(line)
    return lines


def _block(console: "Console", column: Column, cell: "Text", width: int) -> list["Text"]:
    """The cell's lines, each as wide as the column."""
    lines = list(cell.wrap(console, width, overflow="fold")) if column.wraps else [cell.copy()]
    for line in lines:
        line.truncate(width, overflow="ellipsis")
        line.align("right" if column.right else "left", width)
    return lines
