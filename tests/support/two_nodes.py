"""Two daemons that take each other for nodes of a cluster: each leads one of two panels.

Each has a database of its own: what arrives in one is what was passed on to it. No lease is renewed
here; the real thing is tested with a PostgreSQL.
"""

from collections.abc import AsyncIterator, Mapping
from contextlib import AsyncExitStack, asynccontextmanager
from pathlib import Path
from typing import Any

import aiohttp
import msgspec

from tests.support.house import House, a_house
from watcher.config import ClusterConfig, Secret
from watcher.daemon.leadership import Leader

TOKEN = "the-token-of-a-cluster-of-two"
LED = {"a": "standard", "b": "smmgenie"}  # node -> its panel
LEASE = 10.0


class Pair:
    """The nodes, by name."""

    def __init__(self, houses: Mapping[str, House]) -> None:
        self.houses = houses
        self.urls = {name: f"http://127.0.0.1:{h.daemon.port}" for name, h in houses.items()}
        for name, house in houses.items():
            _make_node(house, name, self.urls[name])
        self.let_lead(LED)

    def let_lead(self, led: Mapping[str, str], *, only: str | None = None) -> None:
        """Have both nodes, or `only` one, believe that these lead (node -> panel)."""
        leaders = {panel: Leader(node, self.urls[node], 1000.0) for node, panel in led.items()}
        for name, house in self.houses.items():
            if only in (None, name):
                house.daemon.leadership._leaders = leaders

    async def ask(self, node: str, method: str, path: str, **more: Any) -> "Reply":
        """One request to a node."""
        async with (
            aiohttp.ClientSession(self.urls[node]) as session,
            session.request(method, path, allow_redirects=False, **more) as answer,
        ):
            return Reply(answer.status, dict(answer.headers), await answer.read())


class Reply(msgspec.Struct):
    """A node's answer."""

    status: int
    headers: dict[str, str]
    body: bytes

    @property
    def json(self) -> Any:
        return msgspec.json.decode(self.body)


def _make_node(house: House, name: str, url: str) -> None:
    cluster = ClusterConfig(name=name, url=url, lease=LEASE, token=Secret(TOKEN))
    active = house.daemon.config
    active.current = msgspec.structs.replace(active.current, cluster=cluster)
    leadership = house.daemon.leadership
    leadership.name, leadership.is_clustered = name, True
    trust(house, True)
    leadership._nodes = ()


def trust(house: House, trusted: bool) -> None:
    """Whether the node has a lease."""
    house.daemon.leadership._trusted_until = float("inf") if trusted else 0.0


@asynccontextmanager
async def two_nodes(tmp_path: Path, **options: Any) -> AsyncIterator[Pair]:
    """Nodes a and b, of which each leads the panel that LED names."""
    async with AsyncExitStack() as stack:
        houses = {}
        for name in LED:
            path = tmp_path / name
            path.mkdir()
            entered = a_house(path, profiles=LED.values(), **options)
            houses[name] = await stack.enter_async_context(entered)
        yield Pair(houses)
