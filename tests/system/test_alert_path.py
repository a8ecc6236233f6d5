"""From a panel's trouble to somebody's phone: panels, daemon, Prometheus, Alertmanager, webhook.

The rules are the shipped ones, but for their times, which are divided by sixty.
"""

import re
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack
from pathlib import Path
from typing import Any

import msgspec
import pytest
import yaml

from grafana.source import rules
from tests.support.house import KEY
from tests.support.process import DaemonProcess
from tests.support.stack import Receiver, alertmanager, missing, prometheus
from watcher.panels.profiles import shipped
from watcher.simulator import Fate, SimulatedPanel, Trait, World

pytestmark = pytest.mark.skipif(bool(missing()), reason=str(missing()))

GRAFANA = Path(__file__).parents[2] / "grafana"
FASTER = 60
DEFAULTS = """
requests_per_minute = 600
check_within = "2s"
idle_every = "1s"
timeout = "2s"
stalled_after = "5s"
balance_every = "2s"
low_balance = "50.00"
"""
RULES = """
[attention]
panel_silent_for = "3s"

[[rules]]
name = "tell of what ends partial"
action = "notify"
when = "order.status == 'partial'"
"""
MOVING = Fate(pending=0.0, per_minute=60_000.0)
RESTING = Fate(pending=86_400.0)
WITHIN = 90.0  # seconds


class Stack(msgspec.Struct):
    """Everything that runs."""

    panels: dict[str, SimulatedPanel]
    daemon: DaemonProcess
    receiver: Receiver


def faster(document: dict[str, Any]) -> dict[str, Any]:
    """The rules with all times divided."""
    for group in document["groups"]:
        for rule in group["rules"]:
            rule["expr"] = re.sub(r"\[(\w+)\]", lambda m: f"[{_sooner(m[1])}]", rule["expr"])
            if "for" in rule:
                rule["for"] = _sooner(rule["for"])
    return document


def _sooner(duration: str) -> str:
    seconds = int(duration[:-1]) * {"s": 1, "m": 60, "h": 3600}[duration[-1]]
    return f"{max(3, seconds // FASTER)}s"


def routes(receiver: Receiver) -> dict[str, Any]:
    """The shipped example, impatient, and with one who is here to be told."""
    config = yaml.safe_load((GRAFANA / "alertmanager" / "alertmanager.yml").read_text())
    for route in (config["route"], *config["route"]["routes"]):
        route.update(group_wait="1s", group_interval="1s", repeat_interval="1h")
    for told in config["receivers"]:
        told["webhook_configs"][0]["url"] = f"http://127.0.0.1:{receiver.port}/{told['name']}"
    return config


def scrape(daemon: DaemonProcess, alertmanager_port: int) -> dict[str, Any]:
    """The shipped example, every second."""
    config = yaml.safe_load((GRAFANA / "prometheus" / "prometheus.yml").read_text())
    config["global"] = {"scrape_interval": "1s", "evaluation_interval": "1s"}
    (job,) = config["scrape_configs"]
    job["static_configs"] = [{"targets": [f"127.0.0.1:{daemon.port}"]}]
    (manager,) = config["alerting"]["alertmanagers"]
    manager["static_configs"] = [{"targets": [f"127.0.0.1:{alertmanager_port}"]}]
    return config


@pytest.fixture
async def stack(tmp_path: Path) -> AsyncIterator[Stack]:
    async with AsyncExitStack() as opened:
        panels = {}
        for name in ("money", "slow", "down", "cut"):
            world = World(balance="100.00")
            panel = SimulatedPanel(shipped()["standard"], key=KEY, world=world)
            panels[name] = await opened.enter_async_context(panel)
        daemon = DaemonProcess(tmp_path, panels, defaults=DEFAULTS, rules=RULES)
        await daemon.start()
        opened.push_async_callback(daemon.stop)
        receiver = Receiver()
        await opened.enter_async_context(receiver.open())
        manager = await opened.enter_async_context(alertmanager(tmp_path, routes(receiver)))
        config = scrape(daemon, manager)
        sooner = faster(rules.prometheus())
        await opened.enter_async_context(prometheus(tmp_path, config, sooner))
        yield Stack(panels, daemon, receiver)


async def place(stack: Stack, panel: str, fate: Fate) -> int:
    """One order there, tracked here."""
    simulated = stack.panels[panel]
    ids = simulated.world.seed_orders(1, simulated.now(), fate=fate, quantity=1_000_000)
    await stack.daemon.track(panel, ids, quantity=1_000_000)
    return ids[0]


TROUBLE = {
    "money": "WatcherBalanceLow",
    "slow": "WatcherOrdersStalled",
    "down": "WatcherPanelStale",
    "cut": "WatcherActionUnresolved",
}
ALERTS = [{"alertname": name, "panel": panel} for panel, name in TROUBLE.items()]
DOWN = [{"alertname": "WatcherDown"}]


async def test_every_trouble_is_told_and_its_end_too(stack: Stack):
    panels, daemon, receiver = stack.panels, stack.daemon, stack.receiver
    for panel in ("money", "down", "cut"):
        await place(stack, panel, MOVING)
    slow = await place(stack, "slow", RESTING)
    action = await break_all(stack)

    await receiver.wait("firing", [*ALERTS, {"alertname": "WatcherHeartbeat"}], WITHIN)
    panels["money"].world.set_balance("100", panels["money"].now())
    panels["slow"].world.force([slow], panels["slow"].now(), status="Completed")
    await panels["down"].start()
    await daemon.call("POST", f"/v1/actions/{action}/resolve", json={"state": "accepted"})
    await receiver.wait("resolved", ALERTS, WITHIN)

    await daemon.kill()
    await receiver.wait("firing", DOWN, WITHIN)
    await daemon.start()
    await receiver.wait("resolved", DOWN, WITHIN)


async def break_all(stack: Stack) -> str:
    """Bring each panel into its trouble; the action that nobody knows the end of."""
    panels, daemon = stack.panels, stack.daemon
    panels["money"].world.set_balance("10", panels["money"].now())
    await panels["down"].stop()
    cut = panels["cut"]
    (done,) = cut.world.seed_orders(
        1, cut.now(), age=86_400.0, fate=Fate(pending=0.0, per_minute=1e6)
    )
    await daemon.track("cut", [done], service=1)
    cut.switches.on(Trait.CLOSE_AFTER, action="refill")
    told = await daemon.call("POST", f"/v1/orders/cut/{done}/refill")
    return told["action"]["id"]
