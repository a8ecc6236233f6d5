"""`watcher track`: orders that were submitted elsewhere, by hand or from a file of any size."""

import codecs
import os
import stat
import sys
from collections import Counter
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
from watcher.cli.order_notes import Notes
from watcher.cli.output import errors, say, show_json, warn
from watcher.cli.progress import progress
from watcher.cli.spreadsheet import CsvFile
from watcher.cli.track_notes import track_notes
from watcher.web.panel_shapes import ServiceList
from watcher.web.shapes import TrackAnswer
from watcher.wording import counted

if TYPE_CHECKING:  # imported late, as in output.py
    from rich.console import Console

BATCH = 5000  # orders in one request
MOST_BYTES = 4 << 20  # about, in one request: fewer orders where links are long
_PATIENCE = 120.0
_FORMS = {".jsonl": True, ".ndjson": True, ".csv": False, ".tsv": False}
_FILE_HELP = (
    "A list of orders: CSV, XLSX, JSON, JSON lines or a table in HTML, with names of columns; or "
    "one column of ids. - is stdin. Times without an offset are UTC."
)

Tell = Callable[
    [str, int, str | None, str], None
]  # line or row, its number (0: none), order, cause
Post = Callable[[list[Row]], None]


def track(
    panel: PanelArgument,
    orders: Annotated[list[str] | None, typer.Argument(metavar="ID", help="Orders' ids.")] = None,
    file: Annotated[
        Path | None,
        typer.Option(allow_dash=True, metavar="FILE", help=_FILE_HELP),
    ] = None,
    service: Annotated[
        str | None,
        typer.Option(metavar="ID", help="The panel's service of the orders without one."),
    ] = None,
    column: Annotated[
        list[str] | None,
        typer.Option(
            metavar="FIELD=NAME",
            help=f"Where FIELD is, by its column's name or place (from 1): {', '.join(FIELDS)}.",
        ),
    ] = None,
    provider: Annotated[
        str | None,
        typer.Option(metavar="NAME", help="What a shop's list calls PANEL: only its rows."),
    ] = None,
    dates: Annotated[
        DateOrder | None, typer.Option(help="What comes first in dates as 05/06/2024.")
    ] = None,
    encoding: Annotated[
        str | None, typer.Option(metavar="NAME", help="As cp1251, where FILE is not UTF-8.")
    ] = None,
    dry_run: Annotated[
        bool, typer.Option("--dry-run", help="Read all, show what was understood, send nothing.")
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
    service, encoding = _service(service), _encoding(encoding)
    by_hand, columns = _by_hand(panel, orders or [], service), _columns(column or [])
    console = errors()
    with _opened(file) as stream, _told(rejected, console) as tell:
        tracking = _Tracking(panel, tell, console)
        panels: list[str] = []
        if not dry_run:
            panels = client.check_panel(panel)  # told of once, not for each of a million lines
            if file or service:
                tracking.listed = _listed(client, panel)
        rows: Iterable[Row | Problem] = ()
        if stream and file:
            rows = read(
                stream,
                panel,
                json=_FORMS.get(file.suffix.lower()),
                columns=columns,
                dates=dates,
                provider=provider,
                encoding=encoding,
                service=service,
                panels=panels,
                notes=tracking.notes,
                on_layout=partial(tracking.understood, file, dry_run=dry_run),
            )
        found = chain(by_hand, rows)
        if dry_run:
            tracking.run(found, stream, tracking.look)
        else:
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


def _listed(client: Client, panel: str) -> frozenset[str]:
    """The ids of the panel's services; none where the daemon does not know them yet."""
    try:
        raw = client.get(path_of("panels", panel, "services"))
        return frozenset(view.service for view in client.shaped(raw, ServiceList).services)
    except Declined:
        return frozenset()


class _Tracking:
    """Sends orders in parts, and counts what becomes of them."""

    def __init__(self, panel: str, tell: Tell, console: "Console") -> None:
        self.tracked = self.known = self.updated = self.bad = 0
        self.undated = self.finish_unknown = 0
        self.notes = Notes()
        self.listed: frozenset[str] = frozenset()  # the panel's services
        self._panel = panel
        self._layout: Layout | None = None
        self._without_service = 0
        self._strange: Counter[str] = Counter()  # services that the panel does not list
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

    def understood(self, file: Path, layout: Layout, *, dry_run: bool) -> None:
        """Show what was understood of a list."""
        self._layout = layout
        _show_layout(file, self._console, layout, with_samples=dry_run)

    def post(self, client: Client, batch: list[Row]) -> None:
        body = {"orders": [row.item for row in batch]}
        raw = client.post(path_of("orders"), body, patience=_PATIENCE)[1]
        answer = client.shaped(raw, TrackAnswer)
        self.tracked += answer.tracked
        self.known += answer.known
        self.undated += answer.undated
        self.finish_unknown += answer.finish_unknown
        self.updated += answer.updated
        self._note_services(batch)
        for refusal in answer.rejected:
            row = batch[refusal.index]
            self._reject(row.line, str(row.item.order), refusal.error)

    def look(self, batch: list[Row]) -> None:
        """Count them, and send nothing."""
        self.tracked += len(batch)
        self._note_services(batch)
        times = [row.item.submitted_at for row in batch if row.item.submitted_at]
        ends = sorted(times + self._dates)
        self._dates = [ends[0], ends[-1]] if ends else []

    def sum_up(self, *, json: bool, dry_run: bool) -> None:
        """Tell the counts, what is to be known of the list, and what the orders lack."""
        warn(*self.notes.lines(self._unit), *self._warnings(), console=self._console)
        if json:
            self._show_json(dry_run=dry_run)
            return
        bad = f", {self.bad:,} not taken" if self.bad else ""
        if dry_run:
            days = " to ".join(f"{at:%Y-%m-%d}" for at in self._dates)
            say(f"{counted(self.tracked, 'order')} to track{bad}; nothing was sent")
            if days:
                say(f"submitted {days}")
            return
        updated = f" ({self.updated:,} of them with a service now)" if self.updated else ""
        say(f"{counted(self.tracked, 'order')} tracked, {self.known:,} known already{updated}{bad}")

    @property
    def _unit(self) -> str:
        return self._layout.unit if self._layout else "line"

    def _show_json(self, *, dry_run: bool) -> None:
        tracked, known = (0, 0) if dry_run else (self.tracked, self.known)
        counts = {"tracked": tracked, "known": known, "rejected": self.bad}
        document = {"usable": self.tracked, **counts} if dry_run else counts
        show_json(
            document
            | {
                "updated": self.updated,
                "undated": self.undated,
                "finish_unknown": self.finish_unknown,
                "without_service": self._without_service,
                "unlisted_services": dict(self._strange),
                "layout": self._layout,
                "notes": self.notes.all(),
            }
        )

    def _note_services(self, batch: list[Row]) -> None:
        for row in batch:
            if row.item.service is None:
                self._without_service += 1
            elif self.listed and row.item.service not in self.listed:
                self._strange[str(row.item.service)] += 1

    def _warnings(self) -> Iterator[str]:
        yield from track_notes(self.undated, self.finish_unknown)
        if self._without_service:
            verb, them = ("has", "it") if self._without_service == 1 else ("have", "them")
            yield (
                f"{counted(self._without_service, 'order')} {verb} no service: rules on service.* "
                f"can't apply to {them}; give --service, or a list with a column of the panel's "
                "services"
            )
        if self._strange:
            most = ", ".join(f"{name} ({n:,})" for name, n in self._strange.most_common(5))
            more = " and others" if len(self._strange) > 5 else ""
            yield (
                f"{self._panel} does not list these services: {most}{more}; are they the "
                "panel's own numbers?"
            )

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
        self._tell(self._unit, line, order, cause)


def _by_hand(panel: str, orders: list[str], service: str | None) -> list[Row]:
    rows = []
    for order in orders:
        try:
            rows.append(Row(0, track_item(panel, {"order": order, "service": service})))
        except ValueError as error:
            raise typer.BadParameter(str(error)) from None
    return rows


def _service(text: str | None) -> str | None:
    if text is None:
        return None
    try:
        found = track_item("", {"order": "1", "service": text}).service
    except ValueError as error:
        raise typer.BadParameter(str(error), param_hint="--service") from None
    if found is None:
        cause = f"{text!r} is no service's id: `watcher services PANEL` lists them"
        raise typer.BadParameter(cause, param_hint="--service")
    return str(found)


def _encoding(name: str | None) -> str | None:
    if name is None:
        return None
    try:
        "".encode(name)  # LookupError as well for what encodes bytes and no text
        return codecs.lookup(name).name
    except LookupError:
        cause = f"there is no encoding {name!r}: as cp1251, cp1254, latin-1"
        raise typer.BadParameter(cause, param_hint="--encoding") from None


def _columns(given: list[str]) -> dict[str, str]:
    columns = {}
    for text in given:
        field, equals, name = text.partition("=")
        if field not in FIELDS or not equals or not name:
            cause = f"{text!r} is not FIELD=NAME with one of {', '.join(FIELDS)}"
            raise typer.BadParameter(cause, param_hint="--column")
        columns[field] = name
    return columns


def _show_layout(file: Path, console: "Console", layout: Layout, *, with_samples: bool) -> None:
    name = "standard input" if str(file) == "-" else str(file)
    maker = f", {layout.maker}" if layout.maker else ""
    if with_samples:
        lines = [f"{name}: {layout.form}{maker}"]
        for field, column in layout.columns.items():
            lines.append(f"  {field} from {column!r}, as {layout.samples.get(field, 'nothing')}")
    else:
        found = ", ".join(f"{field} from {column!r}" for field, column in layout.columns.items())
        lines = [f"{name}: {layout.form}{maker}; {found}"]
    if layout.own:
        lines.append(f"not used, as numbers of the shop's own: {', '.join(layout.own)}")
    if layout.unused:
        lines.append(f"not used: {', '.join(layout.unused)}")
    warn(*lines, *layout.remarks, console=console)


@contextmanager
def _told(file: Path | None, console: "Console") -> Iterator[Tell]:
    """Tells of each order that is not taken on stderr, or in a file where one is wanted."""
    if file is None:

        def tell(unit: str, line: int, order: str | None, cause: str) -> None:
            place = f"{unit} {line}: " if line else ""
            warn(place + (f"order {order}: " if order else "") + cause, console=console)

        yield tell
        return
    with CsvFile(file, ("line", "order", "cause"), force=True) as csv:
        yield lambda unit, line, order, cause: csv.write((line or None, order, cause))


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
