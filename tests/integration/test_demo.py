"""`watcher demo`: every incident is seen through the API, and it runs as a process."""

import asyncio
import fcntl
import json
import os
import pty
import re
import select
import signal
import socket
import struct
import subprocess
import sys
import termios
import time
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import AsyncExitStack, suppress
from pathlib import Path
from typing import Any
from urllib.request import urlopen

import pytest

from tests.support.ports import free_port
from tests.support.process import ROOT
from watcher.cli.demo import environment
from watcher.cli.demo.driver import MASS, Driver
from watcher.cli.demo.environment import Environment
from watcher.cli.demo.scenario import (
    DEARER,
    DROPPING,
    FORGETFUL,
    LEAVING_SERVICE,
    RISING_SERVICE,
    SHORT_OF_MONEY,
    UNSTEADY,
    Incident,
    Step,
)

BRAKE = 3.0  # seconds that it holds the rule
WITHIN = 60.0
ENDS_WITHIN = 30.0  # a bound for machines under load; alone it takes a tenth of a second
FLOOD = 4096  # bytes a second that are too many for a screen that is calm


class Demo:
    """The demo in this process, one step after the other."""

    def __init__(self, running: Environment) -> None:
        self.running = running
        self.driver = Driver(running)

    async def do(self, incident: Incident, number: int = 0) -> str:
        return await self.driver.perform(Step(0.0, incident, number))

    async def get(self, path: str) -> Any:
        async with self.running.session.get(path, raise_for_status=True) as answer:
            return await (answer.json() if path.startswith("/v1") else answer.text())

    async def panel(self, name: str) -> dict[str, Any]:
        panels = (await self.get("/v1/panels"))["panels"]
        return next(panel for panel in panels if panel["panel"] == name)

    async def service(self, number: int) -> dict[str, Any] | None:
        services = (await self.get(f"/v1/panels/{DEARER}/services"))["services"]
        return next((s for s in services if s["service"] == str(number)), None)

    async def held(self) -> dict[str, str]:
        held: dict[str, str] = (await self.get("/v1/rules"))["rules"][0]["held"]
        return held

    async def orders(self, **query: str) -> list[dict[str, Any]]:
        asked = "&".join(f"{name}={value}" for name, value in query.items())
        found: list[dict[str, Any]] = (await self.get(f"/v1/orders?limit=1000&{asked}"))["orders"]
        return found


@pytest.fixture
async def demo(tmp_path: Path) -> AsyncIterator[Demo]:
    async with AsyncExitStack() as stack:
        yield Demo(await environment.start(stack, tmp_path, "127.0.0.1", 0, 60.0, BRAKE))


async def until(true: Callable[[], Awaitable[Any]]) -> Any:
    """Ask again and again; what it gave once that was true."""
    async with asyncio.timeout(WITHIN):
        while not (found := await true()):
            await asyncio.sleep(0.1)
    return found


async def test_all_of_it_is_told_within_three_minutes(demo: Demo):
    lines: list[str] = []
    words = (
        "ordered", "tracked", "stuck", "half-way", "lost a third", "dropped at once", "you decide",
        "no longer", "leaves the price list", "listed again", "goes down", "works again",
        "big order", "topped up",
    )  # fmt: skip

    async def told() -> bool:
        return all(any(word in line for line in lines) for word in words)

    playing = asyncio.create_task(demo.driver.play(lines.append, 20.0))
    try:
        assert await until(told)
        assert not playing.done()
    finally:
        playing.cancel()
        await asyncio.wait([playing])


async def test_there_is_a_week_of_history(demo: Demo):
    orders = await demo.orders()
    assert len(orders) > 400
    ages = [order["submitted_at"][:10] for order in orders]
    assert len(set(ages)) >= 7
    assert {order["status"] for order in orders} >= {"completed", "partial", "canceled"}
    assert not [order for order in orders if order["phase"] == "open"]
    refilled = next(order for order in orders if order["refills"])
    one = await demo.get(f"/v1/orders/{refilled['panel']}/{refilled['order']}")
    assert len(one["history"]) > 4
    assert one["refills"][0]["status"] == "completed"
    html = await demo.get(f"/panels/{DROPPING}")
    assert "Balance over time" in html
    assert "<script>alert" not in html + await demo.get("/")
    assert "&lt;" not in html


async def test_customers_order_and_orders_are_tracked(demo: Demo):
    before, completed = len(await demo.orders()), len(await demo.orders(status="completed"))
    for number in range(6):
        assert "ordered" in await demo.do(Incident.ORDER, number)
    assert "tracked" in await demo.do(Incident.TRACK)
    assert len(await demo.orders()) == before + 7
    await demo.driver.begin()

    async def finished() -> bool:
        return len(await demo.orders(status="completed")) > completed + 5

    actions = (await demo.get("/v1/actions?limit=1000"))["actions"]
    assert len([a for a in actions if a["reason"] == "shop demo-shop"]) == 6
    assert await until(finished)


