"""Every refusal of the web in one form; what nobody foresaw is logged, not shown."""

import math
from collections.abc import Callable, Mapping
from functools import partial
from urllib.parse import urlsplit

import msgspec
import structlog
from aiohttp import web

from watcher.errors import RequestError, StoreError
from watcher.web.auth import Unauthorized
from watcher.web.connection_limit import ARRIVALS, CLIENT_FAULTS
from watcher.web.context import BACKEND
from watcher.web.guard import Respond, is_drop_in, is_page
from watcher.web.page.answer import html_answer
from watcher.web.rate_limit import TooMany
from watcher.web.shapes import Fault, FaultAnswer

log = structlog.get_logger()

_ABOUT_THE_BODY = frozenset({400, 405, 413, 415, 422})


@web.middleware
async def told(request: web.Request, handler: Respond) -> web.StreamResponse:
    """Answer what is raised below."""
    request.app[ARRIVALS].arrived(request.protocol)
    try:
        return await handler(request)
    except web.HTTPException as error:
        if error.status < 400:
            raise
        return _form_of(request)(error.status, "http", error.reason, _allowed(error))
    except RequestError as error:
        if is_page(request) and isinstance(error, Unauthorized):
            return _login(request, error)
        return _form_of(request)(error.status, error.code, str(error), _headers(error))
    except Exception as error:  # noqa: BLE001  what nobody foresaw is among them
        return _form_of(request)(*_failure(request, error))


def _failure(request: web.Request, error: Exception) -> tuple[int, str, str]:
    """Return the status, the code and the message for what is no refusal of ours."""
    if isinstance(error, StoreError):
        return 503, "database", str(error)
    if isinstance(error, TimeoutError):
        return 408, "too_slow", "the client did not read or send in time"
    if isinstance(error, CLIENT_FAULTS):
        request.app[BACKEND].metrics.web_faults.labels("broken").inc()
        return 400, "broken", "the request was cut off, or its body can't be decoded"
    log.error("web.failed", method=request.method, path=request.path, exc_info=error)
    return 500, "internal", "the daemon's log has the cause"


def _form_of(request: web.Request) -> Callable[..., web.Response]:
    """Return what makes an answer of the form that the caller reads."""
    if is_drop_in(request):
        return _panels_fault
    return partial(_page_fault, _back(request)) if is_page(request) else _fault


def _back(request: web.Request) -> str:
    """Return the page of ours from which the request came; nothing where it is not known."""
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
    """An answer of the API."""
    return web.Response(
        status=status,
        body=msgspec.json.encode(answer),
        content_type="application/json",
        headers=headers,
    )


def _login(request: web.Request, error: Unauthorized) -> web.Response:
    """The page asks for the token, and leads on to where one wanted to go."""
    wanted = str(request.rel_url) if request.method == "GET" else "/"
    answer = html_answer("login.html", 401, problem="", wanted=wanted)
    answer.headers.update(_headers(error))
    return answer


def _page_fault(
    back: str, status: int, code: str, message: str, headers: Mapping[str, str] | None = None
) -> web.Response:
    answer = html_answer("fault.html", status, message=message, back=back)
    answer.headers.update(headers or {})
    return answer


def _fault(
    status: int, code: str, message: str, headers: Mapping[str, str] | None = None
) -> web.Response:
    return json_answer(status, FaultAnswer(Fault(code, message)), headers)


def _panels_fault(
    status: int, code: str, message: str, headers: Mapping[str, str] | None = None
) -> web.Response:
    """As panels tell of errors: many shops read no body of another status than 200."""
    return json_answer(200 if status in _ABOUT_THE_BODY else status, {"error": message}, headers)


def _allowed(error: web.HTTPException) -> dict[str, str]:
    """What would be, where a method is not."""
    if isinstance(error, web.HTTPMethodNotAllowed):
        return {"Allow": ", ".join(sorted(error.allowed_methods))}
    return {}


def _headers(error: RequestError) -> dict[str, str]:
    if isinstance(error, TooMany):
        return {"Retry-After": str(math.ceil(error.retry_after))}
    return {"WWW-Authenticate": "Bearer"} if isinstance(error, Unauthorized) else {}
