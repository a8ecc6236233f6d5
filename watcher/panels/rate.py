"""How many requests a minute a panel allows, learnt from its refusals.

1. While nothing is known, the rate doubles with each minute of use, until the first refusal.
2. A refusal shows the ceiling: the requests that passed in the last minute. Continue at 90 % of it,
   then grow by 10 % a minute, but by 1 % near the ceiling.
3. Refused again at once: slow down by 30 % and pause for more than a minute. If that happens
   twice at one ceiling, with a rate that is not far too high, the panel blocks after a refusal. For
   a day, pause as long at the first refusal, and grow by 0.5 % near the ceiling.

A rate grows with its use, not with time: an unused rate proves nothing. After CUBIC (S. Ha,
I. Rhee, L. Xu, 2008): grow slowly near the last refused rate, fast far from it.
"""

from collections import deque

import msgspec

START = 30.0  # requests a minute, where nothing is known
SLOWEST = 1.0
_UNKNOWN, _BELOW, _NEAR, _NEAR_PUNISHED, _ABOVE = 2.0, 1.1, 1.015, 1.005, 2.0
_NEAR_FROM, _NEAR_TO = 0.95, 1.04  # as shares of it
_SAME = 0.9  # of a ceiling, at least: below it the limit fell, and the panel does not punish
_BELOW_CEILING = 0.9
_CUT = 0.7
_NOT_FAR = 0.9  # of the rate passed at least: the rate is not far too high
_MINUTE = 60.0
_FIRST_PAUSE, _LONG_PAUSE = 5.0, 65.0  # seconds, if the panel does not say how long
_PUNISHES_FOR = 86400.0


class RememberedRate(msgspec.Struct, frozen=True, kw_only=True):
    """The saved rate, in requests a minute; `ceiling` is None before the first refusal."""

    rate: float
    ceiling: float | None = None
    punishes_until: float = 0.0


def start_of(
    most: float, *, stated: bool, remembered: RememberedRate | None, now: float = float("inf")
) -> RememberedRate:
    """Return the first rate: the learnt one, else the configured one, else START."""
    if remembered is not None and remembered.ceiling is not None:
        until = min(remembered.punishes_until, now + _PUNISHES_FOR)
        return msgspec.structs.replace(remembered, punishes_until=until)
    if stated:
        return RememberedRate(rate=most)
    return remembered or RememberedRate(rate=START)


class Rate:
    """The rate of requests to one panel, never above `most`."""

    def __init__(self, most: float, learnt: RememberedRate) -> None:
        self._most = most
        self._rate = max(min(SLOWEST, most), min(most, learnt.rate))
        self._ceiling = learnt.ceiling
        self._punishes_until = learnt.punishes_until
        self._passed: deque[float] = deque()
        self._refused_at: float | None = None  # None after a success
        self._was_near = False  # at the last refusal
        self._blocked_at = 0.0  # the ceiling at which it seemed to block
        self._before_failures: float | None = None  # the rate to come back to
        self._failing = False

    @property
    def per_minute(self) -> float:
        """Requests a minute."""
        return self._rate

    @property
    def learnt(self) -> RememberedRate:
        """Return what to save."""
        return RememberedRate(
            rate=self._rate, ceiling=self._ceiling, punishes_until=self._punishes_until
        )

    def passed(self, now: float) -> int:
        """Return how many requests were answered in the last minute."""
        self._forget(now)
        return len(self._passed)

    def succeeded(self, now: float) -> None:
        """Note that the panel answered; let the rate grow."""
        self._refused_at = None
        self._failing = False
        self._passed.append(now)
        self._forget(now)
        self._set(self._rate * self._growth(now) ** (1.0 / self._rate))

    def refused(self, now: float, retry_after: float | None, *, sent_at: float) -> float:
        """Note a refusal for too many requests; return the seconds to pause."""
        if self._refused_at is not None and sent_at < self._refused_at:
            return retry_after or 0.0  # it was sent before the first refusal
        again = self._refused_at is not None
        self._refused_at = now
        if again:
            self._refused_again(now)
        else:
            self._refused_first(now)
        if retry_after is not None:
            return retry_after
        return _LONG_PAUSE if again or now < self._punishes_until else _FIRST_PAUSE

    def failed(self) -> None:
        """Slow down once until the panel answers: it failed at a request, maybe from load.

        Once only, since the breaker handles outages: a rate that is cut at each probe of an
        hour takes hours to grow again.
        """
        if self._failing:
            return
        self._failing = True
        self._before_failures = max(self._rate, self._before_failures or 0.0)
        self._set(self._rate * _CUT)

    def _refused_first(self, now: float) -> None:
        self._forget(now)
        self._before_failures = None
        passed = float(len(self._passed))
        self._was_near = passed >= _NOT_FAR * self._rate
        enough = passed >= self._rate / 2
        self._ceiling = min(self._rate, passed) if enough else _CUT * self._rate
        self._set(_BELOW_CEILING * self._ceiling)
        if self._ceiling < _SAME * self._blocked_at:
            self._punishes_until = self._blocked_at = 0.0

    def _refused_again(self, now: float) -> None:
        self._set(self._rate * _CUT)
        if not self._was_near or self._ceiling is None:
            return
        if self._blocked_at and self._ceiling >= _SAME * self._blocked_at:
            self._punishes_until = now + _PUNISHES_FOR
        self._blocked_at = self._ceiling

    def _growth(self, now: float) -> float:
        if self._ceiling is None or self._rate < (self._before_failures or 0.0):
            return _UNKNOWN
        if self._rate < _NEAR_FROM * self._ceiling:
            return _BELOW
        if self._rate > self._ceiling * max(_NEAR_TO, 1.0 + 1.0 / self._ceiling):
            return _ABOVE
        return _NEAR_PUNISHED if now < self._punishes_until else _NEAR

    def _set(self, rate: float) -> None:
        self._rate = min(self._most, max(min(SLOWEST, self._most), rate))

    def _forget(self, now: float) -> None:
        while self._passed and self._passed[0] <= now - _MINUTE:
            self._passed.popleft()
