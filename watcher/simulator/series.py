"""Series: drip feeds and subscriptions, whose orders a panel places one after another."""

from collections.abc import Callable, Mapping
from typing import NamedTuple

import msgspec

from watcher.simulator.fate import NEVER
from watcher.simulator.sim_orders import COMPLETED, FINAL, IN_PROGRESS

ACTIVE = "Active"
EXPIRED = "Expired"


class Series(NamedTuple):
    """When each order of a series is placed; `expiry` is None for a drip feed."""

    times: Mapping[int, float]
    total: int
    expiry: str | None = None
    expires: float = NEVER


class SeriesRow(msgspec.Struct, frozen=True, kw_only=True):
    """A series' row in the panel's answer: no charge and no remains."""

    status: str
    orders: list[int]
    runs: int | None = None
    posts: int | None = None
    expiry: str | None = None

    def fields(self) -> dict[str, object]:
        every = msgspec.structs.asdict(self)
        return {name: value for name, value in every.items() if value is not None}


def series_row(series: Series, word: Callable[[int], str], now: float) -> SeriesRow:
    """Return the row of a series at a time; `word` returns the status of one of its orders."""
    begun = [order for order, at in series.times.items() if at <= now]
    done = len(begun) == series.total and all(word(order) in FINAL for order in begun)
    if series.expiry is None:
        status = COMPLETED if done else IN_PROGRESS
        return SeriesRow(status=status, orders=begun, runs=len(begun))
    status = COMPLETED if done else EXPIRED if now >= series.expires else ACTIVE
    return SeriesRow(status=status, orders=begun, posts=len(begun), expiry=series.expiry)
