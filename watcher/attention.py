"""Decides what needs a person. Nothing else does: page, `top`, API, notifications and the gauge
that alerts read all show these items. Pure.

What only a history can tell (error budgets, restarts, no progress for hours) stays with Prometheus.
"""

from collections.abc import Iterator, Mapping
from math import inf
from urllib.parse import quote, urlencode

import msgspec

from watcher.attention_kinds import MEANINGS, Kind, Meaning, Severity
from watcher.config import Thresholds
from watcher.metrics.state import DaemonState, PanelState, ReceiverState, RuleState
from watcher.model import Kind as ActionKind
from watcher.panels.health import BALANCE, HealthState
from watcher.wording import clock, counted, lasting

_MISSED_CHECKS = 3  # in a row, where a panel is asked less often than once a minute
_MISSED_READINGS = 2  # of the balance
_FIRST_BACKUP_WITHIN = 3600.0  # seconds after a start
_BACKUP_LATE = 1.5  # times `backup_every`


class Attention(msgspec.Struct, frozen=True, kw_only=True):
    """One thing that needs a person. `subject` tells items of one kind at one panel apart.

    `since` is 0 until `listed` has set it, where the daemon does not know when it began.
    """

    kind: Kind
    severity: Severity
    since: float
    panel: str | None
    subject: str
    sentence: str
    command: str | None
    link: str | None

    @property
    def key(self) -> str:
        """Name the thing; the key stays as long as it lasts."""
        return f"{self.kind}/{self.panel or ''}/{self.subject}"

    @property
    def meaning(self) -> Meaning:
        """Return what all items of the kind share."""
        return MEANINGS[self.kind]


def listed(
    state: DaemonState, limits: Thresholds, now: float, before: Mapping[str, float]
) -> list[Attention]:
    """Return everything that needs a person, the most urgent first.

    `before` is since when each item (by key) has been listed so far.
    """
    items = []
    for item in _all(state, limits, now):
        since = min(now, item.since or before.get(item.key, now))
        items.append(msgspec.structs.replace(item, since=since))
    ranks = {word: rank for rank, word in enumerate((*Severity, *Kind))}
    return sorted(items, key=lambda item: (ranks[item.severity], ranks[item.kind]))


def _all(state: DaemonState, limits: Thresholds, now: float) -> Iterator[Attention]:
    yield from _database(state, limits, now)
    yield from _upkeep(state, limits, now)
    for panel in state.panels:
        yield from _health(panel, state.started_at, limits, now)
        yield from _money(panel, state.started_at, limits, now)
        yield from _orders(panel, limits, now)
    for rule in state.rules:
        yield from _rule(rule)
    for target in state.notifiers:
        yield from _messages(target, limits, now)
    for target in state.receivers:
        yield from _events(target, limits, now)


def _item(
    kind: Kind,
    sentence: str,
    *,
    panel: str | None = None,
    subject: str = "",
    since: float = 0.0,
    severity: Severity | None = None,
    command: str | None = None,
    link: str | None = None,
) -> Attention:
    return Attention(
        kind=kind,
        severity=severity or MEANINGS[kind].severity,
        since=since,
        panel=panel,
        subject=subject,
        sentence=sentence,
        command=command,
        link=link,
    )


# --- the daemon ---


def _database(state: DaemonState, limits: Thresholds, now: float) -> Iterator[Attention]:
    if not state.integrity_ok:
        restore = "watcher restore BACKUP --config FILE"
        yield _item(Kind.DATABASE_DAMAGED, "its integrity check has failed", command=restore)
    if state.files_problem is not None:
        yield _item(Kind.DATABASE_LOST, state.files_problem, link="/readyz")
    elif state.db_failed_at and now - state.db_failed_at < limits.database_error_within:
        sentence = f"an operation failed at {clock(state.db_failed_at)}"
        yield _item(Kind.DATABASE_FAILING, sentence, link="/readyz")


