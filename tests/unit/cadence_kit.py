"""One order in a panel's columns, for what is computed of many."""

from math import nan

import numpy as np

from watcher.model import Order
from watcher.orders.columns.table import OrderTable
from watcher.orders.schedule import HazardModel, OrderGlimpse, glimpses, waits


def columns_of(order: Order, started: float | None = None, asked: float = nan) -> OrderTable:
    records = OrderTable(order.panel)
    records.add(order)
    records.started[0] = nan if started is None else started
    records.checked_at[0] = asked
    return records


def sight_of(
    learnt: HazardModel, order: Order, started: float | None, asked: float
) -> OrderGlimpse:
    """The order as it was asked about then."""
    (sight,) = glimpses(learnt, columns_of(order, started, asked), np.array([0]))
    return sight


def wait_of(learnt: HazardModel, order: Order, started: float | None, now: float) -> float:
    """Units until its next check."""
    return float(waits(learnt, columns_of(order, started), np.array([0]), now)[0])


def teach(
    learnt: HazardModel,
    before: Order,
    after: Order,
    started: float | None,
    asked: float,
    now: float,
) -> None:
    """An answer at `now` about an order that was asked about before."""
    learnt.answered(sight_of(learnt, before, started, asked), after, now)
