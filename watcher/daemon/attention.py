"""Decides what needs a person, as the only place: page, `top`, API, notifications and the gauge
that alerts read all show these items. Pure.

What needs a history (error budgets, restarts, no progress for hours) is left to Prometheus.
"""

import shlex
from collections.abc import Iterator, Mapping
from math import inf

import msgspec

from watcher.common.pauses import ManualPause, Paused
from watcher.common.wording import counted, lasting
from watcher.config import Thresholds
from watcher.daemon.attention_cluster import cluster_items
from watcher.daemon.attention_items import Attention, item
from watcher.daemon.attention_kinds import Issue, Severity
from watcher.daemon.attention_orders import order_items
from watcher.metrics.gauges import DaemonState, PanelState, ReceiverState, RuleState
from watcher.panels.health import BALANCE, HealthState

_MISSED_CHECKS = 3  # in a row, if a panel is asked less often than once a minute
_MISSED_READINGS = 2  # of the balance
_FIRST_BACKUP_WITHIN = 3600.0  # seconds after a start
_BACKUP_LATE = 1.5  # times `backup_every`
_OF_A_PANEL = (Paused.READS, Paused.ACTIONS)
_OF_SILENCE = frozenset(  # of a panel that is not asked, because somebody has paused its reads
    {Issue.PANEL_DOWN, Issue.BALANCE_UNREAD, Issue.CHECKS_LATE, Issue.ORDER_STALLED}
)
_RANKS = {word: rank for rank, word in enumerate((*Severity, *Issue))}


class _Moment(msgspec.Struct, frozen=True):
    """The inputs of every decision."""

    now: float
    started_at: float
    limits: Thresholds


def listed(
    state: DaemonState, limits: Thresholds, now: float, before: Mapping[str, float]
) -> list[Attention]:
    """Return everything that needs a person, the most urgent first, and last what is snoozed.

    `before` maps each item's key to since when it has been listed.
    """
    snoozes = {pause.name: pause for pause in state.pauses if pause.what is Paused.ATTENTION}
    items = []
    for one in _all(state, _Moment(now, state.started_at, limits)):
        since = min(now, one.since or before.get(one.key, now))
        snooze = snoozes.get(one.key)
        items.append(msgspec.structs.replace(one, since=since, snooze=snooze))
    return sorted(items, key=_urgency)


def _urgency(one: Attention) -> tuple[bool, int, int]:
    return one.snooze is not None, _RANKS[one.severity], _RANKS[one.kind]


def _all(state: DaemonState, at: _Moment) -> Iterator[Attention]:
    yield from _database(state, at)
    yield from _account_sync(state, at)
    if state.cluster is not None:
        yield from cluster_items(state.cluster, at.now)
    unread = {pause.name for pause in state.pauses if pause.what is Paused.READS}
    for panel in state.panels:
        if state.cluster is not None and panel.name in state.cluster.unled:
            continue  # what its last leader has told says nothing of now
        is_read = panel.name not in unread
        found = [*_health(panel, at), *_money(panel, at), *order_items(panel, at.now, at.limits)]
        yield from (one for one in found if is_read or one.kind not in _OF_SILENCE)
    for rule in state.rules:
        yield from _rule(rule)
    for pause in state.pauses:
        yield from _paused(pause, state)
    for target in state.notifiers:
        yield from _messages(target, at)
    for target in state.receivers:
        yield from _events(target, at)


# --- the daemon ---


def _database(state: DaemonState, at: _Moment) -> Iterator[Attention]:
    if not state.integrity_ok:
        restore = "watcher restore BACKUP --config FILE"
        yield item(Issue.DATABASE_DAMAGED, "its integrity check has failed", command=restore)
    if state.files_problem is not None:
        yield item(Issue.DATABASE_LOST, state.files_problem, link="/readyz")
    elif state.db_failed_at and at.now - state.db_failed_at < at.limits.database_error_within:
        failed_at = state.db_failed_at
        yield item(Issue.DATABASE_FAILING, "an operation failed at", at=failed_at, link="/readyz")


def _account_sync(state: DaemonState, at: _Moment) -> Iterator[Attention]:
    if state.reload_problems:
        more = len(state.reload_problems) - 1
        sentence = state.reload_problems[0] + (f", and {more} more" if more else "")
        yield item(Issue.CONFIG_REFUSED, sentence, command="watcher reload")
    if state.backup_every == inf:
        return
    cause = f": {state.backup_problem}" if state.backup_problem else ""
    allowed = at.limits.backup_age or _BACKUP_LATE * state.backup_every
    made_at, since, sentence = state.backup_at, state.backup_at + allowed, ""
    if made_at and at.now > since:
        sentence = f"the last backup is {lasting(at.now - made_at)} old{cause}"
    elif not made_at and at.now > (since := at.started_at + min(allowed, _FIRST_BACKUP_WITHIN)):
        sentence = f"there is no backup{cause}"
    if sentence:
        yield item(Issue.BACKUP_OLD, sentence, since=since, command="watcher backup FILE")


# --- panels ---