def _upkeep(state: DaemonState, limits: Thresholds, now: float) -> Iterator[Attention]:
    if state.reload_problems:
        more = len(state.reload_problems) - 1
        sentence = state.reload_problems[0] + (f", and {more} more" if more else "")
        yield _item(Kind.CONFIG_REFUSED, sentence, command="watcher check-config FILE")
    cause = f": {state.backup_problem}" if state.backup_problem else ""
    oldest = limits.backup_age or _BACKUP_LATE * state.backup_every
    if state.backup_at and now - state.backup_at > oldest:
        sentence = f"the last backup is {lasting(now - state.backup_at)} old{cause}"
        since = state.backup_at + oldest
        yield _item(Kind.BACKUP_OLD, sentence, since=since, command="watcher backup FILE")
    elif not state.backup_at and now - state.started_at > min(oldest, _FIRST_BACKUP_WITHIN):
        sentence = f"there is no backup{cause}"
        yield _item(
            Kind.BACKUP_OLD, sentence, since=state.started_at, command="watcher backup FILE"
        )


# --- panels ---


def _health(
    panel: PanelState, started_at: float, limits: Thresholds, now: float
) -> Iterator[Attention]:
    name, link = panel.name, f"/panels/{quote(panel.name, safe='')}"
    retry, pause = f"watcher panels retry {name}", _pause(panel, now)
    faults = "; ".join(f"{fault.call}: {fault.text}" for fault in panel.faults)
    since = min((fault.since for fault in panel.faults), default=0.0)
    if panel.health is HealthState.REFUSING:
        sentence = f"it refuses everything: {panel.problem}{pause}"
        kind = Kind.PANEL_REFUSING
    elif is_silent(panel, started_at, limits, now):
        since = min(now, panel.last_success or started_at)
        sentence = f"no check has succeeded for {lasting(now - since)}"
        sentence += (f": {panel.problem}" if panel.problem else "") + pause
        kind = Kind.PANEL_DOWN
    elif panel.health is HealthState.DEGRADED:
        sentence = f"it works, but for {faults}"
        kind = Kind.PANEL_DEGRADED
    elif panel.health is HealthState.LIMITED:
        sentence = f"it refuses requests for being asked too fast: {panel.problem}{pause}"
        kind = Kind.PANEL_LIMITED
    else:
        return
    yield _item(kind, sentence, panel=name, since=since, command=retry, link=link)


def is_silent(panel: PanelState, started_at: float, limits: Thresholds, now: float) -> bool:
    """Return whether the panel is down: it fails again and again, or no check has succeeded."""
    if panel.health is HealthState.DOWN:
        return True
    longest = max(limits.panel_silent_for, _MISSED_CHECKS * panel.poll_interval)
    return now - (panel.last_success or started_at) > longest


def _pause(panel: PanelState, now: float) -> str:
    until = panel.backoff_until
    return f"; next try at {clock(until)}" if until > now else ""


def is_low(panel: PanelState) -> bool:
    """Return whether the balance is below the panel's `low_balance`."""
    return panel.balance is not None and panel.balance < (panel.threshold or 0.0)


def _money(
    panel: PanelState, started_at: float, limits: Thresholds, now: float
) -> Iterator[Attention]:
    name, link = panel.name, f"/panels/{quote(panel.name, safe='')}"
    lasts = inf if panel.lasts is None else panel.lasts
    if panel.balance is not None and (is_low(panel) or lasts < limits.balance_lasts):
        left = f"{panel.balance:g} {panel.currency}".strip()
        yield _item(
            Kind.BALANCE_LOW if is_low(panel) else Kind.BALANCE_SHORT,
            f"{left} left" + ("" if lasts == inf else f", enough for {lasting(lasts)}"),
            panel=name,
            severity=Severity.CRITICAL if lasts < limits.balance_lasts_critical else None,
            link=link,
        )
    if _is_unread(panel, started_at, limits, now):
        since = panel.balance_at or started_at
        yield _item(
            Kind.BALANCE_UNREAD,
            f"the balance has not been read for {lasting(now - since)}",
            panel=name,
            since=since,
            command=f"watcher panels retry {name}",
            link=link,
        )


