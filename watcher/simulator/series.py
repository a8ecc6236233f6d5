"""Drip feeds and subscriptions: orders that a panel places one after another for a customer."""

from collections.abc import Callable
from typing import NamedTuple

import msgspec

from watcher.simulator.catalog import SimService
from watcher.simulator.fate import NEVER, fraction
from watcher.simulator.forms import Wanted, WantedPosts
from watcher.simulator.sim_orders import COMPLETED, FINAL, IN_PROGRESS, PENDING

ACTIVE = "Active"
EXPIRED = "Expired"


class SeriesPart(NamedTuple):
    """One order to come."""

    quantity: int
    at: float


class Series(msgspec.Struct, frozen=True, kw_only=True):
    """A drip feed or a subscription; each of its orders exists from its own time on."""

    orders: range
    times: list[float]
    total: int
    is_subscription: bool
    expiry: str = ""
    expires: float = NEVER


class SeriesRow(msgspec.Struct, frozen=True, kw_only=True):
    """A drip feed or a subscription as the panel shows it: no charge and no remains."""

    status: str
    orders: list[int]
    runs: int | None = None
    posts: int | None = None
    expiry: str | None = None

    def fields(self) -> dict[str, object]:
        every = msgspec.structs.asdict(self)
        return {name: value for name, value in every.items() if value is not None}


def parts(
    service: SimService, wanted: Wanted | WantedPosts, seed: int, first: int, now: float
) -> list[SeriesPart]:
    """The orders that a form comes to; `first` is the id of the first one."""
    if isinstance(wanted, Wanted):
        return [
            SeriesPart(wanted.quantity, now + run * wanted.interval) for run in range(wanted.runs)
        ]
    posts = [
        SeriesPart(_between(wanted, seed, first + index), now + _post_after(service, wanted, index))
        for index in range(wanted.old_posts + wanted.posts)
    ]
    return [post for post in posts if post.at < wanted.expires]


def series_of(wanted: Wanted | WantedPosts, first: int, placed: list[SeriesPart]) -> Series:
    orders, times = range(first, first + len(placed)), [part.at for part in placed]
    if isinstance(wanted, Wanted):
        return Series(orders=orders, times=times, total=wanted.runs, is_subscription=False)
    return Series(
        orders=orders,
        times=times,
        total=wanted.old_posts + wanted.posts,
        is_subscription=True,
        expiry=wanted.expiry,
        expires=wanted.expires,
    )


def series_row(series: Series, word: Callable[[int], str], now: float) -> SeriesRow:
    """The row of a series; `word` tells the status of one of its orders."""
    begun = [number for number, at in zip(series.orders, series.times, strict=True) if at <= now]
    done = len(begun) == series.total and all(word(number) in FINAL for number in begun)
    if series.is_subscription:
        status = COMPLETED if done else EXPIRED if now >= series.expires else ACTIVE
        return SeriesRow(status=status, orders=begun, posts=len(begun), expiry=series.expiry)
    status = COMPLETED if done else IN_PROGRESS if begun else PENDING
    return SeriesRow(status=status, orders=begun, runs=len(begun))


def _between(wanted: WantedPosts, seed: int, order: int) -> int:
    return wanted.least + int(fraction(seed, order) * (wanted.most - wanted.least + 1))


def _post_after(service: SimService, wanted: WantedPosts, index: int) -> float:
    new_posts = max(0, index + 1 - wanted.old_posts)
    return wanted.delay + new_posts * service.habits.post_every
