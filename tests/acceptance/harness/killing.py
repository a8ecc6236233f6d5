"""Plays a scenario with the real daemon process: killed at drawn times and at chosen points.

1. The daemon watches panels whose time runs sixty times as fast as the clock.
2. Blows are drawn from the seed. After each that ends the daemon, the oracle looks at what is
   left, and a new one starts.
3. At the end the daemon stops as it is told to, and the oracle looks once more.
"""

import asyncio
import contextlib
import random
import resource
import signal
import sqlite3
import tempfile
import time
from collections import Counter
from pathlib import Path
from typing import Any

import aiohttp
import msgspec

from tests.acceptance.harness.verdict import Verdict
from tests.support.audit import left_sending, violations
from tests.support.house import KEY
from tests.support.moments import gone_since, remember
from tests.support.process import DaemonProcess
from watcher.panels.profiles import shipped
from watcher.simulator import Habits, SimulatedPanel, Trait, World
from watcher.simulator.catalog import PRICE_LIST
from watcher.simulator.journal import Entry, Journal

ORDERS = 300  # a panel
PROFILES = ("smmxz", "standard", "smmgenie")
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
DEFAULTS = "requests_per_minute = 3000\ncheck_within = '2s'\ntimeout = '1s'\n"
HABITS = Habits(
    pending=(0.0, 600.0),
    processing=(0.0, 60.0),
    per_minute=(20.0, 2000.0),
    linger=(0.0, 60.0),
    stalled=0.3,
    refill_takes=(60.0, 900.0),
    cancel_takes=(60.0, 900.0),
)
SPOILS = (
    Trait.CLOSE_AFTER,
    Trait.CLOSE_BEFORE,
    Trait.CUT_ANSWER,
    Trait.EMPTY_BODY,
    Trait.HTML_503,
    Trait.HTML_504_AFTER,
    Trait.STALL,
    Trait.RATE_LIMITED,
)
BLOWS = (
    "kill_at_any_time",
    "kill_at_any_time",
    "kill_at_a_refill",
    "kill_at_a_refill",
    "kill_at_a_cancel",
    "kill_at_a_submission",
    "kill_during_a_backup",
    "kill_during_a_reload",
    "kill_during_the_start",
    "kill_during_a_migration",
    "terminate_under_load",
    "few_file_handles",
    "disk_full",
    "locked_by_another",
    "spoilt_answers",
    "dates_to_wait_for",
)


class Bell(Journal):
    """A journal that rings when a request of a kind arrives."""

    def __init__(self) -> None:
        super().__init__()
        self.waited_for = ""
        self.rung = asyncio.Event()

    def arrived(self, time: float, parameters: Any) -> Entry:
        entry = super().arrived(time, parameters)
        if entry.action == self.waited_for:
            self.rung.set()
        return entry


def play_process(seed: int) -> Verdict:
    """Play the seed's scenario."""
    with tempfile.TemporaryDirectory() as directory:
        return asyncio.run(_play(seed, Path(directory)))


async def _play(seed: int, directory: Path) -> Verdict:
    siege = Siege(seed, directory)
    began = time.perf_counter()
    try:
        await siege.run()
    except (AssertionError, TimeoutError) as error:
        siege.found.append(f"the scenario ended early: {error!r}")
    finally:
        await siege.end()
    return Verdict(
        seed=seed,
        kind="process",
        violations=siege.found,
        injected=dict(siege.injected),
        seen=dict(siege.seen),
        seconds=time.perf_counter() - began,
    )


