"""Services with what the daemon has learned from their orders, for the API and the status page."""

import asyncio
from collections.abc import Callable, Sequence

from watcher.orders.schedule import ServiceStats, stats_of
from watcher.store import StoredService
from watcher.store.base import batched
from watcher.web.context import WebContext
from watcher.web.panel_shapes import ServiceView
from watcher.web.views import service_view

QUANTITIES = (100, 1000, 10_000)  # for which the usual duration is given
USUAL = 1000  # the quantity by whose duration services are sorted
_AT_ONCE = 500  # services that are read at once

FIGURES: dict[str, Callable[[ServiceStats], float | None]] = {
    "starts": lambda stats: stats.start_delay,
    "takes": lambda stats: stats.duration.get(USUAL),
    "completed": lambda stats: stats.completed,
    "partial": lambda stats: stats.partial,
    "canceled": lambda stats: stats.canceled,
    "orders": lambda stats: stats.orders or None,
}


def listed_service(context: WebContext, stored: StoredService) -> ServiceView:
    """Return the service with its figures."""
    learnt = context.watchlist.panel(stored.panel).learnt
    stats = stats_of(learnt, stored.service.id, QUANTITIES)
    return service_view(stored.service, stored.refill_disabled_text, stored.gone_at, stats)


async def by_figure(
    context: WebContext,
    figure: str,
    *,
    panels: Sequence[str],
    words: str,
    descending: bool,
    limit: int,
    skip: int,
) -> list[StoredService]:
    """Return a page of the services whose figure is known, sorted by it; FIGURES names them.

    The figures are in memory only. So the database is asked about few services at a time, until
    the page is full.
    """
    ranked = await asyncio.to_thread(_ranked, context, figure, panels, descending=descending)
    found: list[StoredService] = []
    for keys in batched(ranked, _AT_ONCE):
        listed = await context.store.service_search.among(keys, words)
        found += [listed[key] for key in keys if key in listed]
        if len(found) >= skip + limit:
            break
    return found[skip : skip + limit]


def _ranked(
    context: WebContext, figure: str, panels: Sequence[str], *, descending: bool
) -> list[tuple[str, str]]:
    """Return (panel, service id) of the services whose figure is known, sorted by it."""
    known: list[tuple[float, str, str]] = []
    for panel in panels:
        learnt = context.watchlist.panel(panel).learnt
        for service in list(learnt.services):
            stats = stats_of(learnt, service, (USUAL,)) if service else None
            value = None if stats is None else FIGURES[figure](stats)
            if value is not None and service is not None:
                known.append((-value if descending else value, panel, service))
    return [(panel, service) for _, panel, service in sorted(known)]
