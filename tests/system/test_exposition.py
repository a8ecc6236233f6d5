"""What /metrics gives, by promtool: the text of a daemon that has done some of everything."""

import subprocess
from pathlib import Path

import aiohttp
import pytest

from tests.support.house import a_house
from tests.support.stack import PROMTOOL, missing
from watcher.simulator import Fate, Trait

pytestmark = pytest.mark.skipif(bool(missing()), reason=str(missing()))

RULE = """
[[rules]]
name = "refill"
action = "refill"
when = "order.status == 'completed'"
"""


async def test_the_metrics_are_clean(tmp_path: Path):
    async with a_house(tmp_path, profiles=("standard", "smmxz"), rules=RULE) as house:
        await house.place(20, fate=Fate(pending=30.0, per_minute=1000.0))
        await house.run(3600.0)
        house.panel.switches.on(Trait.HTML_503)
        await house.run(600.0)
        async with (
            aiohttp.ClientSession(f"http://127.0.0.1:{house.daemon.port}") as session,
            session.get("/metrics") as answer,
        ):
            text = await answer.text()
    assert 'watcher_orders_finished_total{panel="standard",status="completed"} 20.0' in text
    assert complaints(text) == ""


def complaints(text: str) -> str:
    """What promtool says against the metrics."""
    command = [str(PROMTOOL), "check", "metrics"]
    checked = subprocess.run(command, input=text, capture_output=True, text=True, check=False)
    return checked.stderr + checked.stdout
