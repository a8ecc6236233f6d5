"""What watcher does by itself: rules, refills, cancels, submissions, and telling of it."""

from grafana_foundation_sdk.models.dashboard import Panel

from grafana.source import board
from grafana.source import thresholds as at
from grafana.source.board import Row
from grafana.source.kit import graph, stat
from grafana.source.looks import OUTCOMES, more_than
from grafana.source.promql import in_range, per_minute, scope
from grafana.source.tables import Column, table

_THESE = 'panel=~"$panel"'


def dashboard() -> str:
    """The file."""
    return board.dashboard(
        "actions",
        "Actions and rules",
        "What the rules decided, what was sent, what became of it, and who was told.",
        [
            Row(4, _verdict()),
            "Actions",
            Row(8, _actions()),
            "Rules",
            Row(9, [_rules(), *_rule_graphs()], (10, 7, 7)),
            "Notifications",
            Row(8, _notifications()),
            "Events",
            Row(8, _events()),
            "Shops",
            Row(8, _shops()),
        ],
        board.panel_variable(multi=True, every=True),
    )


def _outcome(outcome: str) -> str:
    return in_range("watcher_action_results_total", "", _THESE, f'outcome="{outcome}"')


def _verdict() -> list[Panel]:
    return [
        stat(
            "Unresolved",
            "Sent, and nobody knows whether the panel did them: look there, then watcher resolve.",
            f"sum(watcher_actions_unresolved{scope(_THESE)})",
            steps=more_than(at.UNRESOLVED),
        ),
        stat(
            "Waiting to be sent",
            "Planned and not sent yet. Growing: the panel is down or its rate does not suffice.",
            f"sum(watcher_actions_pending{scope(_THESE)})",
        ),
        stat("Accepted", "In the time shown.", _outcome("accepted"), decimals=0),
        stat("Rejected", "In the time shown, by the panel.", _outcome("rejected"), decimals=0),
        stat(
            "Not sent",
            "In the time shown: attempts of which no byte left, or that the panel put off. They "
            "are planned again.",
            _outcome("not_sent"),
            decimals=0,
        ),
        stat(
            "Rules failed",
            "Conditions that could not be evaluated, in the time shown; those orders are left "
            "alone.",
            in_range("watcher_rule_failures_total"),
            steps=more_than(0),
            decimals=0,
        ),
        stat(
            "Notifications failed",
            "In the time shown.",
            in_range("watcher_notification_failures_total"),
            steps=more_than(0),
            decimals=0,
        ),
        stat(
            "Notifications queued",
            "Waiting in the outbox.",
            f"sum(watcher_notifications_queued{scope()})",
        ),
    ]


def _actions() -> list[Panel]:
    return [
        graph(
            "Decided a minute",
            "Actions that rules or people decided on.",
            {"{{action}}": per_minute("watcher_actions_total", "action", _THESE)},
            "short",
        ),
        graph(
            "What became of them, a minute",
            "Actions by outcome.",
            {"{{outcome}}": per_minute("watcher_action_results_total", "outcome", _THESE)},
            "short",
            stacked=True,
            colors=OUTCOMES,
        ),
        graph(
            "Waiting to be sent",
            "Actions that are planned, by panel.",
            {"{{panel}}": f"sum by (panel) (watcher_actions_pending{scope(_THESE)})"},
            "short",
        ),
        table(
            "To be settled by hand",
            "Which kinds of action at which panels have to be settled by a person.",
            {"panel": "Panel", "action": "Action"},
            [
                Column(
                    "Number",
                    "sum by (panel, action)"
                    f" (watcher_actions_unresolved{scope(_THESE)}) > {at.UNRESOLVED}",
                    steps=more_than(at.UNRESOLVED),
                )
            ],
            empty="none",
        ),
    ]


def _rules() -> Panel:
    return table(
        "Rules",
        "What each rule did in the time shown. Evaluated and never fired: watcher rules --explain "
        "tells why.",
        {"rule": "Rule"},
        [
            Column(
                "Evaluated",
                in_range("watcher_rule_evaluations_total", "rule"),
                "locale",
                decimals=0,
            ),
            Column("Fired", in_range("watcher_rule_firings_total", "rule"), "locale", decimals=0),
            Column(
                "Failed",
                in_range("watcher_rule_failures_total", "rule"),
                "locale",
                more_than(0),
                decimals=0,
            ),
        ],
        empty="no rule is configured",
        widths={"Rule": 300},
    )


def _rule_graphs() -> list[Panel]:
    return [
        graph(
            "Fired a minute",
            "How often each rule fired, dry runs included.",
            {"{{rule}}": per_minute("watcher_rule_firings_total", "rule")},
            "short",
        ),
        graph(
            "Evaluated a minute",
            "How often each rule was evaluated.",
            {"{{rule}}": per_minute("watcher_rule_evaluations_total", "rule")},
            "short",
        ),
    ]


def _notifications() -> list[Panel]:
    return [
        graph(
            "Sent a minute",
            "Attempts, failed ones included.",
            {"{{notifier}}": per_minute("watcher_notifications_total", "notifier")},
            "short",
        ),
        graph(
            "Failed a minute",
            "Attempts that failed.",
            {"{{notifier}}": per_minute("watcher_notification_failures_total", "notifier")},
            "short",
        ),
        graph(
            "Queued",
            "Waiting in the outbox.",
            {"{{notifier}}": f"sum by (notifier) (watcher_notifications_queued{scope()})"},
            "short",
        ),
    ]


def _events() -> list[Panel]:
    return [
        graph(
            "Sent a minute",
            "Attempts to tell a program of a changed order, failed ones included.",
            {"{{target}}": per_minute("watcher_events_total", "target")},
            "short",
        ),
        graph(
            "Failed a minute",
            "Attempts that failed.",
            {"{{target}}": per_minute("watcher_event_failures_total", "target")},
            "short",
        ),
        graph(
            "Behind",
            "Changes not looked at yet, and orders whose events wait.",
            {"{{target}}": f"sum by (target) (watcher_events_behind{scope()})"},
            "short",
        ),
    ]


def _shops() -> list[Panel]:
    return [
        graph(
            "Asked a minute",
            "Requests of shops at /api/v2, refused ones included.",
            {"{{shop}} {{action}}": per_minute("watcher_shop_requests_total", "shop, action")},
            "short",
        ),
        graph(
            "Broken off a minute",
            "Requests that broke off or can't be decoded, connections refused or silent.",
            {"{{reason}}": per_minute("watcher_web_client_faults_total", "reason")},
            "short",
        ),
        graph(
            "Answered by an error a minute",
            "What was refused, by the panel or here.",
            {
                "{{shop}} {{action}}": per_minute(
                    "watcher_shop_request_failures_total", "shop, action"
                )
            },
            "short",
        ),
    ]
