"""Runs the scenario at the panels and through the daemon's API."""

import asyncio
from collections import deque
from collections.abc import Awaitable, Callable, Mapping
from contextlib import suppress
from datetime import UTC, datetime
from decimal import Decimal
from typing import Any

import aiohttp

from watcher.cli.demo.environment import OFFSET, SHOP_KEY, Environment
from watcher.cli.demo.finished_orders import FinishedOrders
from watcher.cli.demo.scenario import (
    BULK_QUANTITY,
    BULK_SERVICE,
    DEARER,
    DROPPING,
    FORGETFUL,
    LEAVING_SERVICE,
    PANELS,
    RISING_SERVICE,
    SHORT_OF_MONEY,
    SOLD,
    STALLING_SERVICE,
    UNSTEADY,
    Incident,
    Step,
    dropping_panel,
    panel_of_order,
    panel_of_stall,
    price_factor,
    service_of_order,
    steps,
)
from watcher.panels.protocol.refusals import RefusedAnswer
from watcher.simulator import Ending, Fate, Trait

UNDER_WAY = 12  # orders per panel that are running at the start
_UNDER_WAY = 1200.0  # simulated seconds over which they were placed
MASS = 11  # orders that drop at once: more than the rule may refill
_MOST_DROPPED = 60  # orders that are measured again
_STUCK = Fate(ending=Ending.STALLED, pending=120.0, per_minute=20.0, share=0.4)
_HALF = Fate(ending=Ending.PARTIAL, pending=240.0, per_minute=15.0, share=0.5)
_LOOK_EVERY = 0.2  # seconds
_FULL = Decimal("58.00")  # the account after a top-up
_CALM_FULL = Decimal("3000.00")  # the other panels' account after a top-up

Tell = Callable[[str], None]


