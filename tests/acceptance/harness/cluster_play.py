"""Plays scenarios on a cluster, one after the other, in real time.

1. Three nodes lead all panels; people track orders.
2. Troubles begin together, people act, the troubles end; a dead node is started again.
3. Every panel is led and asked, and the oracle looks: at the panels' journals, the database and
   what callers were told.
4. At the end all nodes stop; nothing is being sent, and every change was told in order.
"""

import asyncio
import contextlib
import json
import shutil
import signal
import sys
import tempfile
import time
from collections import Counter, defaultdict
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path
from typing import Any

from tests.acceptance.harness.cluster import PANELS, TAKEN_OVER_WITHIN, Cluster, a_cluster
from tests.acceptance.harness.cluster_people import People
from tests.acceptance.harness.cluster_scenario import ClusterScenario, Trouble, draw, name_of
from tests.acceptance.harness.verdict import Verdict, peak
from tests.support.audit import ids_of, left_sending, violations
from tests.support.database import CURRENT
from tests.support.moments import gone_since, remember

ORDERS = 40  # a panel, at the beginning
_COMES_TO_POINT_WITHIN = 5.0  # seconds
_SETTLED_WITHIN = 90.0  # seconds at most until everybody is back and all is asked again
_TOLD_WITHIN = 20.0  # seconds until every event has arrived


def play(seeds: Sequence[int]) -> list[Verdict]:
    """Play the seeds' scenarios on one cluster; stop at the first that is violated.

    Its nodes' logs are kept then.
    """
    CURRENT.engine = "postgresql"
    directory = Path(tempfile.mkdtemp(prefix="watcher-cluster-"))
    verdicts: list[Verdict] = []
    try:
        asyncio.run(_play(seeds, directory, verdicts))
    finally:
        if len(verdicts) == len(seeds) and not verdicts[-1].violations:
            shutil.rmtree(directory)
        else:
            sys.stderr.write(f"the nodes' logs are kept: {directory}\n")
    return verdicts


async def _play(seeds: Sequence[int], directory: Path, verdicts: list[Verdict]) -> None:
    async with a_cluster(directory, seeds[0]) as cluster:
        people = People(cluster, seeds[0])
        for panel in PANELS:
            await people.track(panel, ORDERS)
        for seed in seeds:
            began = time.perf_counter()
            performance = Performance(cluster, people, draw(seed))
            try:
                await performance.run()
                if seed == seeds[-1]:
                    performance.found += await at_the_end(cluster, people)
            except Exception as error:  # noqa: BLE001  the others are played all the same
                performance.found.append(f"the scenario ended early: {error!r}")
            verdicts.append(performance.verdict(time.perf_counter() - began))
            if performance.found:
                break