def _is_unread(panel: PanelState, started_at: float, limits: Thresholds, now: float) -> bool:
    """Whether the balance is old for no reason that is an item by itself."""
    if panel.balance_every is None or not panel.up:
        return False
    if any(fault.call == BALANCE for fault in panel.faults):
        return False
    oldest = max(limits.balance_unread_for, _MISSED_READINGS * panel.balance_every)
    return now - max(panel.balance_at, started_at) > oldest


def _orders(panel: PanelState, limits: Thresholds, now: float) -> Iterator[Attention]:
    name = panel.name
    link = f"/panels/{quote(name, safe='')}"
    for kind, count in panel.unresolved.items():
        if count:
            yield _unresolved(name, kind, count)
    late = now - panel.oldest_due if panel.oldest_due else 0.0
    allowed = limits.checks_late_by or panel.check_within
    if panel.up and late > allowed:
        sentence = f"an order has waited {lasting(late)} longer than it should"
        since = panel.oldest_due + allowed
        yield _item(Kind.CHECKS_LATE, sentence, panel=name, since=since, link=link)
    if panel.stalled:
        make = "makes" if panel.stalled == 1 else "make"
        yield _item(
            Kind.ORDER_STALLED,
            f"{counted(panel.stalled, 'order')} {make} no progress",
            panel=name,
            command=f"watcher orders --stalled --panel {name}",
            link=f"/orders?{urlencode({'panel': name, 'stalled': 'true'})}",
        )
    if panel.longest_wait > panel.check_within:
        waits, wanted = lasting(panel.longest_wait), lasting(panel.check_within)
        sentence = f"orders wait up to {waits} between checks; check_within is {wanted}"
        yield _item(Kind.BUDGET_SHORT, sentence, panel=name, link=link)


def _unresolved(panel: str, kind: ActionKind, count: int) -> Attention:
    return _item(
        Kind.ACTION_UNRESOLVED,
        f"{counted(count, kind.value)} whose outcome nobody knows",
        panel=panel,
        subject=kind.value,
        command=f"watcher actions --state unresolved --panel {panel}",
        link=f"/actions?{urlencode({'state': 'unresolved', 'panel': panel})}",
    )


# --- rules and receivers ---


def _rule(rule: RuleState) -> Iterator[Attention]:
    link = "/#rules"
    if rule.switched_off is not None:
        sentence = f"rule {rule.name!r} fails, and rests until a reload: {rule.switched_off}"
        yield _item(Kind.RULE_SWITCHED_OFF, sentence, subject=rule.name, link=link)
    for panel, until in rule.held.items():
        sentence = (
            f"rule {rule.name!r} pauses until {clock(until)}:"
            f" it wanted more than {counted(rule.per_hour, 'order')} an hour"
        )
        yield _item(Kind.RULE_PAUSED, sentence, panel=panel, subject=rule.name, link=link)


def _messages(target: ReceiverState, limits: Thresholds, now: float) -> Iterator[Attention]:
    if target.fails_since and now - target.fails_since >= limits.undelivered_for:
        waits = f"{counted(target.waiting, 'message')} to {target.name!r}"
        yield _item(
            Kind.MESSAGES_UNDELIVERED,
            f"{waits} {'waits' if target.waiting == 1 else 'wait'}: {target.error}",
            subject=target.name,
            since=target.fails_since,
            command=f"watcher notify test {target.name}",
        )


def _events(target: ReceiverState, limits: Thresholds, now: float) -> Iterator[Attention]:
    name = target.name
    if target.fails_since and now - target.fails_since >= limits.undelivered_for:
        sentence = f"{name!r} is {counted(target.waiting, 'change')} behind: {target.error}"
        since = target.fails_since
        yield _item(
            Kind.EVENTS_UNDELIVERED, sentence, subject=name, since=since, command="watcher events"
        )
    if target.dead:
        sentence = f"{counted(target.dead, 'event')} to {name!r} did not arrive in three days"
        replay = f"watcher events replay {name} --dead"
        yield _item(Kind.EVENTS_DEAD, sentence, subject=name, command=replay)
