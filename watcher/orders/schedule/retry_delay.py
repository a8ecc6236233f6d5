"""When to ask again about something that the last answers told nothing of."""

from collections.abc import Hashable
from typing import Generic, TypeVar

from watcher.orders.schedule.poll_queue import PROBLEM_PAUSE, after_problem

Key = TypeVar("Key", bound=Hashable)


class RetryDelay(Generic[Key]):
    """Counts the answers in a row that told nothing of a key; each makes the next pause longer.

    `pause` is the first and the longest one, in seconds.
    """

    def __init__(self, pause: tuple[float, float] = PROBLEM_PAUSE) -> None:
        self._pause = pause
        self._counts: dict[Key, int] = {}
        self._until: dict[Key, float] = {}

    def learnt_nothing(self, key: Key, now: float) -> float:
        """Count one more such answer; returns when to ask again."""
        count = self._counts[key] = self._counts.get(key, 0) + 1
        self._until[key] = after_problem(count, now, self._pause)
        return self._until[key]

    def forget(self, key: Key) -> None:
        """Reset the key: it was answered, or is not asked about any more."""
        self._counts.pop(key, None)
        self._until.pop(key, None)

    def forget_all(self) -> None:
        """Somebody wants everything tried at once."""
        self._counts.clear()
        self._until.clear()

    def count(self, key: Key) -> int:
        """How many answers in a row told nothing of it."""
        return self._counts.get(key, 0)

    def until(self, key: Key, now: float) -> float:
        """When it may be asked about again, `now` where it may be at once.

        No pause is longer than the longest, even where the clock was set back meanwhile.
        """
        return min(max(now, self._until.get(key, now)), now + self._pause[1])
