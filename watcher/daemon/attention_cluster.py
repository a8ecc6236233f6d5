"""The part of `attention` that is about a cluster. Pure."""

from collections.abc import Iterator

from watcher.common.wording import lasting
from watcher.daemon.attention_items import Attention, item
from watcher.daemon.attention_kinds import Issue
from watcher.metrics.cluster_gauges import ClusterState

_UNLED_FOR = 30.0  # seconds: a takeover takes less
_CLOCKS_APART = 1.0  # seconds; nodes whose clocks are 2 s apart can't join
_COMMAND, _LINK = "watcher nodes", "/nodes"


def cluster_items(cluster: ClusterState, now: float) -> Iterator[Attention]:
    """Yield panels that nobody leads, nodes that were lost, and a clock that goes wrong."""
    for panel, since in cluster.unled.items():
        if now - since >= _UNLED_FOR:
            yield item(
                Issue.PANEL_UNLED,
                f"no node has led it for {lasting(now - since)}: nothing asks it",
                panel=panel,
                since=since,
                command=_COMMAND,
            )
    for node in cluster.lost:
        yield item(
            Issue.NODE_LOST,
            f"node {node.name!r} at {node.url} lost its lease at",
            at=node.until,
            subject=node.name,
            since=node.until,
            command=_COMMAND,
            link=_LINK,
        )
    if abs(cluster.offset) > _CLOCKS_APART:
        yield item(
            Issue.CLOCKS_APART,
            f"the clock of node {cluster.node!r} is {cluster.offset:+.1f} s off the database's",
            subject=cluster.node,
            command=_COMMAND,
            link=_LINK,
        )
