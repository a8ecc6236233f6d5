"""Checks one panel's orders: one observation per id, however the panel answers.

1. Take the due ids from the book, filled up to a whole batch with the next-due.
2. Ask. A batch that the panel refuses as a whole is halved until the bad ids stand alone.
3. Each id's observation, or the panel's refusal of it, goes to the ledger; the rest is put back.
"""

from collections import deque
from collections.abc import Iterator, Mapping, Sequence

import structlog

from watcher.book import Book
from watcher.cadence import after_problem, next_check
from watcher.errors import (
    BadKey,
    LifecycleError,
    NotSent,
    PanelError,
    RateLimited,
    Refused,
    TimedOut,
)
from watcher.ledger import Ledger
from watcher.lifecycle import observe, set_aside
from watcher.metrics import Metrics
from watcher.model import Observation, Order, RowError, Transition
from watcher.panels.line import Line
from watcher.panels.protocol import Unmatched

log = structlog.get_logger()

POLL_EVERY = 60.0  # seconds: at the least so often a panel with nothing due is thought of
TURN = 1.0  # seconds after which a turn ends, so that a stop or a reload need not wait long
LEFT_OUT = "the panel's answer left this order out"

Row = Observation | RowError


class Poller:
    """One round after the other for one panel."""

    def __init__(
        self, *, line: Line, book: Book, ledger: Ledger, metrics: Metrics, check_within: float
    ) -> None:
        self._line = line
        self._book = book
        self._ledger = ledger
        self._metrics = metrics
        self._check_within = check_within
        self._parts: deque[list[str]] = deque()  # of batches that failed as a whole
        self._failed_before = False

    async def run_once(self, now: float) -> float | None:
        """Ask for what is due, as fast as the pace allows; returns when to come again."""
        ends = now + TURN
        while now < ends:
            due = now if self._parts else self._book.next_due(self._line.name)
            if due is None or due > now:
                self._nothing_due(now)
                return now + POLL_EVERY if due is None else min(due, now + POLL_EVERY)
            again_at = self._line.take(now)
            if again_at is not None:
                return again_at
            await self._round(self._next_ids(now))
            now = self._line.clock()
        return now

    def _next_ids(self, now: float) -> list[str]:
        if self._parts:
            return self._parts.popleft()
        entries = self._book.take(self._line.name, self._line.client.limit("status"), now)
        self._metrics.batch_orders.labels(self._line.name).observe(len(entries))
        # Once a batch, for the order that waited longest: a million orders are too many.
        self._metrics.lag.labels(self._line.name).observe(max(0.0, now - entries[0].due))
        return [entry.order.id for entry in entries]

    async def _round(self, ids: list[str]) -> None:
        try:
            rows = await self._ask(ids)
            if rows is not None:
                await self._keep(ids, rows, self._line.clock())
        except PanelError:
            self._book.put_back(self._line.name, ids)
        except BaseException:
            self._book.put_back(self._line.name, ids)
            raise

    async def _ask(self, ids: list[str]) -> Mapping[str, Row] | None:
        """The panel's rows; None where the batch was put aside to be asked in parts."""
        try:
            rows = await self._line.ask(self._line.client.statuses(ids))
        except Unmatched as error:
            return self._split(ids, len(ids), error)
        except (BadKey, RateLimited, NotSent, TimedOut):
            raise
        except Refused as error:
            return self._split(ids, 2, error)
        except PanelError as error:
            # One order can make a panel answer with nonsense: ask again first, then in parts.
            if not self._failed_before:
                self._failed_before = True
                raise
            return self._split(ids, 2, error)
        self._failed_before = False
        self._line.last_success = self._line.clock()
        return rows

    def _split(self, ids: list[str], parts: int, error: PanelError) -> dict[str, Row] | None:
        if len(ids) == 1:
            return {ids[0]: RowError(str(error))}
        size = -(-len(ids) // parts)
        self._parts.extend(ids[start : start + size] for start in range(0, len(ids), size))
        return None

    async def _keep(self, ids: Sequence[str], rows: Mapping[str, Row], now: float) -> None:
        name = self._line.name
        await self._ledger.keep(name, now, lambda: self._transitions(ids, rows, now))
        for order_id in ids:
            entry = self._book.entry(name, order_id)
            if entry is None:
                continue
            if isinstance(rows.get(order_id), Observation):
                due = next_check(entry.order, now, within=self._check_within)
                self._book.checked(name, order_id, now, due)
            else:
                due = after_problem(entry.failures + 1, now)
                self._book.refused(name, order_id, due, alone=len(ids) == 1)

    def _transitions(
        self, ids: Sequence[str], rows: Mapping[str, Row], now: float
    ) -> Iterator[Transition]:
        for order_id in ids:
            entry = self._book.entry(self._line.name, order_id)
            if entry is None:
                continue
            transition = _transition(entry.order, rows.get(order_id), now)
            if transition is not None:
                yield transition

    def _nothing_due(self, now: float) -> None:
        """A poll that has nothing to ask of a panel that answers is a success."""
        if self._line.problem is None:
            self._line.last_success = now


def _transition(order: Order, row: Row | None, now: float) -> Transition | None:
    try:
        if isinstance(row, Observation):
            return observe(order, row, now)
        return set_aside(order, LEFT_OUT if row is None else row.text, now)
    except LifecycleError as error:
        log.error("poller.transition", panel=order.panel, order=order.id, cause=str(error))
        return None
