"""Decides which items of attention each target gets, and queues the messages."""

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from collections.abc import Set as AbstractSet

import msgspec

from watcher.alerts import MOMENTS, REFUSES, Alert, AlertKind, AlertNotice, KnownAlert, Moment
from watcher.config import NotifyTarget
from watcher.daemon.attention_items import Attention
from watcher.daemon.attention_kinds import Issue
from watcher.daemon.status import DaemonStatus
from watcher.notify.alert_state import AlertState
from watcher.notify.moments import alert_of
from watcher.panels.health import HealthState
from watcher.rules.engine import RuleEngine
from watcher.store import Store

EVERY = 10.0  # seconds: what happens in between is one message
_LATE = 600.0  # seconds by which a moment may be recorded after it happened
_FIRST_LOOK = 6 * 3600.0  # seconds to look back at a start

# The names in [[notify]] of kinds of attention; the others are not notified.
_EVENTS: Mapping[Issue, AlertKind] = {
    Issue.PANEL_DOWN: AlertKind.PANEL_DOWN,
    Issue.PANEL_REFUSING: AlertKind.PANEL_DOWN,
    Issue.PANEL_UNLED: AlertKind.PANEL_DOWN,
    Issue.PANEL_DEGRADED: AlertKind.PANEL_DEGRADED,
    Issue.BALANCE_LOW: AlertKind.BALANCE_LOW,
    Issue.ORDER_STALLED: AlertKind.ORDER_STALLED,
    Issue.ORDER_PROBLEM: AlertKind.ORDER_PROBLEM,
    Issue.ACTION_UNRESOLVED: AlertKind.ACTION_UNRESOLVED,
    Issue.RULE_PAUSED: AlertKind.RULE_PAUSED,
    Issue.RULE_SWITCHED_OFF: AlertKind.RULE_PAUSED,
    Issue.NODE_LOST: AlertKind.NODE_LOST,
    Issue.CLOCKS_APART: AlertKind.CLOCKS_APART,
}


class Monitor:
    """Keeps the alert state of each target."""

    def __init__(
        self,
        *,
        store: Store,
        rule_engine: RuleEngine,
        daemon_status: DaemonStatus,
        on_queued: Callable[[str], None],
        now: float,
    ) -> None:
        self._store = store
        self._rule_engine = rule_engine
        self._daemon_status = daemon_status
        self._on_queued = on_queued
        self._targets: Sequence[NotifyTarget] = ()
        self._since: Mapping[str, float] = {}
        self._watches: dict[str, AlertState] = {}
        self._look_since = now - _FIRST_LOOK
        self._services_seen: set[str] = set()  # changes of price lists that were handled

    def take_over(
        self,
        targets: Sequence[NotifyTarget],
        since: Mapping[str, float],
        known: Mapping[str, Sequence[KnownAlert]],
    ) -> None:
        """Notify these targets from now on: added at `since`, already notified of `known`."""
        before = self._watches
        self._targets, self._since = targets, since
        self._watches = {}
        for target in targets:
            old = before.get(target.name)
            knows = old.known.values() if old else known.get(target.name, ())
            kept = [one for one in knows if one.alert.event in target.on]
            self._watches[target.name] = AlertState(target.repeat_every, kept)

    async def run_once(self, now: float) -> float:
        """Queue what has not been notified yet; return when to run next."""
        wanted = frozenset[AlertKind]().union(*(target.on for target in self._targets))
        alerts, snoozed = await self._alerts(now)
        moments, lists = await self._moments(wanted & MOMENTS)
        watches, known, gone, messages = {}, [], [], []
        time_correction = self._rule_engine.time_correction
        for target in self._targets:
            name, before = target.name, self._watches[target.name]
            watch = watches[name] = AlertState(
                target.repeat_every, before.known.values(), time_correction
            )
            since = time_correction.past(self._since[name], now)
            new = (moment for moment in moments if moment.at >= since)
            theirs = [*alerts, *(alert_of(moment) for moment in new if _wants(target, moment))]
            notices = watch.look([t for t in theirs if t.event in target.on], now, snoozed)
            known += [(name, one) for one in _changed(before, watch)]
            gone += [(name, key) for key in before.known.keys() - watch.known.keys()]
            if notices:
                messages.append((name, notices))
        await self._keep(known, gone, messages, now)
        self._watches, self._services_seen = watches, lists
        self._look_since = now - _LATE
        return now + EVERY

    async def _keep(
        self,
        known: Sequence[tuple[str, KnownAlert]],
        gone: Sequence[tuple[str, str]],
        messages: Sequence[tuple[str, Sequence[AlertNotice]]],
        now: float,
    ) -> None:
        if known or gone or messages:
            await self._store.outbox.keep_notices(known, gone, messages, now=now)
        for name, _ in messages:
            self._on_queued(name)

    async def _alerts(self, now: float) -> tuple[list[Alert], set[str]]:
        """Return the present alerts, and the keys of those that somebody has snoozed."""
        await self._daemon_status.read_spending(now)
        items = self._daemon_status.attention()
        found = alerts_of(items)
        listed = {alert.key for alert in found}
        snoozed = {alert.key for alert in alerts_of(i for i in items if i.snooze is not None)}
        return found + [one for one in self._still_down() if one.key not in listed], snoozed

    def _still_down(self) -> Iterator[Alert]:
        """Return panels that were notified as down (also before a restart) and are not up yet."""
        panels = [panel for panel in self._daemon_status.panels() if not panel.up]
        silent = {p.name for p in panels if p.health is not HealthState.REFUSING}
        for watch in self._watches.values():
            for known in watch.known.values():
                alert = known.alert
                is_silence = alert.event is AlertKind.PANEL_DOWN and not alert.is_refusal
                if is_silence and known.notified_at is not None and alert.panel in silent:
                    yield alert

    async def _moments(self, wanted: AbstractSet[AlertKind]) -> tuple[list[Moment], set[str]]:
        """Return recent moments; of price lists, those of services with open orders.

        Also returns the keys of all price list changes, which are not handled again.
        """
        if not wanted:
            return [], set()
        moments = await self._store.recent.moments(self._look_since, wanted)
        lists = [moment for moment in moments if moment.service is not None]
        unseen = [moment for moment in lists if alert_of(moment).key not in self._services_seen]
        at_work = await self._store.recent.open_services() if unseen else set()
        relevant = [moment for moment in unseen if moment.service in at_work]
        relevant += [moment for moment in moments if moment.service is None]
        return relevant, {alert_of(moment).key for moment in lists}


def alerts_of(items: Iterable[Attention]) -> list[Alert]:
    """Return the items that [[notify]] can report."""
    return [
        Alert(
            _EVENTS[item.kind],
            item.panel or "",
            item.sentence,
            REFUSES if item.kind is Issue.PANEL_REFUSING else item.subject,
        )
        for item in items
        if item.kind in _EVENTS
    ]


def _wants(target: NotifyTarget, moment: Moment) -> bool:
    """Return whether the target wants this moment.

    Panels refuse refills that they don't owe. Refusals of refills that a rule or a shop asked for
    go only to targets that list the event.
    """
    return target.on_rules_refusals or not moment.is_routine


def _changed(before: AlertState, after: AlertState) -> Iterator[KnownAlert]:
    """Return what a restart must know; a changed text alone is not written."""
    for key, one in after.known.items():
        old = before.known.get(key)
        if old is None or msgspec.structs.replace(one, alert=old.alert) != old:
            yield one
