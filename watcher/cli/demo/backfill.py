"""Writes days of history before the demo's daemon starts, so that its charts have data."""

from collections.abc import Iterator, Mapping
from decimal import Decimal

import aiohttp
import msgspec

from watcher.cli.demo.scenario import REFILL_RULE, REFILLABLE, SHORT_OF_MONEY, SOLD
from watcher.common.postgres_url import DatabaseLocation
from watcher.model import (
    ActionPlan,
    ActionState,
    Balance,
    Firing,
    Kind,
    Observation,
    Order,
    Outcome,
    Refill,
    RefillStatus,
    RuleAction,
    Service,
    Status,
    Transition,
)
from watcher.orders.lifecycle import count, observe
from watcher.panels.protocol import decode_services, status_of
from watcher.simulator import SimulatedPanel
from watcher.simulator.sim_orders import ends_at
from watcher.store import Store

DAY = 86400.0
DAYS = 7
ORDERS = 120  # per panel
REFILLS = 4  # per panel
QUANTITY = 500  # of each order: small enough that the last one has ended by now
_SHARES = (0.05, 0.3, 0.5, 0.7, 0.9, 1.0)  # of an order's duration: when it was checked
_WAS_CHECKED_AFTER = 20.0  # seconds
_REFILL_TOOK = 1500.0
_READ_EVERY = 6 * 3600.0  # balances


async def backfill(database: DatabaseLocation, panels: Mapping[str, SimulatedPanel]) -> None:
    """Write prices, balances, orders and refills of the last days of every panel."""
    now = next(iter(panels.values())).now()
    store = await Store.open(database, now=now - DAYS * DAY)
    try:
        for name, panel in panels.items():
            await _prices(store, name, await _listed(panel), now)
            for at, amount in balances(panel.world.balance(now), name, now):
                await store.balances.save(name, Balance(amount, "USD"), now=at)
            orders = await _orders(store, name, panel, now)
            for order in _refilled(orders):
                await _refill(store, panel, order, now)
    finally:
        await store.close()


def balances(left: Decimal, panel: str, now: float) -> Iterator[tuple[float, Decimal]]:
    """Yield an account's balances until now, oldest first, with spending and top-ups."""
    reads = int(DAYS * DAY / _READ_EVERY)
    spent, topped_up = (4, 30) if panel == SHORT_OF_MONEY else (60, 1500)
    for number in range(reads, 0, -1):
        yield now - number * _READ_EVERY, left + number * spent % topped_up
    yield now, left


async def _listed(panel: SimulatedPanel) -> list[Service]:
    """Return the panel's price list as the daemon will read it."""
    form = {"key": "demo", "action": "services"}
    async with aiohttp.ClientSession() as session, session.post(panel.url, data=form) as answer:
        return decode_services(await answer.read())[0]


async def _prices(store: Store, panel: str, listed: list[Service], now: float) -> None:
    """Write an older list (one service cheaper, one missing), then the present list."""
    await store.services.save(panel, [_cheaper(s) for s in listed[:-1]], now=now - DAYS * DAY)
    await store.services.save(panel, listed, now=now - 3 * DAY)


def _cheaper(service: Service) -> Service:
    if service.rate is None or service.id != "2":
        return service
    return msgspec.structs.replace(service, rate=service.rate - Decimal("0.20"))


async def _orders(store: Store, name: str, panel: SimulatedPanel, now: float) -> list[Order]:
    """Track orders of the last days, each with its history; return them as they are now."""
    world = panel.world
    ids = world.seed_orders(ORDERS, now, services=list(SOLD), quantity=QUANTITY, age=DAYS * DAY)
    tracked = await store.orders.track([_tracked(name, panel, i, now) for i in ids], now=now - DAY)
    courses = [list(_course(panel, order, now)) for order in tracked]
    changes = sorted((t for course in courses for t in course), key=lambda t: t.at)
    await store.changes.record(changes, now=now)
    return [course[-1].after for course in courses if course]


def _tracked(name: str, panel: SimulatedPanel, number: int, now: float) -> Order:
    placed = panel.world.order(number, now)
    return Order(
        panel=name,
        id=str(number),
        service=str(placed.service),
        link=f"https://example.com/post/{number}",
        quantity=placed.quantity,
        submitted_at=placed.placed,
        progressed_at=placed.placed,
    )


def _course(panel: SimulatedPanel, order: Order, now: float) -> Iterator[Transition]:
    world, number = panel.world, int(order.id)
    begun, end = order.submitted_at, ends_at(world.order(number, now), world.fate(number))
    for share in _SHARES:
        at = begun + share * (end - begun) + _WAS_CHECKED_AFTER
        if at < now and (changed := observe(order, _seen(panel, number, at), at)) is not None:
            yield changed
            order = changed.after


def _seen(panel: SimulatedPanel, number: int, at: float) -> Observation:
    row = panel.world.status(number, at).fields()
    word = str(row["status"])
    return msgspec.convert(
        {**row, "status": status_of(word), "text": word, "currency": "USD"}, Observation
    )


def _refilled(orders: list[Order]) -> list[Order]:
    """Return some completed orders that can be refilled, of different days."""
    able = [
        order
        for order in orders
        if order.status is Status.COMPLETED and int(order.service or 0) in REFILLABLE
    ]
    return able[:: max(1, len(able) // REFILLS)][:REFILLS]


async def _refill(store: Store, panel: SimulatedPanel, order: Order, now: float) -> None:
    """Write that the order dropped, that the rule refilled it, and that its count is restored."""
    at = min((order.finished_at or now) + 5 * 3600.0, now - 3600.0)
    quantity = order.quantity or 0
    whole = (order.start_count or 0) + quantity
    dropped = count(order, whole - quantity // 4, at)
    if dropped is None:
        return
    plan, firing = _fired(order, at)
    planned = await store.changes.record([dropped], [firing], [plan], now=at)
    for action in await store.actions.claim([action.id for action in planned], now=at + 1):
        task = str(panel.world.refill(int(order.id), at))
        outcome = Outcome(action=action, state=ActionState.ACCEPTED, result=task, answer=task)
        await store.actions.settle([outcome], now=at + 2)
    done = at + _REFILL_TOOK
    tasks = await store.refills.of_order(order.panel, order.id)
    await store.refills.save([_completed(task, done) for task in tasks])
    restored = count(dropped.after, whole, done)
    await store.changes.record([restored] if restored else [], now=done)


def _fired(order: Order, at: float) -> tuple[ActionPlan, Firing]:
    reason = "order.drop > 0.1: 0.25"
    plan = ActionPlan(
        kind=Kind.REFILL, panel=order.panel, order=order.id, rule=REFILL_RULE, reason=reason
    )
    firing = Firing(
        rule=REFILL_RULE, action=RuleAction.REFILL, panel=order.panel, order=order.id, at=at,
        dry_run=False, detail=reason,
    )  # fmt: skip
    return plan, firing


def _completed(task: Refill, at: float) -> Refill:
    return msgspec.structs.replace(
        task, status=RefillStatus.COMPLETED, status_text="Completed", finished_at=at
    )
