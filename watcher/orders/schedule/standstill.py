"""Whether a panel stands still: it answers, but none of the changes comes that were to be expected.

Sequential test (Wald) of two hypotheses, by the answers: changes come as usual, or next to none do.
"""

from math import inf, log

RARE = 0.05  # changes while a panel stands still, as a share of those expected
CERTAIN = 5.0  # logarithm of the odds at which one of the two is taken for true
_SETTLED = 1200.0  # seconds in which a panel catches up
ROUND = 40.0  # units of a wait meanwhile: open orders take turns
SOONER = 300.0  # times as soon come orders that were not asked about since it began


class Standstill:
    """One panel's test. Times are Unix seconds."""

    def __init__(self) -> None:
        self.since: float | None = None  # None while changes come
        self.expected = 0.0  # changes since then
        self.ended_at, self.lasted = -inf, 0.0  # the last one, in seconds
        self.moved_at = -inf  # when changes last showed that it moves
        self._odds = -CERTAIN  # logarithm: above 0 it rather stands still

    @property
    def turned_at(self) -> float:
        """When it began, or ended if it is over: orders not asked about since come sooner."""
        return self.ended_at if self.since is None else self.since

    def clock(self, now: float) -> float:
        """Return the moment by which orders are judged: how far the panel has come.

        It stops with the panel; once changes come again, it catches up.
        """
        if self.since is not None:
            return self.since
        left = max(0.0, 1.0 - (now - self.ended_at) / _SETTLED)
        return now - left * self.lasted if left else now

    def note(self, expected: float, seen: int, now: float) -> None:
        """Note the changes expected and seen in an answer, of orders asked about since `moved_at`.

        What others show may be older than a standstill that has begun meanwhile.
        """
        if self.moved_at == -inf:
            self.moved_at = now
        odds = self._odds + (1.0 - RARE) * expected + seen * log(RARE)
        self._odds = max(-CERTAIN, min(odds, CERTAIN))
        if self.since is not None:
            self.expected += expected
        if seen and self._odds == -CERTAIN:
            self.moved_at = now
            if self.since is not None:
                self.lasted, self.ended_at, self.since = now - self.since, now, None
        elif self._odds == CERTAIN and self.since is None:
            self.since, self.expected = self.moved_at, CERTAIN
