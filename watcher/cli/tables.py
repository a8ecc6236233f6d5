"""Tables that fit the window."""

from collections.abc import Callable, Iterable, Sequence
from datetime import datetime
from typing import TYPE_CHECKING, Any, NamedTuple

from watcher.cli.output import ago, output, say
from watcher.common.wording import clean

if TYPE_CHECKING:  # imported late, as in output.py
    from rich.console import Console
    from rich.text import Text

_GAP = 2
_FLEXIBLE = 12  # least width of a text that may be cut or wrapped

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
    """A table's column; in a narrow window those with the highest `drop` are left out first.

    `value` is the attribute of a row to show, or a function of the row; None is the column's name.
    """

    name: str
    value: str | Callable[[Any], object] | None = None
    drop: int = 0  # 0 is never left out
    flexible: bool = False  # may be cut
    wraps: bool = False  # may take several lines
    right: bool = False
    style: str = ""

    def of(self, row: object, place: int) -> object:
        """Return the column's value in a row. A tuple has its values by place."""
        if isinstance(row, tuple):
            return row[place]
        return self.value(row) if callable(self.value) else getattr(row, self.value or self.name)

    def least(self, cells: Sequence["Text"]) -> int:
        """Return the least width that shows what must not be cut."""
        full = max(cell.cell_len for cell in cells)
        bends = self.flexible or self.wraps
        return min(full, max(_FLEXIBLE, len(self.name))) if bends else full


def show_table(columns: Sequence[Column], rows: Sequence[object], *, empty: str = "") -> None:
    """Show rows below the columns' names; without rows print `empty`."""
    if empty and not rows:
        say(empty)
        return
    _show(table_lines(output(), columns, rows))


def show_facts(facts: Iterable[tuple[str, object]]) -> None:
    """Show names and values, one per line, without those that are not known."""
    columns = (Column("", style="bold"), Column("", wraps=True))
    rows = [fact for fact in facts if fact[1] not in (None, "", [])]
    _show(table_lines(output(), columns, rows, header=False))


def table_lines(
    console: "Console",
    columns: Sequence[Column],
    rows: Sequence[object],
    *,
    header: bool = True,
) -> list["Text"]:
    """Return a table as lines. Empty columns that may be left out are."""
    from rich.table import Table
    from rich.text import Text

    cells = [
        [Text(column.name, "bold"), *(_cell(column.of(row, place), column) for row in rows)]
        for place, column in enumerate(columns)
    ]
    kept = _fitting(columns, cells, console.width)
    table = Table(box=None, padding=(0, _GAP, 0, 0), pad_edge=False, show_header=header)
    for place in kept:
        column = columns[place]
        bends = column.flexible or column.wraps
        table.add_column(
            cells[place][0], justify="right" if column.right else "left", no_wrap=not bends
        )
    for row in zip(*(cells[place][1:] for place in kept), strict=True):
        table.add_row(*row)
    lines = [
        Text.assemble(*((part.text, part.style or "") for part in line))
        for line in console.render_lines(table, pad=False)
    ]
    for line in lines:
        line.rstrip()
    return lines


def _show(lines: Iterable["Text"]) -> None:
    console = output()
    for line in lines:
        console.print(line, soft_wrap=True)


def _cell(value: object, column: Column) -> "Text":
    from rich.text import Text

    if value is None:
        text = ""
    elif isinstance(value, bool):
        text = "yes" if value else "no"
    elif isinstance(value, datetime):
        text = ago(value)
    elif isinstance(value, list):
        text = clean(", ".join(map(str, value)))
    else:
        text = clean(value)
    style = column.style or _STYLES.get(text, "")
    if column.wraps:
        return Text(text, style, overflow="fold")
    return Text(text, style, overflow="ellipsis", no_wrap=True)


def _fitting(
    columns: Sequence[Column], cells: Sequence[Sequence["Text"]], window: int
) -> list[int]:
    """Return the places of the columns that fit the window; `cells` are by column, name first."""
    widths = {
        place: column.least(cells[place])
        for place, column in enumerate(columns)
        if not column.drop or any(text.plain for text in cells[place][1:])
    }
    while sum(widths.values()) + _GAP * (len(widths) - 1) > window:
        droppable = [place for place in widths if columns[place].drop]
        if not droppable:
            break
        del widths[max(droppable, key=lambda place: columns[place].drop)]
    return list(widths)
