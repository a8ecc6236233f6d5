"""A shop that knows only `GET /v1/changes` and its own numbers stays in step with its panels.

The daemon is killed, a backup is restored and orders are archived meanwhile.
"""

import asyncio
import gzip
import json
import sys
from collections import defaultdict
from collections.abc import AsyncIterator, Iterable
from contextlib import asynccontextmanager
from datetime import datetime
from pathlib import Path
from typing import Any

import aiohttp

from tests.support.house import KEY
from tests.support.process import ROOT, DaemonProcess
from watcher.panels.profiles import shipped
from watcher.panels.protocol import status_of
from watcher.simulator import Fate, SimulatedPanel
from watcher.simulator.fate import Ending
from watcher.web.views import moment

PANELS = ("standard", "smmxz")
EACH = 2500  # orders of a panel in each of two waves
QUICK = """
requests_per_minute = 600
idle_every = "1s"
check_within = "5s"
guard_for = "1s"
"""
FATES = (
    Fate(pending=1.0, per_minute=3000.0),
    Fate(pending=4.0, per_minute=1000.0),
    Fate(pending=2.0, per_minute=1500.0, ending=Ending.PARTIAL),
    Fate(pending=3.0, per_minute=1500.0, ending=Ending.CANCELED),
    Fate(pending=6.0, per_minute=2000.0),
)


class Shop:
    """The script: it keeps a cursor, and what it was told of each of its numbers."""

    def __init__(self, daemon: DaemonProcess) -> None:
        self.daemon = daemon
        self.cursor: str | None = None
        self.told: defaultdict[str, list[str]] = defaultdict(list)
        self.states: dict[str, dict[str, Any]] = {}
        self.more = False  # changes that it has not been told yet

    async def run(self) -> None:
        async with aiohttp.ClientSession() as session:
            while True:
                try:
                    await self.fetch(session)
                except aiohttp.ClientError:
                    await asyncio.sleep(0.05)

    async def fetch(self, session: aiohttp.ClientSession) -> None:
        url = f"http://127.0.0.1:{self.daemon.port}/v1/changes"
        query = {"wait": "5", "limit": "500", **({"after": self.cursor} if self.cursor else {})}
        async with session.get(url, params=query) as answer:
            body = await answer.json()
            assert answer.status == 200, body
        for change in body["changes"]:
            at = datetime.fromisoformat(change["at"])
            self.told[change["reference"]].append(known_by(at, change["changes"]))
            self.states[change["reference"]] = change["state"]
        self.cursor, self.more = body["cursor"], body["more"]

    async def until_over(self, numbers: Iterable[str]) -> None:
        """Wait until it was told that these orders are closed, and each change before that."""
        left = set(numbers)
        async with asyncio.timeout(300.0):
            while self.more or (
                left := {n for n in left if self.states.get(n, {}).get("phase") != "closed"}
            ):
                await asyncio.sleep(0.1)


def known_by(at: datetime, changes: dict[str, Any]) -> str:
    """By which a change is known again."""
    return json.dumps([at.isoformat(), changes])


@asynccontextmanager
async def following(shop: Shop) -> AsyncIterator[None]:
    async with asyncio.TaskGroup() as group:  # what fails there ends the test at once
        task = group.create_task(shop.run())
        try:
            yield
        finally:
            task.cancel()


async def place(daemon: DaemonProcess, panels: dict[str, SimulatedPanel], wave: int) -> list[str]:
    """Orders at every panel, tracked with the shop's numbers."""
    orders = []
    for name, panel in panels.items():
        ids = [
            order
            for fate in FATES
            for order in panel.world.seed_orders(
                EACH // len(FATES), panel.now(), quantity=100, fate=fate
            )
        ]
        orders += [
            {"panel": name, "order": order, "reference": f"{wave}-{name}-{order}"} for order in ids
        ]
    await daemon.call("POST", "/v1/orders", json={"orders": orders})
    return [order["reference"] for order in orders]


async def restored(daemon: DaemonProcess, file: Path) -> None:
    command = ("-m", "watcher", "restore", str(file), "--config", str(daemon.config))
    process = await asyncio.create_subprocess_exec(
        *(sys.executable, *command),
        cwd=ROOT,
        env={"TEST_KEY": KEY},
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.STDOUT,
    )
    said, _ = await process.communicate()
    assert process.returncode == 0, said


async def backed_up(daemon: DaemonProcess, file: Path) -> None:
    url = f"http://127.0.0.1:{daemon.port}/v1/backup"
    async with aiohttp.ClientSession() as session, session.get(url) as answer:
        file.write_bytes(await answer.read())


async def histories(daemon: DaemonProcess, directory: Path) -> dict[str, list[str]]:
    """Each number's changes, oldest first, as the database and the archive have them."""
    found: defaultdict[str, list[str]] = defaultdict(list)
    rows = daemon.rows(
        "SELECT reference, at, changes FROM history JOIN orders USING (key) ORDER BY id"
    )
    for reference, at, changes in rows:
        found[reference].append(known_by(moment(at), json.loads(changes)))
    for file in (directory / "archive").glob("*.gz"):
        for line in gzip.decompress(file.read_bytes()).splitlines():
            order = json.loads(line)
            for change in order["history"]:
                told = known_by(moment(change["at"]), change["changes"])
                found[order["reference"]].append(told)
    return found


async def test_a_shop_stays_in_step_through_kills_a_restore_and_the_archive(
    tmp_path: Path,
) -> None:
    panels = {}
    for name in PANELS:
        panels[name] = SimulatedPanel(shipped()[name], key=KEY)
        await panels[name].start()
    daemon = DaemonProcess(tmp_path, panels, defaults=QUICK)
    shop = Shop(daemon)
    try:
        await daemon.start()
        async with following(shop):
            first = await place(daemon, panels, 1)
            for pause in (1.0, 2.0):
                await asyncio.sleep(pause)
                await daemon.kill()
                await daemon.start()
            await backed_up(daemon, tmp_path / "copy.db")
            await asyncio.sleep(2.0)  # what is recorded now is lost
            await daemon.kill()
            await restored(daemon, tmp_path / "copy.db")
            await daemon.start()
            await shop.until_over(first)
            await daemon.stop()
            kept = daemon.config.read_text()
            daemon.config.write_text(kept.replace("[daemon]", '[daemon]\nretain_for = "1s"'))
            await daemon.start()
            async with asyncio.timeout(300.0):
                while daemon.rows("SELECT count(*) FROM orders") != [(0,)]:
                    await asyncio.sleep(0.1)
            await daemon.kill()
            daemon.config.write_text(kept)
            await daemon.start()
            second = await place(daemon, panels, 2)
            await asyncio.sleep(2.0)
            await daemon.kill()
            await daemon.start()
            await shop.until_over(second)
        for reference, on_record in (await histories(daemon, tmp_path)).items():
            in_step(shop.told[reference], on_record)
        assert len(shop.states) == len(first) + len(second) == 10_000
        for reference, state in shop.states.items():
            panel = panels[state["panel"]]
            row = panel.world.status(int(state["order"]), panel.now())
            assert status_of(str(row.status)) == state["status"], reference
    finally:
        await daemon.stop()
        for panel in panels.values():
            await panel.stop()


def in_step(told: list[str], on_record: list[str]) -> None:
    """Check that all on record was told, and that no change came before an earlier one."""
    firsts = [told.index(change) for change in on_record]  # ValueError for one that was missed
    lasts = [len(told) - told[::-1].index(change) for change in on_record]
    assert firsts == sorted(firsts)
    assert lasts == sorted(lasts)