class Performance:
    """One scenario being played."""

    def __init__(self, cluster: Cluster, people: People, scenario: ClusterScenario) -> None:
        self.found: list[str] = []
        self._cluster, self._people, self._scenario = cluster, people, scenario
        self._injected: Counter[str] = Counter()
        self._seen: Counter[str] = Counter()

    async def run(self) -> None:
        before = remember(self._cluster)
        for panel in PANELS:
            await self._people.track(panel, 4)
        troubles = [asyncio.create_task(self._suffer(t)) for t in self._scenario.troubles]
        await self._act_until_over(troubles)
        await self._recover()
        self.found += look(self._cluster, self._people)
        self.found += gone_since(before, self._cluster, self._people.settled)

    def verdict(self, seconds: float) -> Verdict:
        self._seen.update(self._people.seen)
        self._people.seen.clear()
        rows = self._cluster.rows("SELECT kind, state, count(*) FROM actions GROUP BY 1, 2")
        self._seen.update({f"{kind} {state}": int(count) for kind, state, count in rows})
        return Verdict(
            seed=self._scenario.seed,
            kind="cluster",
            violations=self.found,
            injected=dict(self._injected),
            seen=dict(self._seen),
            seconds=seconds,
            peak_mib=peak(),
        )

    async def _act_until_over(self, troubles: Sequence[asyncio.Task[None]]) -> None:
        acts = iter(self._scenario.acts)
        over = asyncio.gather(*troubles)
        while not over.done():
            if what := next(acts, None):
                await self._people.act(what)
            elif self._scenario.settles:
                await self._people.settle()
            await asyncio.wait([over], timeout=0.3)
        await over

    async def _recover(self) -> None:
        """Who is dead is started again; then every panel is led and asked."""
        for node in self._cluster.nodes.values():
            if not node.is_alive:
                await node.start()
        began, before = time.monotonic(), self._cluster.asked()
        try:
            for node in self._cluster.nodes.values():
                await node.daemon.wait_ready(_SETTLED_WITHIN)
            await self._cluster.until_led(_SETTLED_WITHIN)
            before = self._cluster.asked()
            async with asyncio.timeout(_SETTLED_WITHIN):
                for panel in PANELS:
                    # Its leader may have a long pause after a cut, and all its orders may be over.
                    await self._people.retry(panel)
                    while not await self._people.track(panel, 2):
                        await asyncio.sleep(0.3)
            await self._cluster.until_asked(before, _SETTLED_WITHIN)
        except TimeoutError:
            leaders, asked = await self._cluster.leaders(), self._cluster.asked()
            self.found.append(f"not all is led and asked: {leaders}, {before}, {asked}")
            return
        self._seen["seconds until all was asked again"] += round(time.monotonic() - began)
        if self._scenario.settles:
            await self._people.settle()

    # --- troubles ---

    async def _suffer(self, trouble: Trouble) -> None:
        self._injected[name_of(trouble)] += 1
        kind, _, how = trouble.kind.rpartition("_")
        if kind in ("database", "panel", "node"):
            await self._part(trouble, kind, how)
        else:
            await getattr(self, f"_{trouble.kind}")(trouble)

    async def _killed(self, trouble: Trouble) -> None:
        node = self._cluster.nodes[trouble.node]
        led = [
            panel for panel, name in (await self._cluster.leaders()).items() if name == node.name
        ]
        await node.kill()
        await self._until_taken_over(led, node.name)
        await node.start()

    async def _until_taken_over(self, led: Iterable[str], from_node: str) -> None:
        """Until others lead what a dead node has led."""
        began, wanted = time.monotonic(), set(led)
        while wanted:
            leaders = await self._cluster.leaders()
            wanted -= {n for n in wanted if leaders.get(n) not in (None, from_node)}
            if time.monotonic() - began > TAKEN_OVER_WITHIN:
                self.found.append(f"{sorted(wanted)} of {from_node} are led by nobody")
                return
            await asyncio.sleep(0.05)
        self._seen["takeovers"] += 1
        milliseconds = round(1000 * (time.monotonic() - began))
        self._seen["milliseconds of all takeovers"] += milliseconds

    async def _stopped(self, trouble: Trouble) -> None:
        node = self._cluster.nodes[trouble.node]
        node.stop()
        await asyncio.sleep(trouble.seconds)
        await node.resume()

    async def _ended(self, trouble: Trouble) -> None:
        node = self._cluster.nodes[trouble.node]
        code = await node.daemon.stop()
        if code:
            self.found.append(f"{node.name} ended with {code}")
        await asyncio.sleep(1.0)
        await node.start()

    async def _at_point_stopped(self, trouble: Trouble) -> None:
        await self._at_point(trouble, "SIGSTOP")

    async def _at_point_killed(self, trouble: Trouble) -> None:
        await self._at_point(trouble, "SIGKILL")

    async def _at_point(self, trouble: Trouble, how: str) -> None:
        node = await self._cluster.leader(trouble.panel)
        if node is None or node.is_stopped or not node.is_alive:
            return
        node.arm(trouble.operation, trouble.moment, signal=how)
        kind = "refill" if trouble.operation in ("claim", "settle") else trouble.operation
        await self._people.provoke(trouble.panel, kind)
        if await node.has_blown(_COMES_TO_POINT_WITHIN):
            self._seen["came to the point"] += 1
            await asyncio.sleep(trouble.seconds)
        node.disarm()
        await node.resume()

    async def _part(self, trouble: Trouble, what: str, how: str) -> None:
        """Cut or freeze a way of the node."""
        node = self._cluster.nodes[trouble.node]
        way = {
            "database": node.to_database,
            "node": node.to_here,
            "panel": node.to_panels[trouble.panel],
        }[what]
        way.cut() if how == "cut" else way.freeze()
        await asyncio.sleep(trouble.seconds)
        way.mend()

    async def _server_killed(self, trouble: Trouble) -> None:
        await self._restart(signal.SIGKILL, trouble.seconds)

    async def _server_restarted(self, trouble: Trouble) -> None:
        await self._restart(signal.SIGINT, trouble.seconds)

    async def _restart(self, how: signal.Signals, away: float) -> None:
        self._cluster.server.stop(how)
        await asyncio.sleep(away / 2)
        self._cluster.server.start()

    async def _server_frozen(self, trouble: Trouble) -> None:
        self._cluster.server.freeze(on=True)
        await asyncio.sleep(trouble.seconds)
        self._cluster.server.freeze(on=False)


