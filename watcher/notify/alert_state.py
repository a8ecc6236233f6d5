"""Alert states: what to notify people of, and when. Pure.

An `AlertState` remembers when each alert began and when it was notified. People are notified once
an alert has lasted for some time, again in long intervals, and when it is over. Moments are
notified at once, but those that follow within GATHER come together: a rule can act on hundreds of
orders, one after the other.
"""

from collections.abc import Collection, Iterable

import msgspec

from watcher.alerts import MOMENTS, Alert, AlertKind, AlertNotice, AlertStage, KnownAlert
from watcher.rules.time_correction import TimeCorrection

# Seconds that an alert has to last before it is notified: panels often fail briefly, and a node
# that was killed is soon started again.
_LASTS_FOR = {
    AlertKind.PANEL_DOWN: 300.0,
    AlertKind.PANEL_DEGRADED: 90.0,
    AlertKind.ORDER_STALLED: 60.0,
    AlertKind.ORDER_PROBLEM: 60.0,
    AlertKind.NODE_LOST: 60.0,
    AlertKind.CLOCKS_APART: 300.0,
}
_REFUSES_FOR = 90.0  # seconds: waiting separates a rate limit from a refusal
_OVER_FOR = 60.0  # seconds that it has to be gone before its end is notified
MOMENT_KEPT = 6 * 3600.0  # seconds for which a notified moment is remembered
GATHER = 600.0  # seconds from moments of a kind to the next message with some of that kind


class AlertState:
    """One target's alerts."""

    def __init__(
        self,
        repeat_every: float,
        known: Iterable[KnownAlert] = (),
        time_correction: TimeCorrection | None = None,
    ) -> None:
        self._repeat_every = repeat_every
        self._past = (time_correction or TimeCorrection()).past
        self._gathering: frozenset[AlertKind] = frozenset()
        self.known = {one.alert.key: one for one in known}

    def look(
        self, alerts: Iterable[Alert], now: float, snoozed: Collection[str] = ()
    ) -> list[AlertNotice]:
        """Compare with the present alerts; return the notices to send.

        Those with the keys `snoozed` neither begin nor are repeated while they last.
        """
        there = {alert.key: alert for alert in alerts}
        there |= {key: one.alert for key, one in self.known.items() if _waits(one)}
        self._gathering = self._recent_kinds(now)
        notices = []
        for key in [*self.known, *(there.keys() - self.known.keys())]:
            if key in snoozed and key in there:
                self._stay(key)
                continue
            notice = self._step(key, there.get(key), now)
            if notice is not None:
                notices.append(notice)
        return notices

    def _step(self, key: str, alert: Alert | None, now: float) -> AlertNotice | None:
        known = self.known.get(key)
        if alert is None:
            return self._gone(key, self.known[key], now)
        if known is None:
            known = KnownAlert(alert, now)
        known = msgspec.structs.replace(known, alert=alert, gone_at=None)
        stage = self._due(known, now)
        if stage is not None:
            known = msgspec.structs.replace(known, notified_at=now)
        self.known[key] = known
        return None if stage is None else AlertNotice(alert, stage, now, known.began_at)

    def _recent_kinds(self, now: float) -> frozenset[AlertKind]:
        """Return the kinds of moments that were notified within GATHER."""
        return frozenset(
            one.alert.event
            for one in self.known.values()
            if one.alert.event in MOMENTS
            and one.notified_at is not None
            and now - self._past(one.notified_at, now) < GATHER
        )

    def _stay(self, key: str) -> None:
        """Keep an alert that was notified, so that it is not over."""
        if key in self.known:
            self.known[key] = msgspec.structs.replace(self.known[key], gone_at=None)

    def _due(self, known: KnownAlert, now: float) -> AlertStage | None:
        if known.alert.event in MOMENTS:
            is_due = known.notified_at is None and known.alert.event not in self._gathering
            return AlertStage.ONCE if is_due else None
        if known.notified_at is None:
            lasts_for = _lasts_for(known.alert)
            return AlertStage.BEGUN if now - self._past(known.began_at, now) >= lasts_for else None
        notified_at = self._past(known.notified_at, now)
        return AlertStage.LASTS if now - notified_at >= self._repeat_every else None

    def _gone(self, key: str, known: KnownAlert, now: float) -> AlertNotice | None:
        if known.notified_at is None:
            del self.known[key]
            return None
        if known.alert.event in MOMENTS:
            if now - self._past(known.notified_at, now) > MOMENT_KEPT:
                del self.known[key]
            return None
        gone_at = now if known.gone_at is None else known.gone_at
        if now - self._past(gone_at, now) < _OVER_FOR:
            self.known[key] = msgspec.structs.replace(known, gone_at=gone_at)
            return None
        del self.known[key]
        return AlertNotice(known.alert, AlertStage.OVER, now, known.began_at)


def _waits(known: KnownAlert) -> bool:
    """Return whether it is a moment that has not been notified yet; it is never dropped."""
    return known.alert.event in MOMENTS and known.notified_at is None


def _lasts_for(alert: Alert) -> float:
    if alert.is_refusal:
        return _REFUSES_FOR
    return _LASTS_FOR.get(alert.event, 0.0)
