"""Reads a whole list; returns what would be tracked and what would not. Pure."""

from datetime import datetime
from typing import BinaryIO

import msgspec

from watcher.errors import RequestError
from watcher.model import Order
from watcher.web.order_import.dates import DateOrder
from watcher.web.order_import.ids import ListRow
from watcher.web.order_import.lines import Problem
from watcher.web.order_import.notes import Note, Notes
from watcher.web.order_import.order_list import Layout, read
from watcher.web.order_import.tracked import ListSummary, missing_times, order_of
from watcher.web.shapes import TrackItem

MOST_ORDERS = 50_000
MOST_TEXT = 16 << 20  # characters of all links
_SHOWN = 100  # problems
_BATCH = 1000  # orders

_ITEMS = msgspec.msgpack.Decoder(list[TrackItem])


class ListOptions(msgspec.Struct, frozen=True, kw_only=True):
    """How a list is to be read, as of `now`: see `order_list.read`."""

    panel: str
    now: float
    columns: dict[str, str] = {}
    dates: DateOrder | None = None
    provider: str | None = None
    encoding: str | None = None
    service: str | None = None
    panels: list[str] = []
    listed: list[str] = []  # services


class RefusedLine(msgspec.Struct, frozen=True):
    """A line that is not taken; `line` 0 is the whole list."""

    line: int
    order: str | None
    cause: str


class Preview(msgspec.Struct, kw_only=True):
    """What a list was understood as. `batches` are the orders to track: see `items`.

    `refused` holds the first of the `bad` lines.
    """

    layout: Layout | None = None
    batches: list[bytes] = []
    count: int = 0
    bad: int = 0
    refused: list[RefusedLine] = []
    notes: list[Note] = []
    warnings: list[str] = []
    dates: list[datetime] = []  # the first and the last submission
    too_large: bool = False  # more orders or text than a preview may have: read in part


def items(batch: bytes) -> list[TrackItem]:
    """Return the orders of a batch."""
    return _ITEMS.decode(batch)


def preview(stream: BinaryIO, options: ListOptions) -> Preview:
    """Read the list."""
    reading = _Reading(options)
    notes = Notes()
    rows = read(
        stream,
        options.panel,
        columns=options.columns,
        dates=options.dates,
        provider=options.provider,
        encoding=options.encoding,
        service=options.service,
        panels=options.panels,
        notes=notes,
        on_layout=reading.understood,
    )
    for row in rows:
        reading.take(row)
        if reading.found.too_large:
            break
    return reading.ended(notes)


class _Reading:
    """A list that is being read."""

    def __init__(self, options: ListOptions) -> None:
        self.found = Preview()
        self._now = options.now
        self._summary = ListSummary(options.panel, options.listed)
        self._batch: list[TrackItem] = []
        self._orders: list[Order] = []
        self._letters = 0
        self._seen: set[str] = set()

    def understood(self, layout: Layout) -> None:
        self.found.layout = layout

    def take(self, row: ListRow | Problem) -> None:
        if isinstance(row, Problem):
            self._refuse(row.line, None, row.cause)
            return
        item = row.item
        try:
            order = order_of(item, self._now)
        except RequestError as error:
            self._refuse(row.line, str(item.order), str(error))
            return
        if order.id in self._seen:
            return
        self._seen.add(order.id)
        self._summary.add(item)
        self._letters += len(item.link or "")
        self._batch.append(item)
        self._orders.append(order)
        self.found.count += 1
        self.found.too_large = self.found.count > MOST_ORDERS or self._letters > MOST_TEXT
        if len(self._batch) == _BATCH:
            self._pack()

    def ended(self, notes: Notes) -> Preview:
        self._pack()
        self.found.notes = notes.all()
        self.found.warnings = list(self._summary.warnings(missing_times(self._orders)))
        self.found.dates = self._summary.dates
        return self.found

    def _pack(self) -> None:
        if self._batch:
            self.found.batches.append(msgspec.msgpack.encode(self._batch))
            self._batch = []

    def _refuse(self, line: int, order: str | None, cause: str) -> None:
        self.found.bad += 1
        if len(self.found.refused) < _SHOWN:
            self.found.refused.append(RefusedLine(line, order, cause))
