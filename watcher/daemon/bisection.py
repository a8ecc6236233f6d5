"""Finds which of many ids spoils a batch, with few requests and nothing concluded without proof.

A *refused* batch holds a bad id for certain, as the panel answers:
1. Ask its first half. If that is answered, the bad id is in the rest: halve on.
2. If it is refused, the bad id is in the half, and nothing is known of the rest: that goes back
   to all that waits, and costs no request of its own. Halve on.
So one bad id of n costs log2(n) + 1 requests more, and one of them is full of others.
Theory: F. K. Hwang, "A method for detecting all defective members in a population by group
testing" (1972).

A batch that *failed* (nonsense, or no answer in time) may hold such an id, or the panel is down:
1. Ask it again, whole; then its halves.
2. If a half fails, and the panel has told of others since the batch failed last, the bad id is in
   the half: go on as above. If it has not, nothing is concluded: another, smaller part is next.
3. An id that stands alone is bad on the same terms. Of a panel that is down nothing is believed.

Where many ids are bad, batches get smaller: a batch should hold one bad id at the most.
"""

from collections import deque
from collections.abc import Sequence

import msgspec

_MEMORY = 100  # batches' worth of answered ids, after which bad ones begin to be forgotten


class PollRequest(msgspec.Struct, frozen=True, kw_only=True):
    """One request: the ids that it asks for, and what is known of them.

    `rest` is the other part of the batch, `part` how many to ask for at once (0: for all), and
    `answers` how many there had been when it failed.
    """

    ids: Sequence[str]
    rest: Sequence[str] = ()
    part: int = 0
    answers: int | None = None

    @property
    def is_fresh(self) -> bool:
        """Whether the ids did not spoil a request before."""
        return self.answers is None


class Bisection(msgspec.Struct, frozen=True):
    """What follows from a request without an answer: the id that is `bad`, those that are free."""

    bad: str | None = None
    free: Sequence[str] = ()


class BatchBisector:
    """The batches of one panel that hold, or may hold, ids that spoil a request.

    `limit` is the most ids that a request can carry. Each Ask that goes out, fresh ones as well,
    comes back by `answered`, `refused`, `failed` or `again`.
    """

    def __init__(self, limit: int) -> None:
        self._limit = limit
        self._waiting: deque[PollRequest] = deque()  # without `rest`: whole batches, not yet halved
        self._answers = 0
        self._good = 0.0
        self._bad = 0.0

    def __bool__(self) -> bool:
        return bool(self._waiting)

    @property
    def size(self) -> int:
        """How many ids a fresh batch should hold."""
        if self._bad < 1:
            return self._limit
        return max(1, min(self._limit, int((self._good + self._limit) / self._bad)))

    @property
    def has_found_any(self) -> bool:
        """Whether one bad id is known to spoil a whole batch here."""
        return self._bad > 0

    def take(self) -> PollRequest:
        """The next part of a suspicious batch."""
        batch = self._waiting.popleft()
        part = batch.part or len(batch.ids)
        return msgspec.structs.replace(batch, ids=batch.ids[:part], rest=batch.ids[part:])

    def again(self, ask: PollRequest) -> None:
        """Nothing was learnt of it: it waits as before."""
        if not ask.is_fresh:
            self._wait([*ask.ids, *ask.rest], ask.part, ask.answers)

    def answered(self, ask: PollRequest) -> None:
        """The panel told of these ids."""
        self._answers += 1
        self._good += len(ask.ids)
        if self._good > _MEMORY * self._limit:
            self._good, self._bad = self._good / 2, self._bad / 2
        if ask.rest:
            self._wait(ask.rest, _half(ask.rest), ask.answers)

    def refused(self, ask: PollRequest) -> Bisection:
        """The panel refused to tell of these ids."""
        since = self._answers if ask.answers is None else ask.answers
        return self._is_among(ask, since)

    def failed(self, ask: PollRequest) -> Bisection:
        """The panel answered with nonsense, or not at all."""
        if not ask.is_fresh and self.is_proven(ask) and (ask.part or len(ask.ids) == 1):
            return self._is_among(ask, self._answers)
        part = 0 if ask.is_fresh else _half(ask.ids)
        self._wait([*ask.rest, *ask.ids], part, self._answers, last=True)
        return Bisection()

    def is_proven(self, ask: PollRequest) -> bool:
        """Whether the panel has told of others since these ids spoiled a request."""
        return ask.answers is not None and self._answers > ask.answers

    def _is_among(self, ask: PollRequest, answers: int) -> Bisection:
        if len(ask.ids) == 1:
            self._bad += not ask.is_fresh
            return Bisection(ask.ids[0], ask.rest)
        self._wait(ask.ids, _half(ask.ids), answers)
        return Bisection(free=ask.rest)

    def _wait(
        self, ids: Sequence[str], part: int, answers: int | None, *, last: bool = False
    ) -> None:
        batch = PollRequest(ids=ids, part=part, answers=answers)
        (self._waiting.append if last else self._waiting.appendleft)(batch)


def _half(ids: Sequence[str]) -> int:
    return max(1, len(ids) // 2)
