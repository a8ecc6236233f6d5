"""A circuit breaker: when to send nothing to a panel that is down.

1. Closed: everything may be sent. After FAILURES failures in a row it opens.
2. Open: nothing is sent until a pause ends; each pause is twice the last, with jitter.
3. Half-open: one request, the probe, is under way. An answer closes it, a failure opens it again.

A panel that refuses everything opens it at once, with shorter pauses: the panel works, and one
request in two minutes soon shows that the key or the account is in order again. Any other answer
closes it.
Times are seconds of the caller's clock. Pattern: M. Nygard, "Release It!" (2007), chapter 5.
"""

from collections.abc import Callable
from enum import StrEnum

FAILURES = 3  # in a row
PAUSE = (5.0, 300.0)  # seconds: the first pause and the longest
REFUSES_PAUSE = (5.0, 120.0)
JITTER = 0.2  # random share added to a pause: panels are not all tried at the same moment
PROBE_LASTS = 60.0  # seconds to wait for a probe's answer
ACT_WAITS = (5.0, 60.0)  # seconds that actions wait for a read: after a failure, while open
_LOOK_AGAIN = 1.0  # seconds until a request that waits for a probe is tried again


class BreakerState(StrEnum):
    """What may be sent."""

    CLOSED = "closed"
    HALF_OPEN = "half_open"
    OPEN = "open"


class Breaker:
    """One panel's breaker. `jitter` returns numbers from 0 to 1."""

    def __init__(self, jitter: Callable[[], float]) -> None:
        self._jitter = jitter
        self.state = BreakerState.CLOSED
        self.failures = 0  # in a row
        self._openings = 0  # in a row
        self._failed_at = float("-inf")
        self._until = float("-inf")  # open: a probe may be sent; half-open: it is given up

    def open_until(self) -> float | None:
        """Return when the pause ends; None where the breaker is not open."""
        return self._until if self.state is BreakerState.OPEN else None

    def wait(self, now: float, *, acts: bool) -> float | None:
        """Return None where a request may be sent, else when to try again. Changes nothing.

        The outcome of an action that fails can't be known. So after a failure actions wait until a
        read is answered; if there is no read, they are sent after ACT_WAITS.
        """
        if self.state is BreakerState.HALF_OPEN:
            return None if now >= self._until else min(self._until, now + _LOOK_AGAIN)
        after_failure, while_open = ACT_WAITS
        at = self._until if self.state is BreakerState.OPEN else now
        if acts and self.state is BreakerState.OPEN:
            if now < at:
                return at + _LOOK_AGAIN
            at += while_open
        elif acts and self.failures:
            at = self._failed_at + after_failure
        if now >= at:
            return None
        return min(at, now + after_failure) if acts else at

    def sent(self, now: float) -> None:
        """Note that a request was sent, as `wait` allowed."""
        if self.state is not BreakerState.CLOSED:
            self.state = BreakerState.HALF_OPEN
            self._until = now + PROBE_LASTS

    def answered(self) -> None:
        """Close: the panel answered."""
        self.state = BreakerState.CLOSED
        self.failures = self._openings = 0

    def failed(self, now: float) -> None:
        """Note that the panel did not answer, or not in a known form; open after FAILURES."""
        self.failures += 1
        self._failed_at = now
        probed = self.state is BreakerState.HALF_OPEN
        if probed or (self.state is BreakerState.CLOSED and self.failures >= FAILURES):
            self._open(now, PAUSE)

    def refuses(self, now: float) -> None:
        """Open: the panel refuses everything."""
        self.failures += 1
        self._failed_at = now
        if self.state is not BreakerState.OPEN:
            self._open(now, REFUSES_PAUSE)

    def resume(self, now: float) -> None:
        """End the pause: the next request may be sent at once."""
        if self.state is BreakerState.OPEN:
            self._until = min(self._until, now)
            self._openings = 0

    def _open(self, now: float, pause: tuple[float, float]) -> None:
        first, longest = pause
        seconds = min(longest, first * 2.0 ** min(self._openings, 30))
        self._openings += 1
        self.state = BreakerState.OPEN
        self._until = now + seconds * (1.0 + JITTER * self._jitter())
