"""Answers to browsers."""

from typing import Any

from aiohttp import web

from watcher.web.headers import PAGE_POLICY
from watcher.web.page.rendering import render


def html_answer(template: str, status: int = 200, **context: Any) -> web.Response:
    """Return the rendered template as an answer."""
    frame: dict[str, Any] = {"here": "", "needs": None, "unresolved": None, "events": None}
    frame |= {"session": False, "principal": None}
    return web.Response(
        status=status,
        body=render(template, **{**frame, **context}).encode(),
        content_type="text/html",
        charset="utf-8",
        headers={
            "Content-Security-Policy": PAGE_POLICY,
            "Referrer-Policy": "same-origin",  # else our own forms could not name their origin
        },
    )
