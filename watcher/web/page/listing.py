"""The page of orders: search, filters, sorting, and the matches."""

import math
from collections.abc import Mapping
from typing import Any

from aiohttp import web

from watcher.config import PanelConfig
from watcher.errors import RequestError
from watcher.model import Order, Phase, Status
from watcher.store import StoredService
from watcher.store.candidates import SearchCursor, SearchQuery
from watcher.store.search import OrderSort, SearchResult
from watcher.web.context import CONTEXT, WebContext, flag, one_of
from watcher.web.page.live_updates import LiveUpdates
from watcher.web.page.rendering import query
from watcher.web.page.sorting import SortColumn, Sorting, choices, headings, sorting_of
from watcher.web.principal import Principal, principal_of

A_PAGE = 50
_PLACES = ("", "services", "links")  # where a text is looked for
MOST_NAMED = 200  # services whose orders are found by the services' names
_LONGEST = 2000  # characters of a search
_NEWEST = "-order"
_TIME: Any = {"rising": "oldest first", "falling": "newest first"}
COLUMNS = (
    SortColumn("Order", "order", falls=True, **_TIME),
    SortColumn("Status"),
    SortColumn("Service"),
    SortColumn("Link"),
    SortColumn("Delivered", "delivered"),
    SortColumn("Charge", "charge", falls=True, is_number=True),
    SortColumn("Progressed", "progressed", falls=True, **_TIME),
    SortColumn("Next check"),
)


async def show(request: web.Request, live: LiveUpdates) -> dict[str, Any]:
    """Return the template's variables."""
    context = request.app[CONTEXT]
    principal = principal_of(request)
    wanted = filters_of(request)
    sorting = sorting_of(request, COLUMNS, _NEWEST)
    after = _cursor_of(request)
    services = await _services(context, principal, wanted)
    asked, (wanted, found) = (
        wanted,
        await _found(context, principal, wanted, services, after, sorting),
    )
    address = {**wanted, "sort": sorting.address}
    cursor = found.next and _written(found.next)
    return {
        "here": "orders",
        "wanted": wanted,
        "found": found,
        "sorting": sorting,
        "choices": choices(COLUMNS, _NEWEST),
        "headings": headings("/orders", wanted, sorting, COLUMNS),
        "rows": [_row(context, order) for order in found.orders],
        "services": services[:5],
        "more_services": len(services) > 5,
        "older": query("/orders", {**address, "cursor": cursor}) if cursor else None,
        "first": query("/orders", address) if request.query.get("cursor") else None,
        "within": query("/orders", {**address, "in": "links"}),
        "download": query("/orders.csv", wanted),
        "begins_none": asked != wanted,
        "panels": sorted(principal.among(context.config.current.panels)),
        "statuses": list(Status),
        "phases": list(Phase),
        "is_filtered": any(wanted.values()),
        "note": _note(found),
        "is_cut": len(services) > MOST_NAMED,
    }


async def _found(
    context: WebContext,
    principal: Principal,
    wanted: dict[str, str],
    services: list[StoredService],
    after: SearchCursor | None,
    sorting: Sorting,
) -> tuple[dict[str, str], SearchResult]:
    """Return the filters and what they find.

    A text that begins no id or link is looked for in the services' names, then within links.
    """
    found = await _find(context, _query(context, principal, wanted, services), after, sorting)
    if not wanted["q"] or wanted["in"] or after is not None:
        return wanted, found
    for place in ("services", "links"):
        if found.orders or found.next:
            break
        if place == "links" or 0 < len(services) <= MOST_NAMED:
            wanted = {**wanted, "in": place}
            found = await _find(
                context, _query(context, principal, wanted, services), after, sorting
            )
    return wanted, found


async def _find(
    context: WebContext, wanted: SearchQuery, after: SearchCursor | None, sorting: Sorting
) -> SearchResult:
    return await context.store.search.find(
        wanted,
        limit=A_PAGE,
        after=after,
        sort=OrderSort(sorting.key),
        ascending=not sorting.descending,
    )


async def _services(
    context: WebContext, principal: Principal, wanted: dict[str, str]
) -> list[StoredService]:
    """Return the services with the words that are searched for, up to one too many."""
    text, panel = wanted["q"], wanted["panel"]
    if wanted["in"] == "links" or "/" in text or not any(letter.isalpha() for letter in text):
        return []
    panels = [panel] if panel else principal.among(context.config.current.panels)
    return await context.store.service_search.find(text, panels=panels, limit=MOST_NAMED + 1)


