"""A cluster at a moment: its nodes, and who leads what."""

from collections.abc import Mapping, Sequence

import msgspec


class NodeState(msgspec.Struct, frozen=True, kw_only=True):
    """A node. Its lease ends at `until`, in Unix seconds, unless it is renewed."""

    name: str
    url: str
    epoch: int
    until: float
    started_at: float
    version: str
    is_alive: bool
    panels: Sequence[str] = ()


class ClusterState(msgspec.Struct, frozen=True, kw_only=True):
    """The nodes, and each panel's leader.

    `lost` are the nodes whose lease ended without a stop. `unled` maps panels that nobody leads to
    since when, `offset` is by how many seconds this node's clock is ahead of the database's.
    """

    node: str
    nodes: Sequence[NodeState] = ()
    leaders: Mapping[str, str] = {}
    unled: Mapping[str, float] = {}
    offset: float = 0.0

    @property
    def lost(self) -> list[NodeState]:
        return [node for node in self.nodes if not node.is_alive]
