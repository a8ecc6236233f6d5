"""What the ends of its calls say of a panel's health: pure.

1. A whole, well-formed answer proves that the panel lives. What can't be read of it, or what is
   refused to one kind of call, is a fault of that call: the panel is degraded.
2. A refusal that may be the panel's is a doubt. One request of another kind, the probe, settles
   it: refused in the same words, the panel refuses everything; answered, it does not.
3. Orders that are refused alone, one after the other, show the same where no probe can.
4. Refusals that go away by waiting and come back with the pace are a limit. Their words are
   remembered.

No list of words decides. Texts are compared without case, punctuation, numbers and ids.
"""

import re
from collections import OrderedDict
from collections.abc import Iterable
from enum import StrEnum
from typing import TypeVar

import msgspec

from watcher.errors import BadKey, PanelError, RateLimited, Refused, Unreadable
from watcher.panels.breaker import FAILURES
from watcher.panels.protocol import ErrorKind, Unmatched, error_kind, is_about_an_id

STATUS, REFILL_STATUS, BALANCE, SERVICES = "status", "refill_status", "balance", "services"
GENERAL = (BALANCE, SERVICES)  # about the account, never about one order
READS = (STATUS, REFILL_STATUS, *GENERAL)

_DOUBT_LASTS = 60.0  # seconds, if no probe can be sent
_CLEARED_FOR = 60.0  # seconds for which a refusal that a probe has cleared raises no new doubt
_PROVEN_FOR = 600.0  # the same where orders beside the refused one were answered, or of a long list
_ENOUGH_ORDERS = 2  # refused alone
_SHORT = 150.0  # seconds: a refusal that went away sooner may have been a limit
_COMES_BACK = 900.0  # seconds within which a limit is met again
_LIMIT_LASTS = 180.0  # seconds; a "limit" that waiting does not end is a refusal
_SAME_PACE, _FEWEST = 0.7, 5  # share of the requests before the last time; and how many at least
_UNREAD_LASTS = 900.0  # seconds: each answer about orders is about others
_MOST_WORDS = 16
_MOST_FIELDS = 32
_LONGEST = 200

Value = TypeVar("Value")
_ID = re.compile(r"[0-9a-z]*\d[0-9a-z]*")
_NOT_LETTERS = re.compile(r"[\W_]+")


class HealthState(StrEnum):
    """What a panel is taken for, the best first."""

    UP = "up"
    DEGRADED = "degraded"  # works, but something of it is refused or can't be read
    LIMITED = "limited"  # refuses for being asked too fast
    REFUSING = "refusing"  # refuses everything
    DOWN = "down"  # does not answer


class PanelProblem(msgspec.Struct, frozen=True):
    """What is wrong with one kind of call, in the panel's words or with its value."""

    call: str
    text: str
    since: float


class _End(msgspec.Struct, frozen=True):
    """How the last call of a kind ended; `words` are None where it was answered and read."""

    at: float
    since: float
    words: str | None = None
    text: str = ""
    is_refusal: bool = False


class _Doubt(msgspec.Struct, frozen=True):
    """A refusal that may be the panel's, and which calls were tried to find out."""

    call: str
    words: str
    text: str
    at: float
    tried: frozenset[str] = frozenset()


class _Refusing(msgspec.Struct, frozen=True):
    """The panel refuses everything; `by_orders`: every order, and maybe nothing else."""

    words: str
    text: str
    since: float
    by_orders: bool
    passed: int
    call: str
    probes: int = 0


class _Episode(msgspec.Struct, frozen=True):
    """A refusal of everything that went away; `passed` requests had been answered before it."""

    ended_at: float
    passed: int


