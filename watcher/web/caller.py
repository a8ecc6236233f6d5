"""The sender of a request and its channel, for limits and for the audit log."""

import msgspec
from aiohttp import web

from watcher.web.guard import is_page
from watcher.web.hop import hop_of
from watcher.web.principal import PRINCIPAL

_Notes = dict[str, str | None]
_NOTES = web.RequestKey("audit_notes", dict)
COMMAND_LINE = "watcher-cli"  # the product in the User-Agent of the command line


class Caller(msgspec.Struct, frozen=True):
    """`name` is the principal's; `via` is page, cli or api."""

    name: str
    via: str


def caller_of(request: web.Request) -> Caller:
    """Return the sender of the request."""
    principal = request.get(PRINCIPAL)  # POST /login has none
    return Caller("" if principal is None else principal.name, _via(request))


def _via(request: web.Request) -> str:
    hop = hop_of(request)
    if hop is not None:
        return hop.via
    if is_page(request):
        return "page"
    agent = request.headers.get("User-Agent", "")
    return "cli" if agent.startswith(f"{COMMAND_LINE}/") else "api"


def note(request: web.Request, **more: str | None) -> None:
    """Note what the audit log says of the request: `did`, `panel`, `subject` or `detail`."""
    request[_NOTES] = {**notes_of(request), **more}


def notes_of(request: web.Request) -> _Notes:
    """Return what was noted for the audit log."""
    found: _Notes = request.get(_NOTES, {})
    return found
