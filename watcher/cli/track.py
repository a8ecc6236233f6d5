"""`watcher track`: orders that were submitted elsewhere, by hand or from a file of any size."""

import os
import stat
import sys
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from itertools import chain
from pathlib import Path
from typing import Annotated, BinaryIO

import typer
from rich.console import Console
from rich.progress import BarColumn, Progress, SpinnerColumn, TextColumn, TimeRemainingColumn

from watcher.cli.client import Client, Declined, Unreachable, path_of
from watcher.cli.options import DEFAULT_URL, PanelArgument, TokenFile, Url, connect
from watcher.cli.order_fields import track_item
from watcher.cli.order_files import Problem, Row, read
from watcher.cli.output import counted, errors, say, warn
from watcher.errors import NotFound
from watcher.web.shapes import PanelList, TrackAnswer

BATCH = 5000  # orders in one request
MOST_BYTES = 4 << 20  # about, in one request: fewer orders where links are long
_PATIENCE = 120.0
_FILE_HELP = (
    "CSV with names in its first line (order, service, link, quantity, date), one column of ids, "
    "or JSON lines; - is stdin. Times without an offset are UTC."
)


def track(
    panel: PanelArgument,
    orders: Annotated[list[str] | None, typer.Argument(metavar="ID", help="Orders' ids.")] = None,
    file: Annotated[
        Path | None,
        typer.Option(allow_dash=True, metavar="FILE", help=_FILE_HELP),
    ] = None,
    url: Url = DEFAULT_URL,
    token_file: TokenFile = None,
) -> None:
    """Track orders that were submitted elsewhere."""
    if not orders and file is None:
        raise typer.BadParameter("give orders' ids, or --file")
    client = connect(url, token_file)
    by_hand = _by_hand(panel, orders or [])
    tracking = _Tracking(client)
    try:
        with _opened(file) as stream:
            _check_panel(client, panel)
            tracking.run(chain(by_hand, _rows(stream, file, panel)), stream)
    except (Unreachable, Declined) as error:
        if tracking.done:
            tracking.sum_up()
            warn("run the same again to track the rest: what is known is not tracked twice")
        raise error from None
    tracking.sum_up()
    if tracking.bad:
        raise typer.Exit(1)


class _Tracking:
    """Sends orders in parts, and counts what becomes of them."""

    def __init__(self, client: Client) -> None:
        self.tracked = self.known = self.bad = 0
        self._client = client
        self._console = errors()

    @property
    def done(self) -> int:
        return self.tracked + self.known + self.bad

    def run(self, found: Iterable[Row | Problem], stream: BinaryIO | None) -> None:
        if stream is None or not self._console.is_terminal:
            for batch in self._batches(found):
                self._post(batch)
            return
        size = _size(stream)
        with _bar(self._console, size) as bar:
            task = bar.add_task("", total=size, count="")
            for batch in self._batches(found):
                self._post(batch)
                place = None if size is None else stream.tell()
                bar.update(task, completed=place, count=counted(self.done, "order"))

    def sum_up(self) -> None:
        bad = f", {self.bad:,} not taken" if self.bad else ""
        say(f"{counted(self.tracked, 'order')} tracked, {self.known:,} known already{bad}")

    def _batches(self, found: Iterable[Row | Problem]) -> Iterator[list[Row]]:
        batch: list[Row] = []
        size = 0
        for row in found:
            if isinstance(row, Problem):
                self._tell(f"line {row.line}: {row.cause}")
                continue
            batch.append(row)
            size += len((row.item.link or "").encode())
            if len(batch) == BATCH or size >= MOST_BYTES:
                yield batch
                batch, size = [], 0
        if batch:
            yield batch

    def _post(self, batch: list[Row]) -> None:
        body = {"orders": [row.item for row in batch]}
        raw = self._client.post(path_of("orders"), body, patience=_PATIENCE)[1]
        answer = self._client.shaped(raw, TrackAnswer)
        self.tracked += answer.tracked
        self.known += answer.known
        for refusal in answer.rejected:
            row = batch[refusal.index]
            place = f"line {row.line}: " if row.line else ""
            self._tell(f"{place}order {row.item.order}: {refusal.error}")

    def _tell(self, problem: str) -> None:
        self.bad += 1
        warn(problem, console=self._console)


def _check_panel(client: Client, panel: str) -> None:
    """A wrong name is told of once, not for each of a million lines."""
    listed = client.shaped(client.get(path_of("panels")), PanelList).panels
    known = [view.panel for view in listed]
    if panel not in known:
        raise NotFound(f"there is no panel {panel!r}; there are: {', '.join(known)}")


def _by_hand(panel: str, orders: list[str]) -> list[Row]:
    rows = []
    for order in orders:
        try:
            rows.append(Row(0, track_item(panel, {"order": order})))
        except ValueError as error:
            raise typer.BadParameter(str(error)) from None
    return rows


def _rows(stream: BinaryIO | None, file: Path | None, panel: str) -> Iterable[Row | Problem]:
    if stream is None or file is None:
        return ()
    suffix = file.suffix.lower()
    known = {".jsonl": True, ".ndjson": True, ".csv": False, ".tsv": False}
    return read(stream, panel, json=known.get(suffix))


@contextmanager
def _opened(file: Path | None) -> Iterator[BinaryIO | None]:
    if file is None:
        yield None
    elif str(file) == "-":
        yield sys.stdin.buffer
    else:
        try:
            stream = file.open("rb")
        except OSError as error:
            raise typer.BadParameter(f"{file}: {error.strerror}", param_hint="--file") from None
        with stream:
            yield stream


def _bar(console: Console, size: int | None) -> Progress:
    count = TextColumn("{task.fields[count]}", markup=False)
    known = (BarColumn(), count, TimeRemainingColumn())
    columns = (SpinnerColumn(), count) if size is None else known
    return Progress(*columns, console=console, transient=True)


def _size(stream: BinaryIO) -> int | None:
    """The file's size; None where it is no file, and its end is not known."""
    try:
        status = os.fstat(stream.fileno())
    except OSError:
        return None
    return status.st_size if stat.S_ISREG(status.st_mode) else None
