"""The command line and the nodes of a cluster: one that is away, one that can't, and who leads."""

from collections.abc import Iterator
from datetime import timedelta

import pytest

from tests.integration.cli_daemon import CannedDaemon, action_view, now, panel_view
from tests.support.ports import free_port
from watcher.web.panel_shapes import NodeList, NodeView, PanelList
from watcher.web.shapes import ActionAnswer

REFILL = "POST /v1/orders/genie/1/refill"


@pytest.fixture
def one() -> Iterator[CannedDaemon]:
    with CannedDaemon() as canned:
        yield canned


@pytest.fixture
def other() -> Iterator[CannedDaemon]:
    with CannedDaemon() as canned:
        canned.put("GET /v1/panels", PanelList([panel_view("genie", node="b")]))
        canned.put(REFILL, ActionAnswer(action_view()), 202)
        yield canned


def both(first: str, other: CannedDaemon) -> dict[str, str]:
    return {"WATCHER_URL": f"{first}, {other.url}"}


def a_node(name: str, *panels: str, alive: bool = True) -> NodeView:
    return NodeView(
        node=name,
        url=f"http://{name}:9466",
        alive=alive,
        panels=list(panels),
        epoch=7,
        until=now() + timedelta(seconds=9),
        started_at=now() - timedelta(hours=3),
        version="1.0",
    )


def test_the_nodes_and_what_they_lead(one: CannedDaemon):
    nodes = [a_node("a", "genie", "smm"), a_node("b", alive=False)]
    one.put("GET /v1/nodes", NodeList(nodes, "a", ["late"]))
    shown = one.watcher("nodes")
    assert shown.exit_code == 0
    rows = [line.split() for line in shown.stdout.splitlines()]
    assert rows[1][:4] == ["a", "up", "genie,", "smm"]
    assert rows[2][:3] == ["b", "lost", "nothing"]
    assert "answered by a" in shown.stdout
    assert "no node leads late" in shown.stderr


def test_a_watcher_of_no_cluster(one: CannedDaemon):
    one.put("GET /v1/nodes", NodeList([]))
    assert "of no cluster" in one.watcher("nodes").stdout


def test_who_leads_is_a_column_in_a_cluster_only(one: CannedDaemon, other: CannedDaemon):
    one.put("GET /v1/panels", PanelList([panel_view("genie")]))
    assert "node" not in one.watcher("panels", COLUMNS="200").stdout.splitlines()[0]
    assert "node" in other.watcher("panels", COLUMNS="200").stdout.splitlines()[0]


def test_the_second_is_asked_if_the_first_cannot_be_reached(other: CannedDaemon):
    nobody = f"http://127.0.0.1:{free_port()}"
    assert other.watcher("panels", **both(nobody, other)).exit_code == 0
    assert other.watcher("refill", "genie", "1", **both(nobody, other)).exit_code == 0
    assert len(other.asked(REFILL)) == 1, "nothing had left"
    away = other.watcher("panels", WATCHER_URL=f"{nobody},http://127.0.0.1:{free_port()}")
    assert away.exit_code == 3


def test_what_may_have_arrived_is_not_sent_elsewhere(one: CannedDaemon, other: CannedDaemon):
    one.put(REFILL, "cut")
    refused = other.watcher("refill", "genie", "1", **both(one.url, other))
    assert refused.exit_code == 3
    assert "may have been taken" in refused.stderr
    assert other.asked(REFILL) == []
    one.put("GET /v1/panels", "cut")
    assert other.watcher("panels", **both(one.url, other)).exit_code == 0, "a read may"


def test_a_node_without_a_lease_has_done_nothing(one: CannedDaemon, other: CannedDaemon):
    one.refuse(REFILL, 503, "no_lease", "this node has no lease")
    assert other.watcher("refill", "genie", "1", **both(one.url, other)).exit_code == 0
    one.refuse(REFILL, 409, "conflict", "a refill is under way")
    assert other.watcher("refill", "genie", "1", **both(one.url, other)).exit_code == 1
    assert len(other.asked(REFILL)) == 1
