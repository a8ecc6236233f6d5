"""Refuses requests from foreign web pages or host names, and too many requests.

A browser lets any page send requests to this machine, and an attacker's host name can be made to
point here (DNS rebinding). Neither can hide: the first names its origin, the second its host.
"""

from collections.abc import Awaitable, Callable
from urllib.parse import urlsplit

from aiohttp import web
from aiohttp.typedefs import Middleware

from watcher.config import Hosts, authority
from watcher.errors import RequestError
from watcher.web.context import CONTEXT
from watcher.web.hop import note_hop
from watcher.web.rate_limit import TokenBuckets, client_of

DROP_IN = "/api/v2"  # for shops, which send forms with a key
DROP_INS = (DROP_IN, f"{DROP_IN}/")  # a shop's configuration may have either
OPEN_PATHS = frozenset({"/metrics", "/healthz", "/readyz"})
PAGES = frozenset(
    {
        "orders",
        "orders.csv",
        "actions",
        "panels",
        "services",
        "nodes",
        "rules",
        "attention",
        "audit",
    }
    | {"login", "logout", "events", "static"}
)
FORM = "application/x-www-form-urlencoded"
UPLOAD, UPLOADED = "/orders/upload", "multipart/form-data"  # the one form with a file
REQUESTS_A_SECOND, REQUESTS_AT_ONCE = 200.0, 400.0

Respond = Callable[[web.Request], Awaitable[web.StreamResponse]]


class Misdirected(RequestError):
    """The request is for another host."""

    status = 421
    code = "misdirected"


class CrossSite(RequestError):
    """The request was made by a web page of another site."""

    status = 403
    code = "cross_site"


class BadBody(RequestError):
    """The body's Content-Type is not JSON."""

    status = 415
    code = "unsupported_body"


class MissingOrigin(CrossSite):
    """The browser does not say which page the form was on: use a newer one."""


def guard(buckets: TokenBuckets | None = None) -> Middleware:
    """Return the middleware; `buckets` limit each client's requests."""
    per_client = buckets or TokenBuckets(REQUESTS_A_SECOND, REQUESTS_AT_ONCE)

    @web.middleware
    async def guarded(request: web.Request, handler: Respond) -> web.StreamResponse:
        config = request.app[CONTEXT].config.current
        if note_hop(request, config.cluster):
            return await handler(request)
        _check_rate(request, per_client)
        hosts = config.hosts
        _check_host(request, hosts)
        _check_origin(request, hosts)
        _check_body(request)
        return await handler(request)

    return guarded


def is_open(request: web.Request) -> bool:
    """Return whether a request needs no token: probes and metrics."""
    return request.path in OPEN_PATHS and request.method in ("GET", "HEAD")


def is_drop_in(request: web.Request) -> bool:
    """Return whether a request is a shop's, which gets errors in the form of panels."""
    return request.path in DROP_INS


def is_page(request: web.Request) -> bool:
    """Return whether a request is for a page, not for the API."""
    return request.path == "/" or request.path[1:].partition("/")[0] in PAGES


def _check_rate(request: web.Request, buckets: TokenBuckets) -> None:
    refusal = f"more than {REQUESTS_A_SECOND:g} requests a second: slow down"
    buckets.take(client_of(request.remote), refusal)


def _check_host(request: web.Request, hosts: Hosts) -> None:
    given = request.headers.getall("Host", [])
    if len(given) != 1 or not _is_own(given[0], request, hosts):
        host = given[0][:100] if given else ""
        raise Misdirected(
            f"this is not a host of the daemon: {host!r}; if it points here on purpose,  "
            "add it to allowed_hosts in [daemon]"
        )


def _check_origin(request: web.Request, hosts: Hosts) -> None:
    if is_open(request):
        return
    site = request.headers.get("Sec-Fetch-Site", "none")
    if site not in ("none", "same-origin"):
        raise CrossSite("a web page of another site has made this request")
    for origin in request.headers.getall("Origin", []):
        if not _is_own_origin(origin, request, hosts):
            raise CrossSite(f"a web page of another origin has made this request: {origin[:100]!r}")


def _is_own_origin(origin: str, request: web.Request, hosts: Hosts) -> bool:
    try:
        parts = urlsplit(origin)
    except ValueError:
        return False
    return parts.scheme in ("http", "https") and _is_own(parts.netloc, request, hosts)


def _is_own(text: str, request: web.Request, hosts: Hosts) -> bool:
    named = authority(text)
    # The socket's own name, not the configured one: that may be 0.0.0.0, or have port 0.
    ours = request.get_extra_info("sockname")
    return named is not None and ours is not None and hosts.own(*named, ours[0], ours[1])


def _check_body(request: web.Request) -> None:
    """Refuse bodies other than JSON: browsers let a foreign page send forms and text.

    The status page's own forms name their origin, which _check_origin has compared.
    """
    if is_page(request) and request.method == "POST":
        if "Origin" not in request.headers and "Sec-Fetch-Site" not in request.headers:
            raise MissingOrigin
        kinds = (FORM, UPLOADED) if request.path == UPLOAD else (FORM,)
        if request.content_type in kinds and "Content-Encoding" not in request.headers:
            return
    if not request.can_read_body:
        return
    if not is_drop_in(request) and request.content_type != "application/json":
        raise BadBody("send the body as JSON, with Content-Type: application/json")
    if "Content-Encoding" in request.headers:
        raise BadBody("send the body as it is, without Content-Encoding")
