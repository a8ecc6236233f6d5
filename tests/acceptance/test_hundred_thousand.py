"""100,000 open orders at five panels of 60 requests a second: every one is checked in its turn."""

import asyncio
from collections import defaultdict
from pathlib import Path

import pytest

from tests.support.house import KEY
from tests.support.process import DaemonProcess
from watcher.panels.profiles import shipped
from watcher.simulator import Fate, SimulatedPanel

pytestmark = pytest.mark.alone

EACH = 20_000
ROUND = 20.0  # seconds in which every order is due once
SECONDS = 60.0


async def test_none_is_starved(tmp_path: Path):
    names = [name for name in shipped() if name != "standard"]
    panels = {
        name: SimulatedPanel(shipped()[name], key=KEY, requests_per_minute=3600) for name in names
    }
    for panel in panels.values():
        await panel.start()
    defaults = f"requests_per_minute = 3600\ncheck_within = '{ROUND:.0f}s'"
    daemon = DaemonProcess(tmp_path, panels, defaults=defaults)
    try:
        await daemon.start()
        tracked = {}
        for name, panel in panels.items():
            fate = Fate(pending=600.0, per_minute=10.0)
            tracked[name] = panel.world.seed_orders(EACH, panel.now(), quantity=1000, fate=fate)
            await daemon.track(name, tracked[name], quantity=1000)
        for panel in panels.values():
            panel.journal.clear()
        began = panels[names[0]].now()
        await asyncio.sleep(SECONDS)
        for name, panel in panels.items():
            _check(panel, set(tracked[name]), began, began + SECONDS)
        lag = [panel["lag"] or 0.0 for panel in (await daemon.call("GET", "/v1/panels"))["panels"]]
        assert max(lag) < 2 * ROUND
    finally:
        await daemon.stop()
        for panel in panels.values():
            await panel.stop()


def _check(panel: SimulatedPanel, tracked: set[int], began: float, ended: float) -> None:
    polls = [entry for entry in panel.journal.requests("status") if entry.time <= ended]
    times: dict[int, list[float]] = defaultdict(list)
    full = 0
    for poll in polls:
        ids = [int(order) for order in poll.parameters["orders"].split(",")]
        assert len(ids) == len(set(ids)) <= 100
        full += len(ids) == 100
        for order in ids:
            times[order].append(poll.time)
    assert set(times) == tracked, "every order was checked"
    assert full >= 0.95 * len(polls), "batches are full"
    longest = max(
        later - earlier
        for asked in times.values()
        for earlier, later in zip([began, *asked], [*asked, ended], strict=True)
    )
    assert longest <= 2 * ROUND, f"an order waited {longest:.1f} s for its check"
    assert all(entry.http == 200 for entry in polls), "no request was refused as one too many"
