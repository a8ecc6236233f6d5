"""The page of orders: search, filters, and the matches, newest first."""

from typing import Any

from aiohttp import web

from watcher.errors import RequestError
from watcher.model import Phase, Status
from watcher.store.search import SearchQuery, SearchResult
from watcher.web.context import BACKEND, WebContext, flag, number_of, one_of
from watcher.web.page.live_updates import LiveUpdates
from watcher.web.page.rendering import query
from watcher.web.shapes import OrderView

A_PAGE = 50
_LONGEST = 2000  # characters of a search


async def show(request: web.Request, live: LiveUpdates) -> dict[str, Any]:
    """Return the template's variables."""
    context = request.app[BACKEND]
    wanted = _wanted(request)
    looked_for = sought(context, wanted)
    before = number_of(request, "cursor", 0) or None
    found = await context.store.search.find(looked_for, limit=A_PAGE, before=before)
    orders = [context.view(context.watchlist.order(o.panel, o.id) or o) for o in found.orders]
    stored = {(order.panel, order.id): order for order in found.orders}  # memory lacks texts
    return {
        "here": "orders",
        "wanted": wanted,
        "found": found,
        "rows": [(view, stored[view.panel, view.order], _name(context, view)) for view in orders],
        "older": query("/orders", {**wanted, "cursor": found.next}) if found.next else None,
        "newest": query("/orders", wanted) if request.query.get("cursor") else None,
        "panels": sorted(context.panel_workers),
        "statuses": list(Status),
        "phases": list(Phase),
        "is_filtered": any(wanted.values()),
        "note": _note(found),
    }


def sought(context: WebContext, wanted: dict[str, str]) -> SearchQuery:
    """Return the search query for the filters."""
    stalled = bool(wanted["stalled"])
    now = context.clock()
    panel_workers = {
        name: workers
        for name, workers in context.panel_workers.items()
        if not wanted["panel"] or name == wanted["panel"]
    }
    return SearchQuery(
        text=wanted["q"],
        panel=wanted["panel"] or None,
        service=wanted["service"] or None,
        tag=wanted["tag"] or None,
        status=Status(wanted["status"]) if wanted["status"] else None,
        phase=Phase(wanted["phase"]) if wanted["phase"] else None,
        problem=bool(wanted["problem"]),
        keys=[
            key
            for name in panel_workers
            for key in context.daemon_status.panel_counts(name).stalled_keys
        ]
        if stalled
        else None,
        progressed_before={
            name: now - workers.config.settings.stalled_after
            for name, workers in panel_workers.items()
        }
        if stalled
        else None,
    )


def _wanted(request: web.Request) -> dict[str, str]:
    """Return the checked filters; "" for one that is not set."""
    text = request.query.get("q", "").strip()
    if len(text) > _LONGEST:
        raise RequestError("the search is longer than any link")
    return {
        "q": text,
        "panel": request.query.get("panel", ""),
        "service": request.query.get("service", "").strip(),
        "tag": request.query.get("tag", "").strip(),
        "status": one_of(request, "status", Status) or "",
        "phase": one_of(request, "phase", Phase) or "",
        "stalled": "true" if flag(request, "stalled") else "",
        "problem": "true" if flag(request, "problem") else "",
    }


def _name(context: WebContext, view: OrderView) -> str:
    service = context.rule_engine.services.get(view.panel, {}).get(view.service or "")
    return service.name if service else ""


def _note(found: SearchResult) -> str:
    """Return what the page says about its completeness."""
    if found.cut:
        return "Many orders match that text; these are some of them. Search for a longer text."
    if found.stopped:
        return (
            "No match up to here; there may be older ones."
            if not found.orders
            else ("There may be older ones.")
        )
    return ""
