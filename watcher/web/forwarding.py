"""Passes requests on to the node that leads their panel: the only place that does.

A handler that needs the leader's memory raises NotLed before it does anything. Then the whole
request goes to the leader, once, and its answer comes back. A list over several panels is split:
each leader gets its part. Without a cluster nothing is passed on.
"""

import asyncio
from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import TypeVar

import aiohttp
import msgspec
from aiohttp import web
from aiohttp.typedefs import Middleware
from yarl import URL

from watcher.daemon.leadership import Leader
from watcher.errors import NotLed, RequestError
from watcher.web.auth import SESSION_AUTH
from watcher.web.caller import caller_of
from watcher.web.context import CONTEXT, whole_body
from watcher.web.guard import OPEN_PATHS, Respond
from watcher.web.hop import Hop, headers_of, hop_of
from watcher.web.principal import PRINCIPAL
from watcher.web.shapes import FaultAnswer

T = TypeVar("T")
Shape = TypeVar("Shape", bound=msgspec.Struct)

CONNECTS_WITHIN, ANSWERS_WITHIN = 5.0, 60.0  # seconds: of a connection, of silence
_PASSED = ("Accept", "Content-Type", "Cookie", "Idempotency-Key", "User-Agent")
_OWN = frozenset(  # headers of an answer that are not passed back
    {"connection", "content-length", "content-encoding", "date", "keep-alive", "server"}
    | {"transfer-encoding"}
)


class NoLease(NotLed):
    """This node has lost its lease: what it knows may be old."""

    code = "no_lease"

    def __init__(self) -> None:
        super().__init__("", "this node has no lease of the cluster now: ask another one")


class Unreached(NotLed):
    """The panel's leader can't be reached, or refuses what other nodes pass on."""


class AnswerLost(RequestError):
    """The leader got the request and did not answer: it may have been carried out."""

    status = 504
    code = "unclear"


class _Reply(msgspec.Struct, frozen=True):
    """A leader's answer."""

    status: int
    headers: Mapping[str, str]
    body: bytes


class Forwarder:
    """Sends requests to other nodes, each over a connection of its own.

    A connection that was kept may be closed at the other end just when a refill is sent: then
    nobody would know whether it arrived.
    """

    def __init__(self) -> None:
        self._session: aiohttp.ClientSession | None = None

    async def open(self, app: web.Application) -> None:
        """Be ready to send."""
        self._session = aiohttp.ClientSession(
            connector=aiohttp.TCPConnector(force_close=True),
            cookie_jar=aiohttp.DummyCookieJar(),
            timeout=aiohttp.ClientTimeout(
                total=None,
                connect=CONNECTS_WITHIN,
                sock_connect=CONNECTS_WITHIN,
                sock_read=ANSWERS_WITHIN,
            ),
        )

    async def close(self, app: web.Application) -> None:
        """End all connections."""
        if self._session is not None:
            await self._session.close()

    async def send(
        self,
        request: web.Request,
        panel: str,
        method: str,
        target: str,
        body: bytes | None,
        more: Mapping[str, str],
        *,
        is_part: bool = False,
    ) -> _Reply:
        """Send a request on behalf of `request` to the panel's leader; return its answer.

        Raises Unreached if nothing was done, AnswerLost if that is not known.
        """
        cluster = request.app[CONTEXT].config.current.cluster
        leader = leader_elsewhere(request, panel)
        if leader is None or cluster is None or self._session is None:
            raise Unreached(panel)
        url = URL(leader.url + target, encoded=True)
        headers = {**more, **headers_of(_hop(request, is_part=is_part), cluster)}
        by = f"{panel} is led by node {leader.node} at {leader.url}"
        try:
            async with self._session.request(
                method, url, data=body, headers=headers, allow_redirects=False
            ) as answer:
                reply = _Reply(answer.status, answer.headers, await answer.read())
        except (aiohttp.ClientConnectorError, aiohttp.ConnectionTimeoutError) as error:
            raise Unreached(panel, f"{by}, which can't be reached: {error}; try again") from None
        except (aiohttp.ClientError, OSError, TimeoutError) as error:
            cause = str(error) or type(error).__name__
            if method in ("GET", "HEAD"):
                raise Unreached(panel, f"{by}, which does not answer: {cause}") from None
            raise AnswerLost(f"{by}, which broke off: look whether it was done: {cause}") from None
        if reply.status == 401:
            raise Unreached(panel, f"{by}, which has another token: give all nodes the same")
        return reply


