"""Recorded times that lie in the future: the clock was ahead when they were written."""

import msgspec

from watcher.model import Order


class TimeCorrection:
    """Corrects recorded times before they are compared with now.

    A time in the future was recorded before this process started, or before the clock was set
    back: it counts as that moment, so that a wait from there is as long as usual. Dropping such
    a time would act again at once.
    """

    def __init__(self, since: float = float("inf")) -> None:
        self._since = since  # the start, or the last time that the clock was set back
        self._latest = 0.0  # the latest time since then

    def see(self, now: float) -> None:
        """Note that something may be recorded with this time."""
        self._latest = max(self._latest, now)

    def past(self, at: float, now: float) -> float:
        """Return the recorded time; if it lies in the future, the moment that it counts as."""
        self.see(now)
        if at <= now:
            return at
        if at <= self._latest:  # recorded by this process: the clock went back unnoticed
            return now
        return min(self._since, now)

    def order(self, order: Order, now: float) -> Order:
        """Return the order with none of its times in the future."""
        self.see(now)
        finished = order.finished_at or 0.0
        if max(order.submitted_at, order.progressed_at, finished) <= now:
            return order
        return msgspec.structs.replace(
            order,
            submitted_at=self.past(order.submitted_at, now),
            progressed_at=self.past(order.progressed_at, now),
            finished_at=None if order.finished_at is None else self.past(finished, now),
        )

    def jumped(self, seconds: float, now: float) -> None:
        """Note that the clock was set by so many seconds and shows `now`."""
        self._since = now if seconds < 0 else self._since + seconds
        self._latest = now
