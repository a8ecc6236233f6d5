"""Requests that another node of the cluster forwards, and whose they are.

Such a request has the cluster's token. The node that got it from the client has checked its host,
origin, key and rates. It is never passed on again.
"""

import hmac
import json

import msgspec
from aiohttp import web

from watcher.config import ClusterConfig, Right

HEADER = "X-Watcher-Hop"


class Hop(msgspec.Struct, frozen=True, kw_only=True):
    """The sender of a forwarded request: the principal's name, rights and panels, and the channel.

    `is_part`: it is a part of a split request; the node that split it writes the audit log.
    """

    name: str = ""
    rights: frozenset[Right] = frozenset()
    panels: frozenset[str] | None = None
    via: str = "api"
    has_session: bool = False
    is_part: bool = False


_HOP = web.RequestKey("hop", Hop)


def note_hop(request: web.Request, cluster: ClusterConfig | None) -> bool:
    """Return whether a node of the cluster passes the request on; if so, `hop_of` tells for whom.

    The header of anybody else is ignored.
    """
    told = request.headers.get(HEADER)
    if told is None or cluster is None or not _is_token(request, cluster):
        return False
    try:
        request[_HOP] = msgspec.json.decode(told, type=Hop)
    except (msgspec.MsgspecError, ValueError):
        return False
    return True


def hop_of(request: web.Request) -> Hop | None:
    """Return the sender of a forwarded request; None if no node has forwarded it."""
    return request.get(_HOP)


def headers_of(hop: Hop, cluster: ClusterConfig) -> dict[str, str]:
    """Return the headers of a request that this node forwards."""
    told = json.dumps(msgspec.to_builtins(hop))  # ASCII, as headers are
    return {HEADER: told, "Authorization": f"Bearer {cluster.token.reveal()}"}


def _is_token(request: web.Request, cluster: ClusterConfig) -> bool:
    scheme, _, given = request.headers.get("Authorization", "").partition(" ")
    token = cluster.token.reveal().encode()
    same = hmac.compare_digest(given.strip().encode(errors="replace"), token)
    return same and scheme.lower() == "bearer"
