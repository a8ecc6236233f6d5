"""What people are told of an order's next check never contradicts what they are shown."""

import pytest

from tests.unit.factories import HOUR, a_finished_order, an_order
from watcher.model import Order, Status
from watcher.orders.columns.table import OrderTable
from watcher.orders.schedule import HazardModel, PollQueue
from watcher.orders.watchlist import Watchlist


def reason(order: Order, now: float) -> str:
    watchlist = Watchlist()
    records = OrderTable("p")
    watchlist.open(
        "p", PollQueue(records, 0.0, within=HOUR, ids_per_minute=100.0), HazardModel(0.0)
    )
    watchlist.add(order, 0.0)
    found = watchlist.panel("p").prospect(order.id, now)
    assert found is not None
    return found.reason


def in_progress(**fields: object) -> Order:
    return an_order(**{"status": Status.IN_PROGRESS, "progressed_at": 90.0, **fields})


@pytest.mark.parametrize(
    ("order", "now", "words"),
    [
        (in_progress(remains=None), 100.0, "the panel does not report how much remains"),
        (in_progress(remains=239, quantity=None), 100.0, "its quantity is not known"),
        (in_progress(remains=1000), 100.0, "nothing delivered yet"),
        (in_progress(remains=500), 100.0, "is being delivered"),
        (in_progress(remains=999, progressed_at=50_000.0), 51_000.0, "steps that lie far apart"),
        (in_progress(remains=0), 100.0, "the final status is still to come"),
        (an_order(), 100.0, "waits to start"),
        (an_order(status=Status.UNKNOWN, status_text="Odd"), 100.0, "not understood"),
        (a_finished_order(), 100.0, "finished"),
    ],
)
def test_the_reason_fits_what_is_shown(order: Order, now: float, words: str):
    assert words in reason(order, now)
