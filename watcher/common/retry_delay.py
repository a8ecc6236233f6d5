"""Backoff by key."""

from collections.abc import Hashable
from typing import Generic, TypeVar

Key = TypeVar("Key", bound=Hashable)

PROBLEM_PAUSE = (60.0, 6 * 3600.0)  # first and longest pause of a refused id, in seconds


def after_problem(failures: int, now: float, pause: tuple[float, float] = PROBLEM_PAUSE) -> float:
    """Return when to ask again after `failures` refusals in a row (backoff)."""
    first, longest = pause
    return now + min(longest, first * 2.0 ** min(failures - 1, 30))


class RetryDelay(Generic[Key]):
    """Exponential backoff: each failure in a row of a key makes its pause longer.

    `pause` is the first and the longest one, in seconds.
    """

    def __init__(self, pause: tuple[float, float] = PROBLEM_PAUSE) -> None:
        self._pause = pause
        self._counts: dict[Key, int] = {}
        self._until: dict[Key, float] = {}

    def failed(self, key: Key, now: float) -> float:
        """Count a failure; return when to ask again."""
        count = self._counts[key] = self._counts.get(key, 0) + 1
        self._until[key] = after_problem(count, now, self._pause)
        return self._until[key]

    def forget(self, key: Key) -> None:
        """Reset the key."""
        self._counts.pop(key, None)
        self._until.pop(key, None)

    def forget_all(self) -> None:
        """Reset all keys."""
        self._counts.clear()
        self._until.clear()

    def count(self, key: Key) -> int:
        """Return the number of failures in a row of the key."""
        return self._counts.get(key, 0)

    def until(self, key: Key, now: float) -> float:
        """Return when the key may be asked about again: `now` or later.

        A clock that was set back does not make a pause longer than the longest.
        """
        return min(max(now, self._until.get(key, now)), now + self._pause[1])
