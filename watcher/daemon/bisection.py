"""Group testing: finds the ids that spoil a batch, with few requests and never without proof.

A *refused* batch certainly holds a bad id, since the panel answers:
1. Ask its first half. If that is answered, the bad id is in the rest: halve the rest.
2. If it is refused, the bad id is in the half. Nothing is known of the rest: it goes back to the
   queue, and costs no request of its own. Halve the half.
So one bad id of n costs log2(n) + 1 more requests, and one of them is full of other ids.
Theory: F. K. Hwang, "A method for detecting all defective members in a population by group
testing" (1972).

A batch that *failed* (nonsense, or no answer in time) may hold such an id, or the panel is down:
1. Ask it again as a whole, then its halves.
2. If a half fails, and the panel has answered about others since the batch failed last, the bad id
   is in the half: continue as above. Otherwise conclude nothing: a smaller part is next.
3. A single id is bad under the same condition. A panel that is down proves nothing.

If many ids are bad, batches get smaller: a batch should hold at most one bad id.
"""

from collections import deque
from collections.abc import Sequence

import msgspec

_MEMORY = 100  # batches of answered ids, after which bad ones begin to be forgotten


class PollRequest(msgspec.Struct, frozen=True, kw_only=True):
    """One request: its ids, and what is known of them.

    `rest` is the other part of the batch, `part` how many ids to ask about at once (0: all),
    `answers` the number of answers when it failed.
    """

    ids: Sequence[str]
    rest: Sequence[str] = ()
    part: int = 0
    answers: int | None = None

    @property
    def is_fresh(self) -> bool:
        """Whether these ids have spoiled no request yet."""
        return self.answers is None


class Bisection(msgspec.Struct, frozen=True):
    """The result of a request without an answer: the `bad` id, and ids to ask as usual."""

    bad: str | None = None
    free: Sequence[str] = ()


class BatchBisector:
    """Bisects the batches of one panel that hold, or may hold, bad ids.

    `limit` is the most ids of a request. Report each PollRequest that was sent, also fresh ones, by
    `answered`, `refused`, `failed` or `again`.
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
        """The number of ids that a fresh batch should hold."""
        if self._bad < 1:
            return self._limit
        return max(1, min(self._limit, int((self._good + self._limit) / self._bad)))

    @property
    def has_found_any(self) -> bool:
        """Whether one bad id is known to spoil a whole batch at this panel."""
        return self._bad > 0

    def take(self) -> PollRequest:
        """Return the next part of a suspicious batch."""
        batch = self._waiting.popleft()
        part = batch.part or len(batch.ids)
        return msgspec.structs.replace(batch, ids=batch.ids[:part], rest=batch.ids[part:])

    def again(self, ask: PollRequest) -> None:
        """Queue the request again, which had no result."""
        if not ask.is_fresh:
            self._wait([*ask.ids, *ask.rest], ask.part, ask.answers)

    def answered(self, ask: PollRequest) -> None:
        """Note that the panel answered about these ids."""
        self._answers += 1
        self._good += len(ask.ids)
        if self._good > _MEMORY * self._limit:
            self._good, self._bad = self._good / 2, self._bad / 2
        if ask.rest:
            self._wait(ask.rest, _half(ask.rest), ask.answers)

    def refused(self, ask: PollRequest) -> Bisection:
        """Note that the panel refused the batch."""
        since = self._answers if ask.answers is None else ask.answers
        return self._is_among(ask, since)

    def failed(self, ask: PollRequest) -> Bisection:
        """Note that the answer was unreadable or missing."""
        if not ask.is_fresh and self.is_proven(ask) and (ask.part or len(ask.ids) == 1):
            return self._is_among(ask, self._answers)
        part = 0 if ask.is_fresh else _half(ask.ids)
        self._wait([*ask.rest, *ask.ids], part, self._answers, last=True)
        return Bisection()

    def is_proven(self, ask: PollRequest) -> bool:
        """Return whether the panel has answered about others since these ids spoiled a request."""
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
