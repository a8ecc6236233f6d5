"""Answers with a page: its template, and what every page shows."""

from typing import Any

from aiohttp import web

from watcher.web.auth import SESSION_AUTH
from watcher.web.context import CONTEXT
from watcher.web.page.answer import html_answer
from watcher.web.page.live_updates import LiveUpdates
from watcher.web.principal import principal_of

LIVE = web.AppKey("live", LiveUpdates)


def page_answer(
    request: web.Request, template: str, context: dict[str, Any], status: int = 200
) -> web.Response:
    """Return the page as an answer; `context` are the template's own variables."""
    live, principal = request.app[LIVE], principal_of(request)
    return html_answer(
        template,
        status,
        **{
            "events": "/events/page",
            "needs": live.needs(principal),
            "unresolved": live.unresolved(principal),
            "principal": principal,
            "clustered": request.app[CONTEXT].leadership.is_clustered,
            "session": request.app[SESSION_AUTH].has_session(request),
            **context,
        },
    )
