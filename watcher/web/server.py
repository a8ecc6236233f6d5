"""The HTTP server: the API, the probes, the metrics and the status page."""

import asyncio
from typing import Any

import msgspec
from aiohttp import web

from watcher.errors import cant_listen
from watcher.shop_api import ShopHandlers
from watcher.web import (
    audit_trail,
    bulk_routes,
    change_routes,
    check_routes,
    config_routes,
    deliveries,
    history,
    node_routes,
    order_actions,
    order_file,
    order_routes,
    pause_routes,
    state,
    whoami,
)
from watcher.web.auth import SESSION_AUTH, SessionAuth, authorize
from watcher.web.change_routes import ENDING
from watcher.web.connection_limit import ARRIVALS, ConnectionLimit, RecentConnections, make_runner
from watcher.web.context import (
    CONTEXT,
    LARGE_BODIES,
    LARGEST_BODY,
    Route,
    WebContext,
    check_given,
    large_bodies,
)
from watcher.web.error_answers import catch_errors, json_answer
from watcher.web.forwarding import FORWARDER, Forwarder, forwarding
from watcher.web.guard import DROP_IN, DROP_INS, Respond, guard
from watcher.web.headers import add_headers
from watcher.web.openapi import describe
from watcher.web.page.controls_page import add_controls
from watcher.web.page.routes import add_pages
from watcher.web.page.selection import add_selection
from watcher.web.rate_limit import ConcurrencyLimit
from watcher.web.shop_routes import DESCRIPTION, drop_in

ROUTES: tuple[Route, ...] = (
    *order_routes.ROUTES,
    *order_actions.ROUTES,
    *check_routes.ROUTES,
    *pause_routes.ROUTES,
    *bulk_routes.ROUTES,
    *audit_trail.ROUTES,
    *history.ROUTES,
    *change_routes.ROUTES,
    *state.ROUTES,
    *node_routes.ROUTES,
    *deliveries.ROUTES,
    *config_routes.ROUTES,
    *whoami.ROUTES,
)

_BACKUPS_AT_ONCE = 2  # each is a whole copy on the disk
_CHUNK_WITHIN = 60.0  # seconds: no copy is kept for a client that stops reading


def make_server(context: WebContext) -> web.Application:
    """Return the application for an AppRunner."""
    app = web.Application(
        middlewares=[catch_errors, guard(), authorize(), forwarding(), audit_trail.audited()],
        client_max_size=LARGEST_BODY,
    )
    app[CONTEXT] = context
    app[LARGE_BODIES] = large_bodies()
    app[ARRIVALS] = RecentConnections()
    app[ENDING] = asyncio.Event()
    app.on_shutdown.append(_end)
    app[SESSION_AUTH] = keeper = SessionAuth()
    app.on_startup.append(keeper.load)
    app[FORWARDER] = forwarder = Forwarder()
    app.on_startup.append(forwarder.open)
    app.on_cleanup.append(forwarder.close)
    app.on_response_prepare.append(add_headers)
    for route in ROUTES:
        app.router.add_route(route.method, route.path, _serve(route))
    app.router.add_get(
        "/v1/openapi.json",
        _description(msgspec.json.format(msgspec.json.encode(description()))),
    )
    files = order_file.OrderFiles()
    app.router.add_get(order_file.PATH, order_file.order_file(files))
    app.router.add_get("/v1/backup", _backup(ConcurrencyLimit(_BACKUPS_AT_ONCE)))
    shops = drop_in(_handlers(context))
    for path in DROP_INS:
        app.router.add_route("*", path, shops)
    for path, respond in (("/metrics", _metrics), ("/healthz", _healthz), ("/readyz", _readyz)):
        app.router.add_get(path, respond)
    add_pages(app, files)
    add_selection(app)
    add_controls(app)
    return app


async def _end(app: web.Application) -> None:
    """Let requests that wait for changes answer."""
    app[ENDING].set()


def _handlers(context: WebContext) -> ShopHandlers:
    return ShopHandlers(
        store=context.store,
        watchlist=context.watchlist,
        rule_engine=context.rule_engine,
        commands=context.commands,
        panel_workers=context.panel_workers,
        config=context.config,
        clock=context.clock,
        is_clustered=context.leadership.is_clustered,
    )


async def listen(context: WebContext, address_setting: str) -> web.AppRunner:
    """Serve the daemon at its address; raise StartError if that fails.

    `address_setting` names the setting of the address.
    """
    config, metrics = context.config.current, context.metrics
    runner = make_runner(make_server(context), metrics)
    await runner.setup()
    try:
        await ConnectionLimit(runner, config.host, config.port, metrics).start()
    except OSError as error:
        await runner.cleanup()
        raise cant_listen(config.address(), error, address_setting) from None
    return runner


def description() -> dict[str, Any]:
    """Return the API as an OpenAPI document."""
    return describe(ROUTES, {DROP_IN: DESCRIPTION, order_file.PATH: order_file.DESCRIPTION})


def _serve(route: Route) -> Respond:
    limit = ConcurrencyLimit(route.at_once)

    async def respond(request: web.Request) -> web.Response:
        check_given(request, route.params)
        with limit:
            status, answer = await route.handler(request.app[CONTEXT], request)
        return json_answer(status, answer)

    return respond


def _description(body: bytes) -> Respond:
    async def respond(request: web.Request) -> web.Response:
        return web.Response(body=body, content_type="application/json")

    return respond


async def _metrics(request: web.Request) -> web.Response:
    metrics = request.app[CONTEXT].metrics
    body, content_type = await metrics.scrape(request.headers.get("Accept", ""))
    return web.Response(body=body, headers={"Content-Type": content_type})


async def _healthz(request: web.Request) -> web.Response:
    return web.Response(text="ok\n")


async def _readyz(request: web.Request) -> web.Response:
    problems = await request.app[CONTEXT].health.problems()
    text = "".join(f"{problem}\n" for problem in problems) or "ok\n"
    return web.Response(status=503 if problems else 200, text=text)


def _backup(limit: ConcurrencyLimit) -> Respond:
    async def respond(request: web.Request) -> web.StreamResponse:
        with limit:
            return await _send_backup(request)

    return respond


async def _send_backup(request: web.Request) -> web.StreamResponse:
    """Send a consistent copy of the database; remove the copy once sent."""
    async with request.app[CONTEXT].backups.download() as copy:
        response = web.StreamResponse(
            headers={
                "Content-Type": "application/octet-stream",
                "Content-Length": str(copy.stat().st_size),
            }
        )
        await response.prepare(request)
        with copy.open("rb") as file:
            while chunk := file.read(1 << 20):
                async with asyncio.timeout(_CHUNK_WITHIN):
                    await response.write(chunk)
        await response.write_eof()
    return response
