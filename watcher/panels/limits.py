"""How fast to ask a panel: evenly spaced requests, and the pauses that it asks for.

Nothing here sleeps: `take` grants a request or tells when to come again.
"""

from enum import Enum

ACT_SHARE = 0.15  # of the rate, set aside for refills, cancels and submissions
_ACT_CREDIT = 3.0  # requests that may be saved up of it
_TIMER_DELAY = 0.05  # seconds
_REFUSAL_PAUSE = 5.0  # where a rate limit comes without a Retry-After
_REFUSED_AGAIN_PAUSE = 65.0  # and comes again at once


class Lane(Enum):
    """Who asks: reads, or what costs or changes something."""

    READ = "read"
    ACT = "act"


class Pace:
    """The pace of one panel. Every time is in seconds of the caller's clock."""

    def __init__(self, requests_per_minute: float) -> None:
        self._interval = 60.0 / requests_per_minute
        self._next = 0.0
        self._credit = _ACT_CREDIT
        self._credited_at = 0.0
        self._refusals = 0
        self.pause_until = 0.0

    def take(self, now: float, lane: Lane = Lane.READ) -> float | None:
        """None where one request may be sent now (and is counted), else the time to come again."""
        if self.pause_until > now:
            return self.pause_until
        if self._next > now and (lane is Lane.READ or not self._spend_credit(now)):
            return self._next
        # A late timer's delay is caught up with; longer gaps are not.
        late = now - self._next
        self._next = (self._next if late < _TIMER_DELAY else now) + self._interval
        return None

    def succeeded(self) -> None:
        """A whole answer came."""
        self._refusals = 0

    def refused(self, now: float, retry_after: float | None) -> None:
        """The panel refused for being asked too fast."""
        self._refusals += 1
        pause = _REFUSAL_PAUSE if self._refusals == 1 else _REFUSED_AGAIN_PAUSE
        self._pause(now + (pause if retry_after is None else retry_after))

    def _pause(self, until: float) -> None:
        self.pause_until = max(self.pause_until, until)

    def _spend_credit(self, now: float) -> bool:
        """Actions go ahead of waiting reads for their share of the rate."""
        earned = max(0.0, now - self._credited_at) / self._interval * ACT_SHARE
        self._credit = min(_ACT_CREDIT, self._credit + earned)
        self._credited_at = now
        if self._credit < 1.0:
            return False
        self._credit -= 1.0
        return True
