"""Three real watchers on one real PostgreSQL, with a proxy on each way between them.

Each node reaches the database, each panel and the other nodes by proxies of its own, so that any of
these ways can be cut or frozen for it alone.
"""

import asyncio
import contextlib
import json
import random
import signal
from collections.abc import AsyncIterator, Iterable, Iterator
from contextlib import asynccontextmanager, contextmanager
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import aiohttp
import psycopg

from tests.acceptance.harness.watched import a_panel, rules
from tests.support.database import rows
from tests.support.postgres import Server
from tests.support.process import DaemonProcess
from tests.support.proxy import Proxy, to_port, to_socket
from tests.support.receiver import SECRET, Receiver, a_receiver
from watcher.simulator import SimulatedPanel
from watcher.store.postgres_lock import LOCKS, WRITER

NAMES = ("a", "b", "c")
PANELS = ("smmxz", "smmgenie", "cheapsmmbd")
TOKEN = "a-token-that-all-nodes-of-the-tests-know"
LEASE = 3.0  # seconds
TIMEOUT = 2.0  # of a request at a panel
TAKEN_OVER_WITHIN = 15.0  # seconds after a lease has ended; much more than it takes
_PATIENCE = 4.0  # seconds that a caller waits for an answer
FUSED = "tests.acceptance.harness.mortal"
_EVENTS = '[[events]]\nname = "shop"\nsecret_env = "SECRET"\n'
_LEADERS = """
SELECT leaders.name, leaders.node FROM leaders
JOIN nodes ON nodes.name = leaders.node AND nodes.epoch = leaders.epoch
WHERE nodes.until > extract(epoch FROM clock_timestamp())
"""
_GAVE_UP = (aiohttp.ClientError, TimeoutError, ConnectionError)


class Node:
    """One watcher and its ways."""

    def __init__(self, name: str, cluster: "Cluster", extra: str = "") -> None:
        self.name = name
        self.directory = cluster.directory / name
        self.directory.mkdir(exist_ok=True)
        self.is_stopped = False
        server = cluster.server
        self.to_database = Proxy(to_socket(f"{server.home}/.s.PGSQL.{server.port}"))
        self.to_here = Proxy(lambda: to_port(self.daemon.port)())
        self.to_panels = {
            panel: Proxy(to_port(int(its.url.rsplit(":")[2].split("/")[0])))
            for panel, its in cluster.panels.items()
        }
        self._cluster, self._extra = cluster, extra
        self.daemon: DaemonProcess

    async def open(self) -> None:
        """Open its ways, and write its configuration."""
        for proxy in self.ways():
            await proxy.start()
        token = self.directory / "cluster.token"
        token.write_text(TOKEN)
        token.chmod(0o600)
        database = f"postgresql://postgres@127.0.0.1:{self.to_database.port}/{self._cluster.name}"
        url = f"http://127.0.0.1:{self.to_here.port}"
        daemon = (
            f'database = "{database}"\nstop_timeout = "10s"\n'
            f'\n[cluster]\nname = "{self.name}"\nurl = "{url}"\nlease = "{LEASE:.0f}s"\n'
            f'token_file = "{token}"\n'
        )
        panels: Any = {
            name: SimpleNamespace(
                profile=panel.profile, url=f"http://127.0.0.1:{self.to_panels[name].port}/api/v2"
            )
            for name, panel in self._cluster.panels.items()
        }
        defaults = (
            'requests_per_minute = 1200\ncheck_within = "2s"\nidle_every = "1s"\n'
            f'timeout = "{TIMEOUT:.0f}s"\n'
        )
        self.daemon = DaemonProcess(
            self.directory,
            panels,
            defaults=defaults,
            rules=rules(idle="3s") + _EVENTS + self._extra,
            daemon=daemon,
            database=self._cluster.location,
            env={"SHOP_URL": self._cluster.receiver.url, "SECRET": SECRET},
        )

    async def close(self) -> None:
        await self.resume()
        with contextlib.suppress(ProcessLookupError, TimeoutError):
            await self.daemon.stop()
        if self.is_alive:
            await self.daemon.kill()
        for proxy in self.ways():
            await proxy.close()

    def ways(self) -> list[Proxy]:
        return [self.to_database, self.to_here, *self.to_panels.values()]

    @property
    def is_alive(self) -> bool:
        process = self.daemon.process
        return process is not None and process.returncode is None

    async def start(self, *, ready: bool = False) -> None:
        orders = self.directory / "orders"
        orders.unlink(missing_ok=True)
        await self.daemon.start(ready=ready, program=(FUSED, "orders", str(orders)))

    async def kill(self) -> None:
        await self.resume()
        if self.is_alive:
            await self.daemon.kill()

    async def readiness(self) -> str:
        """What it says about itself."""
        url = f"http://127.0.0.1:{self.daemon.port}/readyz"
        try:
            async with (
                asyncio.timeout(_PATIENCE),
                aiohttp.ClientSession() as session,
                session.get(url) as answer,
            ):
                return f"{self.name}: {' '.join((await answer.text()).split())}"
        except _GAVE_UP as error:
            return f"{self.name}: {error!r}"

    def stop(self) -> None:
        """SIGSTOP: it stands still where it is."""
        if self.is_alive:
            self.daemon.send(signal.SIGSTOP)
            self.is_stopped = True

    async def resume(self) -> None:
        """SIGCONT, also where it has stopped itself."""
        if self.is_alive:
            with contextlib.suppress(ProcessLookupError):
                self.daemon.send(signal.SIGCONT)
        self.is_stopped = False

    def arm(self, operation: str, moment: str, *, signal: str, passes: int = 0) -> None:
        """Let it stop or end itself when it comes to that point."""
        self._order(operation=operation, moment=moment, passes=passes, signal=signal)

    def disarm(self) -> None:
        """Let it go on for good: it may have read what it was told, and not come to the point."""
        self._order()

    def _order(self, **told: object) -> None:
        made = self.directory / "orders.new"
        made.write_text(json.dumps(told))
        made.rename(self.directory / "orders")

    async def has_blown(self, within: float) -> bool:
        """Whether it comes to the point in so many seconds."""
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(within):
                while self.is_alive and not self._stands_still():
                    await asyncio.sleep(0.02)
        self.is_stopped = self.is_alive and self._stands_still()
        return self.is_stopped or not self.is_alive

    def _stands_still(self) -> bool:
        assert self.daemon.process is not None
        try:
            status = Path(f"/proc/{self.daemon.process.pid}/stat").read_text()
        except (FileNotFoundError, ProcessLookupError):  # it has ended; the loop hears of it soon
            return False
        return status.rsplit(")", 1)[1].split()[0] == "T"


