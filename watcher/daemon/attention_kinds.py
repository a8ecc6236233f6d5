"""The kinds of things that can need a person: how urgent each is, and what to do."""

from collections.abc import Mapping
from enum import StrEnum

import msgspec


class Severity(StrEnum):
    """How urgent an item is, the most urgent first."""

    CRITICAL = "critical"
    WARNING = "warning"
    INFO = "info"


class Issue(StrEnum):
    """What can need a person, in the order in which items of one severity are listed."""

    DATABASE_DAMAGED = "database_damaged"
    DATABASE_LOST = "database_lost"
    DATABASE_FAILING = "database_failing"
    PANEL_UNLED = "panel_unled"
    PANEL_DOWN = "panel_down"
    PANEL_REFUSING = "panel_refusing"
    ACTION_UNRESOLVED = "action_unresolved"
    BALANCE_LOW = "balance_low"
    BALANCE_SHORT = "balance_short"
    RULE_SWITCHED_OFF = "rule_switched_off"
    NODE_LOST = "node_lost"
    CLOCKS_APART = "clocks_apart"
    CONFIG_REFUSED = "config_refused"
    PANEL_DEGRADED = "panel_degraded"
    BALANCE_UNREAD = "balance_unread"
    RULE_PAUSED = "rule_paused"
    CHECKS_LATE = "checks_late"
    PANEL_STANDS_STILL = "panel_stands_still"
    ORDER_STALLED = "order_stalled"
    ORDER_PROBLEM = "order_problem"
    BACKUP_OLD = "backup_old"
    MESSAGES_UNDELIVERED = "messages_undelivered"
    EVENTS_UNDELIVERED = "events_undelivered"
    EVENTS_DEAD = "events_dead"
    PANEL_LIMITED = "panel_limited"
    BUDGET_SHORT = "budget_short"
    PAUSED_BY_HAND = "paused_by_hand"


class Meaning(msgspec.Struct, frozen=True):
    """What all items of a kind share. `doc` is a page in docs/."""

    severity: Severity
    todo: str
    doc: str


# Issue, severity, the alert whose runbook it has (or -), what to do.
_TABLE = """
database_damaged critical DatabaseDamaged Stop the daemon and restore a backup.
database_lost critical DatabaseErrors Put the file back, or restart the daemon on the right one.
database_failing critical DatabaseErrors Look at the log, then at the disk or the database's server.
panel_unled critical PanelUnled Look at the logs of the nodes; start one that has stopped.
panel_down critical PanelStale Open the panel in a browser; ask it again once it works.
panel_refusing critical PanelRefusing Check the key, the account and its list of allowed addresses.
action_unresolved critical ActionUnresolved Find out at the panel what happened, then resolve it.
balance_low warning BalanceLow Add funds at the panel.
balance_short warning BalanceExhaustion Add funds at the panel.
rule_switched_off critical RuleFailing Correct its condition and reload the configuration.
node_lost warning NodeLost Look at its machine and its log, then start it again.
clocks_apart warning ClocksApart Set the machine's clock by NTP.
config_refused warning ConfigReloadFailed Correct the file and reload; the old one stays in force.
panel_degraded warning PanelDegraded Look at what the panel answers to this kind of call.
balance_unread warning - Ask the panel again and look at the log.
rule_paused warning - Look at what it wanted to do; raise its per_hour if that is right.
checks_late warning ChecksLate Raise requests_per_minute or check_within, or lower guard_for.
panel_stands_still warning - Look whether orders move at the panel; ask its support.
order_stalled warning OrdersStalled Look at them at the panel; cancel them or ask its support.
order_problem warning - Compare the ids with the panel; untrack those that are wrong.
backup_old warning BackupOld Look at the log and at the room in backup_dir.
messages_undelivered warning NotificationsFailing Check the target's URL, then send a test message.
events_undelivered warning EventsFailing Check the receiver; events wait until it answers.
events_dead warning EventsFailing Repair the receiver, then send them again.
panel_limited info - Nothing, if it goes away; else lower requests_per_minute.
budget_short info - Raise requests_per_minute or check_within.
paused_by_hand info - Resume it once its reason is gone.
"""


def _read(line: str) -> tuple[Issue, Meaning]:
    kind, severity, alert, todo = line.split(" ", 3)
    doc = "page.md#what-needs-attention" if alert == "-" else f"runbooks/Watcher{alert}.md"
    return Issue(kind), Meaning(Severity(severity), todo, doc)


OF_A_CLUSTER = frozenset({Issue.PANEL_UNLED, Issue.NODE_LOST, Issue.CLOCKS_APART})
MEANINGS: Mapping[Issue, Meaning] = dict(map(_read, _TABLE.strip().splitlines()))
