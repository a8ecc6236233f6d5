"""What people are told of an order's next check never contradicts what they are shown."""

from math import inf

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.unit.factories import HOUR, a_finished_order, an_order
from watcher.model import Order, Status
from watcher.orders.columns.table import OrderTable
from watcher.orders.schedule import HazardModel, PollQueue
from watcher.orders.schedule.stages import STILL
from watcher.orders.watchlist import Watchlist


def reason(order: Order, now: float) -> str:
    watchlist = Watchlist()
    records = OrderTable("p")
    watchlist.open(
        "p", PollQueue(records, 0.0, within=HOUR, ids_per_minute=100.0), HazardModel(0.0)
    )
    watchlist.add(order, 0.0)
    found = watchlist.panel("p").predict(order.id, now)
    assert found is not None
    return found.reason


def in_progress(**fields: object) -> Order:
    return an_order(**{"status": Status.IN_PROGRESS, "progressed_at": 90.0, **fields})


@pytest.mark.parametrize(
    ("order", "now", "words"),
    [
        (in_progress(remains=None), 100.0, "the panel does not report how much remains"),
        (in_progress(remains=239, quantity=None), 100.0, "239 remain of a quantity that is not"),
        (in_progress(remains=0, quantity=None), 100.0, "the final status is still to come"),
        (in_progress(remains=1000), 100.0, "all of it still remains"),
        (in_progress(remains=500), 100.0, "is being delivered"),
        (in_progress(remains=500), 90_000.0, "it has stopped moving"),
        (in_progress(remains=999, progressed_at=50_000.0), 51_000.0, "steps that lie far apart"),
        (in_progress(remains=0), 100.0, "the final status is still to come"),
        (in_progress(status=Status.PROCESSING, remains=1000), 100.0, "processing; all of it"),
        (an_order(), 100.0, "waits to start"),
        (an_order(remains=1000), 100.0, "waits to start"),
        (an_order(remains=400), 100.0, "pending; a part of it is delivered"),
        (an_order(remains=400, quantity=None), 100.0, "pending; 400 remain"),
        (an_order(status=Status.UNKNOWN, status_text="Odd"), 100.0, "counts as waiting to start"),
        (a_finished_order(), 100.0, "finished"),
        (a_finished_order(status=Status.UNKNOWN), 100.0, "counts as finished"),
    ],
)
def test_the_reason_fits_what_is_shown(order: Order, now: float, words: str):
    assert words in reason(order, now)


OPEN = [Status.PENDING, Status.PROCESSING, Status.IN_PROGRESS, Status.UNKNOWN]
AMOUNTS = st.none() | st.integers(0, 1000)


@given(
    status=st.sampled_from(OPEN),
    remains=AMOUNTS | st.integers(-5, -1),
    quantity=AMOUNTS,
    progressed_at=st.floats(0.0, 1e5),
    now=st.floats(1e5, 3e5),
)
def test_no_reason_contradicts_the_order(
    status: Status, remains: int | None, quantity: int | None, progressed_at: float, now: float
):
    order = an_order(status=status, remains=remains, quantity=quantity, progressed_at=progressed_at)
    told = reason(order, now)
    if remains is not None and remains < (quantity or inf):  # the order may have moved
        assert "all of it" not in told
        assert "waits to start" not in told
    if remains is None or remains > 0:
        assert "nothing remains" not in told
    if remains is not None:
        assert "does not report" not in told
    if quantity:
        assert "not known" not in told
    if now - progressed_at > STILL:
        assert "is being delivered" not in told
    if "waits to start" not in told and status is not Status.UNKNOWN:
        assert told.startswith(status.replace("_", " "))
