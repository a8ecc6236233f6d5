"""Demo on one machine: five simulated panels, the daemon, a few thousand orders.

A simulated minute takes a second. Nothing leaves the machine; all files are deleted at the end.
"""

import asyncio
import os
import signal
import sys
import tempfile
from collections.abc import Iterator
from contextlib import AsyncExitStack
from pathlib import Path
from typing import Any

import aiohttp
import msgspec

from watcher import logs
from watcher.app import Daemon
from watcher.config import load
from watcher.panels.profiles import shipped
from watcher.simulator import PRICE_LIST, SimService, SimulatedPanel, World

PANELS = tuple(name for name in shipped() if name != "standard")
ORDERS_A_PANEL = 600
SUBMITTED = 25
SERVICES = (1, 2, 3, 4, 14)  # those that sell by the thousand
KEY = "demo"

_RULES = """
[[rules]]
name = "refill what was delivered a while ago"
action = "refill"
when = "order.status == 'completed' && service.refill && order.finished_ago > duration('15s')"
every = "5m"
attempts = 3

[[rules]]
name = "cancel what has stalled"
action = "cancel"
when = "order.status == 'in_progress' && order.idle > duration('20s')"

[[rules]]
name = "tell of partial orders"
action = "notify"
when = "order.status == 'partial' && order.remains > 400"

[[rules]]
name = "cancel what is slow"
action = "cancel"
when = "order.status == 'pending' && order.age > duration('10s')"
dry_run = true
"""


def run(*, host: str = "127.0.0.1", port: int = 9466, speed: float = 60.0) -> int:
    """Run until Ctrl-C; returns the exit code. `speed` is simulated seconds a second."""
    logs.configure("info", "auto")
    with tempfile.TemporaryDirectory(prefix="watcher-demo-") as directory:
        return asyncio.run(_run(Path(directory), host, port, speed))


async def _run(directory: Path, host: str, port: int, speed: float) -> int:
    stop = asyncio.Event()
    loop = asyncio.get_running_loop()
    for number in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(number, stop.set)
    async with AsyncExitStack() as stack:
        panels = {name: await _start_panel(stack, name, speed) for name in PANELS}
        path = directory / "config.toml"
        path.write_text("".join(_config(panels, host, port)), "utf-8")
        config = load(path, {**os.environ, "DEMO_KEY": KEY})
        daemon = Daemon(config, address_setting="--port, or `make demo DEMO_PORT=…`")
        await daemon.start()
        stack.push_async_callback(daemon.stop)
        url = f"http://{host}:{daemon.port}"
        await _place_orders(url, panels)
        _tell(url, panels, path)
        await stop.wait()
        _say("\nStopping …")
    _say("Stopped. The demo's database is gone.")
    return 0


async def _start_panel(stack: AsyncExitStack, name: str, speed: float) -> SimulatedPanel:
    world = World(_services(), seed=PANELS.index(name), balance="250.00000")
    panel = SimulatedPanel(shipped()[name], key=KEY, speed=speed, world=world, journal_limit=1000)
    await stack.enter_async_context(panel)
    return panel


def _services() -> tuple[SimService, ...]:
    """Return the usual price list, with orders that last some simulated minutes."""
    lively: dict[str, Any] = {
        "pending": (0.0, 15 * 60.0),
        "processing": (0.0, 120.0),
        "per_minute": (20.0, 300.0),
        "linger": (0.0, 60.0),
        "stalled": 0.04,
        "refill_takes": (5 * 60.0, 20 * 60.0),
        "cancel_takes": (5 * 60.0, 15 * 60.0),
        "cancel_ignored": 0.0,
    }
    change = msgspec.structs.replace
    return tuple(change(s, habits=change(s.habits, **lively)) for s in PRICE_LIST)


def _config(panels: dict[str, SimulatedPanel], host: str, port: int) -> Iterator[str]:
    yield f'[daemon]\nlisten = "{host}:{port}"\n'
    yield '[defaults]\nkey_env = "DEMO_KEY"\nrequests_per_minute = 300\ncheck_within = "10s"\n'
    yield 'stalled_after = "20s"\nbalance_every = "10s"\nservices_every = "5m"\n'
    yield 'low_balance = "251.00"\n'
    for name, panel in panels.items():
        yield f'[panels.{name}]\nprofile = "{name}"\nurl = "{panel.url}"\n'
    yield _RULES


async def _place_orders(url: str, panels: dict[str, SimulatedPanel]) -> None:
    """Track orders that were placed elsewhere, and submit some through the watcher."""
    async with aiohttp.ClientSession(url, raise_for_status=True) as session:
        for name, panel in panels.items():
            placed = panel.world.seed_orders(
                ORDERS_A_PANEL, panel.now(), age=600.0, quantity=500, services=SERVICES
            )
            orders = [
                {
                    "panel": name,
                    "order": order,
                    "service": panel.world.order(order, panel.now()).service,
                    "link": f"https://example.com/post/{order}",
                    "quantity": 500,
                }
                for order in placed
            ]
            async with session.post("/v1/orders", json={"orders": orders}):
                pass
        names = list(panels)
        await asyncio.gather(
            *(_submit(session, names[n % len(names)], n) for n in range(SUBMITTED))
        )


async def _submit(session: aiohttp.ClientSession, panel: str, number: int) -> None:
    link = f"https://example.com/new/{number}"
    body = {"panel": panel, "service": 3, "link": link, "quantity": 300}
    headers = {"Idempotency-Key": f"demo-{number}"}
    async with session.post("/v1/submit", json=body, headers=headers):
        pass


def _tell(url: str, panels: dict[str, SimulatedPanel], config: Path) -> None:
    command = _command()
    _say(
        f"\n{ORDERS_A_PANEL * len(panels)} orders are tracked at {len(panels)} simulated panels, "
        f"{SUBMITTED} more were submitted. A simulated minute takes a second.\n\n"
        f"  status page   {url}/\n"
        f"  metrics       {url}/metrics\n"
        f"  API           {url}/v1/orders   described at {url}/v1/openapi.json\n"
        f"  configuration {config}\n\n"
        f"In another terminal, from here:\n\n"
        f"  export WATCHER_URL={url}\n"
        f"  {command} panels\n"
        f"  {command} orders --status completed\n"
        f"  {command} actions\n"
        f"  {command} rules\n\n"
        f"Ctrl-C ends it.\n"
    )


def _command() -> str:
    """Return how the program was called, so that the examples can be copied."""
    called = Path(sys.argv[0])
    return "python -m watcher" if called.name == "__main__.py" else os.path.relpath(called)


def _say(text: str) -> None:
    sys.stdout.write(f"{text}\n")
    sys.stdout.flush()
