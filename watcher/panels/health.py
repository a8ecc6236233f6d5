"""A panel's health, derived from how its calls end: pure.

1. A whole, well-formed answer proves that the panel works. If a part can't be read, or one kind of
   call is refused, that is a fault of the call: the panel is degraded.
2. refusal_detector.py decides whether a refusal concerns everything.
3. Refusals that end by waiting and return at the same pace are a rate limit: limit_words.py.
4. No answer, several times in a row: the panel is down.
"""

from collections.abc import Callable, Iterable
from enum import StrEnum

import msgspec

from watcher.errors import BadKey, PanelError, RateLimited, Refused, Unreadable
from watcher.panels.breaker import FAILURES
from watcher.panels.limit_words import LONGEST, LimitWords, fold
from watcher.panels.protocol import Unmatched, is_about_an_id
from watcher.panels.refusal_detector import (
    BALANCE,
    GENERAL,
    READS,
    REFILL_STATUS,
    SERVICES,
    STATUS,
    CallResult,
    RefusalDetector,
)

__all__ = ["BALANCE", "GENERAL", "READS", "REFILL_STATUS", "SERVICES", "STATUS", "PanelHealth"]
__all__ += ["HealthState", "PanelProblem"]

ANSWERS = (RateLimited, Refused, Unreadable)  # of a panel that works
_UNREAD_LASTS = 900.0  # seconds: the next answer is about other orders and proves nothing
_MOST_FIELDS = 32


class HealthState(StrEnum):
    """A panel's health, the best first."""

    UP = "up"
    DEGRADED = "degraded"  # works, but one kind of call is refused or can't be read
    LIMITED = "limited"  # refuses for being asked too fast
    REFUSING = "refusing"  # refuses everything
    DOWN = "down"  # does not answer


class PanelProblem(msgspec.Struct, frozen=True):
    """What is wrong with one kind of call, in the panel's words."""

    call: str
    text: str
    since: float


