"""kill -9 at any moment, then a start: nothing lost, nothing sent twice."""

import asyncio
import random
import signal
from pathlib import Path

import msgspec
import pytest

from tests.support.audit import violations
from tests.support.house import KEY
from tests.support.process import DaemonProcess
from watcher.panels.profiles import shipped
from watcher.simulator import Habits, SimulatedPanel, World
from watcher.simulator.catalog import PRICE_LIST

RULES = """
[[rules]]
name = "refill"
action = "refill"
when = "order.status == 'completed' && order.finished_ago > duration('1s')"
every = "1h"
per_hour = 100000

[[rules]]
name = "cancel"
action = "cancel"
when = "order.status == 'in_progress' && order.idle > duration('2s')"
per_hour = 100000
"""
DEFAULTS = "requests_per_minute = 6000\ncheck_within = '2s'"
PANELS = ("smmxz", "smmgenie")


def a_world(seed: int) -> World:
    habits = Habits(
        pending=(0.0, 60.0),
        processing=(0.0, 30.0),
        per_minute=(500.0, 5000.0),
        linger=(0.0, 30.0),
        stalled=0.2,
        cancel_takes=(60.0, 600.0),
    )
    services = [msgspec.structs.replace(service, habits=habits) for service in PRICE_LIST]
    return World(services, seed=seed)


@pytest.mark.parametrize("seed", [1, 2])
async def test_kill_9_at_any_moment(tmp_path: Path, seed: int):
    chance = random.Random(seed)
    panels = {
        name: SimulatedPanel(shipped()[name], key=KEY, speed=60.0, world=a_world(seed))
        for name in PANELS
    }
    for panel in panels.values():
        await panel.start()
    daemon = DaemonProcess(tmp_path, panels, defaults=DEFAULTS, rules=RULES)
    tracked = {}
    try:
        await daemon.start()
        for name, panel in panels.items():
            orders = panel.world.seed_orders(400, panel.now(), services=[1], quantity=500)
            await daemon.track(name, orders, service=1, quantity=500)
            tracked[name] = set(orders)
        for _ in range(6):
            await asyncio.sleep(chance.uniform(0.3, 1.5))
            await daemon.kill()
            assert violations(daemon, panels, tracked) == []
            await daemon.start()
        await asyncio.sleep(2.0)
        assert await daemon.stop() == 0
        assert violations(daemon, panels, tracked) == []
        states = dict(daemon.rows("SELECT state, count(*) FROM actions GROUP BY 1"))
        assert states.get("accepted", 0) > 50, "the test has to see actions"
        assert "sending" not in states
        assert daemon.rows("SELECT count(*) FROM history")[0][0] > 800
    finally:
        await daemon.stop()
        for panel in panels.values():
            await panel.stop()


async def test_sigterm_under_load_drains(tmp_path: Path):
    panel = SimulatedPanel(shipped()["smmxz"], key=KEY, speed=60.0, world=a_world(3))
    await panel.start()
    daemon = DaemonProcess(tmp_path, {"smmxz": panel}, defaults=DEFAULTS, rules=RULES)
    try:
        await daemon.start()
        orders = panel.world.seed_orders(1000, panel.now(), services=[1], quantity=500)
        await daemon.track("smmxz", orders, service=1, quantity=500)
        await asyncio.sleep(2.0)
        began = asyncio.get_running_loop().time()
        daemon.send(signal.SIGTERM)
        assert await daemon.wait() == 0
        assert asyncio.get_running_loop().time() - began < 30.0
        states = dict(daemon.rows("SELECT state, count(*) FROM actions GROUP BY 1"))
        assert "sending" not in states
        assert "unresolved" not in states
        assert violations(daemon, {"smmxz": panel}, {"smmxz": set(orders)}) == []
        assert daemon.events()[-1]["event"] == "daemon.stopped"
    finally:
        await daemon.stop()
        await panel.stop()
