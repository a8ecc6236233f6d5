"""Whether a panel refuses everything, or only one kind of call or order: pure.

1. A refusal that may concern everything raises a doubt. One request of another kind, the probe,
   settles it: if it is refused in the same words, the panel refuses everything.
2. If no probe is possible, orders that are refused alone, one after the other, prove it too.
3. The first answer that proves the opposite ends the refusal.

No list of words decides. Texts are compared without case, punctuation, numbers and ids.
"""

from collections.abc import Iterable

import msgspec

from watcher.panels.limit_words import LimitWords, RecentWords, fold
from watcher.panels.protocol import ErrorKind, error_kind

STATUS, REFILL_STATUS, BALANCE, SERVICES = "status", "refill_status", "balance", "services"
GENERAL = (BALANCE, SERVICES)  # about the account, never about one order
READS = (STATUS, REFILL_STATUS, *GENERAL)

_DOUBT_LASTS = 60.0  # seconds, if no probe can be sent
_CLEARED_FOR = 60.0  # seconds for which a refusal that a probe has cleared raises no new doubt
_PROVEN_FOR = 600.0  # likewise, if other orders were answered or the probe was a price list
_ENOUGH_ORDERS, _MOST_ORDERS = 2, 16  # refused alone


class CallResult(msgspec.Struct, frozen=True):
    """How the last call of a kind ended; `words` is None if it was answered and read."""

    at: float
    since: float
    words: str | None = None
    text: str = ""
    is_refusal: bool = False


class CallRefusal(msgspec.Struct, frozen=True):
    """A refusal that concerns, or may concern, everything; `by_orders`: only orders prove it."""

    call: str
    words: str
    text: str
    since: float
    by_orders: bool = False
    passed: int = 0  # requests that were answered in the minute before


