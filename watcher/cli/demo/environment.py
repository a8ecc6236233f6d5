"""Everything the demo runs: five simulated panels and the daemon, on this machine."""

import os
from collections.abc import Iterator
from contextlib import AsyncExitStack
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import aiohttp
import msgspec

from watcher.app import Daemon
from watcher.cli.demo.backfill import backfill
from watcher.cli.demo.scenario import (
    PANELS,
    REFILL_RULE,
    SHORT_OF_MONEY,
)
from watcher.config import load
from watcher.panels.profiles import shipped
from watcher.simulator import PRICE_LIST, SimService, SimulatedPanel, World

KEY = "demo"
SHOP_KEY = "demo-shop-0123456789"
BRAKE_WINDOW = 120.0  # seconds instead of an hour, so that the end of a pause is visible
OFFSET = 1000  # a service's id in the shop is its panel's number times this, plus its id

_RULES = f"""
[[rules]]
name = "{REFILL_RULE}"
action = "refill"
when = "order.status == 'completed' && service.refill && order.drop > 0.1"
every = "5m"
attempts = 3
per_hour = 8

[[rules]]
name = "cancel what has stalled"
action = "cancel"
when = "order.status == 'in_progress' && order.idle > duration('90s')"

[[rules]]
name = "tell of partial orders"
action = "notify"
when = "order.status == 'partial' && order.finished_ago < duration('10m')"

[[rules]]
name = "cancel what is slow"
action = "cancel"
when = "order.status == 'pending' && order.age > duration('10s')"
dry_run = true
"""


@dataclass(frozen=True)
class Environment:
    """The running parts; `session` sends requests to the daemon."""

    panels: dict[str, SimulatedPanel]
    daemon: Daemon
    url: str
    config: Path
    session: aiohttp.ClientSession


async def start(
    stack: AsyncExitStack,
    directory: Path,
    host: str,
    port: int,
    speed: float,
    brake_window: float = BRAKE_WINDOW,
) -> Environment:
    """Start everything; the stack stops it."""
    panels = {name: await _start_panel(stack, name, speed) for name in PANELS}
    path = directory / "config.toml"
    path.write_text("".join(_config(panels, host, port)), "utf-8")
    config = load(path, {**os.environ, "DEMO_KEY": KEY, "DEMO_SHOP_KEY": SHOP_KEY})
    await backfill(config.database, panels)
    setting = "--port, or `make demo DEMO_PORT=…`"
    daemon = Daemon(config, address_setting=setting, brake_window=brake_window)
    await daemon.start()
    stack.push_async_callback(daemon.stop)
    url = f"http://{host}:{daemon.port}"
    session = await stack.enter_async_context(aiohttp.ClientSession(url))
    return Environment(panels, daemon, url, path, session)


async def _start_panel(stack: AsyncExitStack, name: str, speed: float) -> SimulatedPanel:
    balance = "58.00000" if name == SHORT_OF_MONEY else "3000.00000"
    world = World(_services(), seed=PANELS.index(name), balance=balance)
    panel = SimulatedPanel(shipped()[name], key=KEY, speed=speed, world=world, journal_limit=0)
    await stack.enter_async_context(panel)
    return panel


def _services() -> tuple[SimService, ...]:
    """Return the usual price list, with orders that last some simulated minutes.

    No order gets stuck by itself, because not every panel could cancel it.
    """
    lively: dict[str, Any] = {
        "pending": (0.0, 15 * 60.0),
        "processing": (0.0, 120.0),
        "per_minute": (8.0, 100.0),
        "linger": (0.0, 60.0),
        "stalled": 0.0,
        "refill_rejected": 0.0,
        "refill_takes": (5 * 60.0, 20 * 60.0),
        "cancel_takes": (5 * 60.0, 15 * 60.0),
        "cancel_ignored": 0.0,
    }
    change = msgspec.structs.replace
    return tuple(change(s, habits=change(s.habits, **lively)) for s in PRICE_LIST)


def _config(panels: dict[str, SimulatedPanel], host: str, port: int) -> Iterator[str]:
    yield f'[daemon]\nlisten = "{host}:{port}"\nstop_timeout = "1s"\n'
    yield '[defaults]\nkey_env = "DEMO_KEY"\nrequests_per_minute = 300\ncheck_within = "5s"\n'
    yield 'stalled_after = "60s"\nbalance_every = "5s"\nservices_every = "15s"\n'
    yield 'low_balance = "25.00"\n'
    for name, panel in panels.items():
        yield f'[panels.{name}]\nprofile = "{name}"\nurl = "{panel.url}"\n'
    yield f'[[shops]]\nname = "demo-shop"\nkey_env = "DEMO_SHOP_KEY"\npanels = {[*panels]}\n'
    offsets = ", ".join(f"{name} = {n * OFFSET}" for n, name in enumerate(panels))
    yield f"offsets = {{ {offsets} }}\n"
    yield _RULES
