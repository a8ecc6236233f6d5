"""Follows one panel's refills until they are final, in batches if the panel can.

1. Give up the tasks that the panel has not reported for too long.
2. Ask about those that are due, and fill the request up with the next ones.
3. Record the answer. A task that an answer leaves out is asked about again after a growing pause.
"""

import heapq
from collections.abc import Iterable, Iterator, Mapping, Sequence

import structlog

from watcher.daemon.mailboxes import Mailboxes
from watcher.daemon.reviews import Reviews
from watcher.errors import BadKey, NotSent, PanelError, RateLimited, Refused
from watcher.model import REFILL_FINAL, Refill, RefillStatus, RowError
from watcher.orders.lifecycle import is_running, lose_refill, lost_at, miss_refill, observe_refill
from watcher.orders.schedule import MIN_GAP, RetryDelay
from watcher.orders.watchlist import Watchlist
from watcher.panels.breaker import BreakerState
from watcher.panels.gateway import PanelGateway
from watcher.panels.health import REFILL_STATUS
from watcher.panels.protocol import RefillObservation
from watcher.rules.engine import RuleEngine
from watcher.store import Store

log = structlog.get_logger()

_AFTER_NO_ANSWER = (MIN_GAP, 60.0)  # seconds: the first and the longest
_LOOK_AGAIN = 60.0  # seconds, for a task that is to be given up once the panel answers
_ONE_BY_ONE_FOR = 3600.0  # seconds, after a batch that was refused or had no task in its answer
_ANSWERED_WITHIN = 3600.0  # seconds: a panel that reported an order in them is not down

Row = RefillObservation | RowError | None  # None: the answer says nothing of the task


