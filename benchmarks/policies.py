"""Policies: which orders the next request carries. All have the same budget and answers."""

import heapq
from collections import deque
from collections.abc import Callable, Iterable, Sequence
from math import erfc, exp, inf, log, nan, sqrt
from random import Random
from typing import Protocol

import msgspec

from benchmarks.world import (
    CANCELED,
    CANCELED_AFTER,
    COMPLETED,
    DEAD,
    GIVEN_UP,
    GUARD_CHANGES,
    MOVING,
    PARTIAL,
    PENDING,
    STALLED,
    STALLED_FOR,
    STUCK,
    STUCK_FOR,
    WITHIN,
    Fate,
)
from watcher.model import Order, Phase, Status
from watcher.orders.columns.table import OrderRows, OrderTable
from watcher.orders.fields import FIELDS
from watcher.orders.schedule import HazardModel, PollQueue
from watcher.orders.watchlist import Watchlist

STATUSES = {
    PENDING: Status.PENDING,
    MOVING: Status.IN_PROGRESS,
    COMPLETED: Status.COMPLETED,
    PARTIAL: Status.PARTIAL,
    DEAD: Status.CANCELED,
}
NEW = 60.0  # minutes in which an order counts as new
CLASSES = {"new": 1.0, "active": 4.0, "guarded": 20.0}


Chance = Callable[[Fate, float, float], float]  # that the order changes within so many minutes


class Policy(Protocol):
    """`now` in minutes; `status` and `remains` are the panel's answer, remains None if it never
    tells. An order that is not `answered` with `stays` leaves."""

    def begin(self, fates: Iterable[Fate], status: dict[str, tuple[int, int | None]]) -> None: ...

    def arrive(self, fate: Fate, now: float) -> None: ...

    def take(self, limit: int, now: float) -> list[Fate]: ...

    def answered(
        self, fate: Fate, status: int, remains: int | None, now: float, stays: bool
    ) -> None: ...

    def leave(self, fate: Fate) -> None: ...


class Fixed:
    """Everything in turn."""

    def __init__(self, ids_per_minute: float, rng: Random) -> None:
        self._turn: deque[Fate] = deque()
        self._gone: set[str] = set()

    def begin(self, fates: Iterable[Fate], status: dict[str, tuple[int, int | None]]) -> None:
        self._turn.extend(fates)

    def arrive(self, fate: Fate, now: float) -> None:
        self._turn.append(fate)

    def take(self, limit: int, now: float) -> list[Fate]:
        taken: list[Fate] = []
        while self._turn and len(taken) < limit:
            fate = self._turn.popleft()
            if fate.id not in self._gone:
                taken.append(fate)
        return taken

    def answered(
        self, fate: Fate, status: int, remains: int | None, now: float, stays: bool
    ) -> None:
        if stays:
            self._turn.append(fate)

    def leave(self, fate: Fate) -> None:
        self._gone.add(fate.id)


class Keyed:
    """Lowest key first; a subclass tells how far a key lies ahead."""

    def __init__(self, ids_per_minute: float, rng: Random) -> None:
        self._rng = rng
        self._heap: list[tuple[float, str, Fate]] = []
        self._gone: set[str] = set()
        self.v = 0.0

    def begin(self, fates: Iterable[Fate], status: dict[str, tuple[int, int | None]]) -> None:
        for fate in fates:
            ahead = self.ahead(fate, *status[fate.id], 0.0)
            heapq.heappush(self._heap, (ahead * self._rng.random(), fate.id, fate))

    def arrive(self, fate: Fate, now: float) -> None:
        heapq.heappush(self._heap, (self.v, fate.id, fate))

    def take(self, limit: int, now: float) -> list[Fate]:
        taken: list[Fate] = []
        while self._heap and len(taken) < limit:
            key, _, fate = heapq.heappop(self._heap)
            if fate.id not in self._gone:
                self.v = max(self.v, key)
                taken.append(fate)
        return taken

    def answered(
        self, fate: Fate, status: int, remains: int | None, now: float, stays: bool
    ) -> None:
        if stays:
            key = self.v + self.ahead(fate, status, remains, now)
            heapq.heappush(self._heap, (key, fate.id, fate))

    def leave(self, fate: Fate) -> None:
        self._gone.add(fate.id)

    def ahead(self, fate: Fate, status: int, remains: int | None, now: float) -> float:
        raise NotImplementedError


