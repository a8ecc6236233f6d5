"""The page of actions: what was sent, why, and the outcome."""

from typing import Any

import msgspec
from aiohttp import web

from watcher.errors import NotFound
from watcher.model import ActionState
from watcher.web.context import CONTEXT, WebContext, one_of, page_of
from watcher.web.page.live_updates import LiveUpdates
from watcher.web.page.rendering import query
from watcher.web.principal import Principal, principal_of
from watcher.web.views import clipped

A_PAGE = 50


async def show(request: web.Request, live: LiveUpdates) -> dict[str, Any]:
    """Return the template's variables."""
    context = request.app[CONTEXT]
    _, after = page_of(request)
    panel = request.query.get("panel", "")
    if panel and context.config.panel(panel) is None:
        raise NotFound(f"there is no panel {panel!r}")
    wanted = {"state": one_of(request, "state", ActionState) or "", "panel": panel}
    asked = request.query.get("resolve", "")
    return await listed(context, principal_of(request), wanted, after=after, asked=asked)


async def listed(
    context: WebContext,
    principal: Principal,
    wanted: dict[str, str],
    *,
    after: int = 0,
    asked: str = "",
    problem: str = "",
    typed: str = "",
) -> dict[str, Any]:
    """Return the template's variables for a state's and a panel's actions that the principal sees.

    The form of the action `asked` is open and shows the `problem` with what was typed.
    """
    panel = wanted["panel"]
    state = ActionState(wanted["state"]) if wanted["state"] else None
    found, cursor = await context.store.actions.page(
        state=state,
        panel=panel or None,
        panels=principal.panels,
        limit=A_PAGE,
        after=after or None,
    )
    return {
        "here": "actions",
        "wanted": wanted,
        "actions": [msgspec.structs.replace(a, params=clipped(a.params)) for a in found],
        "states": list(ActionState),
        "panels": sorted(principal.among(context.config.current.panels)),
        "older": query("/actions", {**wanted, "cursor": cursor}) if cursor else None,
        "back": query("/actions", wanted),
        "asked": asked,
        "problem": problem,
        "typed": typed,
    }
