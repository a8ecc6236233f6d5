"""The alerts, once: written out for Prometheus and for Grafana's own alerting."""

from dataclasses import dataclass

from grafana.source import thresholds as at

RUNBOOKS = "https://watcher.example/runbooks"  # docs/runbooks, wherever you publish it
SPEND_RATE = "panel:watcher_spend:rate6h"


@dataclass(frozen=True)
class Alert:
    """One alert. `about` names what it inhibits or is inhibited with; `hold` is in seconds."""

    name: str
    severity: str
    expr: str
    hold: float
    summary: str
    description: str
    about: str = "daemon"

    @property
    def runbook(self) -> str:
        """The page that says what to do."""
        return f"{RUNBOOKS}/{self.name}.md"


@dataclass(frozen=True)
class Recording:
    """A series that is computed once for all who need it."""

    name: str
    expr: str


RECORDINGS = (Recording(SPEND_RATE, "sum without (currency) (rate(watcher_spend_total[6h]))"),)

OPEN = "pending|processing|in_progress|unknown"  # statuses that are not final
EXCUSED = "refused|rate_limited"  # failures that a panel may return and yet work


def _burn(long: str, short: str, times: float) -> str:
    """Failures use up the month's budget `times` too fast, by a long window and a short one.

    Multiwindow, multi-burn-rate: Google's Site Reliability Workbook, chapter 5.
    """
    ratio = (
        "sum by (job, panel) (rate("
        f'watcher_panel_request_failures_total{{{{reason!~"{EXCUSED}"}}}}[{{0}}]))'
        " / sum by (job, panel) (rate(watcher_panel_requests_total[{0}]))"
    )
    limit = f"{times} * {at.FAILURE_BUDGET}"
    return f"({ratio.format(long)} > {limit}) and ({ratio.format(short)} > {limit})"


def _attention(kinds: str, *matchers: str, window: str = "") -> str:
    """What watcher itself has found to need a person: by the limits of its configuration."""
    chosen = ", ".join((f'kind=~"{kinds}"' if "|" in kinds else f'kind="{kinds}"', *matchers))
    series = f"watcher_attention{{{chosen}}}"
    found = f"max_over_time({series}[{window}])" if window else series
    return f" and on (job, panel) max by (job, panel) ({found}) > 0"


def _most(labels: str, series: str) -> str:
    """A panel's value, whichever node of a cluster tells it: an alert outlives a takeover."""
    return f"max by (job, {labels}) ({series})"


def _grown(labels: str, counter: str, window: str) -> str:
    """How much a counter grew on all nodes together."""
    return f"sum by (job, {labels}) (increase({counter}[{window}]))"


