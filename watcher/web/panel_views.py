"""How a panel is shown: by the API, the page and the command line."""

from typing import Any

from watcher.common.pauses import ManualPause, Paused
from watcher.metrics.gauges import PanelState
from watcher.web.context import WebContext
from watcher.web.panel_shapes import PanelFault, PanelView
from watcher.web.views import moment, moment_or_none, money, pause_view


def panel_view(context: WebContext, state: PanelState) -> PanelView:
    """Return a panel for an answer."""
    panel = context.config.current.panels[state.name]
    lead = _lead(context, state) if context.leadership.is_clustered else {}
    return PanelView(
        panel=state.name,
        profile=panel.profile.name,
        can=sorted(panel.profile.has),
        up=state.up,
        state=state.health,
        state_detail=[PanelFault(f.call, f.text, moment(f.since)) for f in state.faults],
        problem=state.problem,
        breaker=state.breaker,
        paused_until=moment_or_none(state.backoff_until or None),
        requests_per_minute=round(state.per_minute, 2),
        last_success_at=moment_or_none(state.last_success or None),
        balance=money(state.amount),
        currency=None if state.amount is None else state.currency,
        low_balance=money(panel.settings.low_balance),
        balance_at=moment_or_none(state.balance_at or None),
        orders_open=state.open,
        orders_guarded=state.guarded,
        orders_due=state.due,
        orders_stalled=state.stalled,
        lag=None if not state.oldest_due else max(0.0, context.clock() - state.oldest_due),
        actions_pending=sum(state.pending.values()),
        actions_unresolved=sum(state.unresolved.values()),
        pauses=[pause_view(one) for one in _pauses(context, state.name)],
        **lead,
    )


def _lead(context: WebContext, state: PanelState) -> dict[str, Any]:
    """Return who leads the panel in a cluster."""
    leader = context.leadership.leader(state.name)
    return {
        "node": None if leader is None else leader.node,
        "led_since": None if leader is None else moment(leader.since),
        "told_at": moment_or_none(state.told_at or None),
    }


def _pauses(context: WebContext, panel: str) -> list[ManualPause]:
    found = (context.pauses.get(what, panel) for what in (Paused.READS, Paused.ACTIONS))
    return [one for one in found if one is not None]
