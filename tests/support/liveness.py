"""Nobody is forgotten: every watched order and every open refill waits, or is under way."""

from collections.abc import Iterator

from watcher.app import Daemon
from watcher.daemon.panel_workers import PanelWorkers
from watcher.orders.schedule import EntryState


def forgotten(daemon: Daemon, *, at_rest: bool) -> list[str]:
    """Who is nowhere, in words. `at_rest`: no request is under way."""
    return [
        line
        for workers in daemon.panel_workers.values()
        for line in (*_orders(daemon, workers, at_rest), *_refills(workers, at_rest))
    ]


def _orders(daemon: Daemon, workers: PanelWorkers, at_rest: bool) -> Iterator[str]:
    bisector = {order for ask in workers.poller._bisector._waiting for order in ask.ids}
    for order in daemon.watchlist.panel(workers.name).orders():
        entry = daemon.watchlist.entry(workers.name, order.id)
        assert entry is not None
        if entry.state is EntryState.OUT:
            yield f"{workers.name}: order {order.id} is in no agenda"
        elif at_rest and entry.state is EntryState.ASKED and order.id not in bisector:
            yield f"{workers.name}: order {order.id} is taken for asked, no request is under way"


def _refills(workers: PanelWorkers, at_rest: bool) -> Iterator[str]:
    refills = workers.refills
    waiting = refills._due if refills._limit else refills._ending
    for refill in workers.refills._refills:
        if at_rest and refill not in waiting:
            yield f"{workers.name}: refill {refill} waits nowhere"
