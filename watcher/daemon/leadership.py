"""Who leads which panel, and whether this node may still act: what every part asks.

Panels and duties are led by one node at a time. A duty is a panel by another name, such as
`:outlets`. A daemon without a cluster leads everything, always.
"""

import time
from collections.abc import Iterable, Mapping, Sequence

from watcher.common.clock import Clock
from watcher.store.nodes import Leader, Node

__all__ = ["OUTLETS", "RETENTION", "Leader", "Leadership", "Node"]

OUTLETS = ":outlets"  # notifications, events and the digest
RETENTION = ":retention"  # archiving, purging, forgetting
DUTIES = (OUTLETS, RETENTION)
_ALONE = Leader("", "", 0.0)


class Leadership:
    """What this node knows of the cluster. `monotonic` is the clock that its lease goes by."""

    def __init__(self, name: str = "", *, monotonic: Clock = time.monotonic) -> None:
        self.name = name  # of this node; "" without a cluster
        self.is_clustered = bool(name)
        self._monotonic = monotonic
        self._nodes: tuple[Node, ...] = ()
        self._leaders: Mapping[str, Leader] = {}
        self._trusted_until = 0.0

    def leads(self, panel: str) -> bool:
        """Return whether this node leads the panel and may act for it."""
        return self.owns(panel)

    def owns(self, duty: str) -> bool:
        """Return whether this node has the duty (or panel) and a lease that it can trust."""
        if not self.is_clustered:
            return True
        leader = self._leaders.get(duty)
        return leader is not None and leader.node == self.name and self.is_trusted()

    def leader(self, panel: str) -> Leader | None:
        """Return who leads the panel or duty; None while nobody does."""
        return self._leaders.get(panel) if self.is_clustered else _ALONE

    def nodes(self) -> Sequence[Node]:
        """Return the nodes with a lease, by name, as they were at the last renewal."""
        return self._nodes

    def is_trusted(self) -> bool:
        """Return whether no other node can have taken over what this one leads."""
        return not self.is_clustered or self._monotonic() < self._trusted_until

    # --- only the cluster's own task calls these ---

    def learn(self, nodes: Iterable[Node], leaders: Mapping[str, Leader]) -> None:
        """Take what the database says: nodes and leaders whose lease has not ended."""
        self._nodes = tuple(nodes)
        self._leaders = leaders

    def trust_until(self, at: float) -> None:
        """Trust the lease until `at`, by the monotonic clock; 0 is not at all."""
        self._trusted_until = at
