"""`watcher export`: orders or their history as CSV, XLSX, JSON lines or Parquet, page by page."""

import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from enum import StrEnum
from pathlib import Path
from typing import Annotated, Any, BinaryIO

import msgspec
import typer

from watcher.cli.api_client import ApiClient, path_of
from watcher.cli.command import command
from watcher.cli.files import atomic_file
from watcher.cli.options import (
    FileOrStdout,
    Force,
    PanelOption,
    StatusFilter,
    TagFilter,
    read_since,
)
from watcher.cli.output import errors, safe_json, warn
from watcher.cli.progress import progress
from watcher.cli.xlsx_writer import xlsx_writer
from watcher.common.spreadsheet import cell, csv_lines
from watcher.common.wording import counted
from watcher.web.order_csv import ORDER_FIELDS, order_rows
from watcher.web.shapes import ChangeView, OrderView

Write = Callable[[list[Any]], object]


class What(StrEnum):
    ORDERS = "orders"
    HISTORY = "history"


class ExportFormat(StrEnum):
    CSV = "csv"
    JSONL = "jsonl"
    PARQUET = "parquet"
    XLSX = "xlsx"


_ENDINGS = {
    "": ExportFormat.CSV,
    ".csv": ExportFormat.CSV,
    ".txt": ExportFormat.CSV,
    ".jsonl": ExportFormat.JSONL,
    ".ndjson": ExportFormat.JSONL,
    ".parquet": ExportFormat.PARQUET,
    ".xlsx": ExportFormat.XLSX,
}
_BINARY = frozenset((ExportFormat.PARQUET, ExportFormat.XLSX))
_TIMES = frozenset(name for name in OrderView.__struct_fields__ if name.endswith("_at")) | {"at"}

_CHANGE_FIELDS = ("at", "panel", "order", "field", "old", "new")


@command(
    "Orders",
    examples=(
        "watcher export orders orders.xlsx",
        "watcher export orders --status completed --since 30d completed.csv",
        "watcher export history - --format jsonl",
    ),
)
def export(
    client: ApiClient,
    what: Annotated[What, typer.Argument(metavar="orders|history", help="What to write.")],
    file: FileOrStdout = Path("-"),
    form: Annotated[
        ExportFormat | None,
        typer.Option("--format", help="By default the ending of FILE; parquet is an extra."),
    ] = None,
    panel: PanelOption = None,
    status: StatusFilter = None,
    tag: TagFilter = None,
    since: Annotated[
        str | None,
        typer.Option(metavar="TIME", help="Submitted or changed since: 2024-05-31, 7d, 12h."),
    ] = None,
    force: Force = False,
) -> None:
    """Write orders or their history to a file, which appears once it is complete."""
    if what is What.HISTORY and status is not None:
        raise typer.BadParameter("history has no status: it lists changes", param_hint="--status")
    if what is What.HISTORY and tag is not None:
        raise typer.BadParameter("history has no tags: it lists changes", param_hint="--tag")
    query = {
        "panel": panel,
        "tag": tag,
        "status": None if status is None else status.value,
        "since": None if since is None else read_since(since, datetime.now(UTC)).isoformat(),
    }
    chosen = form or _by_name(file)
    with _target(file, chosen, force=force) as stream, _writer(stream, what, chosen) as write:
        count = _copy(client, what, query, write, shows=str(file) != "-")
        if not count and panel is not None:
            client.check_panel(panel)
    thing = "order" if what is What.ORDERS else "change"
    warn(f"{counted(count, thing)} written" + ("" if str(file) == "-" else f" to {file}"))


def _copy(
    client: ApiClient, what: What, query: dict[str, str | None], write: Write, *, shows: bool
) -> int:
    count = 0
    with progress(errors(), None, is_shown=shows) as update:
        for items, _ in client.pages(path_of(what.value), what.value, query):
            write(items)
            count += len(items)
            update(None, f"{count:,}")
    return count


def _by_name(file: Path) -> ExportFormat:
    found = _ENDINGS.get(file.suffix.lower())
    if found is None:
        endings = ", ".join(ending for ending in _ENDINGS if ending)
        raise typer.BadParameter(
            f"{file} ends in none of {endings}: name it so, or give --format", param_hint="FILE"
        )
    return found


@contextmanager
def _target(file: Path, form: ExportFormat, *, force: bool) -> Iterator[BinaryIO]:
    if str(file) != "-":
        with atomic_file(file, force=force) as stream:
            yield stream
        return
    if form in _BINARY:
        raise typer.BadParameter(f"{form} needs a file", param_hint="FILE")
    yield sys.stdout.buffer
    sys.stdout.buffer.flush()


@contextmanager
def _writer(stream: BinaryIO, what: What, form: ExportFormat) -> Iterator[Write]:
    if form is ExportFormat.PARQUET:
        from watcher.cli.parquet import parquet_writer

        with parquet_writer(stream, OrderView if what is What.ORDERS else ChangeView) as write:
            yield write
    elif form is ExportFormat.JSONL:
        yield lambda items: _write_lines(stream, items)
    else:
        is_orders = what is What.ORDERS
        names = ORDER_FIELDS if is_orders else _CHANGE_FIELDS
        rows = order_rows if is_orders else _change_rows
        if form is ExportFormat.XLSX:
            with xlsx_writer(stream, names) as write:
                yield lambda items: write([_typed(names, row) for row in rows(items)])
            return
        stream.write(csv_lines([names]))
        yield lambda items: stream.write(csv_lines(rows(items)))


def _typed(names: tuple[str, ...], row: list[Any]) -> list[Any]:
    """Return the row with its times as datetimes, and lists as text."""
    return [
        datetime.fromisoformat(value)
        if value and name in _TIMES
        else cell(value)
        if isinstance(value, list)
        else value
        for name, value in zip(names, row, strict=True)
    ]


def _write_lines(stream: BinaryIO, items: list[Any]) -> None:
    lines = (safe_json(msgspec.json.encode(item)) for item in items)
    stream.write("".join(f"{line}\n" for line in lines).encode())


def _change_rows(items: list[Any]) -> list[list[Any]]:
    """Return one row for each field that changed."""
    return [
        [item["at"], item["panel"], item["order"], field, *[*values, None, None][:2]]
        for item in items
        for field, values in item["changes"].items()
    ]
