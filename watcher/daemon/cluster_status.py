"""The states that the nodes of a cluster exchange, of their panels and of themselves.

Each node writes the state of the panels that it leads, and reads what the others have written. So
any node can show every panel.
"""

from collections.abc import Iterator, Mapping, Sequence

import msgspec

from watcher.daemon.leadership import Node
from watcher.daemon.shared import Shared
from watcher.metrics.cluster_gauges import ClusterState, NodeState
from watcher.metrics.gauges import Gauge, PanelState
from watcher.panels.health import HealthState
from watcher.store.panel_status import ReportedState

TOLD_EVERY = 10.0  # seconds


class ClusterStatus:
    """The states of panels that others lead, some seconds old. Without a cluster it is empty."""

    def __init__(self, shared: Shared) -> None:
        self._store, self._config, self._clock = shared.store, shared.config, shared.clock
        self._leadership = shared.leadership
        self._reported: Mapping[str, PanelState] = {}
        self._unled: dict[str, float] = {}  # panel -> since when nobody leads it

    async def exchange(self, own: Sequence[PanelState], now: float) -> None:
        """Write the states of this node's panels and read the others'. Raises StoreError."""
        states = {state.name: _as_json(state) for state in own}
        await self._store.panel_status.keep(self._leadership.name, states, now=now)
        reported: dict[str, PanelState] = {}
        for row in await self._store.panel_status.all():
            try:
                state = msgspec.json.decode(row.state, type=PanelState)
            except msgspec.MsgspecError:  # of another version: its node may be upgraded first
                continue
            reported[row.panel] = msgspec.structs.replace(state, told_at=row.at)
        self._reported = reported
        await self._store.sessions.ended()  # also those that other nodes have ended

    def panels(self, own: Sequence[PanelState]) -> list[PanelState]:
        """Return the states of all configured panels; `own` are those that this node leads."""
        live = {state.name: state for state in own}
        names = self._config.current.panels
        return [live.get(name) or self._reported.get(name) or _untold(name) for name in names]

    def held(self, rule: str) -> Iterator[tuple[str, float]]:
        """Yield the panels of other nodes at which the brake pauses the rule, and until when."""
        for name, state in self._reported.items():
            if rule in state.held and not self._leadership.leads(name):
                yield name, state.held[rule]

    def state(self) -> ClusterState | None:
        """Return the cluster's state; None without a cluster."""
        leadership = self._leadership
        if not leadership.is_clustered:
            return None
        if not leadership.is_trusted():  # what this node knows may be old
            return ClusterState(node=leadership.name)
        panels = self._config.current.panels
        found = {panel: leadership.leader(panel) for panel in panels}
        now = self._clock()
        self._unled = {p: self._unled.get(p, now) for p, leader in found.items() if leader is None}
        alive = [_node(node, is_alive=True) for node in leadership.nodes()]
        lost = [_node(node, is_alive=False) for node in leadership.lost_nodes()]
        return ClusterState(
            node=leadership.name,
            nodes=[*alive, *lost],
            leaders={panel: leader.node for panel, leader in found.items() if leader},
            unled=self._unled,
            offset=leadership.clock_ahead,
        )


class _Limit(msgspec.Struct, frozen=True):
    """The part of a panel's state that its next leader keeps to."""

    limited_until: float = 0.0


def limited_until(told: ReportedState) -> float:
    """Return until when the panel is not to be asked; 0 if another version has told it."""
    try:
        return msgspec.json.decode(told.state, type=_Limit).limited_until
    except msgspec.MsgspecError:
        return 0.0


def _as_json(state: PanelState) -> str:
    return msgspec.json.encode(state, enc_hook=float).decode()  # durations are numbers, too


def _node(node: Node, *, is_alive: bool) -> NodeState:
    return NodeState(
        name=node.name,
        url=node.url,
        epoch=node.epoch,
        until=node.until,
        started_at=node.started_at,
        version=node.version,
        is_alive=is_alive,
        panels=node.panels if is_alive else (),
    )


def gauges_of(cluster: ClusterState) -> Sequence[Gauge]:
    """Return the metrics of the cluster; every node has those of all nodes."""
    return (
        Gauge(
            "node_up",
            "1 while the node has a lease, 0 once it has lost it without a stop.",
            ("node",),
            {(node.name,): float(node.is_alive) for node in cluster.nodes},
        ),
        Gauge(
            "node_panels",
            "Panels that the node leads.",
            ("node",),
            {(node.name,): len(node.panels) for node in cluster.nodes},
        ),
        Gauge(
            "node_lease_until_timestamp_seconds",
            "Unix time at which the node's lease ends unless it is renewed.",
            ("node",),
            {(node.name,): node.until for node in cluster.nodes},
        ),
        Gauge(
            "node_clock_offset_seconds",
            "By how much this node's clock is ahead of the database's.",
            ("node",),
            {(cluster.node,): cluster.offset},
        ),
        Gauge(
            "panel_leader",
            "Constant 1; who leads the panel, as a label.",
            ("panel", "node"),
            dict.fromkeys(cluster.leaders.items(), 1.0),
        ),
        Gauge(
            "panels_unled",
            "Panels that no node leads.",
            (),
            {(): float(len(cluster.unled))},
        ),
    )


def _untold(name: str) -> PanelState:
    """Return the state of a panel whose status no node has written yet."""
    return PanelState(
        name=name,
        up=False,
        health=HealthState.UP,
        last_success=0.0,
        poll_interval=0.0,
        backoff_until=0.0,
        due=0,
        oldest_due=0.0,
        oldest_open=0.0,
        stalled=0,
        statuses={},
        pending={},
        unresolved={},
        balance=None,
        currency="",
        threshold=None,
        balance_at=0.0,
    )
