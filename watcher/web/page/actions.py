"""The page of actions: what was sent, why, and what came of it."""

from typing import Any

import msgspec
from aiohttp import web

from watcher.errors import NotFound
from watcher.model import ActionState
from watcher.web.backend import BACKEND, Backend, one_of, page_of
from watcher.web.page.live import Live
from watcher.web.page.look import query
from watcher.web.views import clipped

A_PAGE = 50


async def show(request: web.Request, live: Live) -> dict[str, Any]:
    """What the template wants."""
    backend = request.app[BACKEND]
    _, after = page_of(request)
    panel = request.query.get("panel", "")
    if panel and panel not in backend.stations:
        raise NotFound(f"there is no panel {panel!r}")
    wanted = {"state": one_of(request, "state", ActionState) or "", "panel": panel}
    asked = request.query.get("resolve", "")
    return await listed(backend, wanted, after=after, asked=asked)


async def listed(
    backend: Backend, wanted: dict[str, str], *, after: int = 0, asked: str = "", problem: str = ""
) -> dict[str, Any]:
    """Return what the template wants for the actions of a state and a panel.

    The form of the action `asked` is open, and says the `problem` with what was sent by it.
    """
    panel = wanted["panel"]
    state = ActionState(wanted["state"]) if wanted["state"] else None
    found, cursor = await backend.store.actions.page(
        state=state, panel=panel or None, limit=A_PAGE, after=after or None
    )
    return {
        "here": "actions",
        "wanted": wanted,
        "actions": [msgspec.structs.replace(a, params=clipped(a.params)) for a in found],
        "states": list(ActionState),
        "panels": sorted(backend.stations),
        "older": query("/actions", {**wanted, "cursor": cursor}) if cursor else None,
        "back": query("/actions", wanted),
        "asked": asked,
        "problem": problem,
    }