class RefusalDetector:
    """Decides whether a panel refuses everything. `calls` are the reads that it supports."""

    def __init__(self, calls: Iterable[str], limits: LimitWords) -> None:
        self.results: dict[str, CallResult] = {}
        self.refusing: CallRefusal | None = None  # everything
        self._calls = frozenset(calls)
        self._limits = limits
        self._probes = 0  # refused since `refusing` began
        self._doubt: CallRefusal | None = None
        self._tried: set[str] = set()  # calls that have tried to settle the doubt
        self._while_answered: dict[str, str] = {}  # call -> its refusal while orders were answered
        self._alone: dict[str, bool] = {}  # order refused alone -> whether it was answered before
        self._answered_at = float("-inf")  # when one of STATUS and GENERAL was answered last
        # words -> until when they don't concern everything, and whether other calls were answered
        self._cleared: RecentWords[tuple[float, bool]] = RecentWords()

    def doubts(self, now: float) -> bool:
        """Return whether a probe must first settle what a refusal concerns."""
        return self._doubt is not None and now < self._doubt.since + _DOUBT_LASTS

    @property
    def are_of_orders(self) -> bool:
        """Whether several orders are refused alone, so that no single order is at fault."""
        return len(self._alone) >= _ENOUGH_ORDERS

    # --- ends of calls ---

    def answered(self, call: str, now: float, sent_at: float) -> None:
        """Note that a read sent at `sent_at` was answered."""
        self._proves_life(call, now, sent_at)
        self.results[call] = CallResult(now, now)
        self._while_answered.pop(call, None)
        if call != STATUS:
            return
        self._alone.clear()
        for general in GENERAL:
            result = self.results.get(general)
            if result is not None and result.is_refusal and result.at < sent_at:
                self._while_answered[general] = str(result.words)

    def not_read(self, call: str, text: str, now: float) -> None:
        """Note that a read was answered in an unexpected form."""
        self._proves_life(call, now, now)
        self._note(call, fold(text), text, now, is_refusal=False)

    def refused(
        self, call: str, text: str, now: float, order: str | None, was_known: bool, passed: int
    ) -> None:
        """Note a refusal of STATUS or GENERAL; `order` is set if it was about one order."""
        words = fold(text)
        is_new = self._note(call, words, text, now, is_refusal=True)
        if self._while_answered.get(call) not in (None, words):
            del self._while_answered[call]
        if call == STATUS and order is not None:
            if is_new:
                self._alone.clear()
            if len(self._alone) < _MOST_ORDERS:
                self._alone[order] = was_known
        if self.refusing is not None:
            self._probes += 1
            return
        is_by_all = self._is_by_all(call, words)
        if is_by_all or (call == STATUS and self._is_by_orders(words, now)):
            self._decide(CallRefusal(call, words, text, now, not is_by_all, passed))
            return
        is_odd = is_new if call in GENERAL else not self._is_cleared(words, now)
        if is_odd and self._while_answered.get(call) != words:
            self._raise(CallRefusal(call, words, text, now))

    def bad_key(self, call: str, text: str, now: float) -> None:
        """Note that a call other than STATUS and GENERAL was refused for its key."""
        words = fold(text)
        if self.refusing is None and not self._is_cleared(words, now):
            self._raise(CallRefusal(call, words, text, now))

    def tried(self, call: str) -> None:
        """Note that the call has ended: the probe for a remaining doubt is another call."""
        self._tried.add(call)

    def clear(self, text: str, now: float, *, long: bool = False) -> None:
        """Treat refusals in these words as being about orders, for a while."""
        seconds = _PROVEN_FOR if long else _CLEARED_FOR
        self._cleared.remember(fold(text), (now + seconds, True))

    def note_rate_limit(self, words: str) -> None:
        """Note that refusals in these words are a rate limit: drop the doubt."""
        self._cleared.pop(words, None)
        self._doubt = None

    def settled(self) -> None:
        """Drop the doubt, so that it holds back no requests."""
        self._doubt = None

    def _note(self, call: str, words: str, text: str, now: float, *, is_refusal: bool) -> bool:
        """Store how the call ended; return whether it ended otherwise before."""
        before = self.results.get(call)
        since = now if before is None or before.words is None else before.since
        self.results[call] = CallResult(now, since, words, text, is_refusal)
        return before is None or before.words != words

    def _proves_life(self, call: str, now: float, sent_at: float) -> None:
        """Settle the doubt and end a refusal of everything, as an answered read proves."""
        if self._is_weak(call):
            return
        if call in (STATUS, *GENERAL):
            self._answered_at = now
        doubt, refusing = self._doubt, self.refusing
        if doubt is not None and (call != doubt.call or call == STATUS):
            if call != doubt.call:
                self.clear(doubt.text, now, long=call == SERVICES)
            self._doubt = None
        if refusing is None:
            return
        if call == STATUS or (not refusing.by_orders and sent_at >= refusing.since):
            self.refusing = None
            self._alone.clear()
            self._limits.refusal_ended(refusing.words, refusing.since, refusing.passed, now)

    def _is_weak(self, call: str) -> bool:
        """Return whether an answer to the call proves little: a price list may be public."""
        return call == SERVICES and BALANCE in self._calls

    # --- the decision ---

    def _is_by_all(self, call: str, words: str) -> bool:
        """Return whether two kinds of call were refused in these words, with no answer since."""
        return self._counts(call, words) and any(
            self._counts(other, words) for other in (STATUS, *GENERAL) if other != call
        )

    def _counts(self, call: str, words: str) -> bool:
        result = self.results.get(call)
        return (
            result is not None
            and result.is_refusal
            and result.words == words
            and result.at >= self._answered_at
            and self._while_answered.get(call) != words
        )

    def _is_by_orders(self, words: str, now: float) -> bool:
        """Return whether every order that was asked about alone is refused.

        If other calls are answered, only orders that were answered before count: a panel may
        refuse unknown ids in any words.
        """
        until, others_are_answered = self._cleared.get(words, (0.0, False))
        count = sum(self._alone.values()) if others_are_answered else len(self._alone)
        return now < until and count >= _ENOUGH_ORDERS

    def _is_cleared(self, words: str, now: float) -> bool:
        return now < self._cleared.get(words, (0.0, False))[0]

    # --- the probe ---

    def _raise(self, doubt: CallRefusal) -> None:
        if self._doubt is None:
            self._doubt, self._tried = doubt, set()

    def _decide(self, refusing: CallRefusal) -> None:
        self._doubt, self.refusing, self._probes = None, refusing, 0

    def probe(self, now: float, *, has_orders: bool) -> str | None:
        """Return the call to probe with, None if none is needed or possible."""
        status = [STATUS] if has_orders and STATUS in self._calls else []
        general = [call for call in GENERAL if call in self._calls]
        if self.refusing is not None:
            others = [call for call in general if not self._is_weak(call)]
            ways = status if self.refusing.by_orders and status else status + others
            return ways[self._probes % len(ways)] if ways else None
        doubt = self._doubt
        if doubt is None:
            return None
        if doubt.call == STATUS:
            ways = general
        elif doubt.call in GENERAL:
            ways = status + general
        else:
            ways = general[:1] + status + general[1:]
        for way in ways:
            is_open = way != doubt.call and way not in self._tried
            if is_open and self._while_answered.get(way) != doubt.words:
                return way
        self._undecided(doubt, now)
        return None

    def _undecided(self, doubt: CallRefusal, now: float) -> None:
        """Decide by known words if no other call can be asked and a read was refused."""
        self._doubt = None
        is_only_way = not self._tried - {doubt.call}
        is_bad_key = error_kind(doubt.text) is ErrorKind.BAD_KEY
        if is_only_way and is_bad_key and doubt.call in READS:
            self._decide(msgspec.structs.replace(doubt, since=now))
        else:
            self._cleared.remember(doubt.words, (now + _CLEARED_FOR, False))
