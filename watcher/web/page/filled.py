"""Fills a page's template, with what every page shows."""

from typing import Any

from aiohttp import web

from watcher.web.auth import KEEPER
from watcher.web.context import BACKEND
from watcher.web.page.answer import html_answer
from watcher.web.page.live_updates import LiveUpdates
from watcher.web.principal import principal_of

LIVE = web.AppKey("live", LiveUpdates)


def filled(
    request: web.Request, template: str, context: dict[str, Any], status: int = 200
) -> web.Response:
    """Return the page with the template's variables."""
    live, principal = request.app[LIVE], principal_of(request)
    return html_answer(
        template,
        status,
        **{
            "events": "/events/page",
            "needs": live.needs(principal),
            "unresolved": live.unresolved(principal),
            "principal": principal,
            "clustered": request.app[BACKEND].leadership.is_clustered,
            "session": request.app[KEEPER].has_session(request),
            **context,
        },
    )
