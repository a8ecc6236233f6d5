"""A circuit breaker: when to send nothing to a panel that is down.

1. Closed: everything may be sent. After FAILURES failures in a row it opens.
2. Open: nothing is sent until a pause ends; each pause is twice the last, with jitter.
3. Half-open: one request, the probe, is under way. Its answer closes, its failure opens again.

A panel that refuses everything opens it at once, with shorter pauses: it works, and one request in
two minutes soon shows that the key or the account is in order again. Any other answer closes it.
Times are seconds of the caller's clock. Pattern: M. Nygard, "Release It!" (2007), chapter 5.
"""

from collections.abc import Callable
from enum import StrEnum

FAILURES = 3  # in a row: a single one is no reason to stop
PAUSE = (5.0, 300.0)  # seconds: the first pause and the longest
REFUSES_PAUSE = (5.0, 120.0)
JITTER = 0.2  # share of a pause that is added at random, so that panels are not all tried together
PROBE_LASTS = 60.0  # seconds after which a probe without an answer is given up
ACT_WAITS = (5.0, 60.0)  # seconds that actions wait for reads, after a failure and while open
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
        read is answered, and are sent anyway where no read is.
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
        """The panel answered: close."""
        self.state = BreakerState.CLOSED
        self.failures = self._openings = 0

    def failed(self, now: float) -> None:
        """The panel did not answer, or not in a known form."""
        self.failures += 1
        self._failed_at = now
        probed = self.state is BreakerState.HALF_OPEN
        if probed or (self.state is BreakerState.CLOSED and self.failures >= FAILURES):
            self._open(now, PAUSE)

    def refuses(self, now: float) -> None:
        """The panel refuses everything: open."""
        self.failures += 1
        self._failed_at = now
        if self.state is not BreakerState.OPEN:
            self._open(now, REFUSES_PAUSE)

    def resume(self, now: float) -> None:
        """End the pause: the panel is to be tried at once."""
        if self.state is BreakerState.OPEN:
            self._until = min(self._until, now)
            self._openings = 0

    def _open(self, now: float, pause: tuple[float, float]) -> None:
        first, longest = pause
        seconds = min(longest, first * 2.0 ** min(self._openings, 30))
        self._openings += 1
        self.state = BreakerState.OPEN
        self._until = now + seconds * (1.0 + JITTER * self._jitter())
