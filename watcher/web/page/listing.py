"""The page of orders: a search, filters, and what fits, newest first."""

from typing import Any

from aiohttp import web

from watcher.errors import RequestError
from watcher.model import Phase, Status
from watcher.store.search import Found, Sought
from watcher.web.backend import BACKEND, Backend, flag, one_of
from watcher.web.page.live import Live
from watcher.web.page.look import query
from watcher.web.shapes import OrderView

A_PAGE = 50
_LONGEST = 2000  # letters of a search


async def show(request: web.Request, live: Live) -> dict[str, Any]:
    """What the template wants."""
    backend = request.app[BACKEND]
    wanted = _wanted(request)
    looked_for, before = sought(backend, wanted), _cursor(request)
    found = await backend.store.search.find(looked_for, limit=A_PAGE, before=before)
    orders = [backend.view(backend.book.order(o.panel, o.id) or o) for o in found.orders]
    links = {(order.panel, order.id): order.link for order in found.orders}
    return {
        "here": "orders",
        "wanted": wanted,
        "found": found,
        "rows": [(view, links[view.panel, view.order], _name(backend, view)) for view in orders],
        "older": query("/orders", {**wanted, "cursor": found.next}) if found.next else None,
        "newest": query("/orders", wanted) if request.query.get("cursor") else None,
        "panels": sorted(backend.stations),
        "statuses": list(Status),
        "phases": list(Phase),
        "is_filtered": any(wanted.values()),
        "told": _told(found),
    }


def sought(backend: Backend, wanted: dict[str, str]) -> Sought:
    """The search that fits what was asked for."""
    stalled = bool(wanted["stalled"])
    now = backend.clock()
    stations = {
        name: station
        for name, station in backend.stations.items()
        if not wanted["panel"] or name == wanted["panel"]
    }
    return Sought(
        text=wanted["q"],
        panel=wanted["panel"] or None,
        service=wanted["service"] or None,
        status=Status(wanted["status"]) if wanted["status"] else None,
        phase=Phase(wanted["phase"]) if wanted["phase"] else None,
        problem=bool(wanted["problem"]),
        keys=[key for name in stations for key in backend.survey.census(name).stalled_keys]
        if stalled
        else None,
        progressed_before={
            name: now - station.config.settings.stalled_after for name, station in stations.items()
        }
        if stalled
        else None,
    )


def _wanted(request: web.Request) -> dict[str, str]:
    """The filters, checked; "" where one is not set."""
    text = request.query.get("q", "").strip()
    if len(text) > _LONGEST:
        raise RequestError("that is longer than any link")
    return {
        "q": text,
        "panel": request.query.get("panel", ""),
        "service": request.query.get("service", "").strip(),
        "status": one_of(request, "status", Status) or "",
        "phase": one_of(request, "phase", Phase) or "",
        "stalled": "true" if flag(request, "stalled") else "",
        "problem": "true" if flag(request, "problem") else "",
    }


def _cursor(request: web.Request) -> int | None:
    text = request.query.get("cursor", "")
    if not text:
        return None
    if not (text.isascii() and text.isdecimal() and len(text) <= 18):
        raise RequestError("cursor: that is none of ours")
    return int(text)


def _name(backend: Backend, view: OrderView) -> str:
    service = backend.judge.services.get(view.panel, {}).get(view.service or "")
    return service.name if service else ""


def _told(found: Found) -> str:
    """What a page says of itself."""
    if found.cut:
        return "Many orders fit that text; these are among them. More letters make it exact."
    if found.stopped:
        return (
            "None fits up to here; there may be older ones."
            if not found.orders
            else ("There may be older ones.")
        )
    return ""
