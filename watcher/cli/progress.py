"""A bar while something takes long, on a terminal only."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING

if TYPE_CHECKING:  # imported late, as in output.py
    from rich.console import Console

# Takes how far it is, None where that can't be told, and what is said beside the bar.
Update = Callable[[int | None, str], None]


@contextmanager
def progress(console: "Console", total: int | None) -> Iterator[Update]:
    """Shows how far of `total` (None: nobody knows) something is; gone when it is done."""
    if not console.is_terminal:
        yield lambda place, text: None
        return
    from rich.progress import BarColumn, Progress, SpinnerColumn, TextColumn, TimeRemainingColumn

    text_column = TextColumn("{task.fields[text]}", markup=False)
    known = (BarColumn(), text_column, TimeRemainingColumn())
    columns = (SpinnerColumn(), text_column) if total is None else known
    with Progress(*columns, console=console, transient=True) as bar:
        task = bar.add_task("", total=total, text="")
        yield lambda place, text: bar.update(task, completed=place, text=text)
