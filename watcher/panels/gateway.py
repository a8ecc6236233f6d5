"""The gateway to a panel: every request passes here, so pace and health are known in one place."""

import asyncio
from collections import Counter
from collections.abc import Awaitable, Callable, Coroutine, Mapping
from math import inf
from typing import TypeVar

import structlog

from watcher.common.clock import Clock
from watcher.common.pauses import ManualPause, Paused
from watcher.common.wording import utc
from watcher.errors import NotSent, PanelError, RateLimited, Refused, Unreadable
from watcher.panels.breaker import Breaker, BreakerState
from watcher.panels.client import PanelClient
from watcher.panels.health import ANSWERS, GENERAL, READS, HealthState, PanelHealth
from watcher.panels.pacing import Pace, RequestLane

log = structlog.get_logger()

Answer = TypeVar("Answer")

_NOT_SLOW = (*ANSWERS, NotSent)
_LOOK_AGAIN = 1.0  # seconds until a request that waits for a probe is tried again
_PAUSED_FOR = 60.0  # seconds until a request that waits for a person is tried again


class PanelGateway:
    """One panel's client, pace, breaker and health.

    `pauses` is what people have paused, of all panels. `on_probe` is called when a probe of the
    panel is wanted, `on_recovered` when it no longer refuses everything.
    """

    def __init__(
        self,
        name: str,
        client: PanelClient,
        pace: Pace,
        breaker: Breaker,
        clock: Clock,
        pauses: Mapping[tuple[Paused, str], ManualPause] | None = None,
    ) -> None:
        self.name = name
        self.client = client
        self.pace = pace
        self.breaker = breaker
        self.clock = clock
        self._pauses = {} if pauses is None else pauses
        self._under_way: Counter[Paused] = Counter()
        self._request_ended = asyncio.Event()
        self.health = PanelHealth(call for call in READS if client.limit(call))
        self.last_success = 0.0  # of a status poll, also one with nothing to ask
        self.on_probe: Callable[[], None] = lambda: None
        self.on_recovered: Callable[[], None] = lambda: None
        self._logged_breaker = BreakerState.CLOSED
        self._logged_health = HealthState.UP
        self._logged_problem: str | None = None
        self._reason: str | None = None

    @property
    def problem(self) -> str | None:
        """What is wrong, in one sentence; None while nothing is."""
        return self.health.problem

    @property
    def is_undecided(self) -> bool:
        """Whether the panel refuses, or may refuse, everything: this says nothing of the orders."""
        return self.health.refuses or self.health.doubts(self.clock())

    def take(self, now: float, lane: RequestLane = RequestLane.READ) -> float | None:
        """Return None where one request may be sent now (and count it), else when to try again."""
        paused = self.paused(Paused.ACTIONS if lane is RequestLane.ACT else Paused.READS)
        if paused is not None:
            return min(now + _PAUSED_FOR, paused.until or inf)
        again_at = self.breaker.wait(now, acts=lane is RequestLane.ACT)
        if again_at is None and lane is not RequestLane.PROBE and self.is_undecided:
            again_at = now + _LOOK_AGAIN  # the probe goes first
        if again_at is None:
            again_at = self.pace.take(now, lane)
        if again_at is None:
            self.breaker.sent(now)
            self._log_breaker()
        return again_at

    def paused(self, what: Paused) -> ManualPause | None:
        """Return the pause of the panel's reads or actions that somebody wanted, or None."""
        pause = self._pauses.get((what, self.name))
        return pause if pause is not None and pause.holds(self.clock()) else None

    async def wait_idle(self, what: Paused) -> None:
        """Wait until no read, or no action, is under way."""
        while self._under_way[what]:
            self._request_ended.clear()
            await self._request_ended.wait()

    def paused_until(self, now: float) -> float | None:
        """Return when the pause ends that the panel asked for or its failures caused, or None."""
        until = max(self.pace.pause_until, self.breaker.open_until() or 0.0)
        return until if until > now else None

    def resume(self) -> None:
        """End every pause: try the panel at once."""
        self.breaker.resume(self.clock())
        self.pace.resume()
        self.health.settled()

    def note_rate_limit(self, text: str) -> None:
        """Treat refusals in these words as a rate limit: one of them ended by waiting."""
        log.info("panel.limit_words", panel=self.name, words=text)
        self.health.note_rate_limit(text)
        now = self.clock()
        self.pace.refused(now, None, sent_at=now)

    async def ask(
        self,
        call: str,
        request: Awaitable[Answer],
        *,
        order: str | None = None,
        was_known: bool = False,
    ) -> Answer:
        """Await one request that `take` has granted. Raises its PanelError.

        `call` is its kind; `order` is set if it is about one order, and `was_known` tells whether
        the panel has answered about that order before. NotSent, if the panel was paused meanwhile.
        """
        kind = Paused.READS if call in READS else Paused.ACTIONS
        self._refuse_paused(kind, request)
        sent_at = self.clock()
        self._under_way[kind] += 1
        try:
            answer = await request
        except PanelError as error:
            failure = self._seen(call, error)
            self._failed(call, failure, sent_at, order, was_known=was_known)
            raise failure from None
        finally:
            self._under_way[kind] -= 1
            self._request_ended.set()
        self.pace.succeeded(self.clock())
        self._ended(call, None, sent_at)
        return answer

    def _refuse_paused(self, kind: Paused, request: Awaitable[Answer]) -> None:
        """Raise NotSent if somebody has paused such requests since this one was granted."""
        paused = self.paused(kind)
        if paused is None:
            return
        if isinstance(request, Coroutine):
            request.close()
        raise NotSent(paused.sentence)

    def _seen(self, call: str, error: PanelError) -> PanelError:
        """Return the failure; as RateLimited if its words are known to mean a rate limit."""
        if call in READS and isinstance(error, Refused):
            now = self.clock()
            if self.health.is_rate_limit(str(error), now, self.pace.rate.passed(now)):
                return RateLimited(str(error))
        return error

    def _failed(
        self, call: str, error: PanelError, sent_at: float, order: str | None, *, was_known: bool
    ) -> None:
        now, passed = self.clock(), self.pace.rate.passed(self.clock())
        if isinstance(error, RateLimited):
            if call not in GENERAL:  # those have rate limits of their own
                self.pace.refused(now, error.retry_after, sent_at=sent_at)
        elif self.breaker.state is BreakerState.CLOSED and not isinstance(error, _NOT_SLOW):
            # A panel that could not be reached, or is down, is not asked too fast.
            self.pace.failed()
        self._ended(call, error, sent_at, order, was_known=was_known, passed=passed)
        if isinstance(error, (Refused, Unreadable)) and not self.is_undecided:
            self.pace.succeeded(now)

    def _ended(
        self,
        call: str,
        error: PanelError | None,
        sent_at: float,
        order: str | None = None,
        *,
        was_known: bool = False,
        passed: int = 0,
    ) -> None:
        now, health = self.clock(), self.health
        refused = health.refuses
        health.ended(
            call, error, now, sent_at=sent_at, order=order, was_known=was_known, passed=passed
        )
        if error is not None and not isinstance(error, ANSWERS):
            self.breaker.failed(now)
        elif health.refuses:
            self.breaker.refuses(now)
        else:
            self.breaker.answered()
        self._log_health(error)
        if health.refuses or health.doubts(now):
            self.on_probe()
        if refused and not health.refuses:
            self.on_recovered()

    def _log_health(self, error: PanelError | None) -> None:
        """Log a change of health."""
        health, state = self.health, self.health.state
        problem = health.problem
        before, self._logged_health = self._logged_health, state
        was, self._logged_problem = self._logged_problem, problem
        if problem is None:
            if was is not None:
                log.info("panel.recovered", panel=self.name, after=was)
            self._reason = None
        elif state is HealthState.DEGRADED and health.is_up:
            if problem != was:
                log.warning("panel.degraded", panel=self.name, cause=problem)
            self._reason = None
        elif error is not None and (error.reason != self._reason or state is not before):
            self._reason = error.reason
            log.warning("panel.failing", panel=self.name, reason=self._reason, cause=problem)
        self._log_breaker()

    def _log_breaker(self) -> None:
        """Log when the breaker opens or closes; probes are not logged."""
        state = self.breaker.state
        if state is BreakerState.HALF_OPEN or state is self._logged_breaker:
            return
        self._logged_breaker = state
        if state is BreakerState.OPEN:
            until = self.breaker.open_until()
            log.warning(
                "panel.breaker_open",
                panel=self.name,
                until=None if until is None else utc(until),
                cause=self.problem,
            )
        else:
            log.info("panel.breaker_closed", panel=self.name)
