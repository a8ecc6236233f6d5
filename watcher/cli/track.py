"""`watcher track`: orders that were submitted elsewhere, by id or from a file of any size."""

import codecs
import os
import stat
import sys
from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager
from itertools import chain
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, BinaryIO

import msgspec
import typer

from watcher.cli.api_client import ApiClient, Declined, Unreachable, path_of
from watcher.cli.command import command
from watcher.cli.files import csv_file
from watcher.cli.options import (
    CustomerOption,
    Json,
    NoteOption,
    PanelArgument,
    ReferenceOption,
    TagsOption,
    read_labels,
)
from watcher.cli.output import errors, warn
from watcher.cli.progress import progress
from watcher.cli.tracking import Report, Tracking
from watcher.common.wording import counted
from watcher.web.order_import.dates import DateOrder
from watcher.web.order_import.ids import ListRow
from watcher.web.order_import.lines import Problem
from watcher.web.order_import.list_fields import track_item
from watcher.web.order_import.names import FIELDS
from watcher.web.order_import.order_list import Layout, read
from watcher.web.panel_shapes import ServiceList

if TYPE_CHECKING:  # imported late, as in output.py
    from rich.console import Console

_FORMS = {".jsonl": True, ".ndjson": True, ".csv": False, ".tsv": False}
_FILE_HELP = (
    "A list of orders: CSV, XLSX, JSON, JSON lines or a table in HTML, with names of columns; or "
    "one column of ids. - is stdin. Times without an offset are UTC."
)


@command(
    "Orders",
    examples=(
        "watcher track mypanel 23501 23502 --service 1",
        "watcher track mypanel --file orders.csv --dry-run",
        "watcher track mypanel --file orders.csv --column order=Number",
    ),
)
def track(
    client: ApiClient,
    panel: PanelArgument,
    orders: Annotated[list[str] | None, typer.Argument(metavar="ID", help="Orders' ids.")] = None,
    file: Annotated[
        Path | None,
        typer.Option(allow_dash=True, metavar="FILE", help=_FILE_HELP),
    ] = None,
    service: Annotated[
        str | None,
        typer.Option(metavar="ID", help="The panel's service, for orders without one."),
    ] = None,
    reference: ReferenceOption = None,
    customer: CustomerOption = None,
    tag: TagsOption = None,
    note: NoteOption = None,
    column: Annotated[
        list[str] | None,
        typer.Option(
            metavar="FIELD=NAME",
            help=f"Where FIELD is, by its column's name or place (from 1): {', '.join(FIELDS)}.",
        ),
    ] = None,
    provider: Annotated[
        str | None,
        typer.Option(metavar="NAME", help="PANEL's name in a shop's list; skips other rows."),
    ] = None,
    dates: Annotated[
        DateOrder | None, typer.Option(help="What comes first in dates such as 05/06/2024.")
    ] = None,
    encoding: Annotated[
        str | None, typer.Option(metavar="NAME", help="FILE's encoding, such as cp1251.")
    ] = None,
    dry_run: Annotated[
        bool, typer.Option("--dry-run", help="Show how the list is read; send nothing.")
    ] = False,
    rejected: Annotated[
        Path | None, typer.Option(metavar="FILE", help="Write what can't be tracked here, as CSV.")
    ] = None,
    json: Json = False,
) -> None:
    """Track orders that were placed elsewhere."""
    if not orders and file is None:
        raise typer.BadParameter("give orders' ids, or --file")
    _check_alone(reference, file, orders or [])
    labels = read_labels(reference=reference, customer=customer, tags=tag, note=note)
    service, encoding, columns = _service(service), _encoding(encoding), _columns(column or [])
    by_hand = _by_hand(panel, orders or [], service)
    console = errors()
    with _opened(file) as stream, _reporting(rejected, console) as report:
        panels: list[str] = []
        listed: frozenset[str] = frozenset()
        if not dry_run:
            panels = client.check_panel(panel)  # reported once, not for each of a million lines
            listed = _listed(client, panel) if file or service else listed
        tracking = Tracking(panel, None if dry_run else client, report, console, listed)

        def understood(layout: Layout) -> None:
            tracking.layout = layout
            _show_layout(file, console, layout, with_samples=dry_run)

        rows: Iterable[ListRow | Problem] = ()
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
                on_layout=understood,
            )
        _run(tracking, _labelled(chain(by_hand, rows), labels), stream, console)
    tracking.sum_up(json=json)
    if tracking.bad:
        raise typer.Exit(1)