class PanelHealth:
    """One panel's health. `calls` are the reads that the panel supports."""

    def __init__(self, calls: Iterable[str] = READS) -> None:
        self._limit_words = LimitWords()
        self._refusals = RefusalDetector(calls, self._limit_words)
        self._unread: dict[
            tuple[str, str], tuple[PanelProblem, float]
        ] = {}  # and when it was last seen
        self._silence: PanelProblem | None = None
        self._silences = 0  # in a row
        self._limited: PanelProblem | None = None

    # --- the state ---

    @property
    def state(self) -> HealthState:
        if self._silences >= FAILURES:
            return HealthState.DOWN
        if self.refuses:
            return HealthState.REFUSING
        if self._limited is not None:
            return HealthState.LIMITED
        return HealthState.DEGRADED if self._call_faults() else HealthState.UP

    def verdict(self) -> HealthState:
        """Return the final state of a check: a panel that never answered is down."""
        results = self._refusals.results.values()
        answered = any(not result.is_refusal for result in results)
        if self._silence is not None and not answered and self.state is HealthState.UP:
            return HealthState.DOWN
        return self.state

    @property
    def is_up(self) -> bool:
        """Whether the last request was answered and the panel does not refuse everything."""
        return self._silence is None and not self.refuses

    @property
    def refuses(self) -> bool:
        """Whether the panel refuses everything."""
        return self._refusals.refusing is not None

    @property
    def problem(self) -> str | None:
        """The main thing that is wrong, in one sentence."""
        main = self._silence or self._refusals.refusing or self._limited
        if main is not None:
            return main.text
        faults = self._call_faults()
        return f"{faults[0].call}: {faults[0].text}" if faults else None

    @property
    def faults(self) -> list[PanelProblem]:
        """Everything that is wrong."""
        refusing = self._refusals.refusing
        if self._silence is not None and self._silences >= FAILURES:
            return [self._silence]
        if refusing is not None:
            refused = self._results(lambda _, result: result.words == refusing.words)
            return refused or [PanelProblem(refusing.call, refusing.text, refusing.since)]
        return self._call_faults()

    def _call_faults(self) -> list[PanelProblem]:
        """Return what is wrong with single calls, except STATUS refusals about one order only."""
        of_orders = self._refusals.are_of_orders
        found = [] if self._limited is None else [self._limited]
        found += self._results(
            lambda call, result: not result.is_refusal or call in GENERAL or of_orders
        )
        listed = {fault.call for fault in found}
        return found + [fault for fault, _ in self._unread.values() if fault.call not in listed]

    def _results(self, is_meant: Callable[[str, CallResult], bool]) -> list[PanelProblem]:
        return [
            PanelProblem(call, result.text, result.since)
            for call, result in self._refusals.results.items()
            if result.words is not None and is_meant(call, result)
        ]

    # --- ends of calls ---

    def ended(
        self,
        call: str,
        error: PanelError | None,
        now: float,
        *,
        sent_at: float | None = None,
        order: str | None = None,
        was_known: bool = False,
        passed: int = 0,
    ) -> None:
        """Note how a call ended that was sent at `sent_at`.

        `order` is set if the call was about one order, and `was_known` tells whether the panel has
        answered about it before. `passed` requests were answered in the last minute.
        """
        text = str(error)[:LONGEST]
        if error is not None and not isinstance(error, ANSWERS):
            self._silences += 1
            since = now if self._silence is None else self._silence.since
            self._silence = PanelProblem(call, text, since)
        else:
            self._silences, self._silence = 0, None
        if error is None or isinstance(error, Unmatched):
            self._answered(call, now, now if sent_at is None else sent_at)
        elif isinstance(error, Unreadable) and call in READS:
            self._not_limited(call)
            self._refusals.not_read(call, text, now)
        elif isinstance(error, RateLimited) and call not in GENERAL:  # those have their own limits
            since = now if self._limited is None else self._limited.since
            self._limited = PanelProblem(call, text, since)
        elif isinstance(error, Refused):
            self._refused(call, error, text, now, order, was_known, passed)
        self._refusals.tried(call)

    def unread(self, call: str, field: str, value: str, now: float) -> None:
        """Note a field of an answer that is present and can't be read."""
        before = self._unread.get((call, field))
        since = now if before is None else before[0].since
        if before is None and len(self._unread) >= _MOST_FIELDS:
            return
        fault = PanelProblem(call, f"{field} {value!r} can't be read"[:LONGEST], since)
        self._unread[call, field] = fault, now

    def _answered(self, call: str, now: float, sent_at: float) -> None:
        if call not in READS:
            return
        self._not_limited(call)
        self._refusals.answered(call, now, sent_at)
        keeps_from = now - _UNREAD_LASTS if call in (STATUS, REFILL_STATUS) else sent_at
        self._unread = {
            key: (fault, at)
            for key, (fault, at) in self._unread.items()
            if key[0] != call or at >= keeps_from
        }

    def _refused(
        self,
        call: str,
        error: Refused,
        text: str,
        now: float,
        order: str | None,
        was_known: bool,
        passed: int,
    ) -> None:
        if call == STATUS and is_about_an_id(text):
            self._answered(call, now, now)
        elif call in (STATUS, *GENERAL):
            self._limited = None
            self._refusals.refused(call, text, now, order, was_known, passed)
        elif isinstance(error, BadKey):
            self._refusals.bad_key(call, text, now)

    def _not_limited(self, call: str) -> None:
        if call not in GENERAL:
            self._limited = None

    # --- refusals ---

    def doubts(self, now: float) -> bool:
        """Return whether a probe must first settle what a refusal concerns."""
        return self._refusals.doubts(now)

    def probe(self, now: float, *, has_orders: bool) -> str | None:
        """Return the call to probe with, None if none is needed or possible."""
        return self._refusals.probe(now, has_orders=has_orders)

    def clear(self, text: str, now: float, *, long: bool = False) -> None:
        """Treat refusals in these words as being about orders, for a while."""
        self._refusals.clear(text, now, long=long)

    def settled(self) -> None:
        """Drop the doubt: someone has asked to try again at once."""
        self._refusals.settled()

    def is_rate_limit(self, text: str, now: float, passed: int) -> bool:
        """Return whether these words have proven to be a rate limit."""
        words = fold(text)
        since = None if self._limited is None else self._limited.since
        if words in self._limit_words:
            return self._limit_words.still_holds(words, since, now)
        if self.refuses or not self._limit_words.came_back(words, passed, now):
            return False
        self.note_rate_limit(text)
        return True

    def note_rate_limit(self, text: str) -> None:
        """Remember these words as a rate limit: refusals in them ended by waiting."""
        words = fold(text)
        self._refusals.note_rate_limit(words)
        self._limit_words.learn(words)
