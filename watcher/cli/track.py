"""`watcher track`: orders that were submitted elsewhere, by hand or from a file of any size."""

import os
import stat
import sys
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from datetime import datetime
from functools import partial
from itertools import chain
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, BinaryIO

import typer

from watcher.cli.client import Client, Declined, Unreachable, path_of
from watcher.cli.options import DEFAULT_URL, Json, PanelArgument, TokenFile, Url, connect
from watcher.cli.order_dates import DateOrder
from watcher.cli.order_fields import track_item
from watcher.cli.order_files import FIELDS, Layout, Row, read
from watcher.cli.order_lines import Problem
from watcher.cli.output import counted, errors, say, show_json, warn
from watcher.cli.progress import progress
from watcher.cli.spreadsheet import CsvFile
from watcher.cli.track_notes import track_notes
from watcher.web.shapes import TrackAnswer

if TYPE_CHECKING:  # imported late, as in output.py
    from rich.console import Console

BATCH = 5000  # orders in one request
MOST_BYTES = 4 << 20  # about, in one request: fewer orders where links are long
_PATIENCE = 120.0
_FILE_HELP = (
    "CSV with names in its first line (order, service, link, quantity, date), one column of ids, "
    "or JSON lines; - is stdin. Times without an offset are UTC."
)

Tell = Callable[[int, str | None, str], None]  # line (0: none), order, cause
Post = Callable[[list[Row]], None]


def track(
    panel: PanelArgument,
    orders: Annotated[list[str] | None, typer.Argument(metavar="ID", help="Orders' ids.")] = None,
    file: Annotated[
        Path | None,
        typer.Option(allow_dash=True, metavar="FILE", help=_FILE_HELP),
    ] = None,
    column: Annotated[
        list[str] | None,
        typer.Option(metavar="FIELD=NAME", help="Where FIELD is, if its column has another name."),
    ] = None,
    dates: Annotated[
        DateOrder | None, typer.Option(help="What comes first in dates as 05/06/2024.")
    ] = None,
    dry_run: Annotated[
        bool, typer.Option("--dry-run", help="Read all, tell what was understood, send nothing.")
    ] = False,
    rejected: Annotated[
        Path | None, typer.Option(metavar="FILE", help="Write what is not taken here, as CSV.")
    ] = None,
    json: Json = False,
    url: Url = DEFAULT_URL,
    token_file: TokenFile = None,
) -> None:
    """Track orders that were submitted elsewhere."""
    if not orders and file is None:
        raise typer.BadParameter("give orders' ids, or --file")
    client = connect(url, token_file)
    by_hand, columns = _by_hand(panel, orders or []), _columns(column or [])
    console = errors()
    with _opened(file) as stream, _told(rejected, console) as tell:
        tracking = _Tracking(tell, console)
        rows: Iterable[Row | Problem] = ()
        if stream and file:
            on_layout = partial(_show_layout, file, console)
            rows = _rows(stream, file, panel, columns, dates, on_layout)
        found = chain(by_hand, rows)
        if dry_run:
            tracking.run(found, stream, tracking.look)
        else:
            client.check_panel(panel)  # told of once, not for each of a million lines
            _send(client, tracking, found, stream)
    tracking.sum_up(json=json, dry_run=dry_run)
    if tracking.bad:
        raise typer.Exit(1)


def _send(
    client: Client, tracking: "_Tracking", found: Iterable[Row | Problem], stream: BinaryIO | None
) -> None:
    try:
        tracking.run(found, stream, lambda batch: tracking.post(client, batch))
    except (Unreachable, Declined) as error:
        if tracking.done:
            tracking.sum_up(json=False, dry_run=False)
            warn("run the same again to track the rest: what is known is not tracked twice")
        raise error from None


