"""Holds a rule that fires too often at a panel."""

from collections import deque

BRAKE_WINDOW = 3600.0  # seconds: `per_hour` counts in it, and a held rule is held for it


class Brake:
    """Counts a rule's firings at a panel and holds it when there are too many.

    `window` is shorter than an hour in the demo only.
    """

    def __init__(self, window: float = BRAKE_WINDOW) -> None:
        self._window = window
        self._times: deque[float] = deque()
        self.held_until: float | None = None

    def is_full(self, per_hour: int, now: float) -> bool:
        """Return whether the rule has fired `per_hour` times in the hour before `now`."""
        while self._times and self._times[0] <= now - self._window:
            self._times.popleft()
        return len(self._times) >= per_hour

    def count(self, now: float) -> None:
        """Count a firing of the rule."""
        self._times.append(now)

    def shift(self, seconds: float) -> None:
        """Shift all times by these seconds, by which the clock was set."""
        self._times = deque(at + seconds for at in self._times)
        if self.held_until is not None:
            self.held_until += seconds

    def hold(self, now: float) -> None:
        """Hold the rule for an hour; forget its firings so far."""
        self._times.clear()
        self.held_until = now + self._window
