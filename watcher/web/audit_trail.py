"""Writes and lists the audit log: what people and keys did.

A middleware sees every request that changes something, of the API and of the page, once it was
carried out. So no route can be forgotten; only measured counts are left out. Refused requests
changed nothing and are not recorded. Nor are shops: their orders are actions with the shop's name.
"""

from collections.abc import Mapping

import structlog
from aiohttp import web
from aiohttp.typedefs import Middleware

from watcher.errors import StoreError
from watcher.store import AuditEntry
from watcher.web.caller import caller_of, notes_of
from watcher.web.context import (
    CONTEXT,
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
from watcher.web.control_shapes import AuditList, DeedView
from watcher.web.guard import Respond, is_drop_in
from watcher.web.hop import hop_of
from watcher.web.views import view_of

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
    """Return the middleware that writes the audit log."""

    @web.middleware
    async def trail(request: web.Request, handler: Respond) -> web.StreamResponse:
        answer = await handler(request)
        did = notes_of(request).get("did", _did(request))
        hop = hop_of(request)
        is_part = (
            hop is not None and hop.is_part
        )  # the node that split the request writes the entry
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
    context, caller, told = request.app[CONTEXT], caller_of(request), notes_of(request)
    subjects = (request.match_info.get(name) for name in _SUBJECTS)
    entry = AuditEntry(
        at=context.clock(),
        by=caller.name,
        via=caller.via,
        did=did,
        panel=told.get("panel") or request.match_info.get("panel"),
        subject=told.get("subject") or next((s for s in subjects if s), None),
        detail=told.get("detail"),
    )
    try:
        await context.store.audit.add(entry)
    except StoreError as error:  # the request was carried out: an error would deny it
        log.error("audit.lost", cause=str(error), did=entry.did, by=entry.by, panel=entry.panel)


async def list_audit(context: WebContext, request: web.Request) -> tuple[int, AuditList]:
    limit, before = page_of(request)
    entries, cursor = await context.store.audit.page(
        limit=limit,
        before=before or None,
        by=request.query.get("by"),
        did=request.query.get("did"),
        panel=request.query.get("panel"),
        since=time_of(request, "since"),
    )
    return 200, AuditList(
        [view_of(DeedView, entry) for entry in entries], str(cursor) if cursor else None
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
