"""Who leads which panel, and whether this node may still act: what every part asks.

Panels and duties are led by one node at a time. A duty is a panel by another name, such as
`:outlets`. A daemon without a cluster leads everything, always.
"""

import time
from collections.abc import Collection, Mapping, Sequence
from types import MappingProxyType

from watcher.common.clock import Clock
from watcher.errors import Conflict, NotLed
from watcher.store.nodes import ClusterView, Leader, Node

__all__ = ["OUTLETS", "RETENTION", "Leader", "Leadership", "Node"]

OUTLETS = ":outlets"  # notifications, events and the digest
RETENTION = ":retention"  # archiving, purging, forgetting
_ALONE = Leader("", "", 0.0)
_MARGIN = 0.1  # of the lease: a node stops so much earlier than others may take over


class Leadership:
    """What this node knows of the cluster. `monotonic` is the clock that its lease goes by."""

    def __init__(
        self, name: str = "", lease: float = 0.0, *, monotonic: Clock = time.monotonic
    ) -> None:
        self.name = name  # of this node; "" without a cluster
        self.is_clustered = bool(name)
        self.clock_ahead = 0.0  # seconds by which this machine's clock is ahead of the database's
        self._lease, self._monotonic = lease, monotonic
        self._nodes: Sequence[Node] = ()
        self._lost: Sequence[Node] = ()
        self._leaders: Mapping[str, Leader] = {}
        self._trusted_until = 0.0

    def leads(self, panel: str) -> bool:
        """Return whether this node leads the panel and may act for it."""
        return self.owns(panel)

    def owns(self, duty: str) -> bool:
        """Return whether this node has the duty (or panel) and a lease that it can trust."""
        return not self.is_clustered or (duty in self.held() and self.is_trusted())

    def leader(self, panel: str) -> Leader | None:
        """Return who leads the panel or duty; None while nobody does."""
        return self._leaders.get(panel) if self.is_clustered else _ALONE

    def leaders(self) -> Mapping[str, Leader]:
        """Return who leads what, by panel or duty, as it was at the last renewal."""
        return MappingProxyType(dict(self._leaders))

    def nodes(self) -> Sequence[Node]:
        """Return the nodes with a lease, by name, as they were at the last renewal."""
        return self._nodes

    def lost_nodes(self) -> Sequence[Node]:
        """Return the nodes whose lease has ended without a stop in order, by name."""
        return self._lost

    def is_trusted(self) -> bool:
        """Return whether no other node can have taken over what this one leads."""
        return not self.is_clustered or self._monotonic() < self._trusted_until

    def check_leads(self, panel: str, *, is_open: bool = True) -> None:
        """Raise NotLed if this node does not lead the panel (or duty).

        `is_open` tells whether memory has the panel: one that changes its leader is in no memory.
        """
        if self.leads(panel):
            if self.is_clustered and not is_open:
                raise NotLed(panel, f"{panel} is changing its leader: try again in some seconds")
            return
        leader = self.leader(panel)
        by = "" if leader is None else f"{panel} is led by {leader.node}: ask it, or try again"
        raise NotLed(panel, by)

    def check_over(self, sent_at: float | None, timeout: float, now: float) -> None:
        """Raise Conflict while a stopped node may still send an action that was begun then."""
        wait = self._lease * (1.0 + _MARGIN) + timeout
        if self.is_clustered and sent_at is not None and now < sent_at + wait:
            left = sent_at + wait - now
            raise Conflict(
                f"a node that was stopped may still send it: look at the panel and try again in"
                f" {left:.0f} seconds"
            )

    def problems(self, opened: Collection[str], configured: Collection[str]) -> list[str]:
        """Return why this node can't do its part in the cluster."""
        if not self.is_trusted():
            return ["this node has no lease: others may lead its panels"]
        waiting = sorted(self.held().intersection(configured).difference(opened))
        return [f"panels are being taken over: {', '.join(waiting)}"] if waiting else []

    # --- what the cluster's own tasks use ---

    def held(self) -> set[str]:
        """Return the panels and duties that the database names this node for."""
        return {name for name, leader in self._leaders.items() if leader.node == self.name}

    def learn(self, view: ClusterView) -> None:
        """Take what the database says."""
        self._nodes, self._lost = view.nodes, view.lost
        self._leaders = view.leaders
        self.clock_ahead = view.ahead

    def drop(self, name: str) -> None:
        """Lead this no more, whatever was read before."""
        self._leaders = {key: one for key, one in self._leaders.items() if key != name}

    def renewed(self, asked_at: float) -> None:
        """Trust a lease whose renewal was asked for at that time, by the monotonic clock."""
        self._trusted_until = asked_at + self._lease * (1.0 - _MARGIN)

    def trust_left(self) -> float:
        """Return for how many seconds the lease can be trusted."""
        return max(0.0, self._trusted_until - self._monotonic())

    def distrust(self) -> None:
        """Trust the lease no more."""
        self._trusted_until = 0.0
