"""The right that each route needs, as the only place: API, status page and probes, one line each.

A route without a line needs `admin`. Panels in paths and in the query are checked here, too; what
a request's body or an action's number leads to, handlers check with the principal.
"""

from collections.abc import Mapping

import msgspec
from aiohttp import web

from watcher.config import Right
from watcher.web.principal import Principal

# Method, path, and the right. `open` needs no key at all, `any` a key with whatever right;
# `whole` stands for a call that concerns all panels: it needs a key that reaches all. `query`: a
# key that may only read may stand in the query, as `key`, for programs that send no headers.
_TABLE = """
GET /healthz open
GET /readyz open
GET /metrics open
GET /login open
POST /login open
GET /static/{digest}/{name} open
* /api/v2 open
* /api/v2/ open

GET /v1/whoami any
GET /v1/openapi.json any
POST /logout any

GET /v1/orders read
GET /v1/orders/{panel}/{order} read
GET /v1/orders.csv read query
GET /v1/history read
GET /v1/changes read
GET /v1/actions read
GET /v1/actions/{id} read
GET /v1/attention read
GET /v1/panels read
GET /v1/panels/{panel}/services read
GET /v1/rules read
GET /v1/rules/explain read
GET /v1/pauses read whole
GET /v1/nodes read whole
GET /v1/notify read whole
GET /v1/events read whole
GET /v1/events/{name}/dead read whole
GET / read
GET /orders read
GET /orders/{panel}/{order} read
GET /actions read
GET /panels read
GET /panels/{panel} read
GET /services read
GET /nodes read whole
GET /orders.csv read
GET /events/page read

POST /v1/panels/{panel}/retry check
POST /v1/orders/{panel}/{order}/check check
POST /v1/checks check
POST /orders/selection check
POST /orders/{panel}/{order}/check check
POST /panels/{panel}/retry check

POST /v1/orders/{panel}/{order}/refill act
POST /v1/orders/{panel}/{order}/cancel act
PUT /v1/orders/{panel}/{order}/count act
PUT /v1/orders/{panel}/{order}/service act
PATCH /v1/orders/{panel}/{order} act
DELETE /v1/orders/{panel}/{order} act
POST /v1/actions/{id}/resolve act
POST /v1/resolve act
POST /v1/untrack act
POST /v1/panels/{panel}/pause act
POST /v1/panels/{panel}/resume act
POST /v1/rules/{rule}/pause act whole
POST /v1/rules/{rule}/resume act whole
POST /v1/attention/snooze act
POST /v1/attention/wake act
POST /panels/{panel}/pause act
POST /panels/{panel}/resume act
POST /rules/{rule}/pause act whole
POST /rules/{rule}/resume act whole
POST /attention/snooze act
POST /attention/wake act
POST /actions/resolve act
POST /v1/actions/{id}/withdraw act
POST /orders/{panel}/{order}/refill act
POST /orders/{panel}/{order}/cancel act
POST /orders/{panel}/{order}/service act
POST /orders/{panel}/{order}/untrack act
POST /actions/{id}/resolve act
POST /actions/{id}/withdraw act

POST /v1/orders submit
POST /v1/submit submit
GET /orders/upload submit
POST /orders/upload submit
POST /orders/upload/{token} submit

GET /v1/backup admin whole
GET /v1/audit admin whole
GET /audit admin whole
POST /v1/reload admin whole
POST /v1/notify/{name}/test admin whole
POST /v1/events/{name}/replay admin whole
"""


class RouteAccess(msgspec.Struct, frozen=True):
    """What a route needs: `right` None is any key, or none at all if it `is_open`."""

    right: Right | None = None
    is_open: bool = False
    is_whole: bool = False
    takes_query: bool = False


def _read(line: str) -> tuple[tuple[str, str], RouteAccess]:
    method, path, word, *more = line.split()
    right = None if word in ("open", "any") else Right(word)
    access = RouteAccess(right, word == "open", "whole" in more, "query" in more)
    return (method, path), access


ACCESS: Mapping[tuple[str, str], RouteAccess] = dict(map(_read, filter(None, _TABLE.splitlines())))
UNLISTED = RouteAccess(Right.ADMIN, is_whole=True)
_NOWHERE = RouteAccess()  # an answer of 404 or 405, for those who have a key


def access_of(request: web.Request) -> RouteAccess:
    """Return what the request's route needs."""
    resource = request.match_info.route.resource
    if resource is None:
        return _NOWHERE
    method = "GET" if request.method == "HEAD" else request.method
    path = resource.canonical
    return ACCESS.get((method, path)) or ACCESS.get(("*", path)) or UNLISTED


def check(request: web.Request, access: RouteAccess, principal: Principal) -> None:
    """Raise Forbidden if a right is missing, NotFound for a panel that is out of reach."""
    if access.right is not None:
        principal.check_right(access.right)
    if access.is_whole:
        principal.check_whole()
    for panel in (request.match_info.get("panel"), *request.query.getall("panel", [])):
        if panel:
            principal.check_panel(panel)