FORWARDER = web.AppKey("forwarder", Forwarder)


def forwarding() -> Middleware:
    """Return the middleware that passes on what this node does not lead."""

    @web.middleware
    async def forwarded(request: web.Request, handler: Respond) -> web.StreamResponse:
        leadership = request.app[CONTEXT].leadership
        is_open = request.path in OPEN_PATHS or request.path.startswith("/static/")
        if not (is_open or leadership.is_trusted()):
            raise NoLease
        try:
            return await handler(request)
        except Unreached:
            raise
        except NotLed as error:
            if leader_elsewhere(request, error.panel) is None:
                raise
            return await _pass_on(request, error.panel)

    return forwarded


async def _pass_on(request: web.Request, panel: str) -> web.Response:
    """Send the request as it is to the panel's leader; return its answer."""
    headers = {name: request.headers[name] for name in _PASSED if name in request.headers}
    body = await whole_body(request) if request.body_exists else None
    reply = await request.app[FORWARDER].send(
        request, panel, request.method, request.rel_url.raw_path_qs, body, headers
    )
    given = {name: value for name, value in reply.headers.items() if name.lower() not in _OWN}
    return web.Response(status=reply.status, body=reply.body, headers=given)


def leader_elsewhere(request: web.Request, panel: str) -> Leader | None:
    """Return the other node that leads the panel; None if the request may not be passed on."""
    leadership = request.app[CONTEXT].leadership
    if not leadership.is_clustered or hop_of(request) is not None:
        return None
    leader = leadership.leader(panel)
    return None if leader is None or leader.node == leadership.name else leader


def prefer_leader(request: web.Request, panel: str) -> None:
    """Raise NotLed if another node leads the panel; if none does, the database has to do."""
    if leader_elsewhere(request, panel) is not None:
        raise NotLed(panel)


async def spread(
    request: web.Request,
    things: Iterable[T],
    panel_of: Callable[[T], str],
    path: str,
    body_of: Callable[[Sequence[T]], msgspec.Struct],
    shape: type[Shape],
) -> tuple[list[T], list[tuple[list[T], Shape | RequestError]]]:
    """Send to each other node, by POST, the things whose panels it leads.

    Return the things that are left for this node, and each other node's part with its answer, or
    with why there is none.
    """
    own: list[T] = []
    others: dict[str, list[T]] = {}
    panels: dict[str, str] = {}  # node -> one of its panels
    for thing in things:
        leader = leader_elsewhere(request, panel_of(thing))
        if leader is None:
            own.append(thing)
        else:
            panels.setdefault(leader.node, panel_of(thing))
            others.setdefault(leader.node, []).append(thing)

    async def ask(node: str) -> Shape | RequestError:
        body = msgspec.json.encode(body_of(others[node]))
        try:
            return await _part(request, panels[node], path, body, shape)
        except RequestError as error:
            return error

    answers = await asyncio.gather(*map(ask, others))
    return own, list(zip(others.values(), answers, strict=True))


async def _part(
    request: web.Request, panel: str, path: str, body: bytes, shape: type[Shape]
) -> Shape:
    forwarder, headers = request.app[FORWARDER], {"Content-Type": "application/json"}
    reply = await forwarder.send(request, panel, "POST", path, body, headers, is_part=True)
    try:
        if reply.status < 300:
            return msgspec.json.decode(reply.body, type=shape)
        raise RequestError(msgspec.json.decode(reply.body, type=FaultAnswer).error.message)
    except (msgspec.MsgspecError, ValueError):
        raise AnswerLost(f"the leader of {panel} gave an answer that can't be read") from None


def _hop(request: web.Request, *, is_part: bool) -> Hop:
    principal = request.get(PRINCIPAL)  # a shop has none
    if principal is None:
        return Hop(is_part=is_part)
    return Hop(
        name=principal.name,
        rights=principal.rights,
        panels=principal.panels,
        via=caller_of(request).via,
        has_session=request.app[SESSION_AUTH].has_session(request),
        is_part=is_part,
    )
