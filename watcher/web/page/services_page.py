"""The page of services: their quality and prices, and what changed in price lists."""

import asyncio
from typing import Any

from aiohttp import web

from watcher.errors import RequestError
from watcher.store import StoredService
from watcher.store.service_search import ServiceSort
from watcher.web.context import CONTEXT, WebContext
from watcher.web.page.live_updates import LiveUpdates
from watcher.web.page.rendering import query
from watcher.web.page.sorting import SortColumn, Sorting, choices, headings, sorting_of
from watcher.web.principal import principal_of
from watcher.web.service_list import FIGURES, by_figure, listed_service

A_PAGE = 50
_CHANGES = 20
_MOST_SKIPPED = 1_000_000
_USUAL = "service"
COLUMNS = (
    SortColumn("Service", "service"),
    SortColumn("Name", "name"),
    SortColumn("Price of 1,000", "price", is_number=True),
    SortColumn("Starts in", "starts", is_number=True),
    SortColumn("1,000 take", "takes", is_number=True),
    SortColumn("Completed", "completed", falls=True, is_number=True),
    SortColumn("Partial", "partial", is_number=True),
    SortColumn("Canceled", "canceled", is_number=True),
    SortColumn("Orders", "orders", falls=True, is_number=True),
    SortColumn("Refill", "refill", falls=True),
    SortColumn("Cancel"),
    SortColumn("Quantity", is_number=True),
)


async def show(request: web.Request, live: LiveUpdates) -> dict[str, Any]:
    """Return the template's variables."""
    context, principal = request.app[CONTEXT], principal_of(request)
    reached = sorted(principal.among(context.config.current.panels))
    wanted = {
        "panel": request.query.get("panel", ""),
        "q": request.query.get("q", "").strip()[:200],
    }
    if wanted["panel"]:
        context.commands.check_panel(wanted["panel"])
    panels = [wanted["panel"]] if wanted["panel"] else reached
    sorting, skip = sorting_of(request, COLUMNS, _USUAL), _skip(request)
    stored, changes = await asyncio.gather(
        _found(context, panels, wanted["q"], sorting, skip),
        context.store.recent.price_changes(panels, _CHANGES),
    )
    sorted_as = {**wanted, "sort": sorting.address}
    return {
        "here": "services",
        "wanted": wanted,
        "sorting": sorting,
        "choices": choices(COLUMNS, _USUAL),
        "headings": headings("/services", wanted, sorting, COLUMNS),
        "rows": [(row.panel, listed_service(context, row)) for row in stored[:A_PAGE]],
        "panels": reached,
        "by_figure": sorting.key in FIGURES,
        "first": query("/services", sorted_as) if skip else None,
        "more": query("/services", {**sorted_as, "skip": skip + A_PAGE})
        if len(stored) > A_PAGE
        else None,
        "changes": changes,
    }


async def _found(
    context: WebContext, panels: list[str], words: str, sorting: Sorting, skip: int
) -> list[StoredService]:
    """Return a page of services, and the first of the next page."""
    page: Any = {"limit": A_PAGE + 1, "skip": skip, "descending": sorting.descending}
    if sorting.key in FIGURES:
        return await by_figure(context, sorting.key, panels=panels, words=words, **page)
    sort = ServiceSort(sorting.key)
    return await context.store.service_search.find(words, panels=panels, sort=sort, **page)


def _skip(request: web.Request) -> int:
    text = request.query.get("skip", "") or "0"
    if not (text.isascii() and text.isdecimal() and len(text) <= 9):
        raise RequestError("skip: a number is wanted")
    return min(int(text), _MOST_SKIPPED)