class Classes(Keyed):
    """Oldest first with classes of status, new orders more often: what a careful hand writes."""

    def ahead(self, fate: Fate, status: int, remains: int | None, now: float) -> float:
        if status not in (PENDING, MOVING):
            return CLASSES["guarded"]
        return CLASSES["new" if now - fate.submitted < NEW else "active"]


class Oracle(Keyed):
    """The square-root rule knowing the true hazards: every parameter, but no draw to come."""

    def __init__(self, ids_per_minute: float, rng: Random) -> None:
        super().__init__(ids_per_minute, rng)
        self._k = 0.1  # minutes a unit
        self._since = (0.0, 0.0)

    def take(self, limit: int, now: float) -> list[Fate]:
        taken = super().take(limit, now)
        at, v = self._since
        if now - at >= 5.0:
            self._k = max(self._k / 2, min(self._k * 2, (now - at) / max(1e-9, self.v - v)))
            self._since = (now, self.v)
        return taken

    def ahead(self, fate: Fate, status: int, remains: int | None, now: float) -> float:
        """The wait w with w * P(change within w) = k squared; sqrt(k^2 / h) for a constant h."""
        if status not in (PENDING, MOVING):
            return 1.0 / sqrt(GUARD_CHANGES)
        target = 2 * log(self._k)
        low, high = log(self._k / 100), log(self._k * 2000)
        change = self._pending if status == PENDING else self._moving(fate, remains, now)
        for _ in range(9):
            wait = (low + high) / 2
            chance = change(fate, now, exp(wait))
            if wait + log(max(chance, 1e-30)) < target:
                low = wait
            else:
                high = wait
        return exp(low) / self._k

    def _pending(self, fate: Fate, now: float, wait: float) -> float:
        age = now - fate.submitted
        usual = 1.0 - CANCELED - STUCK

        def still(at: float) -> float:
            return (
                usual * _over(at, fate.service.start, WITHIN)
                + STUCK * _over(at, *STUCK_FOR)
                + CANCELED * _over(at, *CANCELED_AFTER)
            )

        return 1.0 - still(age + wait) / max(still(age), 1e-12)

    def _moving(self, fate: Fate, remains: int | None, now: float) -> Chance:
        if remains == 0:
            return lambda fate, now, wait: 1.0 - exp(-wait / fate.service.end_lag)
        if fate.stall_from <= now < fate.stall_until:
            return self._stalled
        share = (fate.quantity if remains is None else remains) / fate.quantity
        left = log(max(0.3, share * fate.delivery) + 0.5 * fate.service.end_lag)
        return lambda fate, now, wait: (1 - STALLED) * (1.0 - _over(wait, left, 0.35))

    def _stalled(self, fate: Fate, now: float, wait: float) -> float:
        since = now - fate.stall_from
        lasts = _over(since + wait, *STALLED_FOR) / max(_over(since, *STALLED_FOR), 1e-12)
        return GIVEN_UP * (1.0 - lasts)


