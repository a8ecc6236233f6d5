"""The pages of panels: balance over time, and price lists."""

import asyncio
from typing import Any

from aiohttp import web

from watcher.errors import RequestError
from watcher.store import ServiceChange, Store
from watcher.web.context import BACKEND
from watcher.web.page.charts import steps
from watcher.web.page.live_updates import LiveUpdates
from watcher.web.page.overview import Account, accounts
from watcher.web.page.rendering import panel_url, query
from watcher.web.principal import principal_of
from watcher.web.state import attention_of

A_PAGE = 100
_DRAWN = 14 * 86400.0  # seconds of balance


async def show_all(request: web.Request, live: LiveUpdates) -> dict[str, Any]:
    """Return the variables of the template of all panels."""
    return {"here": "panels", "accounts": _accounts(request)}


async def show(request: web.Request, live: LiveUpdates) -> dict[str, Any]:
    """Return the variables of the template of one panel."""
    context = request.app[BACKEND]
    panel = request.match_info["panel"]
    context.commands.check_panel(panel)
    words, skip = request.query.get("q", "").strip()[:200], _skip(request)
    now = context.clock()
    (changes, names), (listed, count), balances = await asyncio.gather(
        _changes(context.store, panel),
        context.store.services.search(panel, words, limit=A_PAGE, skip=skip),
        context.store.balances.since(panel, now - _DRAWN),
    )
    points = [(at, float(balance.amount)) for at, balance in balances]
    account = next(account for account in _accounts(request) if account.view.panel == panel)
    url = panel_url(panel)
    return {
        "here": "panels",
        "account": account,
        "view": account.view,
        "settings": context.panel_workers[panel].config.settings,
        "drawing": steps(points, points[0][0], now) if len(points) > 1 else None,
        "listed": listed,
        "count": count,
        "skip": skip,
        "words": words,
        "more": query(url, {"q": words, "skip": skip + A_PAGE}) if count > skip + A_PAGE else None,
        "changes": changes,
        "names": names,
    }


def _accounts(request: web.Request) -> list[Account]:
    context, principal = request.app[BACKEND], principal_of(request)
    return accounts(context, principal, attention_of(context, principal))


async def _changes(store: Store, panel: str) -> tuple[list[ServiceChange], dict[str, str]]:
    """Return the last changes in the price list, and the names of their services."""
    changes = await store.services.changes(panel, limit=20)
    return changes, await store.services.names(panel, [change.service for change in changes])


def _skip(request: web.Request) -> int:
    text = request.query.get("skip", "") or "0"
    if not (text.isascii() and text.isdecimal() and len(text) <= 9):
        raise RequestError("skip: a number is wanted")
    return int(text)
