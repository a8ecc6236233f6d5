"""The real daemon process, its panels, a client, and what the oracle sees after each blow."""

import asyncio
import contextlib
import json
import random
from collections import Counter
from pathlib import Path
from typing import Any

import aiohttp
import msgspec

from tests.support.audit import left_sending, violations
from tests.support.house import KEY
from tests.support.moments import Moment, gone_since, remember
from tests.support.outcome import not_asked, other_orders
from tests.support.process import DaemonProcess
from tests.support.secrets import repeated
from watcher.panels.profiles import shipped
from watcher.simulator import Habits, SimulatedPanel, World
from watcher.simulator.catalog import PRICE_LIST
from watcher.simulator.journal import Journal, JournalEntry

SPEED = 60.0  # of the panels' time against the clock
ORDERS = 300  # a panel
PROFILES = (("smmxz",), ("smmxz", "standard"), ("smmxz", "smmgenie"))
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
_OUT_OF_HANDLES = "socket.accept() out of system resource"
LONGEST = 60.0  # seconds for two rounds of 2 s each, on a machine that does much else
DEFAULTS = "requests_per_minute = 3000\ncheck_within = '2s'\ntimeout = '1s'\n"
# Orders go on ending for all of a scenario, so that there are always some to act on.
HABITS = Habits(
    pending=(0.0, 1200.0),
    processing=(0.0, 60.0),
    per_minute=(5.0, 1000.0),
    linger=(0.0, 60.0),
    stalled=0.3,
    refill_takes=(60.0, 900.0),
    cancel_takes=(60.0, 900.0),
)


class Bell(Journal):
    """A journal that rings when a request of a kind arrives."""

    def __init__(self) -> None:
        super().__init__()
        self.waited_for = ""
        self.rung = asyncio.Event()

    def arrived(self, time: float, parameters: Any) -> JournalEntry:
        entry = super().arrived(time, parameters)
        if entry.action == self.waited_for:
            self.rung.set()
        return entry


