"""What nodes tell each other of their panels: it comes back as it was, or not at all."""

from decimal import Decimal
from types import SimpleNamespace
from typing import Any

import msgspec
from hypothesis import given
from hypothesis import strategies as st

from tests.support.clockwork import Clock
from tests.unit.states import NOW, a_panel
from watcher.daemon.cluster_status import ClusterStatus, gauges_of
from watcher.metrics.cluster_gauges import ClusterState, NodeState
from watcher.metrics.gauges import PanelState
from watcher.model import Kind, Status
from watcher.panels.breaker import BreakerState
from watcher.panels.health import HealthState, PanelProblem
from watcher.store.nodes import Leader
from watcher.store.panel_status import ReportedState

STATES = st.builds(
    a_panel,
    name=st.sampled_from(["p", "q"]),
    up=st.booleans(),
    health=st.sampled_from(HealthState),
    breaker=st.sampled_from(BreakerState),
    faults=st.lists(st.builds(PanelProblem, call=st.text(), text=st.text(), since=st.just(NOW))),
    problem=st.none() | st.text(),
    statuses=st.dictionaries(st.sampled_from(Status), st.integers(0, 2**40)),
    pending=st.dictionaries(st.sampled_from(Kind), st.integers(0, 9)),
    amount=st.none() | st.decimals(allow_nan=False, allow_infinity=False).map(Decimal),
    held=st.dictionaries(st.text(), st.just(NOW)),
    spent=st.none() | st.floats(0, 1e9),
    check_within=st.just(60.0),
)


class Table:
    """The table of what was told, in memory."""

    def __init__(self) -> None:
        self.rows: dict[str, ReportedState] = {}

    async def keep(self, node: str, states: dict[str, str], *, now: float) -> None:
        self.rows |= {panel: ReportedState(panel, now, node, one) for panel, one in states.items()}

    async def all(self) -> list[ReportedState]:
        return [*self.rows.values()]

    async def ended(self) -> set[str]:
        return set()


class Lead:
    """Who leads what, as a node believes."""

    is_clustered, clock_ahead = True, 0.25

    def __init__(self, name: str, led: dict[str, str]) -> None:
        self.name, self.led = name, led
        self.trusted = True

    def leads(self, panel: str) -> bool:
        return self.led.get(panel) == self.name

    def leader(self, panel: str) -> Leader | None:
        return Leader(self.led[panel], "http://x", NOW) if panel in self.led else None

    def nodes(self) -> list[Any]:
        return []

    def lost_nodes(self) -> list[Any]:
        return []

    def is_trusted(self) -> bool:
        return self.trusted


def a_node(table: Table, lead: Lead, *panels: str, clock: Clock | None = None) -> ClusterStatus:
    current = SimpleNamespace(panels=dict.fromkeys(panels))
    shared: Any = SimpleNamespace(
        store=SimpleNamespace(panel_status=table, sessions=table),
        config=SimpleNamespace(current=current),
        leadership=lead,
        clock=clock or Clock(NOW),
    )
    return ClusterStatus(shared)


@given(STATES)
async def test_a_state_comes_back_as_it_was(state: PanelState) -> None:
    table = Table()
    led = {"p": "a", "q": "a"}
    writer, reader = (a_node(table, Lead(name, led), "p", "q") for name in "ab")
    await writer.exchange([state], NOW)
    await reader.exchange([], NOW + 5)
    found = {one.name: one for one in reader.panels([])}
    assert found[state.name] == msgspec.structs.replace(state, told_at=NOW)
    other = found[{"p": "q", "q": "p"}[state.name]]
    assert not other.up, "nobody has told of it"
    assert dict(reader.held("r")) == ({state.name: NOW} if "r" in state.held else {})


async def test_what_another_version_tells_is_left_out() -> None:
    table = Table()
    table.rows["p"] = ReportedState("p", NOW, "b", '{"name": "p"}')
    table.rows["gone"] = ReportedState("gone", NOW, "b", "{}")
    node = a_node(table, Lead("a", {"p": "b"}), "p")
    await node.exchange([], NOW)
    (state,) = node.panels([])
    assert (state.name, state.told_at) == ("p", 0.0)


async def test_since_when_a_panel_has_no_leader() -> None:
    lead, clock = Lead("a", {"p": "a"}), Clock(NOW)
    node = a_node(Table(), lead, "p", "q", clock=clock)
    node.state()
    clock.advance(10)
    state = node.state()
    assert state is not None
    assert (state.unled, state.leaders, state.offset) == ({"q": NOW}, {"p": "a"}, 0.25)
    lead.led["q"] = "b"
    state = node.state()
    assert state is not None
    assert (state.unled, state.leaders) == ({}, {"p": "a", "q": "b"})
    lead.trusted = False
    assert node.state() == ClusterState(node="a"), "what it knows may be old"


def test_the_gauges() -> None:
    nodes = [
        NodeState(
            name=name,
            url="",
            epoch=1,
            until=NOW,
            started_at=NOW,
            version="1",
            is_alive=alive,
            panels=panels,
        )
        for name, alive, panels in (("a", True, ["p", "q"]), ("b", False, []))
    ]
    cluster = ClusterState(
        node="a", nodes=nodes, leaders={"p": "a", "q": "a"}, unled={"r": NOW}, offset=-0.5
    )
    told = {gauge.name: dict(gauge.values) for gauge in gauges_of(cluster)}
    assert told == {
        "node_up": {("a",): 1.0, ("b",): 0.0},
        "node_panels": {("a",): 2.0, ("b",): 0.0},
        "node_lease_until_timestamp_seconds": {("a",): NOW, ("b",): NOW},
        "node_clock_offset_seconds": {("a",): -0.5},
        "panel_leader": {("p", "a"): 1.0, ("q", "a"): 1.0},
        "panels_unled": {(): 1.0},
    }
