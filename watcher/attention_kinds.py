"""The kinds of things that can need a person: how urgent each is, and what to do about it."""

from collections.abc import Mapping
from enum import StrEnum

import msgspec


class Severity(StrEnum):
    """How urgent an item is, the most urgent first."""

    CRITICAL = "critical"
    WARNING = "warning"
    INFO = "info"


class Kind(StrEnum):
    """What can need a person, in the order in which items of one severity are listed."""

    DATABASE_DAMAGED = "database_damaged"
    DATABASE_LOST = "database_lost"
    DATABASE_FAILING = "database_failing"
    PANEL_DOWN = "panel_down"
    PANEL_REFUSING = "panel_refusing"
    ACTION_UNRESOLVED = "action_unresolved"
    BALANCE_LOW = "balance_low"
    BALANCE_SHORT = "balance_short"
    RULE_SWITCHED_OFF = "rule_switched_off"
    CONFIG_REFUSED = "config_refused"
    PANEL_DEGRADED = "panel_degraded"
    BALANCE_UNREAD = "balance_unread"
    RULE_PAUSED = "rule_paused"
    CHECKS_LATE = "checks_late"
    ORDER_STALLED = "order_stalled"
    BACKUP_OLD = "backup_old"
    MESSAGES_UNDELIVERED = "messages_undelivered"
    EVENTS_UNDELIVERED = "events_undelivered"
    EVENTS_DEAD = "events_dead"
    PANEL_LIMITED = "panel_limited"
    BUDGET_SHORT = "budget_short"


class Meaning(msgspec.Struct, frozen=True):
    """What all items of a kind share. `doc` is a page below docs/."""

    title: str
    severity: Severity
    todo: str
    doc: str


def _meaning(title: str, severity: Severity, todo: str, alert: str | None = None) -> Meaning:
    """Return the meaning; `alert` names the runbook, where there is one."""
    doc = f"runbooks/Watcher{alert}.md" if alert else "page.md#what-needs-attention"
    return Meaning(title, severity, todo, doc)


_CRITICAL, _WARNING, _INFO = Severity

MEANINGS: Mapping[Kind, Meaning] = {
    Kind.DATABASE_DAMAGED: _meaning(
        "Database damaged", _CRITICAL, "Stop the daemon and restore a backup.", "DatabaseDamaged"
    ),
    Kind.DATABASE_LOST: _meaning(
        "Database file removed or replaced",
        _CRITICAL,
        "Put the file back, or restart the daemon on the right one.",
        "DatabaseErrors",
    ),
    Kind.DATABASE_FAILING: _meaning(
        "Database errors",
        _CRITICAL,
        "Look at the log, then at the disk: room, rights, errors.",
        "DatabaseErrors",
    ),
    Kind.PANEL_DOWN: _meaning(
        "Panel down",
        _CRITICAL,
        "Open the panel in a browser; ask it again once it works.",
        "PanelStale",
    ),
    Kind.PANEL_REFUSING: _meaning(
        "Panel refuses everything",
        _CRITICAL,
        "Check the key, the account and which addresses the panel allows.",
        "PanelRefusing",
    ),
    Kind.ACTION_UNRESOLVED: _meaning(
        "Actions unresolved",
        _CRITICAL,
        "Look at the panel whether it carried them out, then say so.",
        "ActionUnresolved",
    ),
    Kind.BALANCE_LOW: _meaning("Balance low", _WARNING, "Add funds at the panel.", "BalanceLow"),
    Kind.BALANCE_SHORT: _meaning(
        "Balance runs out", _WARNING, "Add funds at the panel.", "BalanceExhaustion"
    ),
    Kind.RULE_SWITCHED_OFF: _meaning(
        "Rule switched off",
        _CRITICAL,
        "Correct its condition and reload the configuration.",
        "RuleFailing",
    ),
    Kind.CONFIG_REFUSED: _meaning(
        "Configuration refused",
        _WARNING,
        "Correct the file and reload; the last good configuration stays in force.",
        "ConfigReloadFailed",
    ),
    Kind.PANEL_DEGRADED: _meaning(
        "Panel degraded",
        _WARNING,
        "Look at what the panel answers to this kind of call.",
        "PanelDegraded",
    ),
    Kind.BALANCE_UNREAD: _meaning(
        "Balance unread", _WARNING, "Ask the panel again and look at the log."
    ),
    Kind.RULE_PAUSED: _meaning(
        "Rule paused",
        _WARNING,
        "Look at what it wanted to do; raise its per_hour if that is right.",
    ),
    Kind.CHECKS_LATE: _meaning(
        "Checks late",
        _WARNING,
        "Raise requests_per_minute or check_within, or lower guard_for.",
        "ChecksLate",
    ),
    Kind.ORDER_STALLED: _meaning(
        "Orders stalled",
        _WARNING,
        "Look at them at the panel; cancel them or ask its support.",
        "OrdersStalled",
    ),
    Kind.BACKUP_OLD: _meaning(
        "Backup overdue", _WARNING, "Look at the log and at the room in backup_dir.", "BackupOld"
    ),
    Kind.MESSAGES_UNDELIVERED: _meaning(
        "Notifications undelivered",
        _WARNING,
        "Check the target's URL, then send a test message.",
        "NotificationsFailing",
    ),
    Kind.EVENTS_UNDELIVERED: _meaning(
        "Events undelivered",
        _WARNING,
        "Check the receiver; events wait until it answers.",
        "EventsFailing",
    ),
    Kind.EVENTS_DEAD: _meaning(
        "Events given up", _WARNING, "Repair the receiver, then send them again.", "EventsFailing"
    ),
    Kind.PANEL_LIMITED: _meaning(
        "Panel limits requests", _INFO, "Nothing, if it goes away; else lower requests_per_minute."
    ),
    Kind.BUDGET_SHORT: _meaning(
        "Budget too small for check_within",
        _INFO,
        "Raise requests_per_minute or check_within, or lower guard_for.",
    ),
}