async def test_orders_get_stuck_or_end_half_way(demo: Demo):
    stuck = re.findall(r"order (\d+)", await demo.do(Incident.STALL))[0]
    half = re.findall(r"order (\d+)", await demo.do(Incident.PARTIAL, 3))[0]

    async def ended() -> bool:
        return (await demo.get(f"/v1/orders/{DROPPING}/{half}"))["state"]["status"] == "partial"

    async def waits() -> bool:
        return (await demo.get(f"/v1/orders/{DROPPING}/{stuck}"))["state"]["remains"] == 120

    assert await until(ended)
    assert await until(waits)
    explained = await demo.get(f"/v1/rules/explain?panel={DROPPING}&order={stuck}")
    told = {row["rule"]: row["detail"] for row in explained["decisions"]}
    assert "order.idle" in told["cancel what has stalled"]


async def test_a_drop_is_refilled_and_too_many_are_held(demo: Demo):
    line = await demo.do(Incident.DROP)
    panel, order = re.findall(r"(\w+): order (\d+)", line)[0]

    async def refilled() -> bool:
        return bool((await demo.get(f"/v1/orders/{panel}/{order}"))["state"]["refills"])

    assert await until(refilled)
    assert f"{MASS} orders" in await demo.do(Incident.MASS_DROP)
    assert DROPPING in await until(demo.held)
    assert "Rule paused" in await demo.get("/")

    async def released() -> bool:
        return not await demo.held()

    assert await until(released)

    async def done() -> bool:
        tasks = (await demo.get(f"/v1/orders/{panel}/{order}"))["refills"]
        return bool(tasks[0]["status"] == "completed")

    assert await until(done)
    await demo.do(Incident.DROP, 1)  # measures the refilled ones again
    whole = (await demo.get(f"/v1/orders/{panel}/{order}"))["state"]
    assert whole["count"] == whole["start_count"] + whole["quantity"]


async def test_one_action_is_left_to_a_person(demo: Demo):
    assert "you decide" in await demo.do(Incident.UNRESOLVED)

    async def unresolved() -> list[Any]:
        found: list[Any] = (await demo.get("/v1/actions?state=unresolved"))["actions"]
        return found

    (action,) = await until(unresolved)
    assert action["panel"] == FORGETFUL
    assert await demo.do(Incident.UNRESOLVED, 1) == "", "one at a time"
    url = f"/v1/actions/{action['id']}/resolve"
    async with demo.running.session.post(url, json={"state": "accepted"}) as answer:
        assert answer.status == 200
    assert "you decide" in await demo.do(Incident.UNRESOLVED, 2)


async def test_money_prices_and_services_change(demo: Demo):
    async def low() -> bool:
        return float((await demo.panel(SHORT_OF_MONEY))["balance"]) < 25

    async def dearer() -> bool:
        return (await demo.service(RISING_SERVICE) or {}).get("rate") == "0.990"

    async def gone() -> bool:
        found = await demo.service(LEAVING_SERVICE)
        return found is None or found.get("gone_at") is not None

    await demo.do(Incident.BULK_ORDER)
    await demo.do(Incident.PRICE)
    await demo.do(Incident.UNLIST)
    assert await until(low)
    assert "Balance low" in await demo.get("/")
    await demo.do(Incident.TOP_UP)
    assert await until(dearer)
    assert await until(gone)
    await demo.do(Incident.RELIST)

    async def well() -> bool:
        return not await low() and not await gone()

    assert await until(well)


async def test_a_panel_goes_down_and_comes_back(demo: Demo):
    await demo.do(Incident.TRACK, 1)
    await demo.do(Incident.DOWN)

    async def down() -> bool:
        return (await demo.panel(UNSTEADY))["state"] == "down"

    async def up() -> bool:
        return (await demo.panel(UNSTEADY))["state"] == "up"

    assert await until(down)
    assert "Panel down" in await demo.get("/")
    await demo.do(Incident.UP)
    assert await until(up)


# The process


def command(port: int, *args: str) -> list[str]:
    return [sys.executable, "-W", "error", "-m", "watcher", "demo", "--port", str(port), *args]


