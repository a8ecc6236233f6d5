"""`watcher nodes`."""

from watcher.cli.api_client import path_of
from watcher.cli.command import command
from watcher.cli.output import say, warn
from watcher.cli.requests import Request
from watcher.cli.tables import Column, show_table
from watcher.web.panel_shapes import NodeList, NodeView


@command(
    "Panels and database",
    examples=("watcher nodes", "watcher nodes --url http://10.0.0.1:9466,http://10.0.0.2:9466"),
)
def nodes() -> Request[NodeList]:
    """List the nodes of a cluster, and which panels each of them leads."""
    return Request(path_of("nodes"), NodeList, _show_nodes)


def _show_nodes(listed: NodeList) -> None:
    columns = (
        Column("node"),
        Column("state", _state),
        Column("leads", _leads, drop=1, wraps=True),
        Column("url", drop=3),
        Column("started", "started_at", drop=4, right=True),
        Column("version", drop=5),
    )
    empty = "this watcher is of no cluster: there is no [cluster] in its configuration"
    show_table(columns, listed.nodes, empty=empty)
    if listed.answered_by is not None:
        say(f"answered by {listed.answered_by}")
    if listed.unled:
        warn(f"no node leads {', '.join(listed.unled)}: nothing asks them")


def _state(node: NodeView) -> str:
    return "up" if node.alive else "lost"


def _leads(node: NodeView) -> str:
    return ", ".join(node.panels) or "nothing"
