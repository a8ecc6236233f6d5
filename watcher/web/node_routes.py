"""The API's call about the nodes of a cluster."""

from aiohttp import web

from watcher.metrics.cluster_gauges import ClusterState
from watcher.web.context import Route, WebContext
from watcher.web.panel_shapes import NodeList, NodeView
from watcher.web.views import moment, view_of


async def list_nodes(context: WebContext, request: web.Request) -> tuple[int, NodeList]:
    return 200, node_list(context.daemon_status.cluster())


def node_list(cluster: ClusterState | None) -> NodeList:
    """Return the nodes for an answer, by name."""
    if cluster is None:
        return NodeList([])
    views = [
        view_of(
            NodeView,
            node,
            node=node.name,
            alive=node.is_alive,
            panels=list(node.panels),
            until=moment(node.until),
        )
        for node in sorted(cluster.nodes, key=lambda node: node.name)
    ]
    return NodeList(views, cluster.node, sorted(cluster.unled))


ROUTES = (
    Route(
        method="GET",
        path="/v1/nodes",
        handler=list_nodes,
        summary="List the nodes of the cluster, and which panels each of them leads.",
        gives={200: NodeList},
    ),
)