class Cluster:
    """The database, the panels, the nodes, and what callers were told."""

    def __init__(
        self, directory: Path, server: Server, panels: dict[str, SimulatedPanel], receiver: Receiver
    ) -> None:
        self.directory, self.server, self.panels = directory, server, panels
        self.receiver = receiver
        self.name = server.create()
        self.location = server.url(self.name, directory)
        self.tracked: dict[str, set[int]] = {name: set() for name in panels}
        self.nodes: dict[str, Node] = {}
        self.complaints: list[str] = []

    def rows(self, query: str) -> list[tuple[Any, ...]]:
        return rows(self.location, query)

    async def find(self, query: str) -> list[tuple[Any, ...]]:
        """The rows; the loop goes on, which thaws a server that is frozen."""
        return await asyncio.to_thread(self.rows, query)

    async def add(self, name: str, extra: str = "") -> Node:
        """One more node, which is not started."""
        node = self.nodes[name] = Node(name, self, extra)
        await node.open()
        return node

    def alive(self) -> list[Node]:
        return [node for node in self.nodes.values() if node.is_alive and not node.is_stopped]

    async def leaders(self) -> dict[str, str]:
        """Which node leads each panel and duty, by the database's clock."""
        try:
            return dict(await self.find(_LEADERS))
        except psycopg.errors.UndefinedTable:  # the first node makes them
            return {}

    async def leader(self, panel: str) -> Node | None:
        name = (await self.leaders()).get(panel)
        return self.nodes.get(name) if name else None

    async def until_led(self, within: float = TAKEN_OVER_WITHIN, among: Iterable[str] = ()) -> None:
        """Until every panel is led, by one of these nodes if there are any."""
        wanted = set(among)
        async with asyncio.timeout(within):
            while True:
                leaders = await self.leaders()
                led = [leaders.get(panel) for panel in self.panels]
                if all(node and (not wanted or node in wanted) for node in led):
                    return
                await asyncio.sleep(0.1)

    def asked(self) -> dict[str, int]:
        """How many requests for statuses each panel has had."""
        return {name: len(its.journal.requests("status")) for name, its in self.panels.items()}

    async def until_asked(self, before: dict[str, int], within: float = TAKEN_OVER_WITHIN) -> None:
        """Until each of these panels has had more requests for statuses than before."""
        async with asyncio.timeout(within):
            while any(self.asked()[name] == count for name, count in before.items()):
                await asyncio.sleep(0.05)

    async def call(
        self, method: str, path: str, body: Any = None, *, chance: random.Random, **more: Any
    ) -> tuple[int, Any]:
        """Ask any node; where it can't answer now, another. 0: none could."""
        nodes = self.alive()
        chance.shuffle(nodes)
        said: tuple[int, Any] = (0, None)
        for node in nodes:
            url = f"http://127.0.0.1:{node.daemon.port}"
            try:
                async with (
                    asyncio.timeout(_PATIENCE),
                    aiohttp.ClientSession(url) as session,
                    session.request(method, path, json=body, **more) as answer,
                ):
                    said = answer.status, await answer.json()
            except _GAVE_UP:
                if method != "GET":  # it may have been done
                    return 0, None
                continue
            if said[0] < 500:
                return said
        return said

    @contextmanager
    def nobody_writes(self) -> Iterator[None]:
        """Whoever looks sees a moment of the database, not what changes while it looks."""
        with psycopg.connect(self.location.text, autocommit=True) as connection:
            connection.execute(f"SELECT pg_advisory_lock({LOCKS}, {WRITER})")
            yield


@asynccontextmanager
async def a_cluster(
    directory: Path, seed: int, *, names: Iterable[str] = NAMES, options: Any = None
) -> AsyncIterator[Cluster]:
    """A cluster that leads every panel; gone afterwards."""
    directory.mkdir(exist_ok=True)
    server = Server()
    server.start(**(options or {}))
    panels = {name: a_panel(name, seed) for name in PANELS}
    async with a_receiver() as receiver, contextlib.AsyncExitStack() as opened:
        opened.callback(server.remove)
        for panel in panels.values():
            await panel.start()
            opened.push_async_callback(panel.stop)
        cluster = Cluster(directory, server, panels, receiver)
        for name in names:
            node = await cluster.add(name)
            opened.push_async_callback(node.close)
        for node in cluster.nodes.values():
            await node.start()
        for node in cluster.nodes.values():
            await node.daemon.wait_ready(180.0)
        await cluster.until_led(180.0)
        yield cluster