class _Tracking:
    """Sends orders in parts, and counts what becomes of them."""

    def __init__(self, tell: Tell, console: "Console") -> None:
        self.tracked = self.known = self.bad = 0
        self.undated = self.finish_unknown = 0
        self._dates: list[datetime] = []  # the first and the last
        self._tell = tell
        self._console = console

    @property
    def done(self) -> int:
        return self.tracked + self.known + self.bad

    def run(self, found: Iterable[Row | Problem], stream: BinaryIO | None, post: Post) -> None:
        size = None if stream is None else _size(stream)
        with progress(self._console, size) as update:
            for batch in self._batches(found):
                post(batch)
                place = None if stream is None or size is None else stream.tell()
                update(place, counted(self.done, "order"))

    def post(self, client: Client, batch: list[Row]) -> None:
        body = {"orders": [row.item for row in batch]}
        raw = client.post(path_of("orders"), body, patience=_PATIENCE)[1]
        answer = client.shaped(raw, TrackAnswer)
        self.tracked += answer.tracked
        self.known += answer.known
        self.undated += answer.undated
        self.finish_unknown += answer.finish_unknown
        for refusal in answer.rejected:
            row = batch[refusal.index]
            self._reject(row.line, str(row.item.order), refusal.error)

    def look(self, batch: list[Row]) -> None:
        """Count them, and send nothing."""
        self.tracked += len(batch)
        times = [row.item.submitted_at for row in batch if row.item.submitted_at]
        ends = sorted(times + self._dates)
        self._dates = [ends[0], ends[-1]] if ends else []

    def sum_up(self, *, json: bool, dry_run: bool) -> None:
        if json:
            tracked, known = (0, 0) if dry_run else (self.tracked, self.known)
            counts = {"tracked": tracked, "known": known, "rejected": self.bad}
            show_json({"usable": self.tracked, **counts} if dry_run else counts)
            return
        bad = f", {self.bad:,} not taken" if self.bad else ""
        if dry_run:
            days = " to ".join(f"{at:%Y-%m-%d}" for at in self._dates)
            say(f"{counted(self.tracked, 'order')} to track{bad}; nothing was sent")
            if days:
                say(f"submitted {days}")
            return
        say(f"{counted(self.tracked, 'order')} tracked, {self.known:,} known already{bad}")
        for note in track_notes(self.undated, self.finish_unknown):
            warn(note, console=self._console)

    def _batches(self, found: Iterable[Row | Problem]) -> Iterator[list[Row]]:
        batch: list[Row] = []
        size = 0
        for row in found:
            if isinstance(row, Problem):
                self._reject(row.line, None, row.cause)
                continue
            batch.append(row)
            size += len((row.item.link or "").encode())
            if len(batch) == BATCH or size >= MOST_BYTES:
                yield batch
                batch, size = [], 0
        if batch:
            yield batch

    def _reject(self, line: int, order: str | None, cause: str) -> None:
        self.bad += 1
        self._tell(line, order, cause)


def _by_hand(panel: str, orders: list[str]) -> list[Row]:
    rows = []
    for order in orders:
        try:
            rows.append(Row(0, track_item(panel, {"order": order})))
        except ValueError as error:
            raise typer.BadParameter(str(error)) from None
    return rows


def _columns(given: list[str]) -> dict[str, str]:
    columns = {}
    for text in given:
        field, equals, name = text.partition("=")
        if field not in FIELDS or not equals or not name:
            cause = f"{text!r} is not FIELD=NAME with one of {', '.join(FIELDS)}"
            raise typer.BadParameter(cause, param_hint="--column")
        columns[field] = name
    return columns


def _rows(
    stream: BinaryIO,
    file: Path,
    panel: str,
    columns: dict[str, str],
    dates: DateOrder | None,
    on_layout: Callable[[Layout], None],
) -> Iterator[Row | Problem]:
    known = {".jsonl": True, ".ndjson": True, ".csv": False, ".tsv": False}
    json = known.get(file.suffix.lower())
    return read(stream, panel, json=json, columns=columns, dates=dates, on_layout=on_layout)


def _show_layout(file: Path, console: "Console", layout: Layout) -> None:
    name = "standard input" if str(file) == "-" else str(file)
    found = ", ".join(f"{field} from {column!r}" for field, column in layout.columns.items())
    warn(f"{name}: {layout.form}; {found}", console=console)
    if layout.unused:
        warn(f"not used: {', '.join(layout.unused)}", console=console)


@contextmanager
def _told(file: Path | None, console: "Console") -> Iterator[Tell]:
    """Tells of each order that is not taken on stderr, or in a file where one is wanted."""
    if file is None:

        def tell(line: int, order: str | None, cause: str) -> None:
            place = f"line {line}: " if line else ""
            warn(place + (f"order {order}: " if order else "") + cause, console=console)

        yield tell
        return
    with CsvFile(file, ("line", "order", "cause"), force=True) as csv:
        yield lambda line, order, cause: csv.write((line or None, order, cause))


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


def _size(stream: BinaryIO) -> int | None:
    """The file's size; None where it is no file, and its end is not known."""
    try:
        status = os.fstat(stream.fileno())
    except OSError:
        return None
    return status.st_size if stat.S_ISREG(status.st_mode) else None
