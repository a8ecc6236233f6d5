"""Makes orders from what a caller or a list gives, and counts what is not known of them. Pure."""

from collections import Counter
from collections.abc import Collection, Iterable, Iterator
from datetime import datetime

import msgspec

from watcher.common.wording import counted
from watcher.errors import RequestError
from watcher.model import Order, Origin
from watcher.orders.fields import FieldKind, names_of
from watcher.orders.tracking import new_order
from watcher.web.shapes import TrackItem

_TIMES = names_of(FieldKind.TIME)
_GIVEN = [n for n in TrackItem.__struct_fields__ if n not in ("panel", "order", *_TIMES)]


class MissingTimes(msgspec.Struct, frozen=True):
    """How many orders have no known time of submission, and how many none of completion.

    An order that is tracked as soon as it is submitted needs neither.
    """

    undated: int = 0
    finish_unknown: int = 0


def order_of(item: TrackItem, now: float) -> Order:
    """Return the order to be tracked from `now` on; raise RequestError if it can't be."""
    given = {name: getattr(item, name) for name in _GIVEN}
    given["service"] = None if item.service is None else str(item.service)
    return new_order(
        panel=item.panel,
        order_id=str(item.order),
        now=now,
        submitted_at=_seconds("submitted_at", item.submitted_at),
        finished_at=_seconds("finished_at", item.finished_at),
        **given,
    )


def missing_times(orders: Iterable[Order]) -> MissingTimes:
    """Count the orders with a time that is not known."""
    late = [order for order in orders if order.origin is not Origin.WHOLE]
    return MissingTimes(
        undated=sum(order.origin is Origin.UNDATED for order in late),
        finish_unknown=sum(order.finished_at is None for order in late),
    )


class ListSummary:
    """Counts what rules will miss in the orders of a list, and when they were submitted.

    `listed` are the services that the panel lists; empty if that is not known.
    """

    def __init__(self, panel: str, listed: Collection[str] = ()) -> None:
        self.without_service = 0
        self.unlisted: Counter[str] = Counter()  # services
        self.dates: list[datetime] = []  # the first and the last
        self._panel, self._listed = panel, frozenset(listed)

    def add(self, item: TrackItem) -> None:
        """Count an order."""
        if item.service is None:
            self.without_service += 1
        elif self._listed and item.service not in self._listed:
            self.unlisted[str(item.service)] += 1
        if item.submitted_at is not None:
            ends = sorted([item.submitted_at, *self.dates])
            self.dates = [ends[0], ends[-1]]

    def warnings(self, missing: MissingTimes) -> Iterator[str]:
        """Yield a sentence for each thing that rules will miss."""
        if undated := missing.undated:
            yield (
                f"{counted(undated, 'order')} without a date: order.age counts from now, so"
                " order.age > … may hold late, and order.age < … never holds"
            )
        if unknown := missing.finish_unknown:
            yield (
                f"{counted(unknown, 'order')} without a time of completion: if one is final at its"
                " first check, rules on order.finished_ago don't act on it"
            )
        if self.without_service:
            verb, them = ("has", "it") if self.without_service == 1 else ("have", "them")
            yield (
                f"{counted(self.without_service, 'order')} {verb} no service: rules on service.* "
                f"can't apply to {them}; give --service, or a list with a column of the panel's "
                "services"
            )
        if self.unlisted:
            most = ", ".join(f"{name} ({n:,})" for name, n in self.unlisted.most_common(5))
            more = " and others" if len(self.unlisted) > 5 else ""
            yield (
                f"{self._panel} does not list these services: {most}{more}; are they the "
                "panel's own numbers?"
            )


def _seconds(name: str, at: datetime | None) -> float | None:
    if at is not None and at.tzinfo is None:
        raise RequestError(f"{name}: add the time zone, as 2026-01-31T12:00:00Z")
    return None if at is None else at.timestamp()
