"""Sends orders to track in batches, and counts the results."""

from collections import Counter
from collections.abc import Callable, Iterable, Iterator
from datetime import datetime
from typing import TYPE_CHECKING

from watcher.cli.api_client import ApiClient, path_of
from watcher.cli.order_import.ids import ListRow
from watcher.cli.order_import.lines import Problem
from watcher.cli.order_import.notes import Notes
from watcher.cli.order_import.order_list import Layout
from watcher.cli.output import say, show_json, warn
from watcher.common.wording import counted
from watcher.web.shapes import TrackAnswer

if TYPE_CHECKING:  # imported late, as in output.py
    from rich.console import Console

BATCH = 5000  # orders in one request
MOST_BYTES = 4 << 20  # of links and notes in one request, about
_PATIENCE = 120.0
_COUNTS = ("tracked", "known", "updated", "undated", "finish_unknown")

Report = Callable[[str, int, str | None, str], object]  # unit, its number (0: none), order, cause


class Tracking:
    """Counts what becomes of the orders of one panel. `client` None sends nothing: a dry run."""

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
        self._listed = listed  # the services that the panel lists
        self._counts = Counter(dict.fromkeys(_COUNTS, 0))
        self._without_service = 0
        self._unlisted: Counter[str] = Counter()  # services
        self._dates: list[datetime] = []  # the first and the last

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
        warn(*self.notes.lines(self._unit), *self._warnings(), console=self._console)
        if json:
            show_json(self._document())
            return
        counts = self._counts
        bad = f", {self.bad:,} not taken" if self.bad else ""
        if self._client is None:
            say(f"{counted(counts['tracked'], 'order')} to track{bad}; nothing was sent")
            if self._dates:
                say("submitted " + " to ".join(f"{at:%Y-%m-%d}" for at in self._dates))
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
        for row in batch:
            if row.item.service is None:
                self._without_service += 1
            elif self._listed and row.item.service not in self._listed:
                self._unlisted[str(row.item.service)] += 1
        if self._client is None:
            self._counts["tracked"] += len(batch)
            times = [row.item.submitted_at for row in batch if row.item.submitted_at]
            ends = sorted(times + self._dates)
            self._dates = [ends[0], ends[-1]] if ends else []
        else:
            self._post(self._client, batch)

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
            "without_service": self._without_service,
            "unlisted_services": dict(self._unlisted),
            "layout": self.layout,
            "notes": self.notes.all(),
        }

    def _warnings(self) -> Iterator[str]:
        if undated := self._counts["undated"]:
            yield (
                f"{counted(undated, 'order')} without a date: rules count order.age from now, and"
                " hold only if they would for an older order, too"
            )
        if unknown := self._counts["finish_unknown"]:
            yield (
                f"{counted(unknown, 'order')} without a time of completion: if one is final at its"
                " first check, its finish is not known, and no rule on order.finished_ago acts"
            )
        if self._without_service:
            verb, them = ("has", "it") if self._without_service == 1 else ("have", "them")
            yield (
                f"{counted(self._without_service, 'order')} {verb} no service: rules on service.* "
                f"can't apply to {them}; give --service, or a list with a column of the panel's "
                "services"
            )
        if self._unlisted:
            most = ", ".join(f"{name} ({n:,})" for name, n in self._unlisted.most_common(5))
            more = " and others" if len(self._unlisted) > 5 else ""
            yield (
                f"{self._panel} does not list these services: {most}{more}; are they the "
                "panel's own numbers?"
            )
