"""A daemon and simulated panels in one process: real HTTP and SQLite, time that tests advance."""

from collections.abc import AsyncIterator, Iterable, Mapping
from contextlib import asynccontextmanager
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import aiohttp
from prometheus_client.parser import text_string_to_metric_families

from tests.support.clockwork import Clock, ClockworkSchedule
from tests.support.database import CURRENT, put_empty
from tests.support.postgres import databases
from watcher.app import Daemon
from watcher.config import Config, load
from watcher.model import Order
from watcher.panels.profiles import shipped
from watcher.simulator import SimulatedPanel, World

KEY = "key-of-the-tests"
SELDOM = "idle_every = '30m'\nbalance_every = '6h'\n"  # enough for what waits for days
REFILL_ONCE = """
[[rules]]
name = "refill done"
action = "refill"
when = "order.status == 'completed'"
every = "24h"
attempts = 1
"""


class House:
    """The daemon, its panels by name, and the clock that all of them go by."""

    def __init__(
        self,
        path: Path,
        panels: dict[str, SimulatedPanel],
        clock: Clock,
        env: Mapping[str, str] | None = None,
    ) -> None:
        self.path = path
        self.env = {"TEST_KEY": KEY, **(env or {})}
        self.panels = panels
        self.clock = clock
        self.schedule = ClockworkSchedule(clock)
        self.daemon = self._make()

    @property
    def panel(self) -> SimulatedPanel:
        """The only panel, or the first."""
        return next(iter(self.panels.values()))

    async def open(self) -> None:
        await self.daemon.start()

    async def close(self) -> None:
        await self.daemon.stop()

    async def restart(self) -> None:
        """A clean stop and a start, on the same database."""
        await self.close()
        await self.crashed()

    async def crashed(self) -> None:
        """A new daemon on the database as the last one left it."""
        self.schedule = ClockworkSchedule(self.clock)
        self.daemon = self._make()
        await self.open()

    async def run(self, seconds: float) -> None:
        await self.schedule.run(seconds)

    async def track(self, ids: Iterable[object], panel: str | None = None, **fields: Any) -> Any:
        """Track orders by the API."""
        name = panel or next(iter(self.panels))
        orders = [{"panel": name, "order": order_id, **fields} for order_id in ids]
        return await self.call("POST", "/v1/orders", json={"orders": orders})

    async def place(self, count: int, **seeded: Any) -> list[str]:
        """Orders placed at the first panel and tracked here; their ids."""
        ids = [str(n) for n in self.panel.world.seed_orders(count, self.panel.now(), **seeded)]
        service = self.panel.world.order(int(ids[0]), self.panel.now()).service if ids else None
        placed = datetime.fromtimestamp(self.clock(), UTC).isoformat()
        fields = {"service": service, "quantity": seeded.get("quantity")}
        await self.track(ids, submitted_at=placed, **fields)
        return ids

    def order(self, order_id: str, panel: str | None = None) -> Order:
        entry = self.daemon.watchlist.entry(panel or next(iter(self.panels)), order_id)
        assert entry is not None, f"order {order_id} is not in the watchlist"
        return entry.order

    async def scrape(self) -> str:
        """The metrics, as Prometheus gets them."""
        url = f"http://127.0.0.1:{self.daemon.port}/metrics"
        async with aiohttp.ClientSession() as session, session.get(url) as answer:
            return await answer.text()

    async def metric(self, name: str, **labels: str) -> float:
        """The value of one series; its name without the prefix."""
        for family in text_string_to_metric_families(await self.scrape()):
            for sample in family.samples:
                if (sample.name, sample.labels) == (f"watcher_{name}", labels):
                    return sample.value
        raise AssertionError(f"no series {name} with {labels}")

    async def problems(self) -> list[str]:
        """Why the daemon says that it is not ready."""
        url = f"http://127.0.0.1:{self.daemon.port}/readyz"
        async with aiohttp.ClientSession() as session, session.get(url) as answer:
            lines = (await answer.text()).splitlines()
            assert (answer.status == 200) is (lines == ["ok"])
            return [] if answer.status == 200 else lines

    async def call(self, method: str, path: str, *, status: int | None = None, **more: Any) -> Any:
        """One call of the API: its JSON."""
        url = f"http://127.0.0.1:{self.daemon.port}"
        async with (
            aiohttp.ClientSession(url) as session,
            session.request(method, path, **more) as answer,
        ):
            body = await answer.json()
            if status is None:
                assert answer.status < 400, body
            else:
                assert answer.status == status, body
            return body

    def _make(self) -> Daemon:
        return Daemon(self.load(), reread=self.load, clock=self.clock, schedule=self.schedule)

    def load(self) -> Config:
        return load(self.path, self.env)


def config_text(
    panels: dict[str, SimulatedPanel], *, defaults: str = "", rules: str = "", daemon: str = ""
) -> str:
    lines = ['[daemon]\nlisten = "127.0.0.1:0"\n', daemon]
    lines += ['\n[defaults]\nkey_env = "TEST_KEY"\n', defaults, "\n"]
    lines += [
        f'[panels.{name}]\nprofile = "{panel.profile.name}"\nurl = "{panel.url}"\n'
        for name, panel in panels.items()
    ]
    return "".join([*lines, rules])


def database_line(directory: Path) -> str:
    """The line of [daemon] for an empty database, of the kind that the test is run on."""
    database = "watcher.db"
    if CURRENT.engine == "postgresql":
        database = str(databases().url(directory))
    else:
        put_empty(directory / database)
    return f'database = "{database}"\n'


@asynccontextmanager
async def a_house(
    tmp_path: Path,
    *,
    profiles: Iterable[str] = ("standard",),
    defaults: str = "",
    rules: str = "",
    daemon: str = "",
    env: Mapping[str, str] | None = None,
    **panel: Any,
) -> AsyncIterator[House]:
    """A daemon with a panel for each profile, named after it."""
    clock = Clock()
    panels = {}
    for name in profiles:
        world = panel.pop("world", None) or World()
        panels[name] = SimulatedPanel(shipped()[name], key=KEY, clock=clock, world=world, **panel)
        await panels[name].start()
    path = tmp_path / "config.toml"
    daemon = database_line(tmp_path) + daemon
    path.write_text(config_text(panels, defaults=defaults, rules=rules, daemon=daemon))
    house = House(path, panels, clock, env)
    try:
        await house.open()
        yield house
    finally:
        await house.close()
        for simulated in panels.values():
            await simulated.stop()
