"""The HTTP server: the API, the probes, the metrics and the status page."""

import base64
import binascii
import hmac
import tempfile
from collections.abc import Awaitable, Callable
from pathlib import Path

import msgspec
import structlog
from aiohttp import web
from prometheus_client import exposition
from prometheus_client.openmetrics.exposition import CONTENT_TYPE_LATEST, generate_latest

from watcher.errors import RequestError, StoreError
from watcher.web import orders, state
from watcher.web.backend import BACKEND, Backend, Route
from watcher.web.openapi import describe
from watcher.web.page import render
from watcher.web.shapes import Fault, FaultAnswer

log = structlog.get_logger()

ROUTES: tuple[Route, ...] = (*orders.ROUTES, *state.ROUTES)
MAX_BODY = 32 * 1024 * 1024  # bytes: 10,000 orders with long links
OPEN_PATHS = frozenset({"/metrics", "/healthz", "/readyz"})

Respond = Callable[[web.Request], Awaitable[web.StreamResponse]]


def make_server(backend: Backend) -> web.Application:
    """The application, to be run by an AppRunner."""
    app = web.Application(
        middlewares=[_errors, _authorized], client_max_size=MAX_BODY, handler_args=None
    )
    app[BACKEND] = backend
    for route in ROUTES:
        app.router.add_route(route.method, route.path, _serve(route))
    app.router.add_get("/v1/openapi.json", _description(msgspec.json.encode(describe(ROUTES))))
    app.router.add_get("/v1/backup", _backup)
    app.router.add_get("/metrics", _metrics)
    app.router.add_get("/healthz", _healthz)
    app.router.add_get("/readyz", _readyz)
    app.router.add_get("/", _page)
    return app


def _serve(route: Route) -> Respond:
    async def respond(request: web.Request) -> web.Response:
        status, answer = await route.handler(request.app[BACKEND], request)
        return _json(status, answer)

    return respond


def _json(status: int, answer: msgspec.Struct) -> web.Response:
    return web.Response(
        status=status, body=msgspec.json.encode(answer), content_type="application/json"
    )


def _fault(status: int, code: str, message: str) -> web.Response:
    return _json(status, FaultAnswer(Fault(code, message)))


@web.middleware
async def _errors(request: web.Request, handler: Respond) -> web.StreamResponse:
    """Every fault is told in one form; what nobody foresaw is logged, not shown."""
    try:
        return await handler(request)
    except RequestError as error:
        return _fault(error.status, error.code, str(error))
    except StoreError as error:
        return _fault(503, "database", str(error))
    except web.HTTPException as error:
        if error.status < 400:
            raise
        return _fault(error.status, "http", error.reason)
    except Exception:
        log.exception("web.failed", method=request.method, path=request.path)
        return _fault(500, "internal", "the daemon's log has the cause")


@web.middleware
async def _authorized(request: web.Request, handler: Respond) -> web.StreamResponse:
    token = request.app[BACKEND].token()
    if token is None or request.path in OPEN_PATHS or _bears(request, token.reveal()):
        return await handler(request)
    response = _fault(401, "unauthorized", "a valid bearer token is required")
    # A browser asks its user for the page's password: that is the token, for any user.
    response.headers["WWW-Authenticate"] = "Basic" if request.path == "/" else "Bearer"
    return response


def _bears(request: web.Request, token: str) -> bool:
    scheme, _, given = request.headers.get("Authorization", "").partition(" ")
    if scheme.lower() == "basic" and request.path == "/":
        try:
            given = base64.b64decode(given, validate=True).decode().partition(":")[2]
        except (binascii.Error, UnicodeDecodeError):
            return False
    elif scheme.lower() != "bearer":
        return False
    return hmac.compare_digest(given.strip().encode(), token.encode())


def _description(body: bytes) -> Respond:
    async def respond(request: web.Request) -> web.Response:
        return web.Response(body=msgspec.json.format(body), content_type="application/json")

    return respond


async def _metrics(request: web.Request) -> web.Response:
    registry = request.app[BACKEND].metrics.registry
    if "application/openmetrics-text" in request.headers.get("Accept", ""):
        body = generate_latest(registry)  # type: ignore[no-untyped-call]
        return web.Response(body=body, headers={"Content-Type": CONTENT_TYPE_LATEST})
    body = exposition.generate_latest(registry)
    return web.Response(body=body, headers={"Content-Type": exposition.CONTENT_TYPE_LATEST})


async def _healthz(request: web.Request) -> web.Response:
    return web.Response(text="ok\n")


async def _readyz(request: web.Request) -> web.Response:
    problems = await request.app[BACKEND].not_ready()
    text = "".join(f"{problem}\n" for problem in problems) or "ok\n"
    return web.Response(status=503 if problems else 200, text=text)


async def _page(request: web.Request) -> web.Response:
    html = await render(request.app[BACKEND])
    headers = {
        "Content-Security-Policy": "default-src 'none'; style-src 'unsafe-inline'; "
        "base-uri 'none'; form-action 'none'; frame-ancestors 'none'",
        "X-Content-Type-Options": "nosniff",
        "Referrer-Policy": "no-referrer",
        "Cache-Control": "no-store",
    }
    return web.Response(text=html, content_type="text/html", headers=headers)


async def _backup(request: web.Request) -> web.StreamResponse:
    """A consistent copy of the database, made beside it and removed once sent."""
    backend = request.app[BACKEND]
    with tempfile.TemporaryDirectory(prefix=".backup-", dir=backend.store.path.parent) as directory:
        copy = Path(directory) / "watcher.db"
        await backend.store.backup(copy)
        response = web.StreamResponse(
            headers={
                "Content-Type": "application/octet-stream",
                "Content-Length": str(copy.stat().st_size),
            }
        )
        await response.prepare(request)
        with copy.open("rb") as file:
            while chunk := file.read(1 << 20):
                await response.write(chunk)
        await response.write_eof()
    backend.survey.backup_at = backend.clock()
    return response
