"""Refusals that are rate limits in unknown words: pure.

A refusal of everything that ended by waiting, and returns at the same pace, is a rate limit. Its
words are remembered.
"""

import re
from typing import TypeVar

import msgspec

_SHORT = 150.0  # seconds: a refusal that ended sooner may have been a limit
_COMES_BACK = 900.0  # seconds within which a limit is met again
_LIMIT_LASTS = 180.0  # seconds; a "limit" that lasts longer is a refusal
_SAME_PACE, _FEWEST = 0.7, 5  # share of the requests before the last refusal; the fewest
_MOST_TEXTS = 16
LONGEST = 200  # characters

Value = TypeVar("Value")
_ID = re.compile(r"[0-9a-z]*\d[0-9a-z]*")
_NOT_LETTERS = re.compile(r"[\W_]+")


def fold(text: str) -> str:
    """Return a refusal's words without case, punctuation, numbers and ids."""
    return _NOT_LETTERS.sub(" ", _ID.sub("0", text[:LONGEST].casefold())).strip()


class RecentWords(dict[str, Value]):
    """Values by folded text, of the last few texts only."""

    def remember(self, words: str, value: Value) -> None:
        """Keep the value; forget the oldest if there are too many."""
        self.pop(words, None)
        self[words] = value
        if len(self) > _MOST_TEXTS:
            del self[next(iter(self))]


class _Episode(msgspec.Struct, frozen=True):
    """A refusal of everything that ended; `passed` requests were answered in the minute before."""

    ended_at: float
    passed: int


class LimitWords:
    """Words that have proven to mean a rate limit."""

    def __init__(self) -> None:
        self._known: RecentWords[None] = RecentWords()
        self._episodes: RecentWords[_Episode] = RecentWords()

    def learn(self, words: str) -> None:
        """Remember these words as a rate limit: refusals in them ended by waiting."""
        self._known.remember(words, None)

    def refusal_ended(self, words: str, since: float, passed: int, now: float) -> None:
        """Note that a refusal of everything in these words has ended."""
        if now - since <= _SHORT:
            self._episodes.remember(words, _Episode(now, passed))

    def __contains__(self, words: str) -> bool:
        return words in self._known

    def still_holds(self, words: str, limited_since: float | None, now: float) -> bool:
        """Return whether known words still mean a limit; forget them if the refusal lasts."""
        if limited_since is None or now - limited_since <= _LIMIT_LASTS:
            return True
        del self._known[words]
        self._episodes.pop(words, None)
        return False

    def came_back(self, words: str, passed: int, now: float) -> bool:
        """Return whether such a refusal ended before and the pace is as high as then."""
        episode = self._episodes.get(words)
        return (
            episode is not None
            and now - episode.ended_at <= _COMES_BACK
            and episode.passed >= _FEWEST
            and passed >= max(_FEWEST, _SAME_PACE * episode.passed)
        )
