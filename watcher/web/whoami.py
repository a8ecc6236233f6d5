"""The API's call about the key that is used."""

import msgspec
from aiohttp import web

from watcher.config import Right
from watcher.web.context import Route, WebContext
from watcher.web.principal import principal_of


class PrincipalView(msgspec.Struct, frozen=True, kw_only=True):
    """Who sends the request.

    `name` is that of a key in [[keys]]; `token` for who has the token, `local` if none is needed.
    `panels` null means every panel.
    """

    name: str
    rights: list[Right]
    panels: list[str] | None


async def whoami(context: WebContext, request: web.Request) -> tuple[int, PrincipalView]:
    principal = principal_of(request)
    return 200, PrincipalView(
        name=principal.name,
        rights=[right for right in Right if principal.may(right)],
        panels=None if principal.panels is None else sorted(principal.panels),
    )


ROUTES = (
    Route(
        method="GET",
        path="/v1/whoami",
        handler=whoami,
        summary="Return who sends this request, and what they may do.",
        gives={200: PrincipalView},
    ),
)