class Ours:
    """The daemon's own rule, called as the daemon calls it."""

    def __init__(self, ids_per_minute: float, rng: Random) -> None:
        self._rng = rng
        self._watchlist = Watchlist()
        self._learnt = HazardModel(0.0)
        poll_queue = PollQueue(
            OrderTable("p"), 0.0, within=1800.0, ids_per_minute=ids_per_minute, idle_every=0.001
        )
        self._watchlist.open("p", poll_queue, self._learnt)
        self._fates: dict[str, Fate] = {}
        self._forgot = 0.0

    def begin(self, fates: Iterable[Fate], status: dict[str, tuple[int, int | None]]) -> None:
        loading = Watchlist()
        loading.open("p", self._watchlist.panel("p").poll_queue, self._learnt)
        orders = []
        for fate in fates:
            self._fates[fate.id] = fate
            orders.append(_order(fate, *status[fate.id], 0.0))
        loading.fill(_rows(orders), 0.0, self._rng.random)
        self._watchlist.take_over(loading)
        self._watchlist.panel("p").poll_queue.begin()

    def arrive(self, fate: Fate, now: float) -> None:
        self._fates[fate.id] = fate
        order = _order(fate, PENDING, fate.quantity, fate.submitted)
        self._watchlist.add(msgspec.structs.replace(order, checked_at=None), now * 60.0)

    def take(self, limit: int, now: float) -> list[Fate]:
        if now - self._forgot > 60.0:
            self._learnt.forget(now * 60.0)
            self._forgot = now
        self._batch = self._watchlist.panel("p").take(limit, now * 60.0)
        self._at = {order_id: at for at, order_id in enumerate(self._batch.ids)}
        return [self._fates[order_id] for order_id in self._batch.ids]

    def answered(
        self, fate: Fate, status: int, remains: int | None, now: float, stays: bool
    ) -> None:
        now *= 60.0
        orders = self._watchlist.panel("p")
        order = orders.order(fate.id)
        assert order is not None
        after = _next_order(order, STATUSES[status], remains, now)
        if not stays:
            after = msgspec.structs.replace(after, phase=Phase.CLOSED)
        if after is order:
            orders.unchanged(self._batch, [self._at[fate.id]], now)
            return
        (sight,) = orders.sights([fate.id]).values()
        self._watchlist.replace(after)
        orders.checked([(sight, after, 0)], now)
        if not stays:
            del self._fates[fate.id]

    def leave(self, fate: Fate) -> None:
        order = self._watchlist.order("p", fate.id)
        assert order is not None
        self._watchlist.replace(msgspec.structs.replace(order, phase=Phase.CLOSED))
        del self._fates[fate.id]


POLICIES: dict[str, type] = {
    "fixed": Fixed,
    "classes": Classes,
    "ours": Ours,
    "oracle": Oracle,
}


def _over(at: float, median: float, sigma: float) -> float:
    """Chance that a lognormal is larger than `at`."""
    return 1.0 if at <= 0.0 else 0.5 * erfc((log(at) - median) / sigma / 1.4142135623730951)


def _order(fate: Fate, status: int, remains: int | None, moved: float) -> Order:
    """As the database knows it at a start: when something last moved it knows to the hour."""
    began = {PENDING: fate.submitted, MOVING: fate.start}.get(status, fate.end)
    progressed = began if began > -inf else moved
    if status == MOVING and fate.stall_from > 0.0:
        progressed = max(progressed, min(0.0, moved))
    return Order(
        panel="p",
        id=fate.id,
        service=fate.service.name,
        quantity=fate.quantity,
        submitted_at=fate.submitted * 60.0,
        progressed_at=progressed * 60.0,
        status=STATUSES[status],
        remains=remains,
        checked_at=0.0,
        phase=Phase.OPEN if status in (PENDING, MOVING) else Phase.GUARDED,
    )


def _rows(orders: Sequence[Order]) -> OrderRows:
    return OrderRows(
        panel="p",
        key=[o.key for o in orders],
        id=[o.id for o in orders],
        fields={f.name: [getattr(o, f.name) for o in orders] for f in FIELDS},
        asked_at=[nan] * len(orders),
    )


def _next_order(order: Order, status: Status, remains: int | None, now: float) -> Order:
    if status is order.status and (remains is None or remains == order.remains):
        return order
    phase = Phase.OPEN if status in (Status.PENDING, Status.IN_PROGRESS) else Phase.GUARDED
    return msgspec.structs.replace(
        order, status=status, remains=remains, phase=phase, progressed_at=now
    )
