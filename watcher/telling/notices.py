"""What people are told of what is wrong, and when: pure.

A `Watch` remembers which troubles began when, and who was told: a trouble is told of once it has
lasted, again in long intervals, and when it is over.
"""

from collections.abc import Iterable
from enum import StrEnum

import msgspec

from watcher.clocks import Hindsight


class Event(StrEnum):
    """What [[notify]] can be told of."""

    BALANCE_LOW = "balance_low"
    ORDER_STALLED = "order_stalled"
    ACTION_UNRESOLVED = "action_unresolved"
    PANEL_DOWN = "panel_down"
    PANEL_DEGRADED = "panel_degraded"
    RULE_PAUSED = "rule_paused"
    PRICE_RISE = "price_rise"
    SERVICE_GONE = "service_gone"
    REFILL_REJECTED = "refill_rejected"
    RULE_FIRED = "rule_fired"


# What happens and does not last: it is told of once.
MOMENTS = frozenset({Event.PRICE_RISE, Event.SERVICE_GONE, Event.REFILL_REJECTED, Event.RULE_FIRED})


class Stage(StrEnum):
    """How far a trouble is; `once` is one that does not last."""

    BEGUN = "begun"
    LASTS = "lasts"
    OVER = "over"
    ONCE = "once"


# Seconds that a trouble has to last before anybody is told: panels hiccup.
_LASTS_FOR = {
    Event.PANEL_DOWN: 300.0,
    Event.PANEL_DEGRADED: 90.0,
    Event.ORDER_STALLED: 60.0,
}
REFUSES = "refuses everything"  # the subject of PANEL_DOWN where the panel answers so
_REFUSES_FOR = 90.0  # it was proven by then: waiting tells only a limit from a refusal
_OVER_FOR = 60.0  # seconds that it has to be gone for, before its end is told
MOMENT_KEPT = 6 * 3600.0  # seconds for which it is known that a moment was told of


class Trouble(msgspec.Struct, frozen=True):
    """One thing that is wrong. `subject` tells those of one event at one panel apart."""

    event: Event
    panel: str
    text: str
    subject: str = ""

    @property
    def key(self) -> str:
        """The same as long as it lasts."""
        return f"{self.event}/{self.panel}/{self.subject}"


class Notice(msgspec.Struct, frozen=True):
    """What people are to be told."""

    trouble: Trouble
    stage: Stage
    at: float
    began_at: float


class Known(msgspec.Struct, frozen=True):
    """A trouble that is or was there."""

    trouble: Trouble
    began_at: float
    told_at: float | None = None  # when it was told of last
    gone_at: float | None = None


class Watch:
    """The troubles that there are, and who knows of them."""

    def __init__(
        self,
        repeat_every: float,
        known: Iterable[Known] = (),
        hindsight: Hindsight | None = None,
    ) -> None:
        self._repeat_every = repeat_every
        self._past = (hindsight or Hindsight()).past
        self.known = {one.trouble.key: one for one in known}

    def look(self, troubles: Iterable[Trouble], now: float) -> list[Notice]:
        """Take over what is wrong now; what is to be told because of it."""
        there = {trouble.key: trouble for trouble in troubles}
        notices = []
        for key in [*self.known, *(there.keys() - self.known.keys())]:
            notice = self._step(key, there.get(key), now)
            if notice is not None:
                notices.append(notice)
        return notices

    def _step(self, key: str, trouble: Trouble | None, now: float) -> Notice | None:
        known = self.known.get(key)
        if trouble is None:
            return self._gone(key, self.known[key], now)
        if known is None:
            known = Known(trouble, now)
        known = msgspec.structs.replace(known, trouble=trouble, gone_at=None)
        stage = self._due(known, now)
        if stage is not None:
            known = msgspec.structs.replace(known, told_at=now)
        self.known[key] = known
        return None if stage is None else Notice(trouble, stage, now, known.began_at)

    def _due(self, known: Known, now: float) -> Stage | None:
        if known.trouble.event in MOMENTS:
            return Stage.ONCE if known.told_at is None else None
        if known.told_at is None:
            lasts_for = _lasts_for(known.trouble)
            return Stage.BEGUN if now - self._past(known.began_at, now) >= lasts_for else None
        told_at = self._past(known.told_at, now)
        return Stage.LASTS if now - told_at >= self._repeat_every else None

    def _gone(self, key: str, known: Known, now: float) -> Notice | None:
        if known.told_at is None:
            del self.known[key]
            return None
        if known.trouble.event in MOMENTS:
            if now - self._past(known.told_at, now) > MOMENT_KEPT:
                del self.known[key]
            return None
        gone_at = now if known.gone_at is None else known.gone_at
        if now - self._past(gone_at, now) < _OVER_FOR:
            self.known[key] = msgspec.structs.replace(known, gone_at=gone_at)
            return None
        del self.known[key]
        return Notice(known.trouble, Stage.OVER, now, known.began_at)


def _lasts_for(trouble: Trouble) -> float:
    if trouble.event is Event.PANEL_DOWN and trouble.subject == REFUSES:
        return _REFUSES_FOR
    return _LASTS_FOR.get(trouble.event, 0.0)