class RefillPoller:
    """Follows one panel's refill tasks that are not final: each is in the heap or under way."""

    def __init__(
        self,
        *,
        gateway: PanelGateway,
        store: Store,
        watchlist: Watchlist,
        rule_engine: RuleEngine,
        reviews: Reviews,
        mailboxes: Mailboxes,
        gives_up_after: float,
    ) -> None:
        self._gateway = gateway
        self._store = store
        self._watchlist = watchlist
        self._reviews = reviews
        self._mailboxes = mailboxes
        self._rule_engine = rule_engine
        self._gives_up_after = gives_up_after
        self._refills: dict[str, Refill] = {}
        self._patience: RetryDelay[str] = RetryDelay()
        self._unasked: RetryDelay[None] = RetryDelay(_AFTER_NO_ANSWER)
        self._asked: dict[str, float] = {}  # when each was last answered
        self._missed: set[str] = set()  # left out by their last answer in this run
        self._heap: list[tuple[float, str]] = []  # when to ask about each
        self._due: dict[str, float] = {}  # the valid entry of the heap
        self._ends: list[tuple[float, str]] = []  # when to check whether to give each up
        self._ending: set[str] = set()
        self._one_by_one_until = 0.0  # the panel refuses batches with an unknown id

    @property
    def _limit(self) -> int:
        """How many tasks one request may ask about; 0 if the panel can't be asked."""
        return self._gateway.client.limit("refill_status")

    def add(self, refills: Iterable[Refill], now: float) -> None:
        """Follow these tasks."""
        for refill in refills:
            self._asked[refill.id] = now
            self._take_over(refill)
            due = self._watchlist.panel(refill.panel).next_refill_check(refill, now)
            self._wait(refill, due, now)

    async def run_once(self, now: float) -> float | None:
        """Ask about tasks that are due, one request a run; return when to run next."""
        self.add(self._mailboxes.take_refills(self._gateway.name), now)
        await self._give_up(now)
        limit = self._limit
        if limit and self._heap and self._heap[0][0] <= now:
            again_at = self._gateway.take(now)
            if again_at is not None:
                return again_at
            if ids := self._take(1 if now < self._one_by_one_until else limit, now):
                await self._round(ids, now)
        return min((heap[0][0] for heap in (self._heap, self._ends) if heap), default=None)

    # --- giving up ---

    async def _give_up(self, now: float) -> None:
        """Give up the tasks that had no status for too long."""
        due = list(self._pop_ends(now))
        try:
            over = [lose_refill(refill, now) for refill in due if self._is_lost(refill, now)]
            changed = [refill for refill in over if refill is not None]
            if changed:
                await self._store.refills.save(changed)
            for refill in changed:
                self._lost(refill, now)
        finally:
            for refill in due:
                if refill.id in self._refills:
                    self._look_again(refill, now)

    def _pop_ends(self, now: float) -> Iterator[Refill]:
        while self._ends and self._ends[0][0] <= now:
            refill_id = heapq.heappop(self._ends)[1]
            self._ending.discard(refill_id)
            if refill_id in self._refills:
                yield self._refills[refill_id]

    def _look_again(self, refill: Refill, now: float) -> None:
        """Schedule when to check whether to give the task up, if it can be lost."""
        lost_at = self._lost_at(refill, now)
        if lost_at is None or refill.id in self._ending:
            return
        self._ending.add(refill.id)
        at = lost_at if lost_at > now else now + _LOOK_AGAIN
        heapq.heappush(self._ends, (at, refill.id))

    def _is_lost(self, refill: Refill, now: float) -> bool:
        """Return whether to give it up: it was asked about in this run, and the panel answers.

        If the panel did not answer, ask about the task once more first.
        """
        at = self._lost_at(refill, now)
        if at is None or at > now:
            return False
        if not self._limit:
            return True
        return refill.id in self._missed and self._is_answering(now)

    def _is_answering(self, now: float) -> bool:
        """Return whether the panel answers other calls, so that its silence concerns the task."""
        is_closed = self._gateway.breaker.state is BreakerState.CLOSED
        return is_closed or now - self._gateway.last_success < _ANSWERED_WITHIN

    def _lost_at(self, refill: Refill, now: float) -> float | None:
        return lost_at(refill, self._gives_up_after, tells=self._limit > 0, now=now)

    def _lost(self, refill: Refill, now: float) -> None:
        cause = refill.status_text if self._limit else "the panel does not report refills"
        where = {"panel": refill.panel, "order": refill.order, "refill": refill.id}
        (log.warning if self._limit else log.info)("refill.given_up", **where, cause=cause)
        self._enter(refill, now)

    # --- asking ---

    def _take(self, limit: int, now: float) -> list[str]:
        """Take the next tasks, due or not: a full request costs as much as a small one.

        Leave out those that were asked about just now, or that the last answer left out.
        """
        taken: list[str] = []
        left: list[tuple[float, str]] = []
        while self._heap and len(taken) < limit and len(left) < limit:
            at, refill_id = heapq.heappop(self._heap)
            if self._due.get(refill_id) != at:
                continue  # it is final, or has another time
            if at <= now or self._may_be_early(refill_id, now):
                del self._due[refill_id]
                taken.append(refill_id)
            else:
                left.append((at, refill_id))
        for entry in left:
            heapq.heappush(self._heap, entry)
        return taken

    def _may_be_early(self, refill_id: str, now: float) -> bool:
        return not self._patience.count(refill_id) and self._asked[refill_id] + MIN_GAP <= now

    async def _round(self, ids: list[str], now: float) -> None:
        waiting = dict.fromkeys(ids)  # none of them may be forgotten
        try:
            rows = await self._ask(ids)
            changed = dict(self._changed(rows, now))
            if changed:
                await self._store.refills.save(list(changed.values()))
            for refill_id, row in rows.items():
                self._answered(changed.get(refill_id, self._refills[refill_id]), row, now)
                del waiting[refill_id]
            if rows:
                self._unasked.forget(None)
        finally:  # without an answer the tasks wait together
            again_at = self._unasked.failed(None, now) if waiting else now
            for refill_id in waiting:
                self._missed.discard(refill_id)
                if refill_id in self._refills:
                    self._wait(self._refills[refill_id], again_at, now)

    async def _ask(self, ids: Sequence[str]) -> Mapping[str, Row]:
        """Return the answer's row for each task; {} if there was no answer."""
        try:
            found = await self._gateway.ask(
                REFILL_STATUS, self._gateway.client.refill_statuses(ids)
            )
        except (BadKey, RateLimited, NotSent):
            return {}
        except PanelError as error:
            if self._gateway.is_undecided:  # it may concern everything
                return {}
            return self._failed(ids, error)
        if len(ids) > 1 and not found:
            self._one_by_one_until = self._gateway.clock() + _ONE_BY_ONE_FOR
        return {refill_id: found.get(refill_id) for refill_id in ids}

    def _failed(self, ids: Sequence[str], error: PanelError) -> Mapping[str, Row]:
        if len(ids) > 1:
            self._one_by_one_until = self._gateway.clock() + _ONE_BY_ONE_FOR
            return {}
        if isinstance(error, Refused):
            return {ids[0]: RowError(str(error))}
        return {ids[0]: None} if self._is_answering(self._gateway.clock()) else {}

    def _changed(self, rows: Mapping[str, Row], now: float) -> Iterator[tuple[str, Refill]]:
        for refill_id, row in rows.items():
            refill = self._refills[refill_id]
            if isinstance(row, RefillObservation):
                after = observe_refill(refill, row.status, row.text, now)
            else:
                after = miss_refill(refill, row.text if row else None, now)
            if after is not None:
                yield refill_id, after

    def _answered(self, refill: Refill, row: Row, now: float) -> None:
        """Update the tasks from what was recorded, and schedule when to ask again."""
        before = self._refills[refill.id]
        if refill.status is not before.status:
            _tell(refill)
        if isinstance(row, RefillObservation):
            self._watchlist.panel(refill.panel).refill_checked(refill, self._asked[refill.id], now)
            self._asked[refill.id] = now
            self._patience.forget(refill.id)
        (self._missed.discard if refill.silent_since is None else self._missed.add)(refill.id)
        self._enter(refill, now)
        if refill.status in REFILL_FINAL:
            return
        if isinstance(row, RefillObservation):
            due = self._watchlist.panel(refill.panel).next_refill_check(refill, now)
            self._wait(refill, due, now)
        else:
            self._ask_later(refill.id, now)

    # --- tasks ---

    def _ask_later(self, refill_id: str, now: float) -> None:
        at = self._patience.failed(refill_id, now)
        self._wait(self._refills[refill_id], at, now)

    def _wait(self, refill: Refill, at: float, now: float) -> None:
        """Schedule the task at that time, but not before its pause ends, or its giving up."""
        if self._limit:
            at = max(at, self._patience.until(refill.id, now))
            self._due[refill.id] = at
            heapq.heappush(self._heap, (at, refill.id))
        self._look_again(refill, now)

    def _enter(self, refill: Refill, now: float) -> None:
        """Store the task as recorded; forget it if it is final."""
        before = self._refills[refill.id]
        self._take_over(refill)
        if self._is_running(before) and not self._is_running(refill):
            self._reviews.review_soon(refill.panel, refill.order, now)
        if refill.status in REFILL_FINAL:
            del self._refills[refill.id]
            self._patience.forget(refill.id)
            self._missed.discard(refill.id)
            del self._asked[refill.id]
            self._due.pop(refill.id, None)

    def _take_over(self, refill: Refill) -> None:
        self._refills[refill.id] = refill
        running = self._is_running(refill)
        self._rule_engine.note_refill(refill.panel, refill.order, refill.id, running=running)

    def _is_running(self, refill: Refill) -> bool:
        return is_running(refill, tells=self._limit > 0)


def _tell(refill: Refill) -> None:
    log.info("refill.changed", panel=refill.panel, order=refill.order, status=refill.status)
    if refill.status is RefillStatus.NOT_FOUND:
        where = {"panel": refill.panel, "order": refill.order, "refill": refill.id}
        log.warning("refill.not_found", **where, cause=refill.status_text)
