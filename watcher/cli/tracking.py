"""Sends orders to track in batches, and counts the results."""

import time
from collections import Counter
from collections.abc import Callable, Iterable, Iterator
from typing import TYPE_CHECKING

from watcher.cli.api_client import ApiClient, path_of
from watcher.cli.output import say, show_json, warn
from watcher.common.wording import counted
from watcher.errors import RequestError
from watcher.web.order_import.ids import ListRow
from watcher.web.order_import.lines import Problem
from watcher.web.order_import.notes import Notes
from watcher.web.order_import.order_list import Layout
from watcher.web.order_import.tracked import ListSummary, MissingTimes, missing_times, order_of
from watcher.web.shapes import TrackAnswer

if TYPE_CHECKING:  # imported late, as in output.py
    from rich.console import Console

BATCH = 5000  # orders in one request
MOST_BYTES = 4 << 20  # of links and notes in one request, about
_PATIENCE = 120.0
_COUNTS = ("tracked", "known", "updated", "undated", "finish_unknown")

Report = Callable[[str, int, str | None, str], object]  # unit, its number (0: none), order, cause


class Tracking:
    """Tracks the orders of one panel and counts the results; without a `client` it is a dry run."""

    def __init__(
        self,
        panel: str,
        client: ApiClient | None,
        report: Report,
        console: "Console",
        listed: frozenset[str] = frozenset(),
    ) -> None:
        self.notes = Notes()
        self.layout: Layout | None = None
        self.bad = 0
        self._panel, self._client = panel, client
        self._report, self._console = report, console
        self._summary = ListSummary(panel, listed)  # the services that the panel lists
        self._counts = Counter(dict.fromkeys(_COUNTS, 0))

    @property
    def done(self) -> int:
        """Return how many orders were handled."""
        return self._counts["tracked"] + self._counts["known"] + self.bad

    def batches(self, found: Iterable[ListRow | Problem]) -> Iterator[None]:
        """Send one batch at each step, and report what can't be tracked."""
        batch: list[ListRow] = []
        size = 0
        for row in found:
            if isinstance(row, Problem):
                self._reject(row.line, None, row.cause)
                continue
            batch.append(row)
            size += len((row.item.link or "").encode()) + len((row.item.note or "").encode())
            if len(batch) == BATCH or size >= MOST_BYTES:
                self._handle(batch)
                yield
                batch, size = [], 0
        if batch:
            self._handle(batch)
            yield

    def sum_up(self, *, json: bool = False) -> None:
        """Print the counts, the notes on the list, and what the orders lack."""
        missing = MissingTimes(self._counts["undated"], self._counts["finish_unknown"])
        told = self._summary.warnings(missing)
        warn(*self.notes.lines(self._unit), *told, console=self._console)
        if json:
            show_json(self._document())
            return
        counts = self._counts
        bad = f", {self.bad:,} not taken" if self.bad else ""
        if self._client is None:
            say(f"{counted(counts['tracked'], 'order')} to track{bad}; nothing was sent")
            if self._summary.dates:
                say("submitted " + " to ".join(f"{at:%Y-%m-%d}" for at in self._summary.dates))
            return
        updated = (
            f" ({counts['updated']:,} of them with more details now)" if counts["updated"] else ""
        )
        known = f"{counts['known']:,} known already{updated}"
        say(f"{counted(counts['tracked'], 'order')} tracked, {known}{bad}")

    @property
    def _unit(self) -> str:
        return self.layout.unit if self.layout else "line"

    def _handle(self, batch: list[ListRow]) -> None:
        if self._client is None:
            batch = self._tried(batch)
        for row in batch:
            self._summary.add(row.item)
        if self._client is not None:
            self._post(self._client, batch)

    def _tried(self, batch: list[ListRow]) -> list[ListRow]:
        """Return the orders that the daemon would take."""
        taken, orders = [], []
        for row in batch:
            try:
                orders.append(order_of(row.item, time.time()))
                taken.append(row)
            except RequestError as error:
                self._reject(row.line, str(row.item.order), str(error))
        missing = missing_times(orders)
        self._counts["tracked"] += len(taken)
        self._counts["undated"] += missing.undated
        self._counts["finish_unknown"] += missing.finish_unknown
        return taken

    def _post(self, client: ApiClient, batch: list[ListRow]) -> None:
        body = {"orders": [row.item for row in batch]}
        raw = client.post(path_of("orders"), body, patience=_PATIENCE)[1]
        answer = client.shaped(raw, TrackAnswer)
        for name in _COUNTS:
            self._counts[name] += getattr(answer, name)
        for refusal in answer.rejected:
            row = batch[refusal.index]
            self._reject(row.line, str(row.item.order), refusal.error)

    def _reject(self, line: int, order: str | None, cause: str) -> None:
        self.bad += 1
        self._report(self._unit, line, order, cause)

    def _document(self) -> dict[str, object]:
        counts: dict[str, object] = {**self._counts}
        if self._client is None:
            counts |= {"usable": self._counts["tracked"], "tracked": 0, "known": 0}
        return counts | {
            "rejected": self.bad,
            "without_service": self._summary.without_service,
            "unlisted_services": dict(self._summary.unlisted),
            "layout": self.layout,
            "notes": self.notes.all(),
        }