def _health(panel: PanelState, at: _Moment) -> Iterator[Attention]:
    until = panel.backoff_until if panel.backoff_until > at.now else None
    pause = "" if until is None else "; next try at"
    since = min((fault.since for fault in panel.faults), default=0.0)
    if panel.health is HealthState.REFUSING:
        kind, sentence = (Issue.PANEL_REFUSING, f"it refuses everything: {panel.problem}{pause}")
    elif _is_silent(panel, at):
        since = min(at.now, panel.last_success or at.started_at)
        cause = f": {panel.problem}" if panel.problem else ""
        sentence = f"no check has succeeded for {lasting(at.now - since)}{cause}{pause}"
        kind = Issue.PANEL_DOWN
    elif panel.health is HealthState.DEGRADED:
        faults = "; ".join(f"{fault.call}: {fault.text}" for fault in panel.faults)
        kind, sentence, until = Issue.PANEL_DEGRADED, f"it works, but for {faults}", None
    elif panel.health is HealthState.LIMITED:
        kind, sentence = (Issue.PANEL_LIMITED, f"it is asked too fast: {panel.problem}{pause}")
    else:
        return
    retry = f"watcher panels retry {panel.name}"
    yield item(kind, sentence, at=until, panel=panel.name, since=since, command=retry)


def _is_silent(panel: PanelState, at: _Moment) -> bool:
    """Return whether the panel keeps failing, or no check has succeeded for long."""
    if panel.health is HealthState.DOWN:
        return True
    longest = max(at.limits.panel_silent_for, _MISSED_CHECKS * panel.poll_interval)
    return at.now - (panel.last_success or at.started_at) > longest


def is_low(balance: float | None, threshold: float | None) -> bool:
    """Return whether the balance is below the panel's `low_balance`."""
    return balance is not None and balance < (threshold or 0.0)


def _money(panel: PanelState, at: _Moment) -> Iterator[Attention]:
    lasts = inf if panel.lasts is None else panel.lasts
    is_below = is_low(panel.balance, panel.threshold)
    if panel.balance is not None and (is_below or lasts < at.limits.balance_lasts):
        left = f"{panel.balance:g} {panel.currency}".strip()
        yield item(
            Issue.BALANCE_LOW if is_below else Issue.BALANCE_SHORT,
            f"{left} left" + ("" if lasts == inf else f", enough for {lasting(lasts)}"),
            panel=panel.name,
            severity=Severity.CRITICAL if lasts < at.limits.balance_lasts_critical else None,
        )
    if _is_unread(panel, at):
        since = panel.balance_at or at.started_at
        yield item(
            Issue.BALANCE_UNREAD,
            f"the balance has not been read for {lasting(at.now - since)}",
            panel=panel.name,
            since=since,
            command=f"watcher panels retry {panel.name}",
        )


def _is_unread(panel: PanelState, at: _Moment) -> bool:
    """Return whether the balance is old without a reason that is an item by itself."""
    if panel.balance_every is None or not panel.up:
        return False
    if any(fault.call == BALANCE for fault in panel.faults):
        return False
    longest = max(at.limits.balance_unread_for, _MISSED_READINGS * panel.balance_every)
    return at.now - max(panel.balance_at, at.started_at) > longest


# --- rules and receivers ---


def _rule(rule: RuleState) -> Iterator[Attention]:
    name, link = rule.name, "/#rules"
    if rule.switched_off is not None:
        sentence = f"rule {name!r} fails, and is switched off until a reload: {rule.switched_off}"
        yield item(Issue.RULE_SWITCHED_OFF, sentence, subject=name, link=link)
    wanted = f"rule {name!r} wanted more than {counted(rule.per_hour, 'order')} an hour; resumes at"
    for panel, until in rule.held.items():
        yield item(Issue.RULE_PAUSED, wanted, at=until, panel=panel, subject=name, link=link)


def _paused(pause: ManualPause, state: DaemonState) -> Iterator[Attention]:
    """Yield what is configured and paused; the pause of something else waits for its return."""
    name, since, sentence = pause.name, pause.since, pause.sentence
    if pause.what is Paused.RULE and name in {rule.name for rule in state.rules}:
        command, link = f"watcher resume --rule {shlex.quote(name)}", "/#rules"
        yield item(
            Issue.PAUSED_BY_HAND, sentence, subject=name, since=since, command=command, link=link
        )
    elif pause.what in _OF_A_PANEL and name in {panel.name for panel in state.panels}:
        yield item(
            Issue.PAUSED_BY_HAND,
            sentence,
            panel=name,
            subject=pause.what,
            since=since,
            command=f"watcher resume {name}",
        )


def _messages(target: ReceiverState, at: _Moment) -> Iterator[Attention]:
    if not _fails(target, at):
        return
    wait = "waits" if target.waiting == 1 else "wait"
    yield item(
        Issue.MESSAGES_UNDELIVERED,
        f"{counted(target.waiting, 'message')} to {target.name!r} {wait}: {target.error}",
        subject=target.name,
        since=target.fails_since,
        command=f"watcher notify test {target.name}",
    )


def _events(target: ReceiverState, at: _Moment) -> Iterator[Attention]:
    name, since, command = target.name, target.fails_since, "watcher events"
    if _fails(target, at):
        sentence = f"{name!r} is {counted(target.waiting, 'change')} behind: {target.error}"
        yield item(Issue.EVENTS_UNDELIVERED, sentence, subject=name, since=since, command=command)
    if target.dead:
        sentence = f"{counted(target.dead, 'event')} to {name!r} did not arrive in three days"
        command = f"watcher events replay {name} --dead"
        yield item(Issue.EVENTS_DEAD, sentence, subject=name, command=command)


def _fails(target: ReceiverState, at: _Moment) -> bool:
    since = target.fails_since
    return since > 0.0 and at.now - since >= at.limits.undelivered_for
