"""Nobody is forgotten: every watched order and every open refill waits, or is under way."""

from collections.abc import Iterator

from watcher.app import Daemon
from watcher.cadence import State
from watcher.station import Station


def forgotten(daemon: Daemon, *, at_rest: bool) -> list[str]:
    """Who is nowhere, in words. `at_rest`: no request is under way."""
    return [
        line
        for station in daemon.stations.values()
        for line in (*_orders(daemon, station, at_rest), *_refills(station, at_rest))
    ]


def _orders(daemon: Daemon, station: Station, at_rest: bool) -> Iterator[str]:
    suspects = {order for ask in station.poller._suspects._waiting for order in ask.ids}
    for order in daemon.book.panel(station.name).orders():
        entry = daemon.book.entry(station.name, order.id)
        assert entry is not None
        if entry.state is State.OUT:
            yield f"{station.name}: order {order.id} is in no agenda"
        elif at_rest and entry.state is State.ASKED and order.id not in suspects:
            yield f"{station.name}: order {order.id} is taken for asked, no request is under way"


def _refills(station: Station, at_rest: bool) -> Iterator[str]:
    refills = station.refills
    waiting = refills._due if refills._limit else refills._ending
    for refill in station.refills._refills:
        if at_rest and refill not in waiting:
            yield f"{station.name}: refill {refill} waits nowhere"