class Driver:
    """Carries out steps; returns a line about each."""

    def __init__(self, environment: Environment) -> None:
        self._panels = environment.panels
        self._session = environment.session
        self._rate = self._panels[DEARER].world.services[RISING_SERVICE].rate
        self._finished = FinishedOrders(environment.panels)
        self._dropped: deque[tuple[str, int]] = deque(maxlen=_MOST_DROPPED)
        self._deeds: Mapping[Incident, Callable[[Step], Awaitable[str]]] = {
            Incident.ORDER: self._order,
            Incident.TRACK: self._track,
            Incident.STALL: self._stall,
            Incident.PARTIAL: self._partial,
            Incident.DROP: self._drop,
            Incident.MASS_DROP: self._mass_drop,
            Incident.UNRESOLVED: self._unresolved,
            Incident.PRICE: self._price,
            Incident.UNLIST: self._unlist,
            Incident.RELIST: self._relist,
            Incident.DOWN: self._down,
            Incident.UP: self._up,
            Incident.BULK_ORDER: self._bulk_order,
            Incident.TOP_UP: self._top_up,
        }

    async def play(self, tell: Tell, pace: float) -> None:
        """Carry out the scenario forever, `pace` times as fast as it is written."""
        clock, done = asyncio.get_running_loop().time, 0.0
        begun = clock()
        async with asyncio.TaskGroup() as tasks:
            while True:
                await asyncio.sleep(_LOOK_EVERY / max(1.0, pace))
                until = (clock() - begun) * pace
                for step in steps(done, until):
                    tasks.create_task(self._perform(step, tell))
                done = until

    async def perform(self, step: Step) -> str:
        """Carry out one step; return a line about it, empty if there is nothing to show."""
        return await self._deeds[step.incident](step)

    async def _perform(self, step: Step, tell: Tell) -> None:
        # A refusing panel or a busy daemon doesn't end the demo: the next step follows.
        with suppress(aiohttp.ClientError, TimeoutError, RefusedAnswer):
            if line := await self.perform(step):
                tell(line)

    async def begin(self) -> None:
        """Track the orders that are running at the start."""
        for name, panel in self._panels.items():
            now = panel.now()
            placed = panel.world.seed_orders(UNDER_WAY, now, services=list(SOLD), age=_UNDER_WAY)
            orders = [self._tracked(name, number) for number in placed]
            await self._send("POST", "/v1/orders", {"orders": orders})

    # --- orders ---

    async def _order(self, step: Step) -> str:
        panel, service = panel_of_order(step), service_of_order(step)
        quantity = SOLD[service]
        answer = await self._shop(panel, service, quantity, f"new/{step.number}")
        if "order" not in answer:
            return f"{panel}: the shop's order was not placed: {answer.get('error')}"
        placed = (await self._get(f"/v1/actions/{answer['order']}"))["action"]
        self._finished.placed(panel, int(placed["order"]), service)
        return f"{panel}: a customer ordered {quantity:,} × {self._name(service)}"

    async def _bulk_order(self, step: Step) -> str:
        link = f"bulk/{step.number}"
        await self._shop(SHORT_OF_MONEY, BULK_SERVICE, BULK_QUANTITY, link, keywords="summer sale")
        return f"{SHORT_OF_MONEY}: a big order leaves less money than low_balance"

    async def _track(self, step: Step) -> str:
        panel = PANELS[step.number % len(PANELS)]
        service = tuple(SOLD)[step.number % len(SOLD)]
        number = await self._place(panel, service)
        self._finished.placed(panel, number, service)
        return f"{panel}: order {number} was placed elsewhere and is tracked from now on"

    async def _stall(self, step: Step) -> str:
        panel = panel_of_stall(step)
        number = await self._place(panel, STALLING_SERVICE, _STUCK)
        return f"{panel}: order {number} will get stuck: a rule cancels it 90 s after that"

    async def _partial(self, step: Step) -> str:
        panel = PANELS[step.number % len(PANELS)]
        number = await self._place(panel, STALLING_SERVICE, _HALF)
        return f"{panel}: order {number} will end half-way, as partial"

    async def _place(self, panel: str, service: int, fate: Fate | None = None) -> int:
        """Place an order at the panel itself, and track it; return its id."""
        world, now = self._panels[panel].world, self._panels[panel].now()
        link, quantity = "https://example.com/elsewhere", SOLD[service]
        sent = {"service": str(service), "link": link, "quantity": str(quantity)}
        number = world.add(sent, now, fate=fate)
        await self._send("POST", "/v1/orders", {"orders": [self._tracked(panel, number)]})
        return number

    def _tracked(self, panel: str, number: int) -> dict[str, Any]:
        """Return an order in the form in which users track orders placed elsewhere."""
        placed = self._panels[panel].world.order(number, self._panels[panel].now())
        link = f"https://example.com/elsewhere/{number}"
        return {
            "panel": panel,
            "order": number,
            "service": placed.service,
            "link": link,
            "quantity": placed.quantity,
            "submitted_at": datetime.now(UTC).isoformat(),
        }

    async def _shop(
        self, panel: str, service: int, quantity: int, link: str, **more: str
    ) -> dict[str, Any]:
        """Order as a shop does, through the panel API that the daemon serves."""
        form = {
            "key": SHOP_KEY,
            "action": "add",
            "service": str(service + PANELS.index(panel) * OFFSET),
            "link": f"https://example.com/{link}",
            "quantity": str(quantity),
            **more,
        }
        async with self._session.post("/api/v2", data=form) as answer:
            found: dict[str, Any] = await answer.json()
            return found

    # --- drops and refills ---

    async def _drop(self, step: Step) -> str:
        await self._measure_again()
        panel = dropping_panel(step)
        orders = await self._lose(panel, 1)
        if not orders:
            return ""
        return f"{panel}: order {orders[0]} has lost a third: the rule has it refilled"

    async def _mass_drop(self, step: Step) -> str:
        orders = await self._lose(DROPPING, MASS)
        return f"{DROPPING}: {len(orders)} orders dropped at once: the brake holds the rule"

    async def _unresolved(self, step: Step) -> str:
        """Request a refill whose answer is lost, unless another one is unsettled."""
        if (await self._get("/v1/actions?state=unresolved"))["actions"]:
            return ""
        order = self._finished.take(FORGETFUL)
        if order is None:
            return ""
        self._panels[FORGETFUL].switches.on(Trait.CLOSE_AFTER, action="refill", times=1)
        await self._send("POST", f"/v1/orders/{FORGETFUL}/{order}/refill", {})
        return f"{FORGETFUL}: the answer to a refill was lost: you decide what became of it"

    async def _lose(self, panel: str, count: int) -> list[int]:
        """Report a count below the delivered one for some finished orders; return these."""
        taken = [order for _ in range(count) if (order := self._finished.take(panel)) is not None]
        for order in taken:
            await self._measure(panel, order, 2 / 3)
            self._dropped.append((panel, order))
        return taken

    async def _measure_again(self) -> None:
        """Report the full count for orders whose refill has ended successfully."""
        for _ in range(len(self._dropped)):
            panel, order = self._dropped.popleft()
            tasks = (await self._get(f"/v1/orders/{panel}/{order}"))["refills"]
            if any(task["status"] == "completed" for task in tasks):
                await self._measure(panel, order, 1.0)
            else:
                self._dropped.append((panel, order))

    async def _measure(self, panel: str, order: int, share: float) -> None:
        found = self._panels[panel]
        placed, row = found.world.order(order, found.now()), found.world.fate(order)
        count = row.start_count + int(placed.quantity * share)
        await self._send("PUT", f"/v1/orders/{panel}/{order}/count", {"count": count})

    # --- panels ---

    async def _price(self, step: Step) -> str:
        world, factor = self._panels[DEARER].world, price_factor(step.number)
        before, after = world.services[RISING_SERVICE].rate, self._rate * factor
        world.change_rate(RISING_SERVICE, after)
        return f"{DEARER}: 1,000 × {self._name(RISING_SERVICE)} cost {after}, no longer {before}"

    async def _unlist(self, step: Step) -> str:
        self._panels[DEARER].world.unlist(LEAVING_SERVICE)
        return f"{DEARER}: {self._name(LEAVING_SERVICE)} leaves the price list"

    async def _relist(self, step: Step) -> str:
        self._panels[DEARER].world.unlist()
        return f"{DEARER}: {self._name(LEAVING_SERVICE)} is listed again"

    async def _down(self, step: Step) -> str:
        self._panels[UNSTEADY].switches.on(Trait.HTML_503)
        return f"{UNSTEADY}: the panel goes down; it is back within a minute or two"

    async def _up(self, step: Step) -> str:
        self._panels[UNSTEADY].switches.off(Trait.HTML_503)
        return f"{UNSTEADY}: the panel works again; watcher finds out by itself"

    async def _top_up(self, step: Step) -> str:
        for name, panel in self._panels.items():
            full = _FULL if name == SHORT_OF_MONEY else _CALM_FULL
            if panel.world.balance(panel.now()) < full / 2 or name == SHORT_OF_MONEY:
                panel.world.set_balance(full, panel.now())
        return f"{SHORT_OF_MONEY}: the account is topped up to {_FULL} USD"

    # --- asking the daemon ---

    def _name(self, service: int) -> str:
        return self._panels[DEARER].world.services[service].name

    async def _get(self, path: str) -> dict[str, Any]:
        async with self._session.get(path, raise_for_status=True) as answer:
            found: dict[str, Any] = await answer.json()
            return found

    async def _send(self, method: str, path: str, body: object) -> None:
        async with self._session.request(method, path, json=body, raise_for_status=True):
            pass