def _run(
    tracking: Tracking,
    found: Iterable[ListRow | Problem],
    stream: BinaryIO | None,
    console: "Console",
) -> None:
    size = None if stream is None else _size(stream)
    try:
        with progress(console, size) as update:
            for _ in tracking.batches(found):
                place = None if stream is None or size is None else stream.tell()
                update(place, counted(tracking.done, "order"))
    except (Unreachable, Declined):
        if tracking.done:
            tracking.sum_up()
            warn("run the same again to track the rest: what is known is not tracked twice")
        raise


def _listed(client: ApiClient, panel: str) -> frozenset[str]:
    """Return the ids of the panel's services; none if the daemon does not know them yet."""
    try:
        raw = client.get(path_of("panels", panel, "services"))
        return frozenset(view.service for view in client.shaped(raw, ServiceList).services)
    except Declined:
        return frozenset()


def _by_hand(panel: str, orders: list[str], service: str | None) -> list[ListRow]:
    try:
        return [ListRow(0, track_item(panel, {"order": id_, "service": service})) for id_ in orders]
    except ValueError as error:
        raise typer.BadParameter(str(error)) from None


def _check_alone(reference: str | None, file: Path | None, orders: list[str]) -> None:
    if reference is not None and (file is not None or len(orders) != 1):
        cause = "it is one order's own: give one ID, or a list with a column of them"
        raise typer.BadParameter(cause, param_hint="--reference")


def _labelled(
    found: Iterable[ListRow | Problem], labels: Mapping[str, Any]
) -> Iterator[ListRow | Problem]:
    """Yield the rows with these labels where they have none; with these tags besides their own."""
    for row in found:
        if isinstance(row, Problem) or not labels:
            yield row
            continue
        own = {name: value for name in labels if (value := getattr(row.item, name))}
        tags = [*own.get("tags", ()), *labels.get("tags", ())]
        more = {**labels, **own, "tags": list(dict.fromkeys(tags))}
        yield ListRow(row.line, msgspec.structs.replace(row.item, **more))


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
        cause = f"there is no encoding {name!r}: use one such as cp1251, cp1254 or latin-1"
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


def _show_layout(
    file: Path | None, console: "Console", layout: Layout, *, with_samples: bool
) -> None:
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
        lines.append(f"not used, because they are the shop's own numbers: {', '.join(layout.own)}")
    if layout.unused:
        lines.append(f"not used: {', '.join(layout.unused)}")
    warn(*lines, *layout.remarks, console=console)


@contextmanager
def _reporting(file: Path | None, console: "Console") -> Iterator[Report]:
    """Report the orders that are not taken in the file if one is given, else on stderr."""
    if file is not None:
        with csv_file(file, ("line", "order", "cause")) as write:
            yield lambda unit, line, order, cause: write((line or None, order, cause))
        return

    def report(unit: str, line: int, order: str | None, cause: str) -> None:
        place = f"{unit} {line}: " if line else ""
        warn(place + (f"order {order}: " if order else "") + cause, console=console)

    yield report


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
    """Return the size of a regular file; None for a pipe, whose end is not known."""
    try:
        status = os.fstat(stream.fileno())
    except OSError:
        return None
    return status.st_size if stat.S_ISREG(status.st_mode) else None
