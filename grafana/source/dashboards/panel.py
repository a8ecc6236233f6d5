"""One panel in depth: does it answer, how fast, what comes of its orders, and the money."""

from grafana_foundation_sdk.models.dashboard import Panel

from grafana.source import board, graphs
from grafana.source import thresholds as at
from grafana.source.alerts import OPEN, SPEND_RATE
from grafana.source.board import Row
from grafana.source.kit import graph, stat
from grafana.source.looks import (
    IS_UP,
    RED,
    UP_OR_DOWN,
    beyond,
    more_than,
    over,
    under,
)
from grafana.source.promql import failing, lasts, late, per_minute, quantile, quantiles, scope

_THIS = 'panel=~"$panel"'
_HERE = scope(_THIS)
_STILL_OPEN = scope(_THIS, f'status=~"{OPEN}"')
_SINCE_SUCCESS = f"time() - watcher_panel_poll_last_success_timestamp_seconds{_HERE}"
_YEARS = 1e6  # polls: it has never been answered


def dashboard() -> str:
    """The file."""
    return board.dashboard(
        "panel",
        "Panel",
        "One panel in depth.",
        [
            Row(4, _verdict()),
            "Does it answer?",
            Row(8, _answers()),
            Row(8, _pace()),
            "Orders",
            Row(8, _orders()),
            Row(8, _progress()),
            "Money and actions",
            Row(8, _money()),
        ],
        board.panel_variable(),
    )


def _verdict() -> list[Panel]:
    return [
        stat(
            "Last check",
            "Whether the panel answered the last check.",
            f"min(watcher_panel_up{_HERE})",
            steps=IS_UP,
            mappings=UP_OR_DOWN,
        ),
        stat(
            "Checks missed",
            "Time since the last check that was answered, in polls of the panel.",
            f"max(({_SINCE_SUCCESS}) /"
            f" clamp_min(watcher_panel_poll_interval_seconds{_HERE}, {at.RAREST_POLL}))",
            steps=over(at.MISSED_POLLS),
            mappings=beyond(_YEARS, "never", RED),
            decimals=1,
        ),
        stat(
            "Failures",
            "The share of requests in the time shown that failed, refusals not counted.",
            failing("", _THIS),
            "percentunit",
            over(at.FAST_BURN * at.FAILURE_BUDGET, at.SLOW_BURN * at.FAILURE_BUDGET),
            decimals=1,
        ),
        stat(
            "Open orders",
            "Orders that are not final.",
            f"sum(watcher_orders{_STILL_OPEN})",
            "locale",
        ),
        stat(
            "Orders stalled",
            "Open orders without progress for longer than stalled_after.",
            f"sum(watcher_orders_stalled{_HERE})",
            steps=more_than(at.STALLED),
        ),
        stat(
            "Oldest late check",
            "For how long the order that waits longest has been due for a check.",
            late("", _THIS),
            "s",
            over(at.CHECKS_LATE),
            decimals=0,
        ),
        stat(
            "Actions unresolved",
            "Sent, and nobody knows whether the panel did them: look there, then watcher resolve.",
            f"sum(watcher_actions_unresolved{_HERE})",
            steps=more_than(at.UNRESOLVED),
        ),
        stat(
            "Money lasts",
            "The balance, at the spend of the last 6 hours. Grey: nothing was spent.",
            lasts("", _THIS),
            "s",
            under(at.HOURS_LEFT * 3600),
            decimals=1,
        ),
    ]


def _answers() -> list[Panel]:
    return [
        graph(
            "Requests a minute",
            "By what they ask for.",
            {
                "{{action}}": per_minute("watcher_panel_requests_total", "action", _THIS),
            },
            "short",
        ),
        graph(
            "Failed requests a minute",
            "By reason. Refused and rate limited are answers of a panel that "
            "works; no alert counts them.",
            {"{{reason}}": per_minute("watcher_panel_request_failures_total", "reason", _THIS)},
            "short",
            stacked=True,
        ),
        graph(
            "Unread values a minute",
            "Numbers in answers that could mean two things, or are none; by action and field. "
            "They count as unknown.",
            {
                "{{action}} {{field}}": per_minute(
                    "watcher_panel_unread_values_total", "action, field", _THIS
                )
            },
            "short",
        ),
        graph(
            "Answers take",
            "How long requests take: the middle, the slow and the slowest.",
            quantiles("watcher_panel_request_duration_seconds", _THIS),
            "s",
        ),
    ]


