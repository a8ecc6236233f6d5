"""Plays scenarios on a cluster, one after the other, in real time.

1. Three nodes lead all panels; people track orders.
2. Troubles begin together, people act, the troubles end; a dead node is started again.
3. Every panel is led and asked, and the oracle looks: at the panels' journals, the database and
   what callers were told.
4. At the end all nodes stop; nothing is being sent, and every change was told in order.
"""

import asyncio
import contextlib
import shutil
import signal
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Sequence
from pathlib import Path

from tests.acceptance.harness.cluster import (
    LEASE,
    PANELS,
    TAKEN_OVER_WITHIN,
    Cluster,
    Node,
    a_cluster,
)
from tests.acceptance.harness.cluster_oracle import at_the_end, look
from tests.acceptance.harness.cluster_people import People
from tests.acceptance.harness.cluster_scenario import ClusterScenario, Trouble, draw, name_of
from tests.acceptance.harness.verdict import Verdict, peak
from tests.support.database import CURRENT
from tests.support.moments import gone_since, remember

ORDERS = 40  # a panel, at the beginning
_COMES_TO_POINT_WITHIN = 5.0  # seconds
_SETTLED_WITHIN = 90.0  # seconds at most until everybody is back and all is asked again


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
        self._states_before = self._states()  # those of earlier scenarios
        self._provoked: list[asyncio.Task[None]] = []

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
        self._seen.update(self._states())
        self._seen.subtract(self._states_before)
        return Verdict(
            seed=self._scenario.seed,
            kind="cluster",
            violations=self.found,
            injected=dict(self._injected),
            seen=dict(self._seen),
            seconds=seconds,
            peak_mib=peak(),
        )

    def _states(self) -> Counter[str]:
        rows = self._cluster.rows("SELECT kind, state, count(*) FROM actions GROUP BY 1, 2")
        return Counter({f"{kind} {state}": int(count) for kind, state, count in rows})

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
        await asyncio.gather(*self._provoked)

    async def _recover(self) -> None:
        """Who is dead is started again; then every panel is led and asked."""
        for node in self._cluster.nodes.values():
            await node.resume()  # it may have come to its point after all, just before the end
            if not node.is_alive:
                await node.start()
        began, before = time.monotonic(), self._cluster.asked()
        step = "not every node is ready"
        try:
            for node in self._cluster.nodes.values():
                await node.daemon.wait_ready(_SETTLED_WITHIN)
            step = "not every panel is led"
            await self._cluster.until_led(_SETTLED_WITHIN)
            step = "orders are not tracked"
            before = self._cluster.asked()
            async with asyncio.timeout(_SETTLED_WITHIN):
                for panel in PANELS:
                    # Its leader may have a long pause after a cut, and all its orders may be over.
                    while not await self._people.retry(panel):
                        await asyncio.sleep(0.3)
                    while not await self._people.track(panel, 2):
                        await asyncio.sleep(0.3)
            step = "not every panel is asked"
            await self._cluster.until_asked(before, _SETTLED_WITHIN)
        except TimeoutError:
            leaders, asked = await self._cluster.leaders(), self._cluster.asked()
            told = [await node.readiness() for node in self._cluster.nodes.values()]
            self.found.append(f"{step}: {told}, {leaders}, {before}, {asked}")
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

    async def _until_taken_over(self, led: Sequence[str], from_node: str) -> None:
        """Until others lead what a dead node has led."""
        began = since = time.monotonic()
        wanted = set(led)
        while wanted:
            leaders = await self._cluster.leaders()
            if not leaders:  # the server was away as well, and every node begins anew
                since = time.monotonic()
            wanted -= {n for n in wanted if leaders.get(n) not in (None, from_node)}
            now = time.monotonic()
            if now - since > TAKEN_OVER_WITHIN or now - began > _SETTLED_WITHIN:
                self.found.append(f"{sorted(wanted)} of {from_node} are led by nobody")
                return
            await asyncio.sleep(0.05)
        self._seen["takeovers"] += 1
        await self._until_asked([panel for panel in led if panel in PANELS])
        seconds = time.monotonic() - began
        within = next((f"within {most} s" for most in (5, 10, 15) if seconds <= most), "later")
        self._seen[f"a dead node's panels asked again {within}"] += 1

    async def _until_asked(self, panels: Sequence[str]) -> None:
        """Until an order of each panel is tracked and asked about."""
        before = {panel: count for panel, count in self._cluster.asked().items() if panel in panels}
        for panel in panels:
            await self._people.track(panel, 1)
        with contextlib.suppress(TimeoutError):  # another trouble may be in the way
            await self._cluster.until_asked(before)

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
        node = await self._acting(trouble)
        if node is None:
            return
        if await self._comes_to_point(node, trouble, how):
            self._seen[f"came to the point of a {how}"] += 1
            if how == "SIGSTOP" and trouble.seconds > LEASE and self._scenario.settles:
                self._seen["stopped there past the lease, and a person settles"] += 1
            await asyncio.sleep(trouble.seconds)
        node.disarm()
        await node.resume()

    async def _acting(self, trouble: Trouble) -> Node | None:
        """The panel's leader, if it runs."""
        node = await self._cluster.leader(trouble.panel)
        return node if node is not None and node.is_alive and not node.is_stopped else None

    async def _comes_to_point(self, node: Node, trouble: Trouble, how: str) -> bool:
        node.arm(trouble.operation, trouble.moment, signal=how)
        # Whoever asks for it may wait for the outcome for as long as the node stands still.
        provoked = self._people.provoke(trouble.panel, trouble.operation)
        self._provoked.append(asyncio.create_task(provoked))
        return await node.has_blown(_COMES_TO_POINT_WITHIN)

    async def _part(self, trouble: Trouble, what: str, how: str) -> None:
        """Cut or freeze a way of the node; that to a panel with an action just about to leave."""
        node = self._cluster.nodes.get(trouble.node) or await self._acting(trouble)
        if node is None:
            return
        way = {
            "database": node.to_database,
            "node": node.to_here,
            "panel": node.to_panels[trouble.panel],
        }[what]
        if trouble.operation and await self._comes_to_point(node, trouble, "SIGSTOP"):
            self._seen[f"an action left as its panel's network was {how}"] += 1
        way.cut() if how == "cut" else way.freeze()
        if trouble.operation:
            node.disarm()
            await node.resume()
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