# --- the oracle ---


def look(cluster: Cluster, people: People) -> list[str]:
    """What must hold at any moment."""
    with cluster.nobody_writes():
        found = violations(cluster, cluster.panels, cluster.tracked, people.keys)
        found += _came_though_ruled_out(cluster, people)
        known = {number for (number,) in cluster.rows("SELECT id FROM actions")}
    found += [f"action {n} was confirmed and is lost" for n in people.confirmed - known]
    for node in cluster.nodes.values():
        if "Traceback" in node.daemon.text():
            found.append(f"{node.name} has logged a traceback: {node.daemon.text()[-500:]}")
    return [*found, *cluster.complaints]


def _came_though_ruled_out(cluster: Cluster, people: People) -> Iterator[str]:
    """A request of a stopped node came after a person had looked and settled its action."""
    sent = (
        "SELECT panels.name, kind, order_id FROM actions"
        " JOIN panels ON panels.id = actions.panel WHERE sent_at IS NOT NULL"
    )
    logged = Counter(cluster.rows(sent))
    arrived: Counter[tuple[str, str, str]] = Counter()
    for panel, simulated in cluster.panels.items():
        for kind in ("refill", "cancel"):
            for entry in simulated.journal.requests(kind):
                arrived.update((panel, kind, order) for order in ids_of(entry))
    for key, times in people.ruled_out.items():
        if arrived[key] > logged[key] - times:
            yield f"{key} arrived {arrived[key]} times: {logged[key]} sent, {times} ruled out"


async def at_the_end(cluster: Cluster, people: People) -> list[str]:
    """What must hold once all nodes have stopped."""
    found = await _until_told(cluster)
    for node in cluster.nodes.values():
        if await node.daemon.stop():
            found.append(f"{node.name} did not end in order")
    found += look(cluster, people)
    return found + left_sending(cluster)


async def _until_told(cluster: Cluster) -> list[str]:
    """Every change of the chosen fields arrives, those of an order in their order."""
    found: list[str] = []
    with contextlib.suppress(TimeoutError):
        async with asyncio.timeout(_TOLD_WITHIN):
            while found := _untold(cluster):
                await asyncio.sleep(0.5)
    return found


def _untold(cluster: Cluster) -> list[str]:
    history: dict[tuple[str, str], list[Any]] = defaultdict(list)
    for panel, order, changes in cluster.rows(
        "SELECT panels.name, orders.order_id, history.changes FROM history"
        " JOIN orders USING (key) JOIN panels ON panels.id = orders.panel ORDER BY history.id"
    ):
        history[panel, order].append(changes)
    told: dict[tuple[str, str], list[Any]] = defaultdict(list)
    for event in cluster.receiver.arrived:
        data = event["data"]
        told[data["panel"], data["order"]].append(data["changes"])
    return [*_out_of_order(history, told)]


def _out_of_order(history: Any, told: Any) -> Iterator[str]:
    """Events may come again; each one's first arrival is in the order of the changes."""
    for key, changes in history.items():
        wanted = [
            change
            for change in map(json.loads, changes)
            if {"status", "remains", "start_count"} & change.keys()
        ]
        got = [change for n, change in enumerate(told[key]) if change not in told[key][:n]]
        distinct = [change for n, change in enumerate(wanted) if change not in wanted[:n]]
        if got != distinct:
            yield f"{key}: told {len(got)} of {len(distinct)} changes, or in another order"
