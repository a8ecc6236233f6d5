"""Whether a panel stands still: it answers, but none of the changes comes that were to be expected.

Sequential test (Wald) of two hypotheses, by the answers: changes come as usual, or next to none do.
"""

from math import inf, log

import numpy as np

from watcher.orders.schedule.entries import Floats

RARE = 0.05  # changes while a panel stands still, as a share of those expected
CERTAIN = 4.0  # logarithm of the odds at which one of the two is taken for true
_SETTLED = 1200.0  # seconds
LONGER = 5.0  # times as long are the waits meanwhile: what was not asked since comes first


class Standstill:
    """One panel's test. Times are Unix seconds."""

    def __init__(self) -> None:
        self.since: float | None = None  # None while changes come
        self.expected = 0.0  # changes since then
        self.ended_at = -inf  # the last one
        self.lasted = 0.0  # seconds
        self._odds = -CERTAIN  # logarithm: above 0 it rather stands still
        self._changed_at: float | None = None  # when the odds were lowest last

    def is_past(self, now: float) -> bool:
        """Return whether the panel has been moving for so long that its pace is the usual one."""
        return self.since is None and now > self.ended_at + _SETTLED

    def sooner(self, usual: Floats, k: float) -> Floats:
        """Return the waits after a standstill, in units of k minutes.

        If all changes of D minutes come at once, an order that usually waits w has most to gain
        after w**2 / D; if they come by and by, all waits shrink alike. This lies in between.
        """
        share: Floats = np.sqrt(np.minimum(1.0, usual * 60.0 * k / max(self.lasted, 1.0)))
        return usual * share

    def note(self, expected: float, seen: int, now: float) -> None:
        """Note the changes expected and seen in an answer."""
        odds = self._odds + (1.0 - RARE) * expected + seen * log(RARE)
        self._odds = max(-CERTAIN, min(odds, CERTAIN))
        if self.since is not None:
            self.expected += expected
        if self._changed_at is None:  # what was before the first answer is not known
            self._changed_at = now
        if self._odds == -CERTAIN:
            self._changed_at = now
            if self.since is not None:
                self.lasted, self.ended_at, self.since = now - self.since, now, None
        elif self._odds == CERTAIN and self.since is None:
            self.since, self.expected = self._changed_at, CERTAIN
