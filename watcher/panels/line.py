"""The line to a panel: who asks it anything goes through here, so that its pace and its health
are known in one place.
"""

from collections.abc import Awaitable, Callable
from typing import TypeVar

import structlog

from watcher.errors import BadKey, NotSent, PanelError, RateLimited, Refused
from watcher.panels.breaker import Breaker, BreakerState
from watcher.panels.client import PanelClient
from watcher.panels.limits import Lane, Pace
from watcher.panels.protocol import Unmatched

log = structlog.get_logger()

Answer = TypeVar("Answer")


class Line:
    """One panel's client, pace, breaker and health. `problem` is None while the panel answers."""

    def __init__(
        self,
        name: str,
        client: PanelClient,
        pace: Pace,
        breaker: Breaker,
        clock: Callable[[], float],
    ) -> None:
        self.name = name
        self.client = client
        self.pace = pace
        self.breaker = breaker
        self.clock = clock
        self.problem: str | None = None
        self.last_success = 0.0  # of a status poll, or of one that had nothing to ask
        self._reason: str | None = None
        self._told = BreakerState.CLOSED

    def take(self, now: float, lane: Lane = Lane.READ) -> float | None:
        """None where one request may be sent now (and is counted), else when to come again."""
        again_at = self.breaker.wait(now, acts=lane is Lane.ACT)
        if again_at is None:
            again_at = self.pace.take(now, lane)
        if again_at is None:
            self.breaker.sent(now)
            self._tell_state()
        return again_at

    def paused_until(self, now: float) -> float | None:
        """Until when nothing is sent, because the panel failed or asked for it."""
        until = max(self.pace.pause_until, self.breaker.open_until() or 0.0)
        return until if until > now else None

    async def ask(self, call: Awaitable[Answer], *, is_side: bool = False) -> Answer:
        """Await one request that `take` has granted. Its PanelError passes through.

        `is_side`: of a kind that panels limit by itself, so that a refusal says nothing of others.
        """
        sent_at = self.clock()
        try:
            answer = await call
        except RateLimited as error:  # it answers: slow down, but it is not down
            self.breaker.answered()
            if not is_side:
                self.pace.refused(self.clock(), error.retry_after, sent_at=sent_at)
                self._failing(error)
            raise
        except BadKey as error:
            self.breaker.bad_key(self.clock())
            self._failing(error)
            raise
        except (Refused, Unmatched):  # an answer, if not the one hoped for
            self._well()
            raise
        except PanelError as error:
            # One that no byte reached was not too slow; one that is down, not slower for us.
            if not isinstance(error, NotSent) and self.breaker.state is BreakerState.CLOSED:
                self.pace.failed()
            self.breaker.failed(self.clock())
            self._failing(error)
            raise
        self._well()
        return answer

    def _well(self) -> None:
        self.pace.succeeded(self.clock())
        self.breaker.answered()
        if self.problem is not None:
            log.info("panel.recovered", panel=self.name, after=self.problem)
        self.problem = self._reason = None
        self._tell_state()

    def _failing(self, error: PanelError) -> None:
        """Log a failure when its kind changes, not at every request."""
        if error.reason != self._reason:
            log.warning("panel.failing", panel=self.name, reason=error.reason, cause=str(error))
        self._reason = error.reason
        self.problem = str(error)
        self._tell_state()

    def _tell_state(self) -> None:
        """Log where the breaker begins and ends to be open; its probes are no news."""
        state = self.breaker.state
        if state is BreakerState.HALF_OPEN or state is self._told:
            return
        self._told = state
        if state is BreakerState.OPEN:
            until = self.breaker.open_until()
            log.warning("panel.breaker_open", panel=self.name, until=until, cause=self.problem)
        else:
            log.info("panel.breaker_closed", panel=self.name)
