"""Policies: which orders the next request carries. All have the same budget and answers."""

import heapq
from collections import deque
from collections.abc import Iterator, Sequence
from math import nan
from random import Random
from typing import Protocol

import msgspec
import numpy as np

from benchmarks.oracle import Oracle
from benchmarks.world import (
    COMPLETED,
    DEAD,
    MOVING,
    PARTIAL,
    PENDING,
    REFUNDED,
    SILENT,
    Ints,
    World,
)
from watcher.model import Order, Phase, Status
from watcher.orders.columns.table import OrderRows, OrderTable
from watcher.orders.fields import FIELDS
from watcher.orders.schedule import Entry, HazardModel, OrderGlimpse, PollQueue, Stage
from watcher.orders.schedule.order_hazards import order_hazards
from watcher.orders.watchlist import Watchlist

STATUSES = {
    PENDING: Status.PENDING,
    MOVING: Status.IN_PROGRESS,
    COMPLETED: Status.COMPLETED,
    PARTIAL: Status.PARTIAL,
    DEAD: Status.CANCELED,
    REFUNDED: Status.REFUNDED,
}
NEW = 60.0  # minutes in which an order counts as new
CLASSES = {"new": 1.0, "active": 4.0, "guarded": 20.0}
WITHIN = 30.0  # minutes: `check_within`


class Policy(Protocol):
    """Orders are numbers, `now` is in minutes; statuses and remains are the panel's answers.

    An order leaves if it is answered without `stays`.
    """

    def begin(self, orders: Ints, status: Ints, remains: Ints) -> None: ...

    def arrive(self, order: int, now: float) -> None: ...

    def take(self, limit: int, now: float) -> Ints: ...

    def answered(
        self, orders: Ints, status: Ints, remains: Ints, now: float, stays: "np.ndarray"
    ) -> None: ...

    def leave(self, order: int) -> None: ...


class Fixed:
    """Everything in turn."""

    def __init__(self, world: World, ids_per_minute: float, rng: Random) -> None:
        self._turn: deque[int] = deque()
        self._gone: set[int] = set()

    def begin(self, orders: Ints, status: Ints, remains: Ints) -> None:
        self._turn.extend(orders.tolist())

    def arrive(self, order: int, now: float) -> None:
        self._turn.append(order)

    def take(self, limit: int, now: float) -> Ints:
        taken: list[int] = []
        while self._turn and len(taken) < limit:
            order = self._turn.popleft()
            if order not in self._gone:
                taken.append(order)
        return np.array(taken, dtype=np.intp)

    def answered(
        self, orders: Ints, status: Ints, remains: Ints, now: float, stays: "np.ndarray"
    ) -> None:
        self._turn.extend(orders[stays].tolist())

    def leave(self, order: int) -> None:
        self._gone.add(order)


class Classes:
    """Oldest first with classes of status, new orders more often: what a careful hand writes."""

    def __init__(self, world: World, ids_per_minute: float, rng: Random) -> None:
        self._world, self._rng = world, rng
        self._heap: list[tuple[float, int]] = []
        self._gone: set[int] = set()
        self._v = 0.0

    def begin(self, orders: Ints, status: Ints, remains: Ints) -> None:
        ahead = self._ahead(orders, status, 0.0).tolist()
        for order, units in zip(orders.tolist(), ahead, strict=True):
            heapq.heappush(self._heap, (units * self._rng.random(), order))

    def arrive(self, order: int, now: float) -> None:
        heapq.heappush(self._heap, (self._v, order))

    def take(self, limit: int, now: float) -> Ints:
        taken: list[int] = []
        while self._heap and len(taken) < limit:
            key, order = heapq.heappop(self._heap)
            if order not in self._gone:
                self._v = max(self._v, key)
                taken.append(order)
        return np.array(taken, dtype=np.intp)

    def answered(
        self, orders: Ints, status: Ints, remains: Ints, now: float, stays: "np.ndarray"
    ) -> None:
        keys = self._v + self._ahead(orders, status, now)
        for key, order in zip(keys[stays].tolist(), orders[stays].tolist(), strict=True):
            heapq.heappush(self._heap, (key, order))

    def leave(self, order: int) -> None:
        self._gone.add(order)

    def _ahead(self, orders: Ints, status: Ints, now: float) -> "np.ndarray":
        is_new = now - self._world.submitted[orders] < NEW
        ahead = np.where(is_new, CLASSES["new"], CLASSES["active"])
        return np.where(status > MOVING, CLASSES["guarded"], ahead)


