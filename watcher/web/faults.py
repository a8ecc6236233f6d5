"""Every refusal of the web in one form; what nobody foresaw is logged, not shown."""

import math
from collections.abc import Mapping

import msgspec
import structlog
from aiohttp import web

from watcher.errors import RequestError, StoreError
from watcher.web.guard import Respond
from watcher.web.rate import TooMany
from watcher.web.shapes import Fault, FaultAnswer
from watcher.web.token import PAGE, Unauthorized

log = structlog.get_logger()


@web.middleware
async def told(request: web.Request, handler: Respond) -> web.StreamResponse:
    """Answer what is raised below."""
    try:
        return await handler(request)
    except RequestError as error:
        return _fault(error.status, error.code, str(error), _headers(error, request))
    except StoreError as error:
        return _fault(503, "database", str(error))
    except web.HTTPException as error:
        if error.status < 400:
            raise
        return _fault(error.status, "http", error.reason)
    except TimeoutError:
        return _fault(408, "too_slow", "the client did not read or send in time")
    except Exception:
        log.exception("web.failed", method=request.method, path=request.path)
        return _fault(500, "internal", "the daemon's log has the cause")


def json_answer(
    status: int, answer: msgspec.Struct, headers: Mapping[str, str] | None = None
) -> web.Response:
    """An answer of the API."""
    return web.Response(
        status=status,
        body=msgspec.json.encode(answer),
        content_type="application/json",
        headers=headers,
    )


def _fault(
    status: int, code: str, message: str, headers: Mapping[str, str] | None = None
) -> web.Response:
    return json_answer(status, FaultAnswer(Fault(code, message)), headers)


def _headers(error: RequestError, request: web.Request) -> dict[str, str]:
    if isinstance(error, TooMany):
        return {"Retry-After": str(math.ceil(error.retry_after))}
    if isinstance(error, Unauthorized):
        return {"WWW-Authenticate": "Basic" if request.path == PAGE else "Bearer"}
    return {}
