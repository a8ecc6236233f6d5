"""Three real watchers on one PostgreSQL: nodes, networks and the server fail, nothing else does."""

import asyncio
import bisect
import os
import sys
from collections import Counter
from pathlib import Path
from typing import Any

import pytest

from tests.acceptance.harness.cluster import LEASE, PANELS, Cluster, a_cluster
from tests.acceptance.harness.cluster_oracle import look
from tests.acceptance.harness.cluster_people import People
from tests.acceptance.harness.cluster_scenario import EVERY_KIND, POINTS, draw, name_of
from tests.acceptance.harness.cluster_torture import play_all
from tests.conftest import NO_SKIPS
from tests.support.audit import acted
from tests.support.process import ROOT

pytestmark = pytest.mark.engines("postgresql")

# Where nothing may be skipped, a hundred; `make torture-cluster` plays more.
HUNDRED = range(5, 105)
SEEDS = HUNDRED if NO_SKIPS in os.environ else HUNDRED[:4]
SPEED = 60.0  # of the panels
PER_MINUTE = 1200  # requests at a panel: see the harness
UNDER_WAY = 20  # checks at once


@pytest.mark.engines("sqlite")
def test_every_trouble_is_drawn():
    drawn = Counter(trouble.kind for seed in HUNDRED for trouble in draw(seed).troubles)
    assert set(EVERY_KIND) == set(drawn)
    named = {name_of(trouble) for seed in range(500) for trouble in draw(seed).troubles}
    assert {f"at_point_stopped {moment} {name}" for name, moment in POINTS} <= named
    assert draw(11) == draw(11)
    assert draw(11) != draw(12)


@pytest.mark.alone
def test_no_violation():
    """`make torture-cluster SCENARIOS=1 SEED=…` plays one again."""
    verdicts = list(play_all(SEEDS))
    assert {v.seed: v.violations for v in verdicts if v.violations} == {}
    assert sorted(verdict.seed for verdict in verdicts) == list(SEEDS)
    seen = Counter[str]()
    for verdict in verdicts:
        seen.update(verdict.seen)
    assert seen["takeovers"] > 0, seen
    assert seen["stopped there past the lease, and a person settles"] > 0, seen
    assert seen["an action left as its panel's network was frozen"] > 0, seen


async def test_a_name_that_is_alive_is_refused(tmp_path: Path):
    async with a_cluster(tmp_path / "c", 1, names=("a",)) as cluster:
        second = await cluster.add("b")
        text = second.daemon.config.read_text().replace('name = "b"', 'name = "a"')
        second.daemon.config.write_text(text)
        await second.start()
        assert await second.daemon.wait(120.0) == 1
        (line,) = [ln for ln in second.daemon.text().splitlines() if not ln.startswith("{")]
        assert "a watcher named 'a' is alive" in line
        assert set((await cluster.leaders()).values()) == {"a"}


async def test_a_clock_that_differs_is_refused(tmp_path: Path):
    async with a_cluster(tmp_path / "c", 2, names=("a",)) as cluster:
        second = await cluster.add("b")
        program = ("tests.acceptance.harness.skewed", "3600")
        await second.daemon.start(ready=False, program=program)
        assert await second.daemon.wait(120.0) == 1
        assert "clock" in second.daemon.text().splitlines()[-1]
        assert set((await cluster.leaders()).values()) == {"a"}


async def test_the_rate_is_kept_while_panels_change_hands(tmp_path: Path):
    """In any window: what the limit allows, and what was under way at a change."""
    async with a_cluster(tmp_path / "c", 3) as cluster:
        people = People(cluster, 3)
        await tracked(people, 300)
        for number, name in enumerate(("a", "b", "c", "a")):
            await asyncio.sleep(2.0)
            node = cluster.nodes[name]
            await (node.kill() if number % 2 else node.daemon.stop())
            await cluster.until_led(LEASE + 60.0, among=set(cluster.nodes) - {name})
            await node.start()
        for panel in cluster.panels.values():
            times = sorted(entry.time / SPEED for entry in panel.journal.requests())
            for window in (5.0, 10.0):
                most = max(bisect.bisect_left(times, at + window) - n for n, at in enumerate(times))
                assert most <= PER_MINUTE * window / 60 + UNDER_WAY * 2
        assert look(cluster, people) == []


async def test_a_database_put_back_to_an_older_copy_holds_all_actions(tmp_path: Path):
    async with a_cluster(tmp_path / "c", 4) as cluster:
        people = People(cluster, 4)
        await tracked(people, 60)
        await acted_on(cluster, 10)
        server = cluster.server
        server.stop()
        copy = server.keep_copy()
        server.start()
        await acted_on(cluster, 20)
        server.stop()
        server.put_back(copy)
        server.start()
        await asyncio.sleep(3 * LEASE)
        held = acted(cluster.panels)
        await asyncio.sleep(3 * LEASE)
        assert acted(cluster.panels) == held, "nothing is sent"
        for node in cluster.nodes.values():
            await node.kill()
        await disown(cluster.nodes["a"].daemon.config)
        for node in cluster.nodes.values():
            await node.start()
        for node in cluster.nodes.values():
            await node.daemon.wait_ready(180.0)
        await cluster.until_led(60.0)
        await cluster.until_asked(cluster.asked(), 60.0)
        await asyncio.sleep(3.0)
        assert max(acted(cluster.panels).values()) == 1, "nothing is done twice"


async def tracked(people: People, count: int) -> None:
    for panel in PANELS:
        while not await people.track(panel, count):
            await asyncio.sleep(0.3)


async def acted_on(cluster: Cluster, count: int) -> None:
    wanted = acted(cluster.panels).total() + count
    async with asyncio.timeout(180.0):
        while acted(cluster.panels).total() < wanted:
            await asyncio.sleep(0.05)


async def disown(config: Any) -> None:
    ran = await asyncio.create_subprocess_exec(
        sys.executable, "-m", "watcher", "disown", "--config", str(config), cwd=ROOT
    )
    assert await ran.wait() == 0
