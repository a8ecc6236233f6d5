"""What must hold of a cluster: panels' journals, the database and what callers were told agree."""

import asyncio
import contextlib
import json
from collections import Counter, defaultdict
from collections.abc import Iterator
from typing import Any

from tests.acceptance.harness.cluster import Cluster
from tests.acceptance.harness.cluster_people import People
from tests.support.audit import ids_of, left_sending, violations

_TOLD_WITHIN = 20.0  # seconds until every event has arrived


def look(cluster: Cluster, people: People) -> list[str]:
    """What must hold at any moment."""
    with cluster.nobody_writes():
        found = violations(cluster, cluster.panels, cluster.tracked, people.keys)
        found += _came_though_settled(cluster, people)
        known = {number for (number,) in cluster.rows("SELECT id FROM actions")}
    found += [f"action {n} was confirmed and is lost" for n in people.confirmed - known]
    for node in cluster.nodes.values():
        if "Traceback" in node.daemon.text():
            found.append(f"{node.name} has logged a traceback: {node.daemon.text()[-500:]}")
    return [*found, *cluster.complaints]


def _came_though_settled(cluster: Cluster, people: People) -> Iterator[str]:
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
