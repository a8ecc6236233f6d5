"""The line to a panel: who asks it anything goes through here, so that its pace and its health
are known in one place.
"""

from collections.abc import Awaitable, Callable
from typing import TypeVar

import structlog

from watcher.errors import BadKey, PanelError, RateLimited, Refused
from watcher.panels.client import PanelClient
from watcher.panels.limits import Lane, Pace
from watcher.panels.protocol import Unmatched

log = structlog.get_logger()

Answer = TypeVar("Answer")


class Line:
    """One panel's client, pace and health. `problem` is None while the panel answers."""

    def __init__(
        self, name: str, client: PanelClient, pace: Pace, clock: Callable[[], float]
    ) -> None:
        self.name = name
        self.client = client
        self.pace = pace
        self.clock = clock
        self.problem: str | None = None
        self.last_success = 0.0  # of a status poll, or of one that had nothing to ask
        self._reason: str | None = None

    def take(self, now: float, lane: Lane = Lane.READ) -> float | None:
        """None where one request may be sent now (and is counted), else when to come again."""
        return self.pace.take(now, lane)

    async def ask(self, call: Awaitable[Answer]) -> Answer:
        """Await one request that `take` has granted. Its PanelError passes through."""
        try:
            answer = await call
        except RateLimited as error:
            self.pace.refused(self.clock(), error.retry_after)
            self._failing(error)
            raise
        except (Refused, Unmatched) as error:
            if isinstance(error, BadKey):
                self.pace.failed(self.clock())
                self._failing(error)
            else:  # an answer, if not the one hoped for: the panel is alive
                self._well()
            raise
        except PanelError as error:
            self.pace.failed(self.clock())
            self._failing(error)
            raise
        self._well()
        return answer

    def _well(self) -> None:
        self.pace.succeeded()
        if self.problem is not None:
            log.info("panel.recovered", panel=self.name, after=self.problem)
        self.problem = self._reason = None

    def _failing(self, error: PanelError) -> None:
        """Log a failure when its kind changes, not at every request."""
        if error.reason != self._reason:
            log.warning("panel.failing", panel=self.name, reason=error.reason, cause=str(error))
        self._reason = error.reason
        self.problem = str(error)
