"""Alert states: what people are told of, and when. Pure.

A `Watch` remembers when each trouble began and when it was told: a trouble is told of once it has
lasted, again in long intervals, and when it is over.
"""

from collections.abc import Callable, Iterable
from enum import StrEnum

import msgspec


class AlertKind(StrEnum):
    """What [[notify]] can tell of."""

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
MOMENTS = frozenset(
    {AlertKind.PRICE_RISE, AlertKind.SERVICE_GONE, AlertKind.REFILL_REJECTED, AlertKind.RULE_FIRED}
)


class AlertStage(StrEnum):
    """The state of a trouble; `once` is one that does not last."""

    BEGUN = "begun"
    LASTS = "lasts"
    OVER = "over"
    ONCE = "once"


# Seconds that a trouble has to last before anybody is told: panels hiccup.
_LASTS_FOR = {
    AlertKind.PANEL_DOWN: 300.0,
    AlertKind.PANEL_DEGRADED: 90.0,
    AlertKind.ORDER_STALLED: 60.0,
}
REFUSES = "refuses everything"  # the subject of PANEL_DOWN where the panel answers so
_REFUSES_FOR = 90.0  # it was proven by then: waiting tells only a limit from a refusal
_OVER_FOR = 60.0  # seconds that it has to be gone for, before its end is told
MOMENT_KEPT = 6 * 3600.0  # seconds for which it is known that a moment was told of


class Alert(msgspec.Struct, frozen=True):
    """One thing that is wrong. `subject` tells those of one event at one panel apart."""

    event: AlertKind
    panel: str
    text: str
    subject: str = ""

    @property
    def key(self) -> str:
        """Return a key that stays as long as the trouble lasts."""
        return f"{self.event}/{self.panel}/{self.subject}"


class AlertNotice(msgspec.Struct, frozen=True):
    """One trouble at one stage, for a message."""

    trouble: Alert
    stage: AlertStage
    at: float
    began_at: float


class KnownAlert(msgspec.Struct, frozen=True):
    """A trouble that a target knows of, or that may be told to it."""

    trouble: Alert
    began_at: float
    told_at: float | None = None  # when it was told of last
    gone_at: float | None = None


class AlertState:
    """One target's troubles."""

    def __init__(
        self,
        repeat_every: float,
        known: Iterable[KnownAlert] = (),
        past: Callable[[float, float], float] = min,
    ) -> None:
        self._repeat_every = repeat_every
        self._past = past  # of a time on record and now: when that was
        self.known = {one.trouble.key: one for one in known}

    def look(self, troubles: Iterable[Alert], now: float) -> list[AlertNotice]:
        """Take over the present troubles; return what to tell because of them."""
        there = {trouble.key: trouble for trouble in troubles}
        notices = []
        for key in [*self.known, *(there.keys() - self.known.keys())]:
            notice = self._step(key, there.get(key), now)
            if notice is not None:
                notices.append(notice)
        return notices

    def _step(self, key: str, trouble: Alert | None, now: float) -> AlertNotice | None:
        known = self.known.get(key)
        if trouble is None:
            return self._gone(key, self.known[key], now)
        if known is None:
            known = KnownAlert(trouble, now)
        known = msgspec.structs.replace(known, trouble=trouble, gone_at=None)
        stage = self._due(known, now)
        if stage is not None:
            known = msgspec.structs.replace(known, told_at=now)
        self.known[key] = known
        return None if stage is None else AlertNotice(trouble, stage, now, known.began_at)

    def _due(self, known: KnownAlert, now: float) -> AlertStage | None:
        if known.trouble.event in MOMENTS:
            return AlertStage.ONCE if known.told_at is None else None
        if known.told_at is None:
            lasts_for = _lasts_for(known.trouble)
            return AlertStage.BEGUN if now - self._past(known.began_at, now) >= lasts_for else None
        told_at = self._past(known.told_at, now)
        return AlertStage.LASTS if now - told_at >= self._repeat_every else None

    def _gone(self, key: str, known: KnownAlert, now: float) -> AlertNotice | None:
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
        return AlertNotice(known.trouble, AlertStage.OVER, now, known.began_at)


def _lasts_for(trouble: Alert) -> float:
    if trouble.event is AlertKind.PANEL_DOWN and trouble.subject == REFUSES:
        return _REFUSES_FOR
    return _LASTS_FOR.get(trouble.event, 0.0)