class PanelHealth:
    """One panel's health. `calls` are the reads that the panel can be asked."""

    def __init__(self, calls: Iterable[str] = READS) -> None:
        self._calls = frozenset(calls)
        self._ends: dict[str, _End] = {}
        self._unread: dict[tuple[str, str], tuple[PanelProblem, float]] = {}
        self._silence: PanelProblem | None = None
        self._silences = 0
        self._limited: PanelProblem | None = None
        self._doubt: _Doubt | None = None
        self._refusing: _Refusing | None = None
        self._own: dict[str, str] = {}  # refusals that a call had while orders were answered
        self._alone: dict[str, bool] = {}  # orders refused alone: whether each was answered before
        self._answered_at = float("-inf")  # when one of STATUS and GENERAL was answered last
        self._cleared: OrderedDict[str, tuple[float, bool]] = OrderedDict()
        self._limits: OrderedDict[str, None] = OrderedDict()
        self._episodes: OrderedDict[str, _Episode] = OrderedDict()

    # --- what it comes to ---

    @property
    def state(self) -> HealthState:
        if self._silences >= FAILURES:
            return HealthState.DOWN
        if self._refusing is not None:
            return HealthState.REFUSING
        if self._limited is not None:
            return HealthState.LIMITED
        return HealthState.DEGRADED if self._has_faults() else HealthState.UP

    def verdict(self) -> HealthState:
        """The state, where nothing more will be asked: what nobody answered is down."""
        answered = any(end.words is None or not end.is_refusal for end in self._ends.values())
        if self._silence is not None and not answered and self.state is HealthState.UP:
            return HealthState.DOWN
        return self.state

    @property
    def is_up(self) -> bool:
        """Whether the last request was answered and the panel does not refuse everything."""
        return self._silence is None and self._refusing is None

    @property
    def refuses(self) -> bool:
        """Whether the panel refuses everything."""
        return self._refusing is not None

    def doubts(self, now: float) -> bool:
        """Whether a probe is to settle first what a refusal was about."""
        return self._doubt is not None and now < self._doubt.at + _DOUBT_LASTS

    @property
    def problem(self) -> str | None:
        """The main thing that is wrong, in one sentence."""
        if self._silence is not None:
            return self._silence.text
        if self._refusing is not None:
            return self._refusing.text
        faults = self.faults
        if self._limited is not None or not faults:
            return None if self._limited is None else self._limited.text
        return f"{faults[0].call}: {faults[0].text}"

    @property
    def faults(self) -> list[PanelProblem]:
        """Everything that is wrong."""
        if self.state is HealthState.DOWN and self._silence is not None:
            return [self._silence]
        if self._refusing is not None:
            return self._refused_calls(self._refusing)
        found = [] if self._limited is None else [self._limited]
        found += [
            PanelProblem(call, end.text, end.since)
            for call, end in self._ends.items()
            if end.words is not None and self._is_fault(call, end)
        ]
        told = {fault.call for fault in found}
        return found + [fault for fault, _ in self._unread.values() if fault.call not in told]

    def _has_faults(self) -> bool:
        return bool(self._unread) or any(
            end.words is not None and self._is_fault(call, end) for call, end in self._ends.items()
        )

    def _is_fault(self, call: str, end: _End) -> bool:
        """Whether the call's last end is a fault of the call, not of one order."""
        return not end.is_refusal or call in GENERAL or len(self._alone) >= _ENOUGH_ORDERS

    def _refused_calls(self, refusing: _Refusing) -> list[PanelProblem]:
        found = [
            PanelProblem(call, end.text, end.since)
            for call, end in self._ends.items()
            if end.is_refusal and end.words == refusing.words
        ]
        return found or [PanelProblem(refusing.call, refusing.text, refusing.since)]

    # --- what calls came to ---

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
        """A call that left at `sent_at` ended so.

        `order` is the only one that was asked about, `was_known` if it was answered before;
        `passed` requests were answered in the last minute.
        """
        text = str(error)[:_LONGEST]
        if error is None or isinstance(error, Unmatched):
            self._answered(call, now, now if sent_at is None else sent_at)
        elif isinstance(error, RateLimited):
            self._was_limited(call, text, now)
        elif isinstance(error, Unreadable):
            self._not_read(call, text, now)
        elif isinstance(error, Refused):
            self._heard()
            is_bad_key = isinstance(error, BadKey)
            self._refused(call, text, now, order, was_known, passed, is_bad_key=is_bad_key)
        else:
            self._was_silent(call, text, now)
        self._try(call)  # whatever it came to, it is not asked again for the same doubt

    def unread(self, call: str, field: str, value: str, now: float) -> None:
        """A field of an answer is there and can't be read."""
        before = self._unread.get((call, field))
        since = now if before is None else before[0].since
        if before is None and len(self._unread) >= _MOST_FIELDS:
            return
        fault = PanelProblem(call, f"{field} {value!r} can't be read"[:_LONGEST], since)
        self._unread[call, field] = fault, now

    def _answered(self, call: str, now: float, sent_at: float) -> None:
        self._heard()
        if call not in READS:
            return
        self._lived(call, now, sent_at)
        self._ends[call] = _End(now, now)
        self._own.pop(call, None)
        keeps_until = now - _UNREAD_LASTS if call in (STATUS, REFILL_STATUS) else sent_at
        for key, (_, at) in list(self._unread.items()):
            if key[0] == call and at < keeps_until:
                del self._unread[key]
        if call == STATUS:
            self._orders_answered(sent_at)

    def _orders_answered(self, sent_at: float) -> None:
        self._alone.clear()
        for call in GENERAL:
            end = self._ends.get(call)
            if end is not None and end.words is not None and end.is_refusal and end.at < sent_at:
                self._own[call] = end.words

    def _not_read(self, call: str, text: str, now: float) -> None:
        """A whole answer of an unexpected form: the panel lives."""
        self._heard()
        if call in READS:
            self._lived(call, now, now)
            self._ends[call] = _End(now, self._since(call, now), fold(text), text)

    def _lived(self, call: str, now: float, sent_at: float) -> None:
        """A read was answered: the panel does not refuse everything."""
        if call not in GENERAL:
            self._limited = None
        if self._is_weak(call):
            return
        if call in (STATUS, *GENERAL):
            self._answered_at = now
        doubt = self._doubt
        if doubt is not None and (call != doubt.call or call == STATUS):
            if call != doubt.call:
                self.clear(doubt.text, now, long=call == SERVICES)
            self._doubt = None
        refusing = self._refusing
        if refusing is None:
            return
        if call == STATUS or (not refusing.by_orders and sent_at >= refusing.since):
            self._end_refusing(refusing, now)

    def _is_weak(self, call: str) -> bool:
        """Whether the call proves nothing: a price list may be public, where a balance is not."""
        return call == SERVICES and BALANCE in self._calls

    def _end_refusing(self, refusing: _Refusing, now: float) -> None:
        self._refusing = None
        self._alone.clear()
        if now - refusing.since <= _SHORT:
            _keep(self._episodes, refusing.words, _Episode(now, refusing.passed))

    def _was_limited(self, call: str, text: str, now: float) -> None:
        self._heard()
        if call not in GENERAL:  # these have limits of their own
            since = now if self._limited is None else self._limited.since
            self._limited = PanelProblem(call, text, since)

    def _was_silent(self, call: str, text: str, now: float) -> None:
        self._silences += 1
        since = now if self._silence is None else self._silence.since
        self._silence = PanelProblem(call, text, since)

    def _heard(self) -> None:
        self._silences = 0
        self._silence = None

    def _since(self, call: str, now: float) -> float:
        before = self._ends.get(call)
        return now if before is None or before.words is None else before.since

    # --- refusals ---

    def _refused(
        self,
        call: str,
        text: str,
        now: float,
        order: str | None,
        was_known: bool,
        passed: int,
        *,
        is_bad_key: bool,
    ) -> None:
        words = fold(text)
        if call not in READS or call == REFILL_STATUS:
            if is_bad_key and self._refusing is None and not self._is_cleared(words, now):
                self._raise(call, words, text, now)
            return
        if call == STATUS and is_about_an_id(text):
            self._answered(call, now, now)
            return
        before = self._ends.get(call)
        is_new = before is None or before.words != words
        self._ends[call] = _End(now, self._since(call, now), words, text, is_refusal=True)
        self._limited = None
        if self._own.get(call) not in (None, words):
            del self._own[call]
        if call == STATUS and order is not None:
            self._note_alone(order, was_known, is_new=is_new)
        if self._refusing is not None:
            more = self._refusing.probes + 1
            self._refusing = msgspec.structs.replace(self._refusing, probes=more)
            return
        self._rule_engine(call, words, text, now, passed, is_new=is_new)

    def _note_alone(self, order: str, was_known: bool, *, is_new: bool) -> None:
        if is_new:
            self._alone.clear()
        if len(self._alone) < _MOST_WORDS:
            self._alone[order] = was_known

    def _rule_engine(
        self, call: str, words: str, text: str, now: float, passed: int, *, is_new: bool
    ) -> None:
        is_by_all = self._is_by_all(call, words)
        if is_by_all or (call == STATUS and self._is_by_orders(words, now)):
            self._doubt = None
            self._refusing = _Refusing(words, text, now, not is_by_all, passed, call)
            return
        is_odd = is_new if call in GENERAL else not self._is_cleared(words, now)
        if is_odd and self._own.get(call) != words:
            self._raise(call, words, text, now)

    def _is_by_all(self, call: str, words: str) -> bool:
        """Whether another kind of call was refused in these words, and none was answered since."""
        return self._counts(call, words) and any(
            self._counts(other, words) for other in (STATUS, *GENERAL) if other != call
        )

    def _counts(self, call: str, words: str) -> bool:
        end = self._ends.get(call)
        return (
            end is not None
            and end.is_refusal
            and end.words == words
            and end.at >= self._answered_at
            and self._own.get(call) != words
        )

    def _is_by_orders(self, words: str, now: float) -> bool:
        """Whether every order is refused that was asked about alone.

        Where other calls are answered, it takes orders that had been answered before: unknown ids
        may be refused in any words.
        """
        until, others_are_answered = self._cleared.get(words, (0.0, False))
        count = sum(self._alone.values()) if others_are_answered else len(self._alone)
        return now < until and count >= _ENOUGH_ORDERS

    # --- doubts ---

    def _raise(self, call: str, words: str, text: str, now: float) -> None:
        if self._doubt is None:
            self._doubt = _Doubt(call, words, text, now)

    def _try(self, call: str) -> None:
        """A call that could settle the doubt did not, if there still is one."""
        doubt = self._doubt
        if doubt is not None:
            self._doubt = msgspec.structs.replace(doubt, tried=doubt.tried | {call})

    def probe(self, now: float, *, has_orders: bool) -> str | None:
        """The call that shows next whether the panel refuses everything; None: none is wanted."""
        if self._refusing is not None:
            ways = self._ways(self._refusing.call, has_orders=has_orders, refuses=True)
            return ways[self._refusing.probes % len(ways)] if ways else None
        doubt = self._doubt
        if doubt is None:
            return None
        ways = self._ways(doubt.call, has_orders=has_orders, refuses=False)
        for way in ways:
            if way not in doubt.tried and self._own.get(way) != doubt.words:
                return way
        self._undecided(doubt, now)
        return None

    def _ways(self, call: str, *, has_orders: bool, refuses: bool) -> list[str]:
        general = [way for way in GENERAL if way in self._calls]
        status = [STATUS] if has_orders and STATUS in self._calls else []
        if refuses:
            general = [way for way in general if not self._is_weak(way)]
            by_orders = self._refusing is not None and self._refusing.by_orders
            return status if by_orders and status else status + general
        if call == STATUS:
            return general
        if call in GENERAL:
            return status + [way for way in general if way != call]
        return general[:1] + status + general[1:]

    def _undecided(self, doubt: _Doubt, now: float) -> None:
        """Nothing else can be asked. Then known words decide, where a read was refused in them."""
        self._doubt = None
        is_only_way = not doubt.tried - {doubt.call}
        is_bad_key = error_kind(doubt.text) is ErrorKind.BAD_KEY
        if is_only_way and is_bad_key and doubt.call in READS:
            self._refusing = _Refusing(doubt.words, doubt.text, now, False, 0, doubt.call)
        else:
            _keep(self._cleared, doubt.words, (now + _CLEARED_FOR, False))

    def clear(self, text: str, now: float, *, long: bool = False) -> None:
        """Refusals in these words are about orders, for the time being."""
        seconds = _PROVEN_FOR if long else _CLEARED_FOR
        _keep(self._cleared, fold(text), (now + seconds, True))

    def _is_cleared(self, words: str, now: float) -> bool:
        return now < self._cleared.get(words, (0.0, False))[0]

    def settled(self) -> None:
        """Someone has asked to try again at once: no doubt holds requests back."""
        self._doubt = None

    # --- limits ---

    def is_limit(self, text: str, now: float, passed: int) -> bool:
        """Whether these words have shown to be about the pace."""
        words = fold(text)
        if words in self._limits:
            limited = self._limited
            if limited is not None and now - limited.since > _LIMIT_LASTS:
                del self._limits[words]
                self._episodes.pop(words, None)
                return False
            return True
        episode = self._episodes.get(words)
        if episode is None or self._refusing is not None or now - episode.ended_at > _COMES_BACK:
            return False
        if max(_FEWEST, _SAME_PACE * episode.passed) > passed or episode.passed < _FEWEST:
            return False
        self.was_pace(text)
        return True

    def was_pace(self, text: str) -> None:
        """Refusals in these words went away by waiting."""
        words = fold(text)
        self._cleared.pop(words, None)
        self._doubt = None
        _keep(self._limits, words, None)


def fold(text: str) -> str:
    """A refusal's words without case, punctuation, numbers and ids."""
    return _NOT_LETTERS.sub(" ", _ID.sub("0", text[:_LONGEST].casefold())).strip()


def _keep(kept: OrderedDict[str, Value], words: str, value: Value) -> None:
    kept.pop(words, None)
    kept[words] = value
    while len(kept) > _MOST_WORDS:
        kept.popitem(last=False)
