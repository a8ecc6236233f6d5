"""Turns every exception into an answer; an unexpected one is logged, not shown."""

import math
from collections.abc import Mapping
from urllib.parse import urlsplit

import msgspec
import structlog
from aiohttp import web

from watcher.errors import NotLed, RequestError, StoreError, StoreRefused
from watcher.web.auth import SESSION_AUTH, Unauthorized
from watcher.web.connection_limit import ARRIVALS, CLIENT_FAULTS
from watcher.web.context import CONTEXT
from watcher.web.guard import OPEN_PATHS, Respond, is_drop_in, is_page
from watcher.web.page.answer import html_answer
from watcher.web.principal import Forbidden
from watcher.web.rate_limit import TooMany
from watcher.web.shapes import Fault, FaultAnswer

log = structlog.get_logger()

_API = ("/v1/", "/api/")
_TITLES = {404: "Not found", 500: "An error of watcher's own", 503: "Not available now"}
_ABOUT_THE_BODY = frozenset({400, 405, 413, 415, 422})


@web.middleware
async def catch_errors(request: web.Request, handler: Respond) -> web.StreamResponse:
    """Answer the request; with an error if a handler raises."""
    request.app[ARRIVALS].arrived(request.protocol)
    try:
        return await handler(request)
    except web.HTTPException as error:
        if error.status < 400:
            raise
        is_no_page = error.status == 404 and _is_for_people(request)
        message = "There is no such page." if is_no_page else error.reason
        return _refusal(request, error.status, "http", message, _allowed(error))
    except RequestError as error:
        if _is_for_people(request) and isinstance(error, Unauthorized):
            return _login(request, error)
        return _refusal(request, error.status, error.code, str(error), _headers(error))
    except Exception as error:  # noqa: BLE001  unexpected ones, too
        return _refusal(request, *_failure(request, error))


def _failure(request: web.Request, error: Exception) -> tuple[int, str, str]:
    """Return status, code and message for an exception that is not a WatcherError."""
    if isinstance(error, StoreRefused):
        return 400, "invalid", str(error)
    if isinstance(error, StoreError):
        return 503, "database", str(error)
    if isinstance(error, TimeoutError):
        return 408, "too_slow", "the client did not read or send in time"
    if isinstance(error, CLIENT_FAULTS):
        request.app[CONTEXT].metrics.web_faults.labels("broken").inc()
        return 400, "broken", "the request was cut off, or its body can't be decoded"
    log.error("web.failed", method=request.method, path=request.path, exc_info=error)
    return 500, "internal", "the daemon's log has the cause"


def _refusal(
    request: web.Request,
    status: int,
    code: str,
    message: str,
    headers: Mapping[str, str] | None = None,
) -> web.Response:
    """Return an error in the form that the caller expects."""
    if is_drop_in(request):  # many shops read a body only with status 200
        shown = 200 if status in _ABOUT_THE_BODY else status
        return json_answer(shown, {"error": message}, headers)
    if not _is_for_people(request):
        return json_answer(status, FaultAnswer(Fault(code, message)), headers)
    title = _TITLES.get(status, "That did not work")
    # A key without the right to read must still be able to sign out.
    session = code == Forbidden.code and request.app[SESSION_AUTH].has_session(request)
    back = _back(request)
    answer = html_answer(
        "fault.html", status, title=title, message=message, back=back, session=session
    )
    answer.headers.update(headers or {})
    return answer


def _is_for_people(request: web.Request) -> bool:
    """Return whether an error is shown as a page: on the page's paths and on unknown ones.

    A browser asks for HTML. The API's paths, and probes, answer alike to all.
    """
    if is_page(request):
        return True
    known = request.path in OPEN_PATHS or request.path.startswith(_API)
    return not known and "text/html" in request.headers.get("Accept", "")


def _back(request: web.Request) -> str:
    """Return the status page that the request came from, "" if it is not known."""
    try:
        came_from = urlsplit(request.headers.get("Referer", ""))
    except ValueError:
        return ""
    if came_from.netloc != request.host or not came_from.path.startswith("/"):
        return ""
    return f"{came_from.path}?{came_from.query}" if came_from.query else came_from.path


def json_answer(
    status: int, answer: object, headers: Mapping[str, str] | None = None
) -> web.Response:
    """Return an answer of the API."""
    return web.Response(
        status=status,
        body=msgspec.json.encode(answer),
        content_type="application/json",
        headers=headers,
    )


def _login(request: web.Request, error: Unauthorized) -> web.Response:
    """Return the page that asks for the token and then leads to the wanted one."""
    wanted = str(request.rel_url) if request.method == "GET" else "/"
    answer = html_answer("login.html", 401, problem="", wanted=wanted)
    answer.headers.update(_headers(error))
    return answer


def _allowed(error: web.HTTPException) -> dict[str, str]:
    """Return the allowed methods if this one is not allowed."""
    if isinstance(error, web.HTTPMethodNotAllowed):
        return {"Allow": ", ".join(sorted(error.allowed_methods))}
    return {}


def _headers(error: RequestError) -> dict[str, str]:
    if isinstance(error, TooMany | NotLed):
        return {"Retry-After": str(math.ceil(error.retry_after))}
    return {"WWW-Authenticate": "Bearer"} if isinstance(error, Unauthorized) else {}
