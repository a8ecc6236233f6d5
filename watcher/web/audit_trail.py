"""Writes down what people and keys did, and lists it.

A middleware sees every request that changes something, of the API and of the page, once it was
carried out. So no route can be forgotten; only measured counts are left out. Requests that were
refused changed nothing, and are not in it; nor are shops, whose orders are actions with the shop's
name.
"""

from collections.abc import Mapping

import structlog
from aiohttp import web
from aiohttp.typedefs import Middleware

from watcher.errors import StoreError
from watcher.store import Deed
from watcher.web.caller import caller_of, notes_of
from watcher.web.context import (
    BACKEND,
    CURSOR,
    LIMIT,
    PANEL,
    SINCE,
    TEXT,
    Param,
    Route,
    WebContext,
    page_of,
    time_of,
)
from watcher.web.guard import Respond, is_drop_in
from watcher.web.hop import hop_of
from watcher.web.views import moment
from watcher.web.wheel_shapes import AuditList, DeedView

log = structlog.get_logger()

# What a request does, where the last word of its path does not say so.
_WORDS: Mapping[tuple[str, str], str] = {
    ("POST", "/v1/orders"): "track",
    ("POST", "/v1/checks"): "check",
    ("DELETE", "/v1/orders/{panel}/{order}"): "untrack",
    ("PATCH", "/v1/orders/{panel}/{order}"): "change",
    ("GET", "/v1/backup"): "backup",
}
# Scripts send these all the time, and the order's history has them.
_UNTOLD = frozenset({"/v1/orders/{panel}/{order}/count"})
_SUBJECTS = ("order", "id", "rule", "name")  # of a path


def audited() -> Middleware:
    """Return the middleware that writes down what was done."""

    @web.middleware
    async def trail(request: web.Request, handler: Respond) -> web.StreamResponse:
        answer = await handler(request)
        did = notes_of(request).get("did", _did(request))
        hop = hop_of(request)
        is_part = hop is not None and hop.is_part  # who split the request writes it down
        if did is not None and answer.status < 400 and not is_part:
            await _write(request, did)
        return answer

    return trail


def _did(request: web.Request) -> str | None:
    """Return what the request does, in a word; None for one that only reads."""
    resource = request.match_info.route.resource
    path = "" if resource is None else resource.canonical
    if path in _UNTOLD:
        return None
    word = _WORDS.get((request.method, path))
    if word is not None or request.method in ("GET", "HEAD", "OPTIONS") or is_drop_in(request):
        return word
    return path.rpartition("/")[2]


async def _write(request: web.Request, did: str) -> None:
    context, caller, told = request.app[BACKEND], caller_of(request), notes_of(request)
    subjects = (request.match_info.get(name) for name in _SUBJECTS)
    deed = Deed(
        at=context.clock(),
        by=caller.name,
        via=caller.via,
        did=did,
        panel=told.get("panel") or request.match_info.get("panel"),
        subject=told.get("subject") or next((s for s in subjects if s), None),
        detail=told.get("detail"),
    )
    try:
        await context.store.audit.add(deed)
    except StoreError as error:  # it is done: an error would say that it is not
        log.error("audit.lost", cause=str(error), did=deed.did, by=deed.by, panel=deed.panel)


async def list_audit(context: WebContext, request: web.Request) -> tuple[int, AuditList]:
    limit, before = page_of(request)
    deeds, cursor = await context.store.audit.page(
        limit=limit,
        before=before or None,
        by=request.query.get("by"),
        did=request.query.get("did"),
        panel=request.query.get("panel"),
        since=time_of(request, "since"),
    )
    return 200, AuditList([deed_view(deed) for deed in deeds], str(cursor) if cursor else None)


def deed_view(deed: Deed) -> DeedView:
    """Return a row of the audit log for an answer."""
    return DeedView(
        id=deed.id,
        at=moment(deed.at),
        by=deed.by,
        via=deed.via,
        did=deed.did,
        panel=deed.panel,
        subject=deed.subject,
        detail=deed.detail,
    )


ROUTES = (
    Route(
        method="GET",
        path="/v1/audit",
        handler=list_audit,
        summary="List what people and keys did, newest first.",
        params=(
            Param("by", TEXT, "By this key only."),
            Param("did", TEXT, "Of this kind only, as `refill`."),
            PANEL,
            SINCE,
            LIMIT,
            CURSOR,
        ),
        gives={200: AuditList},
    ),
)
