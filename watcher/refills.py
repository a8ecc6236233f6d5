"""Follows one panel's refill tasks until they are final, in batches where the panel can."""

import heapq
from collections.abc import Iterable, Mapping, Sequence

import structlog

from watcher.book import Book
from watcher.cadence import after_problem
from watcher.errors import PanelError, RateLimited, Refused, RemoteFault
from watcher.judge import Judge
from watcher.ledger import Ledger
from watcher.lifecycle import observe_refill
from watcher.model import REFILL_FINAL, Refill, RowError
from watcher.panels.health import REFILL_STATUS
from watcher.panels.line import Line
from watcher.panels.protocol import RefillObservation
from watcher.store import Store

log = structlog.get_logger()

_ONE_BY_ONE_FOR = 3600.0  # seconds, after a batch that was refused or could not be read

Row = RefillObservation | RowError


class RefillWatcher:
    """The refill tasks of one panel that are not final."""

    def __init__(
        self, *, line: Line, store: Store, book: Book, ledger: Ledger, judge: Judge
    ) -> None:
        self._line = line
        self._store = store
        self._book = book
        self._ledger = ledger
        self._judge = judge
        self._refills: dict[str, Refill] = {}
        self._failures: dict[str, int] = {}
        self._asked: dict[str, float] = {}  # when each was last answered
        self._heap: list[tuple[float, str]] = []
        self._one_by_one_until = 0.0  # the panel refuses batches that hold one unknown id

    def add(self, refills: Iterable[Refill], now: float) -> None:
        """Follow these tasks."""
        for refill in refills:
            self._refills[refill.id] = refill
            self._judge.note_refill(refill.panel, refill.order, refill.id, running=True)
            self._asked[refill.id] = now
            heapq.heappush(self._heap, (self._book.next_refill_check(refill, now), refill.id))

    async def run_once(self, now: float) -> float | None:
        """Ask for all tasks that are due; returns when to come again."""
        limit = self._line.client.limit("refill_status")
        while limit and self._heap and self._heap[0][0] <= now:
            again_at = self._line.take(now)
            if again_at is not None:
                return again_at
            await self._round(self._take(1 if now < self._one_by_one_until else limit), now)
            now = self._line.clock()
        return self._heap[0][0] if limit and self._heap else None

    def _take(self, limit: int) -> list[str]:
        """The next tasks, due or not: a request costs the same however full it is."""
        count = min(limit, len(self._heap))
        return [heapq.heappop(self._heap)[1] for _ in range(count)]

    async def _round(self, ids: list[str], now: float) -> None:
        due: dict[str, float] = dict.fromkeys(ids, now)
        try:
            rows = await self._ask(ids)
            changed = self._changed(ids, rows, now)
            await self._store.record_refills(changed)
            due = self._enter(ids, rows, changed, now)
        finally:
            for refill_id, at in due.items():
                heapq.heappush(self._heap, (at, refill_id))

    async def _ask(self, ids: Sequence[str]) -> Mapping[str, Row]:
        """The panel's rows; none where it did not answer, to be asked again."""
        try:
            return await self._line.ask(REFILL_STATUS, self._line.client.refill_statuses(ids))
        except RateLimited:
            return {}
        except (Refused, RemoteFault) as error:
            if self._line.is_undecided:  # it may be about the panel
                return {}
            if len(ids) == 1:
                return {ids[0]: RowError(str(error))}
            self._one_by_one_until = self._line.clock() + _ONE_BY_ONE_FOR
            return {}
        except PanelError:
            return {}

    def _changed(self, ids: Iterable[str], rows: Mapping[str, Row], now: float) -> list[Refill]:
        changed = []
        for refill_id in ids:
            row = rows.get(refill_id)
            if isinstance(row, RefillObservation):
                refill = observe_refill(self._refills[refill_id], row.status, row.text, now)
                if refill is not None:
                    changed.append(refill)
        return changed

    def _enter(
        self, ids: Iterable[str], rows: Mapping[str, Row], changed: Sequence[Refill], now: float
    ) -> dict[str, float]:
        """Take over what is on record; gives when each task that is not final is due next."""
        for refill in changed:
            self._refills[refill.id] = refill
            log.info("refill.changed", panel=refill.panel, order=refill.order, status=refill.status)
        due = {}
        for refill_id in ids:
            refill = self._refills[refill_id]
            if isinstance(rows.get(refill_id), RefillObservation):
                self._book.refill_checked(refill, self._asked[refill_id], now)
                self._asked[refill_id] = now
            if refill.status in REFILL_FINAL:
                self._judge.note_refill(refill.panel, refill.order, refill.id, running=False)
                self._ledger.look_soon(refill.panel, refill.order, now)
                del self._refills[refill_id]
                self._failures.pop(refill_id, None)
                self._asked.pop(refill_id, None)
            elif isinstance(rows.get(refill_id), RefillObservation):
                self._failures.pop(refill_id, None)
                due[refill_id] = self._book.next_refill_check(refill, now)
            elif rows:
                failures = self._failures[refill_id] = self._failures.get(refill_id, 0) + 1
                due[refill_id] = after_problem(failures, now)
            else:
                due[refill_id] = now
        return due
