"""The pages of panels: their state, and the balance over time."""

from typing import Any

from aiohttp import web

from watcher.errors import NotFound
from watcher.web.context import CONTEXT
from watcher.web.node_routes import node_list
from watcher.web.page.charts import steps
from watcher.web.page.live_updates import LiveUpdates
from watcher.web.page.overview import Account, accounts
from watcher.web.principal import principal_of
from watcher.web.state import attention_of

_DRAWN = 14 * 86400.0  # seconds of balance


async def show_all(request: web.Request, live: LiveUpdates) -> dict[str, Any]:
    """Return the variables of the template of all panels."""
    return {"here": "panels", "accounts": _accounts(request)}


async def show(request: web.Request, live: LiveUpdates) -> dict[str, Any]:
    """Return the variables of the template of one panel."""
    context = request.app[CONTEXT]
    panel = request.match_info["panel"]
    context.commands.check_panel(panel)
    now = context.clock()
    balances = await context.store.balances.since(panel, now - _DRAWN)
    points = [(at, float(balance.amount)) for at, balance in balances]
    account = next(account for account in _accounts(request) if account.view.panel == panel)
    return {
        "here": "panels",
        "account": account,
        "view": account.view,
        "settings": context.config.current.panels[panel].settings,
        "drawing": steps(points, points[0][0], now) if len(points) > 1 else None,
    }


async def show_nodes(request: web.Request, live: LiveUpdates) -> dict[str, Any]:
    """Return the variables of the template of the cluster's nodes."""
    cluster = request.app[CONTEXT].daemon_status.cluster()
    if cluster is None:
        raise NotFound("this watcher is of no cluster")
    return {"here": "nodes", "listed": node_list(cluster)}


def _accounts(request: web.Request) -> list[Account]:
    context, principal = request.app[CONTEXT], principal_of(request)
    return accounts(context, principal, attention_of(context, principal))
