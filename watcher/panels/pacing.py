"""Pacing: evenly spaced requests to a panel, and the pauses that it asks for.

Nothing here sleeps: `take` grants a request, or returns when to try again.
"""

from enum import Enum

from watcher.panels.rate import Rate

ACT_SHARE = 0.15  # of the rate, reserved for refills, cancels and submissions
_ACT_CREDIT = 3.0  # unused requests of it that may be saved up
_TIMER_DELAY = 0.25  # seconds by which a busy event loop may be late


class RequestLane(Enum):
    """The kind of a request: a read, an action, or a probe of the panel's health."""

    READ = "read"
    ACT = "act"
    PROBE = "probe"


class Pace:
    """The pace of one panel. Times are seconds of the caller's clock."""

    def __init__(self, rate: Rate, pause_until: float = 0.0) -> None:
        self.rate = rate
        self._next = 0.0
        self._credit = _ACT_CREDIT
        self._credited_at = 0.0
        self.pause_until = pause_until

    def take(self, now: float, lane: RequestLane = RequestLane.READ) -> float | None:
        """Return None where one request may be sent now (and count it), else when to try again."""
        if self.pause_until > now:
            return self.pause_until
        if self._next > now and (lane is not RequestLane.ACT or not self._spend_credit(now)):
            return self._next
        # Make up for a late timer, but not for longer gaps.
        late = now - self._next
        self._next = (self._next if late < _TIMER_DELAY else now) + self._interval
        return None

    def succeeded(self, now: float) -> None:
        """Note that the panel answered."""
        self.rate.succeeded(now)

    def refused(self, now: float, retry_after: float | None, *, sent_at: float) -> None:
        """Note that a request sent at `sent_at` was refused by a rate limit; pause."""
        pause = self.rate.refused(now, retry_after, sent_at=sent_at)
        self.pause_until = max(self.pause_until, now + pause)

    def failed(self) -> None:
        """Note that the panel failed at a request."""
        self.rate.failed()

    def resume(self) -> None:
        """End the pause that the panel asked for."""
        self.pause_until = 0.0

    @property
    def _interval(self) -> float:
        return 60.0 / self.rate.per_minute

    def _spend_credit(self, now: float) -> bool:
        """Let an action overtake waiting reads, within ACT_SHARE; return whether it may."""
        earned = max(0.0, now - self._credited_at) / self._interval * ACT_SHARE
        self._credit = min(_ACT_CREDIT, self._credit + earned)
        self._credited_at = now
        if self._credit < 1.0:
            return False
        self._credit -= 1.0
        return True