def test_in_a_pipe_it_logs_and_ends_at_once(tmp_path: Path):
    port, env = free_port(), {**os.environ, "TMPDIR": str(tmp_path)}
    with subprocess.Popen(
        command(port), cwd=ROOT, env=env, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
    ) as process:
        assert process.stdout is not None
        told = [process.stdout.readline()]
        while "Ctrl-C" not in told[-1]:
            told.append(process.stdout.readline())
        assert f"  status page   http://127.0.0.1:{port}/\n" in told
        with urlopen(f"http://127.0.0.1:{port}/", timeout=10) as page:
            assert page.status == 200
        began = time.monotonic()
        process.send_signal(signal.SIGINT)
        out, log = process.communicate(timeout=60)
        assert time.monotonic() - began < ENDS_WITHIN
    assert process.returncode == 0
    assert out.endswith("Stopping …\nStopped. The demo's database is gone.\n")
    assert "\x1b" not in "".join(told) + out
    assert "daemon.started" in {json.loads(line)["event"] for line in log.splitlines()}
    assert list(tmp_path.iterdir()) == []


def test_it_ends_at_once_while_it_starts(tmp_path: Path):
    env = {**os.environ, "TMPDIR": str(tmp_path)}
    with subprocess.Popen(
        command(free_port()), cwd=ROOT, env=env, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL
    ) as process:
        while not list(tmp_path.glob("*/watcher.db")):
            assert process.poll() is None
            time.sleep(0.01)
        began = time.monotonic()
        process.send_signal(signal.SIGHUP)  # as from a terminal that is closed
        assert process.wait(60) == 0
        assert time.monotonic() - began < ENDS_WITHIN
    assert list(tmp_path.iterdir()) == []


class Window:
    """The demo in a terminal of 80 columns and 24 lines."""

    def __init__(self, directory: Path, *args: str) -> None:
        self.port = free_port()
        self._master, slave = pty.openpty()
        fcntl.ioctl(slave, termios.TIOCSWINSZ, struct.pack("HHHH", 24, 80, 0, 0))
        env = {**os.environ, "TMPDIR": str(directory), "TERM": "xterm", "COLUMNS": "", "LINES": ""}
        self.process = subprocess.Popen(
            command(self.port, *args), cwd=ROOT, env=env,
            stdin=slave, stdout=slave, stderr=slave, start_new_session=True,
            preexec_fn=lambda: fcntl.ioctl(0, termios.TIOCSCTTY, 0),  # so that ^C is a signal
        )  # fmt: skip
        os.close(slave)

    def read(self, seconds: float, until: str | None = None) -> str:
        """What arrives within the seconds, or before that up to a text."""
        told, ends_at = "", time.monotonic() + seconds
        while time.monotonic() < ends_at and (until is None or until not in told):
            if select.select([self._master], [], [], 0.1)[0]:
                try:
                    told += os.read(self._master, 1 << 16).decode(errors="replace")
                except OSError:  # it has ended
                    break
        return told

    def interrupt(self) -> str:
        os.write(self._master, b"\x03")
        told = self.read(ENDS_WITHIN)
        self.process.wait(ENDS_WITHIN)
        os.close(self._master)
        return told

    def close(self) -> None:
        with suppress(ProcessLookupError):
            self.process.kill()
        self.process.wait()


@pytest.fixture
def window(tmp_path: Path, request: pytest.FixtureRequest) -> Any:
    opened = Window(tmp_path, *getattr(request, "param", ()))
    yield opened
    opened.close()


def test_on_a_terminal_one_screen_stays(window: Window, tmp_path: Path):
    told = window.read(60.0, "customer ordered")
    assert "\x1b[?1049h" in told, "the other screen"
    assert f"http://127.0.0.1:{window.port}/" in told
    seconds = 4.0
    later = window.read(seconds)
    assert 0 < len(later) < seconds * FLOOD
    assert '"event"' not in told + later
    ended = window.interrupt()
    assert window.process.returncode == 0
    assert "\x1b[?1049l" in ended, "back to what was there"
    assert ended.rstrip().endswith("Stopped. The demo's database is gone.")
    assert list(tmp_path.iterdir()) == []
    with pytest.raises(ProcessLookupError):  # its session is empty
        os.killpg(window.process.pid, 0)


@pytest.mark.parametrize("window", [("--log",)], indirect=True)
def test_on_a_terminal_the_log_where_it_is_wanted(window: Window):
    told = window.read(60.0, "action.accepted")
    assert "daemon.started" in told
    assert "status page" in told
    assert "\x1b[?1049h" not in told
    window.interrupt()
    assert window.process.returncode == 0


def test_a_port_that_is_taken():
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        port = taken.getsockname()[1]
        done = subprocess.run(
            command(port), cwd=ROOT, capture_output=True, text=True, timeout=60, check=False
        )
    assert done.returncode == 1
    assert "--port" in done.stderr
    assert "Traceback" not in done.stderr
