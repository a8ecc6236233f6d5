"""A daemon without its port, at one panel in memory that answers whatever a test says.

What the panel sends is decoded as any panel's answer is; only the wire is left out.
"""

import asyncio
from collections import defaultdict
from collections.abc import AsyncIterator, Callable, Mapping
from contextlib import asynccontextmanager
from functools import partial
from pathlib import Path
from random import Random
from typing import Any
from unittest.mock import patch

import msgspec

from tests.support.clockwork import Clock, ClockworkSchedule
from tests.support.database import put_empty
from watcher.app import Daemon
from watcher.config import Config, PanelConfig, Secrets, parse
from watcher.daemon import core
from watcher.daemon.panel_workers import PanelWorkers, PanelWorkersFactory
from watcher.model import Order
from watcher.orders.tracking import new_order
from watcher.panels.breaker import Breaker
from watcher.panels.client import PanelClient
from watcher.panels.gateway import PanelGateway
from watcher.panels.pacing import Pace
from watcher.panels.rate import Rate, RememberedRate

PANEL = "p"
Answers = Callable[[str, Mapping[str, str]], Any]  # (action, parameters) -> a body, or an error


class OddPanel:
    """`answer` gives what the panel sends; `asked` are the times of each id, by action."""

    def __init__(self, clock: Clock, answer: Answers) -> None:
        self.answer = answer
        self.asked: defaultdict[str, defaultdict[str, list[float]]] = defaultdict(
            lambda: defaultdict(list)
        )
        self.requests: defaultdict[str, list[float]] = defaultdict(list)
        self._clock = clock

    def reply(self, action: str, params: Mapping[str, str]) -> Any:
        now = self._clock()
        self.requests[action].append(now)
        ids = [value for name, value in params.items() if name.startswith(("order", "refill"))]
        for each in ",".join(ids).split(","):
            self.asked[action][each].append(now)
        return self.answer(action, params)

    def forget(self) -> None:
        self.asked.clear()
        self.requests.clear()


class _Client(PanelClient):
    """`panel` takes the place of the wire."""

    panel: OddPanel

    async def open(self) -> None:
        """There is nothing to open."""

    async def _request(  # type: ignore[override]
        self, _: Any, action: str, params: Mapping[str, str], decode: Any, *more: Any, **named: Any
    ) -> Any:
        await asyncio.sleep(0)
        answer = self.panel.reply(action, params)
        if isinstance(answer, Exception):
            raise answer
        return decode(answer if isinstance(answer, bytes) else msgspec.json.encode(answer))


class _Workshop(PanelWorkersFactory, frozen=True, kw_only=True):
    panel: OddPanel

    async def _gateway(self, panel: PanelConfig) -> PanelGateway:
        client = _Client(
            name=panel.name,
            url=panel.url,
            key=panel.key.reveal(),
            profile=panel.profile,
            timeout=panel.settings.timeout,
            on_request=lambda action, seconds, reason: None,
        )
        client.panel = self.panel
        most = panel.settings.requests_per_minute
        pace, breaker = Pace(Rate(most, RememberedRate(rate=most))), Breaker(Random(1).random)
        return PanelGateway(
            panel.name, client, pace, breaker, self.shared.clock, self.shared.pauses
        )


class OddDaemon(Daemon):
    """The real wiring, but for the wire and the port."""

    panel: OddPanel

    def _build(self) -> None:
        with patch.object(core, "PanelWorkersFactory", partial(_Workshop, panel=self.panel)):
            super()._build()

    async def _listen(self) -> None:
        """Nobody calls."""


class OddHouse:
    """The daemon, its panel, and the clock that both go by."""

    def __init__(self, path: Path, answer: Answers, text: str) -> None:
        self.clock = Clock()
        self.panel = OddPanel(self.clock, answer)
        self._path = path
        put_empty(path)
        self.configure(text)

    def configure(self, text: str) -> None:
        """What the next start or reload goes by."""
        config = parse(text, Secrets({"P_KEY": "key"}, Path()), Path())
        self.config: Config = msgspec.structs.replace(config, database=self._path)

    async def open(self) -> None:
        self.schedule = ClockworkSchedule(self.clock)
        self.daemon = OddDaemon(
            self.config, reread=lambda: self.config, clock=self.clock, schedule=self.schedule
        )
        self.daemon.panel = self.panel
        await self.daemon.start()

    async def restart(self) -> None:
        await self.daemon.stop()
        await self.open()

    async def run(self, seconds: float) -> None:
        """Let the time pass. As in the real schedule, a task that raised runs again 5 s later."""
        end = self.clock() + seconds
        while self.clock() < end:
            try:
                await self.schedule.run(end - self.clock())
            except Exception:  # noqa: BLE001  as the real schedule does
                self._go_on_after_a_crash()

    def _go_on_after_a_crash(self) -> None:
        for name, due in self.schedule.due.items():
            if due == float("inf"):
                self.schedule.due[name] = self.clock() + 5.0

    @property
    def workers(self) -> PanelWorkers:
        return self.daemon.panel_workers[PANEL]

    async def track(self, *ids: str) -> None:
        orders: list[Order] = [
            new_order(
                panel=PANEL,
                order_id=order_id,
                now=self.clock(),
                service="7",
                link=None,
                quantity=100,
                submitted_at=None,
            )
            for order_id in ids
        ]
        await self.daemon.commands.track(orders)


@asynccontextmanager
async def an_odd_house(directory: Path, answer: Answers, text: str) -> AsyncIterator[OddHouse]:
    house = OddHouse(directory / "watcher.db", answer, text)
    await house.open()
    try:
        yield house
    finally:
        await house.daemon.stop()