def _pace() -> list[Panel]:
    return [
        graph(
            "Orders in a request",
            "How full the multi-status requests are. 100 is the most that panels take; a request "
            "costs the same with one.",
            {
                "{{panel}}": f"sum by (panel) (rate(watcher_poll_batch_orders_sum{_HERE}"
                "[$__rate_interval])) / sum by (panel)"
                f" (rate(watcher_poll_batch_orders_count{_HERE}[$__rate_interval]))"
            },
        ),
        graph(
            "Checks after they were due",
            "How much later than planned orders were checked.",
            quantiles("watcher_poll_lag_seconds", _THIS),
            "s",
        ),
        graph(
            "Orders waiting for a check",
            "Orders that are due, and how long the oldest has been. Growing: the panel's rate "
            "does not suffice, or it is down.",
            {"due": f"sum(watcher_poll_due_orders{_HERE})"},
            "short",
        ),
        graph(
            "Left alone for",
            "Time until the panel is asked again after failures or a refusal; 0 where it is not "
            "left alone.",
            {
                "{{panel}}": "clamp_min(max by (panel)"
                f" (watcher_panel_backoff_until_timestamp_seconds{_HERE}) - time(), 0)"
            },
            "s",
        ),
    ]


def _orders() -> list[Panel]:
    return [
        graphs.open_orders(_THIS),
        graphs.finished(_THIS),
        graph(
            "Changes learnt a minute",
            "Orders of which a check learnt something new, and words that no mapping knows.",
            {
                "changes": per_minute("watcher_order_updates_total", "", _THIS),
                "unknown words": per_minute("watcher_order_unknown_status_total", "", _THIS),
            },
            "short",
        ),
    ]


def _progress() -> list[Panel]:
    return [
        graph(
            "Orders take",
            "Time from an order's creation to a final status, for those that ended.",
            {
                f"{share:.0%}": quantile(
                    share, "watcher_order_completion_duration_seconds", "", _THIS
                )
                for share in (0.5, 0.95)
            },
            "s",
        ),
        graph(
            "Stalled",
            "Open orders without progress for longer than stalled_after.",
            {"stalled": f"sum(watcher_orders_stalled{_HERE})"},
            "short",
            at.STALLED + 1,
        ),
        graph(
            "Oldest open order",
            "Age of the oldest order that is not final.",
            {
                "age": f"max((time() - watcher_orders_oldest_open_timestamp_seconds{_HERE})"
                f" * (watcher_orders_oldest_open_timestamp_seconds{_HERE} > bool 0))"
            },
            "s",
        ),
    ]


def _money() -> list[Panel]:
    return [
        graph(
            "Balance",
            "The balance as the panel last told it, and low_balance.",
            {
                "{{currency}}": f"sum by (currency) (watcher_panel_balance{_HERE})",
                "low_balance": f"sum(watcher_panel_balance_threshold{_HERE})",
            },
            "locale",
            colors={"low_balance": RED},
        ),
        graph(
            "Spend an hour",
            "Charges of watched orders, over the last 6 hours.",
            {"spent": f"3600 * sum({SPEND_RATE}{_HERE})"},
            "locale",
        ),
        graphs.actions(_THIS),
        graph(
            "Actions not done",
            "Planned and not sent yet, and those of which nobody knows whether they were done.",
            {
                "planned": f"sum(watcher_actions_pending{_HERE})",
                "unresolved": f"sum(watcher_actions_unresolved{_HERE})",
            },
            "short",
            colors={"unresolved": RED},
        ),
    ]
