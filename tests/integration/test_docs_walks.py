"""The two ways in docs/how-it-works.md, walked: from a CSV file to the end of a refill."""

import asyncio
import re
import sys
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from types import FrameType
from typing import Any

from typer.testing import CliRunner, Result

import watcher
from tests.support.house import House, a_house
from watcher.cli import app
from watcher.simulator import Fate

ROOT = Path(__file__).parents[2]
PRODUCT = Path(watcher.__file__).parent
TEXT = (ROOT / "docs/how-it-works.md").read_text()
REFILL = """
[[rules]]
name = "refill"
action = "refill"
when = "order.status == 'completed' && service.refill"
"""


def steps(title: str) -> list[str]:
    """The functions that a walk names, as path:name."""
    (section,) = re.findall(rf"^## {title}\n(.*?)^## ", TEXT, re.DOTALL | re.MULTILINE)
    return re.findall(r"^\d+\. `([\w/]+\.py:[\w.]+)`", section, re.MULTILINE)


ORDER, ACTION = steps("An order's way"), steps("An action's way")


class Calls:
    """Calls of the named functions, in order; a coroutine that goes on is no new call."""

    def __init__(self, names: list[str]) -> None:
        self.made: list[str] = []
        self._names = frozenset(names)
        self._files = frozenset(str(PRODUCT / name.split(":")[0]) for name in names)
        self._frames: list[FrameType] = []

    def note(self, frame: FrameType, event: str, _: Any) -> None:
        code = frame.f_code
        if event != "call" or code.co_filename not in self._files:
            return
        name = f"{Path(code.co_filename).relative_to(PRODUCT).as_posix()}:{code.co_qualname}"
        if name in self._names and not any(frame is known for known in self._frames):
            self._frames.append(frame)
            self.made.append(name)

    def missing(self, walk: list[str]) -> str | None:
        """The first step that was not called after the one before it, until the last step is."""
        end = self.made.index(walk[-1]) + 1
        calls = iter(self.made[:end])
        return next((step for step in walk if step not in calls), None)


@contextmanager
def traced(names: list[str]) -> Iterator[Calls]:
    """Note calls in this thread, and in those that start meanwhile."""
    calls, before = Calls(names), (sys.getprofile(), threading.getprofile())
    threading.setprofile(calls.note)
    sys.setprofile(calls.note)
    try:
        yield calls
    finally:
        sys.setprofile(before[0])
        threading.setprofile(before[1])


async def in_thread(function: Callable[..., Result], *args: object) -> Result:
    """As asyncio.to_thread, in a thread that starts now."""
    done: list[Result] = []
    thread = threading.Thread(target=lambda: done.append(function(*args)))
    thread.start()
    while thread.is_alive():
        await asyncio.sleep(0.005)
    return done[0]


async def walk(house: House, tmp_path: Path) -> None:
    """Track a finished order from a CSV file, and let its refill end."""
    fate = Fate(pending=30.0, per_minute=1000.0, refill_takes=120.0)
    world = house.panel.world
    (order,) = world.seed_orders(1, house.panel.now(), quantity=100, services=[1], fate=fate)
    await house.run(60.0)
    path = tmp_path / "orders.csv"
    path.write_text(f"order,service,quantity\n{order},1,100\n")
    url = f"http://127.0.0.1:{house.daemon.port}"
    options = ["track", "standard", "--file", str(path), "--url", url]
    result = await in_thread(CliRunner().invoke, app, options)
    assert result.exit_code == 0, result.output
    await house.run(600.0)
    shown = await house.call("GET", f"/v1/orders/standard/{order}")
    assert [refill["status"] for refill in shown["refills"]] == ["completed"]


def test_the_ways_are_short() -> None:
    assert len(ORDER) + len(ACTION) <= 45
    assert len(rooms := {step.split("/")[0] for step in ORDER + ACTION}) <= 10, rooms


async def test_the_ways_are_what_is_called(tmp_path: Path) -> None:
    with traced(ORDER + ACTION) as calls:
        async with a_house(tmp_path, rules=REFILL) as house:
            await walk(house, tmp_path)
    assert calls.missing(ORDER) is None
    assert calls.missing(ACTION) is None