class Siege:
    """A daemon, from outside."""

    def __init__(self, seed: int, directory: Path) -> None:
        self.found: list[str] = []
        self.seen: Counter[str] = Counter()
        self.chance = random.Random(f"siege {seed}")
        names = self.chance.choice(PROFILES)
        self.panels = {name: self._panel(name, seed) for name in names}
        self._seed = seed
        self._tracked: dict[str, set[int]] = {name: set() for name in names}
        self._keys: dict[str, tuple[str, str]] = {}
        self._directory = directory
        self._daemon: DaemonProcess | None = None
        self._read = 0  # lines of the log

    @property
    def daemon(self) -> DaemonProcess:
        assert self._daemon is not None
        return self._daemon

    @property
    def pid(self) -> int:
        assert self.daemon.process is not None
        return self.daemon.process.pid

    async def begin(self) -> None:
        """Panels, a daemon, and orders that it tracks."""
        for panel in self.panels.values():
            await panel.start()
        self._daemon = DaemonProcess(self._directory, self.panels, defaults=DEFAULTS, rules=RULES)
        await self.daemon.start()
        for name in self.panels:
            await self._track(name, ORDERS)

    async def end(self) -> None:
        """Whatever still runs goes."""
        if self._daemon is not None:
            await self._daemon.stop()
        for panel in self.panels.values():
            await panel.stop()

    # --- what goes on ---

    async def work(self, seconds: float, *, track: bool = False) -> None:
        """Let the daemon work, while a client submits, and tracks where that is wanted."""
        name = self.chance.choice(sorted(self.panels))
        tracking = [self._track(name, 20)] if track else []
        done = asyncio.gather(self._submit(), *tracking, return_exceptions=True)
        await asyncio.gather(done, asyncio.sleep(seconds))

    async def heard(self, action: str, seconds: float) -> bool:
        """Whether a request of this kind arrives within so many seconds; waits for it."""
        bells = [panel.journal for panel in self.panels.values() if isinstance(panel.journal, Bell)]
        for bell in bells:
            bell.waited_for, bell.rung = action, asyncio.Event()
        waits = [asyncio.create_task(bell.rung.wait()) for bell in bells]
        done, waiting = await asyncio.wait(
            waits, timeout=seconds, return_when=asyncio.FIRST_COMPLETED
        )
        for task in waiting:
            task.cancel()
        return bool(done)

    async def has_ended(self, seconds: float) -> bool:
        """Whether the daemon ends by itself within so many seconds; waits for it."""
        assert self.daemon.process is not None
        with contextlib.suppress(TimeoutError):
            await self.daemon.wait(seconds)
        return self.daemon.process.returncode is not None

    def calm(self) -> None:
        """Nothing is wrong with the panels any more."""
        for panel in self.panels.values():
            panel.switches.off()

    # --- life and death ---

    async def kill(self) -> None:
        """An end and a new beginning."""
        await self.die()
        await self.rise()

    async def die(self) -> None:
        """kill -9, unless it was faster."""
        self.seen["kills"] += 1
        with contextlib.suppress(ProcessLookupError):
            await self.daemon.kill()

    async def rise(self, before: Moment | None = None) -> None:
        """The oracle looks, then a daemon starts on what there is; `before` is what there was."""
        before = before or self.remember()
        self.look("after a blow")
        await self.daemon.start()
        self.found += gone_since(before, self.daemon)

    async def stop(self) -> None:
        """SIGTERM; what is under way is finished."""
        code = await self.daemon.stop()
        if code != 0:
            self.found.append(f"SIGTERM gave the exit code {code}")
        self.look("after a stop")
        self.found += left_sending(self.daemon)

    # --- what the oracle sees ---

    def remember(self) -> Moment:
        """What is on record."""
        return remember(self.daemon)

    def look(self, when: str) -> None:
        """Breaches of the invariants, now that the daemon is not running."""
        breaches = violations(self.daemon, self.panels, self._tracked, self._keys)
        self.found += [f"{when}: {breach}" for breach in breaches]
        said = self.daemon.text().splitlines()
        self.found += [
            f"{when}: in the log: {line}" for line in said[self._read :] if _is_bug(line)
        ]
        self._read = len(said)

    def overlook_refusal(self) -> None:
        """The last line in the log is how a start is refused that should be."""
        self._read = len(self.daemon.text().splitlines())

    async def finish(self) -> None:
        """Nothing is wrong until every open order was asked about; the end, and the last look.

        How long two rounds take depends on what else the machine does. They begin with a start:
        real pauses of panels that have failed take too long to wait for.
        """
        self.calm()
        await self.stop()
        await self.rise()
        await self._submit()
        since = {name: panel.now() for name, panel in self.panels.items()}
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(LONGEST):
                while any(not_asked(self.daemon, n, p, since[n]) for n, p in self.panels.items()):
                    await asyncio.sleep(0.5)
        await self.stop()
        for name, panel in self.panels.items():
            self.found += other_orders(self.daemon, name, panel, since[name], blur=SPEED)
        self.found += repeated(KEY, self._directory)
        self._count()

    def _count(self) -> None:
        rows = self.daemon.rows
        self.seen["orders"] = int(rows("SELECT count(*) FROM orders")[0][0])
        self.seen["changes on record"] = int(rows("SELECT count(*) FROM history")[0][0])
        self.seen["requests at panels"] = sum(len(p.journal) for p in self.panels.values())
        for kind, state, count in rows("SELECT kind, state, count(*) FROM actions GROUP BY 1, 2"):
            self.seen[f"{kind} {state}"] = int(count)

    # --- the client ---

    async def _track(self, name: str, count: int) -> None:
        """Orders placed elsewhere; what the API has confirmed must be there for ever."""
        panel = self.panels[name]
        ids = panel.world.seed_orders(count, panel.now(), services=[1], quantity=500)
        await self.daemon.track(name, ids, service=1, quantity=500)
        self._tracked[name].update(ids)

    async def _submit(self) -> None:
        """An impatient client, which asks twice with the same key."""
        key = f"key-{self._seed}-{len(self._keys)}"
        panel = self.chance.choice(sorted(self.panels))
        link = f"https://example.com/{self._seed}/{len(self._keys)}"
        self._keys[key] = (panel, link)
        body = {"panel": panel, "service": 3, "link": link, "quantity": 100}
        url = f"http://127.0.0.1:{self.daemon.port}/v1/submit"
        for _ in range(2):
            await _post(url, body, {"Idempotency-Key": key})

    def _panel(self, name: str, seed: int) -> SimulatedPanel:
        services = [msgspec.structs.replace(service, habits=HABITS) for service in PRICE_LIST]
        world = World(services, seed=seed, balance="100000")
        panel = SimulatedPanel(shipped()[name], key=KEY, speed=SPEED, world=world)
        panel.journal = Bell()
        return panel


def _is_bug(line: str) -> bool:
    """What is no event, and each with a traceback but asyncio's own."""
    try:
        event = json.loads(line)
    except ValueError:
        # A disk that is full may cut a line, and what comes next is written behind it.
        return not line.startswith("{")
    return "exception" in event and not event["event"].startswith(_OUT_OF_HANDLES)


async def _post(url: str, body: dict[str, Any], headers: dict[str, str]) -> None:
    with contextlib.suppress(aiohttp.ClientError, TimeoutError, ConnectionError):
        async with (
            asyncio.timeout(0.3),
            aiohttp.ClientSession() as session,
            session.post(url, json=body, headers=headers) as answer,
        ):
            await answer.read()
