"""Handles requests without statuses: a refusal, a failure, or a doubt.

1. A refusal that may concern everything says nothing of the ids: ask again once the gateway knows.
2. The bisector finds the id that spoils a batch. An id that is refused alone, while no other is
   answered, is held until another was asked.
3. While nothing is answered, the pauses grow.
"""

from collections.abc import Sequence

import structlog

from watcher.daemon.bisection import BatchBisector, PollRequest
from watcher.daemon.poll_answers import PollAnswers
from watcher.errors import PanelError, Refused, Unreadable
from watcher.model import RowError
from watcher.orders.schedule import RetryDelay, after_problem
from watcher.orders.watchlist import Watchlist
from watcher.panels.breaker import BreakerState
from watcher.panels.gateway import PanelGateway
from watcher.panels.protocol import StatusAnswer, is_about_an_id

log = structlog.get_logger()

_AFTER_CRASH = (5.0, 60.0)  # seconds: the first and the longest
_FAILS_ALL_PAUSE = (5.0, 60.0)
_MAY_FAIL = 4  # failures in a row without a pause: halving a batch needs some
_UNPROVEN_PAUSE = (5.0, 60.0)
_OTHERS_TRIED = 5  # next orders that are searched for one that may be answered


class PollRefusals:
    """One panel's refusals and failures, until it is clear what they concern."""

    def __init__(
        self,
        *,
        gateway: PanelGateway,
        watchlist: Watchlist,
        answers: PollAnswers,
        bisector: BatchBisector,
    ) -> None:
        self.quiet_until = 0.0  # nothing is asked before
        self._gateway = gateway
        self._watchlist = watchlist
        self._answers = answers
        self._bisector = bisector
        self._crashes: RetryDelay[None] = RetryDelay(_AFTER_CRASH)
        self._failed_in_a_row = 0
        self._unproven = 0  # requests in a row that the panel answered without a status
        self._held: dict[str, RowError] = {}  # refused alone, while no other was answered
        self._doubted: set[str] = set()  # refused, maybe by a rate limit
        self._doubt_text = ""

    @property
    def holds_any(self) -> bool:
        """Whether an id is held until another was asked about."""
        return bool(self._held)

    def begin_anew(self) -> None:
        """End the pauses after earlier refusals, and forget what they suggested."""
        self.quiet_until = 0.0
        self._unproven = self._failed_in_a_row = 0
        self._doubted.clear()
        held, self._held = self._held, {}
        self._answers.put_back(held)

    def crashed(self, now: float) -> None:
        """Note a crash: the pause grows, once for all concurrent requests."""
        if now >= self.quiet_until or not self._crashes.count(None):
            self.quiet_until = max(self.quiet_until, self._crashes.failed(None, now))

    def succeeded(self) -> None:
        """Note that a request ended without a crash."""
        self._crashes.forget(None)

    def not_asked(self, ask: PollRequest) -> None:
        """Ask about these ids again: the request had no result."""
        if ask.is_fresh:
            self._answers.put_back(ask.ids)
        else:
            self._bisector.again(ask)

    def in_doubt(self, ask: PollRequest, error: Refused) -> None:
        """Note a refusal that may concern everything, and conclude nothing about the ids."""
        if not self._gateway.health.refuses and not self._doubted:
            self._doubted, self._doubt_text = {*ask.ids}, str(error)
        self.not_asked(ask)

    def answered(self, ids: Sequence[str]) -> None:
        """Note answers about these ids; once all doubted ids have one, it was a rate limit."""
        self._unproven = self._failed_in_a_row = 0
        if self._doubted:
            self._doubted.difference_update(ids)
            if not self._doubted:
                self._gateway.note_rate_limit(self._doubt_text)

    async def learn_held(self) -> None:
        """Record the held refusals: other orders are answered, so they concern these orders."""
        if self._held:
            held, self._held = self._held, {}
            await self._answers.learn([*held], StatusAnswer({**held}))

    async def refused(self, ask: PollRequest, error: Refused) -> None:
        """Note a refusal that concerns the ids; bisect the batch."""
        proven = self._bisector.is_proven(ask)
        is_odd = not is_about_an_id(str(error))
        finding = self._bisector.refused(ask)
        self._answers.put_back(finding.free)
        if is_odd and not proven:
            self._rest_unproven()
        if finding.bad is None:
            return
        row = RowError(str(error))
        self._doubted.discard(finding.bad)
        if is_odd and proven:
            self._gateway.health.clear(str(error), self._gateway.clock(), long=True)
        if proven or not is_odd:
            spoils = proven and self._bisector.has_found_any
            await self._answers.learn(ask.ids, StatusAnswer({finding.bad: row}), spoils=spoils)
            return
        self._held[finding.bad] = row
        if len(self._held) > 1 or not (self._bisector or self._hasten_other()):
            await self.learn_held()

    async def failed(self, ask: PollRequest, error: PanelError) -> None:
        """Note an unreadable or missing answer; bisect the batch."""
        if isinstance(error, Unreadable):
            self._rest_unproven()
        else:
            self._pause_after_failures()
        is_down = self._gateway.breaker.state is not BreakerState.CLOSED
        if ask.is_fresh and is_down and self._bisector:
            self._answers.put_back(ask.ids)
            return
        finding = self._bisector.failed(ask)
        self._answers.put_back(finding.free)
        if finding.bad is not None:
            self._answers.untracked.leave([finding.bad])  # a missing answer is not a refusal
            rows = StatusAnswer({finding.bad: RowError(str(error))})
            await self._answers.learn(ask.ids, rows, spoils=True)

    def _rest_unproven(self) -> None:
        """Pause ever longer while every request is refused: it may be a rate limit."""
        self._unproven += 1
        if self._unproven == 1:
            return
        first, longest = _UNPROVEN_PAUSE
        pause = min(longest, first * 2.0 ** min(self._unproven - 2, 30))
        self.quiet_until = self._gateway.clock() + pause
        if self._unproven == 2:
            log.warning("poller.all_refused", panel=self._gateway.name)

    def _pause_after_failures(self) -> None:
        """Pause after several unreadable answers in a row.

        The breaker handles a panel that is down.
        """
        self._failed_in_a_row += 1
        if self._failed_in_a_row > _MAY_FAIL and self._gateway.breaker.state is BreakerState.CLOSED:
            now, count = self._gateway.clock(), self._failed_in_a_row - _MAY_FAIL
            until = after_problem(count, now, _FAILS_ALL_PAUSE)
            self.quiet_until = max(self.quiet_until, until)

    def _hasten_other(self) -> bool:
        """Hasten an order that is not known to be bad; return False if there is none."""
        orders, now = self._watchlist.panel(self._gateway.name), self._gateway.clock()
        for _, order_id in orders.upcoming(_OTHERS_TRIED, now):
            order = orders.order(order_id)
            if order is not None and order.problem is None and order_id not in self._held:
                orders.hasten(order_id, now, now)
                return True
        return False
