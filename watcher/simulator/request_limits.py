"""Rate limits of a simulated panel, by the wall clock."""

from collections import deque
from collections.abc import Mapping
from enum import StrEnum
from typing import NamedTuple, Protocol

PENALTY = 60.0


class SimRate(NamedTuple):
    """A number of requests in a number of seconds."""

    requests: int
    seconds: float = 60.0


class LimitKind(StrEnum):
    """Algorithm of a rate limit."""

    FIXED_WINDOW = "fixed_window"
    SLIDING_WINDOW = "sliding_window"
    TOKEN_BUCKET = "token_bucket"  # noqa: S105 -- no password
    PUNISHING = "punishing"


class Limit(Protocol):
    """A rate limiter."""

    def ask(self, now: float) -> float:
        """Count a request; return 0 if it may pass, otherwise the seconds to wait."""
        ...


class FixedWindow:
    """Fixed windows, which begin at multiples of their length."""

    def __init__(self, rate: SimRate) -> None:
        self._rate = rate
        self._window = -1
        self._count = 0

    def ask(self, now: float) -> float:
        window = int(now // self._rate.seconds)
        if window != self._window:
            self._window, self._count = window, 0
        if self._count >= self._rate.requests:
            return (window + 1) * self._rate.seconds - now
        self._count += 1
        return 0.0


class SlidingWindow:
    """Sliding window log."""

    def __init__(self, rate: SimRate) -> None:
        self._rate = rate
        self._passed: deque[float] = deque()

    def ask(self, now: float) -> float:
        while self._passed and self._passed[0] <= now - self._rate.seconds:
            self._passed.popleft()
        if len(self._passed) < self._rate.requests:
            self._passed.append(now)
            return 0.0
        oldest = self._passed[0] if self._passed else now
        return oldest + self._rate.seconds - now


class TokenBucket:
    """Token bucket that holds a sixth of a window's requests."""

    def __init__(self, rate: SimRate) -> None:
        self._per_second = rate.requests / rate.seconds
        self._most = max(min(1.0, rate.requests), rate.requests / 6)
        self._tokens = self._most
        self._at: float | None = None

    def ask(self, now: float) -> float:
        if self._at is not None:
            grown = (now - self._at) * self._per_second
            self._tokens = min(self._most, self._tokens + grown)
        self._at = now
        if self._tokens >= 1:
            self._tokens -= 1
            return 0.0
        return (1 - self._tokens) / self._per_second if self._per_second else PENALTY


class Punishing:
    """Sliding window that rejects everything for a minute after each refusal."""

    def __init__(self, rate: SimRate) -> None:
        self._window = SlidingWindow(rate)
        self._shut_until = float("-inf")

    def ask(self, now: float) -> float:
        if now >= self._shut_until and not self._window.ask(now):
            return 0.0
        self._shut_until = now + PENALTY
        return PENALTY


_KINDS: Mapping[LimitKind, type[FixedWindow | SlidingWindow | TokenBucket | Punishing]] = {
    LimitKind.FIXED_WINDOW: FixedWindow,
    LimitKind.SLIDING_WINDOW: SlidingWindow,
    LimitKind.TOKEN_BUCKET: TokenBucket,
    LimitKind.PUNISHING: Punishing,
}


class RequestLimits:
    """A panel's limits: one per key, and one for each action that has its own."""

    def __init__(
        self,
        requests_per_minute: int | None = None,
        kind: LimitKind = LimitKind.FIXED_WINDOW,
        actions: Mapping[str, SimRate] | None = None,
    ) -> None:
        self._kind = kind
        self._all: Limit | None = None
        self._actions = {name: _KINDS[kind](rate) for name, rate in (actions or {}).items()}
        self.allow(requests_per_minute)

    def allow(self, requests_per_minute: int | None) -> None:
        """Replace the limit of all actions; None: no limit."""
        rate = None if requests_per_minute is None else SimRate(requests_per_minute)
        self._all = _KINDS[self._kind](rate) if rate else None

    def ask(self, action: str, now: float) -> float:
        """Count a request; return 0 if it may pass, otherwise the seconds to wait."""
        for limit in (self._actions.get(action), self._all):
            wait = limit.ask(now) if limit else 0.0
            if wait:
                return wait
        return 0.0