ALERTS = (
    Alert(
        "WatcherDown",
        "critical",
        # A cluster goes on without one of its nodes: that is WatcherNodeLost.
        '(up{job="watcher"} == 0 unless on (job) watcher_node_up) or absent(up{job="watcher"})',
        at.DOWN_FOR,
        "watcher is down",
        "Prometheus has not reached watcher for 5 minutes: no order is checked, refilled or "
        "canceled.",
    ),
    Alert(
        "WatcherCrashLooping",
        "critical",
        'changes(process_start_time_seconds{job="watcher"}[30m]) > ' + str(at.RESTARTS),
        0,
        "watcher starts again and again",
        "It was started {{ $value }} times in 30 minutes.",
    ),
    Alert(
        "WatcherPanelStale",
        "critical",
        "time() - "
        + _most("panel", "watcher_panel_poll_last_success_timestamp_seconds")
        + _attention("panel_down"),
        300,
        "{{ $labels.panel }} has stopped answering",
        "Panel {{ $labels.panel }} has answered no status check "
        "{{ if gt $value 1e9 }}since the start{{ else }}"
        "for {{ $value | humanizeDuration }}{{ end }}.",
        "panel",
    ),
    Alert(
        "WatcherPanelRefusing",
        "critical",
        _most("panel, state", 'min_over_time(watcher_panel_state{state="refusing"}[2m])') + " == 1",
        60,
        "{{ $labels.panel }} refuses everything",
        "Panel {{ $labels.panel }} refuses every request in the same words: the key, the account "
        "or this machine's address.",
        "panel",
    ),
    Alert(
        "WatcherPanelDegraded",
        "warning",
        _most("panel, state", 'min_over_time(watcher_panel_state{state="degraded"}[5m])') + " == 1",
        300,
        "Something of {{ $labels.panel }} can't be read",
        "Panel {{ $labels.panel }} works, but refuses one kind of call or answers it in a form "
        "that watcher can't read.",
        "panel",
    ),
    Alert(
        "WatcherPanelErrorBudgetBurn",
        "critical",
        _burn("1h", "5m", at.FAST_BURN),
        0,
        "{{ $labels.panel }} fails {{ $value | humanizePercentage }} of requests",
        "Over the last hour and the last 5 minutes panel {{ $labels.panel }} failed more than "
        "14.4 % of requests.",
        "panel",
    ),
    Alert(
        "WatcherPanelErrorBudgetBurn",
        "warning",
        _burn("6h", "30m", at.SLOW_BURN),
        0,
        "{{ $labels.panel }} fails {{ $value | humanizePercentage }} of requests",
        "Over the last 6 hours and the last 30 minutes panel {{ $labels.panel }} failed more than "
        "6 % of requests.",
        "panel",
    ),
    Alert(
        "WatcherOrdersStalled",
        "warning",
        _most("panel", "min_over_time(watcher_orders_stalled[10m])") + f" > {at.STALLED}",
        0,
        "{{ $value }} orders at {{ $labels.panel }} have stalled",
        "They have made no progress for longer than the panel's stalled_after.",
        "orders",
    ),
    Alert(
        "WatcherNoOrderProgress",
        "critical",
        f"(sum by (job, panel) "
        f'(min_over_time(watcher_orders{{status=~"{OPEN}"}}[6h])) > {at.ENOUGH_OPEN})'
        f" and {_grown('panel', 'watcher_order_updates_total', '6h')} == 0",
        900,
        "No order at {{ $labels.panel }} has moved for 6 hours",
        "{{ $value }} orders are open at panel {{ $labels.panel }}, and none has changed.",
        "orders",
    ),
    Alert(
        "WatcherChecksLate",
        "warning",
        "time() - ("
        + _most("panel", "max_over_time(watcher_poll_oldest_due_timestamp_seconds[5m])")
        + " > 0)"
        + _attention("checks_late", window="5m"),
        600,
        "Checks at {{ $labels.panel }} are {{ $value | humanizeDuration }} late",
        "Orders at panel {{ $labels.panel }} wait that long beyond the time by which they should "
        "have been checked.",
        "orders",
    ),
    Alert(
        "WatcherUnknownStatus",
        "warning",
        _grown("panel", "watcher_order_unknown_status_total", "1h") + " > 0",
        0,
        "{{ $labels.panel }} uses a status that watcher does not know",
        "Rules leave such orders alone until the status is known.",
        "orders",
    ),
    Alert(
        "WatcherBalanceLow",
        "warning",
        _most("panel, currency", "max_over_time(watcher_panel_balance[5m])")
        + " < "
        + _most("panel, currency", "watcher_panel_balance_threshold"),
        300,
        "{{ $labels.panel }} has {{ $value }} {{ $labels.currency }} left",
        "That is below the panel's low_balance.",
        "balance",
    ),
    Alert(
        "WatcherBalanceExhaustion",
        "critical",
        _most("panel", "max_over_time(watcher_panel_balance[5m])")
        + f" / (sum by (job, panel) ({SPEND_RATE}) > 0)"
        + _attention("balance_low|balance_short", 'severity="critical"', window="5m"),
        900,
        "{{ $labels.panel }} will be out of money in {{ $value | humanizeDuration }}",
        "At the spend of the last 6 hours the balance of panel {{ $labels.panel }} lasts that "
        "long; at that of the last day, less than balance_lasts_critical.",
        "balance",
    ),
    Alert(
        "WatcherActionUnresolved",
        "critical",
        _most("panel, action", "min_over_time(watcher_actions_unresolved[5m])")
        + f" > {at.UNRESOLVED}",
        900,
        "{{ $value }} {{ $labels.action }} at {{ $labels.panel }}: done or not?",
        "Nobody can know whether panel {{ $labels.panel }} carried them out; watcher never sends "
        "them again by itself.",
        "actions",
    ),
    Alert(
        "WatcherRuleFailing",
        "warning",
        _grown("rule", "watcher_rule_failures_total", "15m") + " > 0",
        300,
        "Rule {{ $labels.rule }} fails",
        "Its condition could not be evaluated for some orders; those are left alone.",
        "actions",
    ),
    Alert(
        "WatcherSchedulerLate",
        "warning",
        "histogram_quantile(0.95, sum by (job, instance, task, le)"
        f" (rate(watcher_scheduler_lateness_seconds_bucket[5m]))) > {at.LATENESS}",
        600,
        "Task {{ $labels.task }} starts {{ $value | humanizeDuration }} late",
        "The machine, the event loop or the database does not keep up.",
    ),
    Alert(
        "WatcherDatabaseErrors",
        "critical",
        "sum by (job, instance) (increase(watcher_db_errors_total[10m])) > 0",
        0,
        "watcher can't use its database",
        "{{ $value | humanize }} operations failed in 10 minutes.",
    ),
    Alert(
        "WatcherDatabaseDamaged",
        "critical",
        "max_over_time(watcher_db_integrity_ok[5m]) == 0",
        0,
        "watcher's database is damaged",
        "SQLite's integrity check failed. Restore a backup.",
    ),
    Alert(
        "WatcherConfigReloadFailed",
        "warning",
        "max_over_time(watcher_config_last_reload_successful[5m]) == 0",
        600,
        "watcher runs on an old configuration",
        "The configuration on disk was refused; what was there before stays in force.",
    ),
    Alert(
        "WatcherNotificationsFailing",
        "warning",
        _grown("notifier", "watcher_notification_failures_total", "15m") + " > 0",
        300,
        "Notifications through {{ $labels.notifier }} fail",
        "{{ $value | humanize }} could not be delivered in 15 minutes.",
    ),
    Alert(
        "WatcherEventsFailing",
        "warning",
        _grown("target", "watcher_event_failures_total", "15m") + " > 0",
        300,
        "Events to {{ $labels.target }} fail",
        "{{ $value | humanize }} could not be delivered in 15 minutes.",
    ),
    Alert(
        "WatcherBackupOld",
        "warning",
        "time() - max by (job) (max_over_time(watcher_db_last_backup_timestamp_seconds[5m]))"
        + _attention("backup_old", window="5m"),
        3600,
        "watcher's last backup is {{ $value | humanizeDuration }} old",
        "The daily copy of the database is not made.",
    ),
    Alert(
        "WatcherPanelUnled",
        "critical",
        "max by (job) (min_over_time(watcher_panels_unled[1m])) > 0",
        60,
        "{{ $value }} panels are led by no node",
        "Nothing asks them, refills or cancels there: a takeover takes seconds where a node has "
        "their keys.",
        "cluster",
    ),
    Alert(
        "WatcherNodeLost",
        "warning",
        "min by (job, node) (watcher_node_up) == 0",
        60,
        "Node {{ $labels.node }} is lost",
        "Its lease has ended without a stop; the other nodes have taken over its panels.",
        "cluster",
    ),
    Alert(
        "WatcherClocksApart",
        "warning",
        f"max by (job, node) (abs(watcher_node_clock_offset_seconds)) > {at.CLOCKS_APART}",
        300,
        "The clock of node {{ $labels.node }} is {{ $value | humanizeDuration }} off",
        "It differs from the database's. Rules go by the clock, and a node whose clock is "
        "2 seconds off can't join again.",
        "cluster",
    ),
    Alert(
        "WatcherHeartbeat",
        "none",
        "vector(1)",
        0,
        "Alerts arrive",
        "It always fires. Where it does not arrive, no other alert would.",
        "heartbeat",
    ),
)
