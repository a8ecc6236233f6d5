"""Graphs that stand on more than one dashboard, of all panels or of those that `more` matches."""

from grafana_foundation_sdk.models.dashboard import Panel

from grafana.source.alerts import OPEN
from grafana.source.kit import graph
from grafana.source.looks import OUTCOMES, STATUSES
from grafana.source.promql import per_minute, scope


def open_orders(*more: str) -> Panel:
    """How many are open, by status."""
    still_open = scope(*more, f'status=~"{OPEN}"')
    return graph(
        "Open orders by status",
        "Orders that are not final. Unknown: not checked yet, or the panel's word for it is in "
        "no mapping.",
        {"{{status}}": f"sum by (status) (watcher_orders{still_open})"},
        "short",
        stacked=True,
        colors=STATUSES,
    )


def finished(*more: str) -> Panel:
    """How many end, and how."""
    return graph(
        "Finished a minute",
        "Orders that became final, by how they ended.",
        {"{{status}}": per_minute("watcher_orders_finished_total", "status", *more)},
        "short",
        stacked=True,
        colors=STATUSES,
    )


def actions(*more: str) -> Panel:
    """What becomes of what is asked for."""
    return graph(
        "Actions a minute",
        "Refills, cancels and submissions, by what became of them.",
        {"{{outcome}}": per_minute("watcher_action_results_total", "outcome", *more)},
        "short",
        stacked=True,
        colors=OUTCOMES,
    )