async def query_of(
    context: WebContext, principal: Principal, wanted: dict[str, str]
) -> SearchQuery:
    """Return the search query for the filters, at the panels that the principal reaches."""
    return _query(context, principal, wanted, await _services(context, principal, wanted))


def _query(
    context: WebContext,
    principal: Principal,
    wanted: dict[str, str],
    services: list[StoredService],
) -> SearchQuery:
    """Return the search query for the filters; `services` are those with the searched words."""
    configured = {
        name: panel
        for name, panel in context.config.current.panels.items()
        if principal.reaches(name) and (not wanted["panel"] or name == wanted["panel"])
    }
    named = [(stored.panel, stored.service.id) for stored in services]
    if not named or len(named) > MOST_NAMED:
        named = [("", "")]  # no order's
    return SearchQuery(
        text="" if wanted["in"] == "services" else wanted["q"],
        within=wanted["in"] == "links",
        named=named if wanted["in"] == "services" else [],
        panel=wanted["panel"] or None,
        panels=principal.panels,
        service=wanted["service"] or None,
        tag=wanted["tag"] or None,
        status=Status(wanted["status"]) if wanted["status"] else None,
        phase=Phase(wanted["phase"]) if wanted["phase"] else None,
        problem=bool(wanted["problem"]),
        **(_stalled(context, configured) if wanted["stalled"] else {}),
    )


def _stalled(context: WebContext, panels: Mapping[str, PanelConfig]) -> dict[str, Any]:
    """Return what finds stalled orders; their keys are known if this node leads all panels."""
    now = context.clock()
    before = {name: now - panel.settings.stalled_after for name, panel in panels.items()}
    if not all(context.leadership.leads(name) for name in panels):
        return {"progressed_before": before}
    counts = [context.daemon_status.panel_counts(name) for name in panels]
    return {"progressed_before": before, "keys": [k for c in counts for k in c.stalled_keys]}


def filters_of(request: web.Request) -> dict[str, str]:
    """Return the checked filters; "" for one that is not set."""
    text = request.query.get("q", "").strip()
    if len(text) > _LONGEST:
        raise RequestError("the search is longer than any link")
    if request.query.get("in", "") not in _PLACES:
        raise RequestError("in: services, links, or nothing")
    return {
        "q": text,
        "in": request.query.get("in", "") if text else "",
        "panel": request.query.get("panel", ""),
        "service": request.query.get("service", "").strip(),
        "tag": request.query.get("tag", "").strip(),
        "status": one_of(request, "status", Status) or "",
        "phase": one_of(request, "phase", Phase) or "",
        "stalled": "true" if flag(request, "stalled") else "",
        "problem": "true" if flag(request, "problem") else "",
    }


def _cursor_of(request: web.Request) -> SearchCursor | None:
    """Read where the page before ended: the key, or the key and the sorted value."""
    text = request.query.get("cursor", "")
    if not text:
        return None
    key, _, value = text.partition("_")
    try:
        if not (key.isascii() and key.isdecimal() and len(key) <= 18):
            raise ValueError
        number = float(value) if value else None
        if number is not None and not math.isfinite(number):
            raise ValueError
    except ValueError:
        raise RequestError(f"cursor: a number is wanted, not {text[:20]!r}") from None
    return SearchCursor(int(key), number)


def _written(cursor: SearchCursor) -> str:
    return str(cursor.key) if cursor.value is None else f"{cursor.key}_{cursor.value!r}"


def _row(context: WebContext, order: Order) -> tuple[Any, str]:
    """Return the order's view, and its service's name."""
    view = context.view(order)
    service = context.rule_engine.services.get(view.panel, {}).get(view.service or "")
    return view, service.name if service else ""


def _note(found: SearchResult) -> str:
    """Return what the page says about its completeness."""
    if found.partly:
        return f"Only the newest {found.partly:,} orders were sorted: filter to reach older ones."
    if found.stopped:
        return (
            "No match up to here; there may be older ones."
            if not found.orders
            else ("There may be older ones.")
        )
    return ""
