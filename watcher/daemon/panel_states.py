"""Builds one panel's state at a moment from the parts that know it."""

from collections.abc import Mapping
from math import ceil

from watcher.daemon.panel_workers import PanelWorkers
from watcher.metrics.gauges import PanelState
from watcher.model import Balance, Kind, Phase, Status
from watcher.orders.panel_counts import PanelCounts
from watcher.store import Spent


def panel_state(
    workers: PanelWorkers,
    *,
    now: float,
    counts: PanelCounts,
    unresolved: Mapping[tuple[str, Kind], int],
    balance: Balance | None,
    spent: Spent | None,
    held: Mapping[str, float],
) -> PanelState:
    """Return the state of a panel that this node leads."""
    name, gateway, settings = workers.name, workers.gateway, workers.config.settings
    poll_queue, statuses = workers.watchlist.panel(name).poll_queue, workers.watchlist.counts
    amount = None if balance is None else float(balance.amount)
    threshold, can_balance = settings.low_balance, workers.config.profile.can("balance")
    return PanelState(
        name=name,
        up=gateway.health.is_up and gateway.last_success > 0,
        health=gateway.health.state,
        faults=gateway.health.faults,
        problem=gateway.problem,
        last_success=gateway.last_success,
        poll_interval=60.0 / gateway.pace.rate.per_minute,
        per_minute=gateway.pace.rate.per_minute,
        breaker=gateway.breaker.state,
        backoff_until=gateway.paused_until(now) or 0.0,
        limited_until=gateway.pace.pause_until,
        due=counts.due,
        oldest_due=counts.oldest_due or 0.0,
        oldest_open=counts.oldest_open or 0.0,
        open=counts.open,
        guarded=counts.guarded,
        stalled=counts.stalled,
        problems=counts.problems,
        problem_id=counts.problem_id,
        check_within=settings.check_within,
        longest_wait=poll_queue.cap(Phase.OPEN),
        needed_rate=ceil(poll_queue.needed * gateway.pace.rate.per_minute),
        still_since=poll_queue.standstill.since or 0.0,
        still_expected=poll_queue.standstill.expected,
        statuses={status: statuses[name, status] for status in Status},
        pending={kind: workers.sender.pending(kind) for kind in Kind},
        unresolved={kind: unresolved.get((name, kind), 0) for kind in Kind},
        balance=amount,
        amount=None if balance is None else balance.amount,
        currency="" if balance is None else balance.currency,
        threshold=None if threshold is None else float(threshold),
        balance_at=workers.account_sync.balance_at,
        balance_every=settings.balance_every if can_balance else None,
        spent=spent.amount if spent else None,
        lasts=spent.lasts(amount) if spent and amount is not None else None,
        held=held,
    )
