"""Is anything wrong, and where? One screen answers it."""

from grafana_foundation_sdk.models.dashboard import Panel

from grafana.source import board, graphs
from grafana.source import thresholds as at
from grafana.source.alerts import OPEN
from grafana.source.board import Row
from grafana.source.kit import graph, stat
from grafana.source.looks import (
    IS_UP,
    RED,
    UP_OR_DOWN,
    YELLOW,
    more_than,
    over,
    text,
    under,
)
from grafana.source.promql import failing, lasts, late, per_minute, scope
from grafana.source.tables import Column, table

_FAST, _SLOW = at.FAST_BURN * at.FAILURE_BUDGET, at.SLOW_BURN * at.FAILURE_BUDGET

_STILL_OPEN = scope(f'status=~"{OPEN}"')
_FIRING = scope('alertstate="firing"')

# A ratio, so that panels with different limits and currencies compare: 1 is the limit.
_ABOVE_LIMIT = (
    f"watcher_panel_balance{scope()} / on (job, instance, panel, currency)"
    f" watcher_panel_balance_threshold{scope()}"
)


def dashboard() -> str:
    """The file."""
    return board.dashboard(
        "overview",
        "Overview",
        "Is anything wrong, and where? Green: no. Red: the alert for it fires or is about to. "
        "Grey: not known.",
        [
            Row(4, _verdict()),
            Row(9, [_panels(), _alerts()], (17, 7)),
            Row(7, _orders()),
            Row(7, _deeds()),
        ],
    )


def _verdict() -> list[Panel]:
    return [
        stat(
            "Daemon",
            "Whether Prometheus reaches watcher. With several: down if one is.",
            f"min(up{scope()}) or vector(0)",
            steps=IS_UP,
            mappings=UP_OR_DOWN,
        ),
        stat(
            "Alerts firing",
            "Alerts of watcher that fire now, as Prometheus evaluates them. Grey: it doesn't (the "
            "heartbeat is missing), because it lacks the rule file or Grafana evaluates them.",
            f'count(ALERTS{_FIRING}) or 0 * max(ALERTS{{alertname="WatcherHeartbeat"}})',
            steps=more_than(0),
        ),
        stat(
            "Panels down",
            "Panels whose last check failed or that have answered none yet.",
            f"sum(watcher_panel_up{scope()} == bool 0)",
            steps=more_than(0),
        ),
        stat(
            "Orders stalled",
            "Open orders without progress for longer than the panel's stalled_after.",
            f"sum(watcher_orders_stalled{scope()})",
            steps=more_than(at.STALLED),
        ),
        stat(
            "Actions unresolved",
            "Sent, and nobody knows whether the panel did them: look there, then watcher resolve.",
            f"sum(watcher_actions_unresolved{scope()})",
            steps=more_than(at.UNRESOLVED),
        ),
        stat(
            "Oldest late check",
            "For how long the order that waits longest has been due for a check.",
            late(),
            "s",
            over(at.CHECKS_LATE),
            decimals=0,
        ),
        stat(
            "Balances low",
            "Panels whose balance is below their low_balance. Grey: none has one.",
            f"sum({_ABOVE_LIMIT} < bool 1)",
            steps=more_than(0),
        ),
        stat(
            "Money lasts",
            "The balance that is used up first, at the spend of the last 6 hours. Grey: nothing "
            "was spent.",
            lasts(),
            "s",
            under(at.HOURS_LEFT * 3600),
            decimals=1,
        ),
    ]


def _panels() -> Panel:
    return table(
        "Panels",
        "Each panel as it is now; failures over the time shown. A panel's name leads to all "
        "about it.",
        {"panel": "Panel"},
        [
            Column(
                "State", f"min by (panel) (watcher_panel_up{scope()})", "none", IS_UP, UP_OR_DOWN
            ),
            Column(
                "Balance", f"min by (panel) (watcher_panel_balance{scope()})", "locale", decimals=2
            ),
            Column(
                "Of its limit", f"min by (panel) ({_ABOVE_LIMIT})", "percentunit", under(1), [], 0
            ),
            Column("Lasts", lasts("panel"), "s", under(at.HOURS_LEFT * 3600), [], 1),
            Column(
                "Open orders",
                f"sum by (panel) (watcher_orders{_STILL_OPEN})",
                "locale",
            ),
            Column(
                "Stalled",
                f"sum by (panel) (watcher_orders_stalled{scope()})",
                "locale",
                more_than(at.STALLED),
            ),
            Column(
                "Unresolved",
                f"sum by (panel) (watcher_actions_unresolved{scope()})",
                "locale",
                more_than(at.UNRESOLVED),
            ),
            Column("Checks late", late("panel"), "s", over(at.CHECKS_LATE), [], 0),
            Column(
                "Req/min",
                per_minute("watcher_panel_requests_total", "panel"),
                "none",
                None,
                [],
                1,
            ),
            Column("Failures", failing("panel"), "percentunit", over(_FAST, _SLOW), [], 1),
        ],
        ("Panel", f"/d/watcher-panel?var-panel=${{__value.raw}}&{board.KEEP}"),
        "no panel is known: is the daemon up?",
        widths={"Panel": 130},
    )


def _alerts() -> Panel:
    return table(
        "Firing",
        "Which alerts fire, and for which panel. Each has a runbook page: the alert links it.",
        {"severity": "Severity", "alertname": "Alert", "panel": "Panel"},
        [
            Column(
                "Number",
                f"sum by (alertname, panel, severity) (ALERTS{_FIRING})",
                hidden=True,
            )
        ],
        empty="none",
        widths={"Severity": 80, "Alert": 230},
        paint={"Severity": text(critical=RED, warning=YELLOW)},
    )


def _orders() -> list[Panel]:
    return [
        graphs.open_orders(),
        graph(
            "Changes learnt a minute",
            "Orders of which a check learnt something new. None for hours, while orders "
            "are open: WatcherNoOrderProgress.",
            {"{{panel}}": per_minute("watcher_order_updates_total", "panel")},
            "short",
        ),
        graphs.finished(),
    ]


def _deeds() -> list[Panel]:
    return [
        graph(
            "Rules fired a minute",
            "What the rules did: how often each fired, dry runs included.",
            {"{{rule}}": per_minute("watcher_rule_firings_total", "rule")},
            "short",
        ),
        graphs.actions(),
        graph(
            "Checks late",
            "For how long the order that waits longest at each panel has been due.",
            {"{{panel}}": late("panel")},
            "s",
            at.CHECKS_LATE,
        ),
    ]
