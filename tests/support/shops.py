"""A daemon that shops order through, in real time: shops and panels talk real HTTP to it."""

import asyncio
import os
from collections.abc import AsyncIterator, Callable, Iterable
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import aiohttp

from tests.support.house import KEY, config_text, database_line
from watcher.app import Daemon
from watcher.config import Config, load
from watcher.panels.profiles import shipped
from watcher.simulator import SimulatedPanel, World

SHOP_KEY = "key-of-a-shop-in-the-tests"
ENV = {"TEST_KEY": KEY, "SHOP_MAIN_KEY": SHOP_KEY}
QUICK = 'requests_per_minute = 6000\nidle_every = "1s"\n'
ONE = '[[shops]]\nname = "main"\n'


class Market:
    """A daemon and its panels; `url` is what shops are configured with."""

    def __init__(self, path: Path, panels: dict[str, SimulatedPanel]) -> None:
        self.path = path
        self.panels = panels
        self.daemon = Daemon(self.load(), reread=self.load)

    def load(self) -> Config:
        return load(self.path, {**os.environ, **ENV})

    @property
    def panel(self) -> SimulatedPanel:
        return next(iter(self.panels.values()))

    @property
    def base(self) -> str:
        return f"http://127.0.0.1:{self.daemon.port}"

    @property
    def url(self) -> str:
        return f"{self.base}/api/v2"

    async def ask(self, action: str, *, key: str = SHOP_KEY, **sent: object) -> Any:
        """One request of a shop: the JSON that it gets."""
        return await ask(self.url, key, action, **sent)

    async def restart(self) -> None:
        await self.daemon.stop()
        self.daemon = Daemon(self.load(), reread=self.load)
        await self.daemon.start()


async def ask(url: str, key: str, action: str, **sent: object) -> Any:
    form = {"key": key, "action": action} | {name: str(value) for name, value in sent.items()}
    async with aiohttp.ClientSession() as session, session.post(url, data=form) as answer:
        return await answer.json()


@asynccontextmanager
async def a_market(
    tmp_path: Path,
    *,
    profiles: Iterable[str] = ("standard",),
    shops: str = ONE,
    defaults: str = QUICK,
    **panel: Any,
) -> AsyncIterator[Market]:
    """A running daemon with a panel for each profile, named after it."""
    panels = {}
    for name in profiles:
        panels[name] = SimulatedPanel(shipped()[name], key=KEY, **{"world": World(), **panel})
        await panels[name].start()
    path = tmp_path / "config.toml"
    daemon = database_line(tmp_path)
    path.write_text(config_text(panels, defaults=defaults, rules=shops, daemon=daemon))
    market = Market(path, panels)
    try:
        await market.daemon.start()
        yield market
    finally:
        await market.daemon.stop()
        for simulated in panels.values():
            await simulated.stop()


async def call(method: Callable[..., Any], *arguments: object, **named: object) -> Any:
    """Call a blocking client while daemon and panels go on in this thread."""
    return await asyncio.to_thread(method, *arguments, **named)


async def until(is_so: Callable[[], bool], seconds: float = 10.0) -> None:
    """Wait for something that has to come about."""
    async with asyncio.timeout(seconds):
        while not is_so():
            await asyncio.sleep(0.01)