class Ours:
    """The daemon's own rule, called as the daemon calls it."""

    def __init__(self, world: World, ids_per_minute: float, rng: Random) -> None:
        self._world = world
        self._watchlist = Watchlist()
        self.learnt = HazardModel(0.0)
        self.poll_queue = PollQueue(
            OrderTable("p"),
            0.0,
            within=60.0 * WITHIN,
            ids_per_minute=ids_per_minute,
            idle_every=0.001,
        )
        self._watchlist.open("p", self.poll_queue, self.learnt)
        self._told = np.zeros((2, len(world.end)), dtype=np.intp)  # status and remains
        self._forgot = 0.0

    def begin(self, orders: Ints, status: Ints, remains: Ints) -> None:
        loading = Watchlist()
        loading.open("p", self.poll_queue, self.learnt)
        self._told[:, orders] = status, remains
        answers = zip(orders.tolist(), status.tolist(), remains.tolist(), strict=True)
        known = [self._order(*answer) for answer in answers]
        self._known = {order.id: order for order in known}
        loading.fill(_rows(known), 0.0)
        self._watchlist.take_over(loading)
        self.poll_queue.begin()

    def arrive(self, order: int, now: float) -> None:
        self._told[:, order] = PENDING, SILENT - 1
        new = self._order(order, PENDING, SILENT)
        new = self._known[new.id] = msgspec.structs.replace(new, checked_at=None)
        self._watchlist.add(new, now * 60.0)

    def take(self, limit: int, now: float) -> Ints:
        if now - self._forgot > 60.0:
            self.learnt.forget(now * 60.0)
            self._forgot = now
        self._batch = self._watchlist.panel("p").take(limit, now * 60.0)
        return np.array([int(order_id) for order_id in self._batch.ids], dtype=np.intp)

    def answered(
        self, orders: Ints, status: Ints, remains: Ints, now: float, stays: "np.ndarray"
    ) -> None:
        panel = self._watchlist.panel("p")
        is_same = (self._told[:, orders] == (status, remains)).all(axis=0) & stays
        panel.unchanged(self._batch, np.flatnonzero(is_same).tolist(), now * 60.0)
        self._told[:, orders] = status, remains
        new = np.flatnonzero(~is_same)
        if not len(new):
            return
        answers = []
        for sight, row in zip(
            self._glimpses(new), _answers(status, remains, stays, new), strict=True
        ):
            after = _next_order(sight.order, *row, now * 60.0)
            self._know(after, sight.order)
            answers.append((sight, after, 0))
        panel.checked(answers, now * 60.0)

    def _glimpses(self, which: Ints) -> Iterator[OrderGlimpse]:
        """As `PanelOrders.glimpses`, but the orders need not be built anew."""
        records, slots = self.poll_queue.records, self._batch.slots[which]
        found = order_hazards(self.learnt, records, slots, np.asarray(records.checked_at)[slots])
        columns = found.stages.tolist(), found.minutes.tolist(), found.age.tolist()
        for slot, stage, minutes, age in zip(slots.tolist(), *columns, strict=True):
            entry = Entry(records, slot)
            yield OrderGlimpse(
                order=self._known[records.id(slot)],
                asked=entry.checked_at,
                started=entry.started,
                failures=0,
                alone=False,
                stage=Stage(stage),
                minutes=minutes,
                age=age,
            )

    def _know(self, after: Order, before: Order) -> None:
        """As `Watchlist.replace`, but where an order only moved, only that is written."""
        self._known[after.id] = after
        records = self.poll_queue.records
        slot = records.find(after.id)
        if slot is None or after.status is not before.status or after.phase is not before.phase:
            self._watchlist.replace(after)
            return
        records.progressed_at[slot] = after.progressed_at
        records.columns["remains"].put(slot, after.remains)

    def leave(self, order: int) -> None:
        known = self._known.pop(str(order))
        self._watchlist.replace(msgspec.structs.replace(known, phase=Phase.CLOSED))

    def _order(self, order: int, status: int, remains: int) -> Order:
        """As the database knows it at a start: when something last moved it knows to the hour."""
        world = self._world
        submitted = began = float(world.submitted[order])
        if status == MOVING:
            began = float(world.start[order])
            began = 0.0 if world.stall_from[order] > 0.0 else began
        elif status != PENDING:
            began = float(world.end[order])
        return Order(
            panel="p",
            id=str(order),
            service=f"s{world.service[order]}",
            quantity=int(world.quantity[order]),
            submitted_at=submitted * 60.0,
            progressed_at=began * 60.0,
            status=STATUSES[status],
            remains=None if remains < 0 else remains,
            checked_at=0.0,
            phase=Phase.OPEN if status in (PENDING, MOVING) else Phase.GUARDED,
        )


class OursFromNothing(Ours):
    """As a daemon that is told of the orders at the beginning, and not how they are."""

    def begin(self, orders: Ints, status: Ints, remains: Ints) -> None:
        self._known: dict[str, Order] = {}
        self.poll_queue.begin()
        for order in orders.tolist():
            self.arrive(order, 0.0)


POLICIES: dict[str, type] = {
    "fixed": Fixed,
    "classes": Classes,
    "ours": Ours,
    "ours from nothing": OursFromNothing,
    "oracle": Oracle,
}


def _stored(value: object) -> object:
    """Return the value as the database has it: no text for no tags."""
    return None if value == () else value


def _rows(orders: Sequence[Order]) -> OrderRows:
    return OrderRows(
        panel="p",
        key=[o.key for o in orders],
        id=[o.id for o in orders],
        fields={f.name: [_stored(getattr(o, f.name)) for o in orders] for f in FIELDS},
        asked_at=[nan] * len(orders),
    )


def _answers(
    status: Ints, remains: Ints, stays: "np.ndarray", which: Ints
) -> Iterator[tuple[int, int, bool]]:
    return zip(status[which].tolist(), remains[which].tolist(), stays[which].tolist(), strict=True)


def _next_order(order: Order, status: int, remains: int, stays: bool, now: float) -> Order:
    phase = Phase.OPEN if status in (PENDING, MOVING) else Phase.GUARDED
    left = order.remains if remains < 0 else remains
    has_moved = STATUSES[status] is not order.status or left != order.remains
    return msgspec.structs.replace(
        order,
        status=STATUSES[status],
        remains=left,
        phase=phase if stays else Phase.CLOSED,
        progressed_at=now if has_moved else order.progressed_at,
    )
