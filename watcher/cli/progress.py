"""A progress bar, on a terminal only."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING

if TYPE_CHECKING:  # imported late, as in output.py
    from rich.console import Console

# Takes the progress, None if it is unknown, and the text beside the bar.
Update = Callable[[int | None, str], None]


@contextmanager
def progress(console: "Console", total: int | None, *, is_shown: bool = True) -> Iterator[Update]:
    """Show progress up to `total` (None: unknown); the bar disappears at the end."""
    if not (is_shown and console.is_terminal):
        yield lambda place, text: None
        return
    from rich.progress import BarColumn, Progress, SpinnerColumn, TextColumn, TimeRemainingColumn

    text_column = TextColumn("{task.fields[text]}", markup=False)
    known = (BarColumn(), text_column, TimeRemainingColumn())
    columns = (SpinnerColumn(), text_column) if total is None else known
    with Progress(*columns, console=console, transient=True) as bar:
        task = bar.add_task("", total=total, text="")
        yield lambda place, text: bar.update(task, completed=place, text=text)