class Siege:
    """One scenario being played."""

    def __init__(self, seed: int, directory: Path) -> None:
        self.found: list[str] = []
        self.injected: Counter[str] = Counter()
        self.seen: Counter[str] = Counter()
        self._seed = seed
        self._chance = random.Random(f"siege {seed}")
        names = self._chance.sample(PROFILES, self._chance.choice([1, 2]))
        self._panels = {name: self._panel(name) for name in names}
        self._tracked: dict[str, set[int]] = {name: set() for name in names}
        self._keys: dict[str, tuple[str, str]] = {}
        self._directory = directory
        self._daemon: DaemonProcess | None = None

    @property
    def daemon(self) -> DaemonProcess:
        assert self._daemon is not None
        return self._daemon

    async def run(self) -> None:
        for panel in self._panels.values():
            await panel.start()
        self._daemon = DaemonProcess(self._directory, self._panels, defaults=DEFAULTS, rules=RULES)
        await self.daemon.start()
        for name, panel in self._panels.items():
            ids = panel.world.seed_orders(ORDERS, panel.now(), services=[1], quantity=500)
            await self.daemon.track(name, ids, service=1, quantity=500)
            self._tracked[name].update(ids)
        for blow in self._chance.choices(BLOWS, k=6):
            self.injected[blow] += 1
            await getattr(self, f"_{blow}")()
        await self._stop()

    async def end(self) -> None:
        if self._daemon is not None:
            await self._daemon.stop()
        for panel in self._panels.values():
            await panel.stop()

    # --- blows ---

    async def _kill_at_any_time(self) -> None:
        await self._work(self._chance.uniform(0.1, 1.5))
        await self._kill()

    async def _kill_at_a_refill(self) -> None:
        await self._kill_at("refill")

    async def _kill_at_a_cancel(self) -> None:
        await self._kill_at("cancel")

    async def _kill_at_a_submission(self) -> None:
        submitting = asyncio.create_task(self._submit())
        await self._kill_at("add")
        await submitting

    async def _kill_during_a_backup(self) -> None:
        url = f"http://127.0.0.1:{self.daemon.port}/v1/backup"
        fetching = asyncio.create_task(_fetch(url))
        await asyncio.sleep(self._chance.uniform(0.0, 0.08))
        await self._kill()
        await asyncio.gather(fetching, return_exceptions=True)

    async def _kill_during_a_reload(self) -> None:
        text = self.daemon.config.read_text()
        self.daemon.config.write_text(text.replace("'2s'", self._chance.choice(["'3s'", "'2s'"])))
        self.daemon.send(signal.SIGHUP)
        await asyncio.sleep(self._chance.uniform(0.0, 0.1))
        await self._kill()

    async def _kill_during_the_start(self) -> None:
        await self._die()
        for _ in range(3):
            await self.daemon.start(ready=False)
            await asyncio.sleep(self._chance.uniform(0.3, 2.0))
            await self._die()
        await self._rise()

    async def _kill_during_a_migration(self) -> None:
        """The migration of a new database: there is no older one that holds these orders."""
        fresh = self._directory / "fresh"
        fresh.mkdir(exist_ok=True)
        other = DaemonProcess(fresh, self._panels)
        for _ in range(3):
            await other.start(ready=False)
            await asyncio.sleep(self._chance.uniform(0.5, 1.5))
            await other.kill()
        await other.start()
        if await other.stop() != 0:
            self.found.append("a database that was cut off in its migration can't be opened")

    async def _terminate_under_load(self) -> None:
        await self._work(0.5)
        await self._stop()
        await self._rise()

    async def _few_file_handles(self) -> None:
        """As many as are open: every new connection is refused by the system."""
        open_now = len(list(Path(f"/proc/{self._pid()}/fd").iterdir()))
        await self._limited(resource.RLIMIT_NOFILE, open_now)

    async def _disk_full(self) -> None:
        await self._limited(resource.RLIMIT_FSIZE, 16384)

    async def _locked_by_another(self) -> None:
        with contextlib.closing(
            sqlite3.connect(self.daemon.database, isolation_level=None, timeout=20.0)
        ) as other:
            other.execute("BEGIN EXCLUSIVE")
            await self._work(2.0)
            other.execute("ROLLBACK")
        await self._work(1.0)

    async def _spoilt_answers(self) -> None:
        for panel in self._panels.values():
            panel.switches.on(self._chance.choice(SPOILS), every=3, amount=1.5)
        await self._work(2.5)
        await self._kill()
        for panel in self._panels.values():
            panel.switches.off()

    async def _dates_to_wait_for(self) -> None:
        for panel in self._panels.values():
            panel.switches.on(Trait.RETRY_AFTER_DATE)
            panel.switches.on(Trait.RATE_LIMITED, times=2, amount=1.0)
        await self._work(3.0)
        for panel in self._panels.values():
            panel.switches.off()

    # --- means ---

    async def _work(self, seconds: float) -> None:
        """Let the daemon work, while a client submits."""
        await asyncio.gather(self._submit(), asyncio.sleep(seconds))

    async def _submit(self) -> None:
        """An impatient client, which asks twice with the same key."""
        key = f"key-{self._seed}-{len(self._keys)}"
        panel = self._chance.choice(sorted(self._panels))
        link = f"https://example.com/{self._seed}/{len(self._keys)}"
        self._keys[key] = (panel, link)
        body = {"panel": panel, "service": 3, "link": link, "quantity": 100}
        url = f"http://127.0.0.1:{self.daemon.port}/v1/submit"
        for _ in range(2):
            await _post(url, body, {"Idempotency-Key": key})

    async def _kill_at(self, action: str) -> None:
        """Kill right when a request of this kind has arrived, or after a while without one."""
        bells = [panel.journal for panel in self._panels.values()]
        for bell in bells:
            assert isinstance(bell, Bell)
            bell.waited_for, bell.rung = action, asyncio.Event()
        waits = [asyncio.create_task(b.rung.wait()) for b in bells if isinstance(b, Bell)]
        await asyncio.wait(waits, timeout=3.0, return_when=asyncio.FIRST_COMPLETED)
        self.seen["killed at an arrival"] += any(w.done() for w in waits)
        for waiting in waits:
            waiting.cancel()
        await self._kill()

    async def _limited(self, limit: int, value: int) -> None:
        pid = self._pid()
        soft, hard = resource.prlimit(pid, limit)
        resource.prlimit(pid, limit, (value, hard))
        await self._work(2.0)
        if self.daemon.process is not None and self.daemon.process.returncode is not None:
            self.found.append(f"the daemon ended: {self.daemon.text()[-300:]}")
            await self._rise()
            return
        resource.prlimit(pid, limit, (soft, hard))
        await self._work(1.0)

    def _pid(self) -> int:
        assert self.daemon.process is not None
        return self.daemon.process.pid

    async def _kill(self) -> None:
        await self._die()
        await self._rise()

    async def _die(self) -> None:
        self.seen["kills"] += 1
        await self.daemon.kill()

    async def _rise(self) -> None:
        before = remember(self.daemon)
        self._look("after a blow")
        await self.daemon.start()
        self.found += gone_since(before, self.daemon)

    async def _stop(self) -> None:
        code = await self.daemon.stop()
        if code != 0:
            self.found.append(f"SIGTERM gave the exit code {code}")
        self._look("after a stop")
        self.found += left_sending(self.daemon)
        self._count()

    def _look(self, when: str) -> None:
        breaches = violations(self.daemon, self._panels, self._tracked, self._keys)
        self.found += [f"{when}: {breach}" for breach in breaches]
        if "Traceback" in self.daemon.text():
            self.found.append(f"{when}: a traceback in the log")

    def _count(self) -> None:
        rows = self.daemon.rows
        self.seen["orders"] = int(rows("SELECT count(*) FROM orders")[0][0])
        self.seen["changes on record"] = int(rows("SELECT count(*) FROM history")[0][0])
        self.seen["requests at panels"] = sum(len(p.journal) for p in self._panels.values())
        for kind, state, count in rows("SELECT kind, state, count(*) FROM actions GROUP BY 1, 2"):
            self.seen[f"{kind} {state}"] = int(count)

    def _panel(self, name: str) -> SimulatedPanel:
        services = [msgspec.structs.replace(service, habits=HABITS) for service in PRICE_LIST]
        world = World(services, seed=self._seed, balance="100000")
        panel = SimulatedPanel(shipped()[name], key=KEY, speed=60.0, world=world)
        panel.journal = Bell()
        return panel


async def _fetch(url: str) -> None:
    async with aiohttp.ClientSession() as session, session.get(url) as answer:
        await answer.read()


async def _post(url: str, body: dict[str, Any], headers: dict[str, str]) -> None:
    with contextlib.suppress(aiohttp.ClientError, TimeoutError, ConnectionError):
        async with (
            asyncio.timeout(0.3),
            aiohttp.ClientSession() as session,
            session.post(url, json=body, headers=headers) as answer,
        ):
            await answer.read()
