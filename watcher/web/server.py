"""The HTTP server: the API, the probes, the metrics and the status page."""

import asyncio
from pathlib import Path
from typing import Any

import msgspec
from aiohttp import web

from watcher.backups import check_room, scratch
from watcher.errors import RequestError, cant_listen
from watcher.shops import Desk
from watcher.web import history, orders, outgoing, state
from watcher.web.backend import BACKEND, LARGE_BODIES, LARGEST_BODY, Backend, Route, large_bodies
from watcher.web.door import ARRIVALS, Arrivals, Door, make_runner
from watcher.web.dropin import DESCRIPTION, drop_in
from watcher.web.faults import json_answer, told
from watcher.web.guard import DROP_IN, DROP_INS, Respond, guard
from watcher.web.headers import add_headers
from watcher.web.openapi import describe
from watcher.web.page.routes import add_pages
from watcher.web.rate import Seats
from watcher.web.token import KEEPER, Doorkeeper, authorize

ROUTES: tuple[Route, ...] = (*orders.ROUTES, *history.ROUTES, *state.ROUTES, *outgoing.ROUTES)


_BACKUPS_AT_ONCE = 2  # each is a whole copy on the disk
_CHUNK_WITHIN = 60.0  # seconds: who stops reading keeps no copy there


def make_server(backend: Backend) -> web.Application:
    """The application, to be run by an AppRunner."""
    app = web.Application(middlewares=[told, guard(), authorize()], client_max_size=LARGEST_BODY)
    app[BACKEND] = backend
    app[LARGE_BODIES] = large_bodies()
    app[ARRIVALS] = Arrivals()
    app[KEEPER] = keeper = Doorkeeper()
    app.on_startup.append(keeper.load)
    app.on_response_prepare.append(add_headers)
    for route in ROUTES:
        app.router.add_route(route.method, route.path, _serve(route))
    app.router.add_get(
        "/v1/openapi.json",
        _description(msgspec.json.format(msgspec.json.encode(description()))),
    )
    app.router.add_get("/v1/backup", _backup(Seats(_BACKUPS_AT_ONCE)))
    shops = drop_in(_desk(backend))
    for path in DROP_INS:
        app.router.add_route("*", path, shops)
    app.router.add_get("/metrics", _metrics)
    app.router.add_get("/healthz", _healthz)
    app.router.add_get("/readyz", _readyz)
    add_pages(app)
    return app


def _desk(backend: Backend) -> Desk:
    return Desk(
        store=backend.store,
        book=backend.book,
        judge=backend.judge,
        intake=backend.intake,
        stations=backend.stations,
        config=backend.config,
        clock=backend.clock,
    )


async def listen(backend: Backend, address_setting: str) -> web.AppRunner:
    """Serve the daemon at its address; raise StartError where that can't be.

    `address_setting` is what chooses the address.
    """
    config, metrics = backend.config.current, backend.metrics
    runner = make_runner(make_server(backend), metrics)
    await runner.setup()
    try:
        await Door(runner, config.host, config.port, metrics).start()
    except OSError as error:
        await runner.cleanup()
        raise cant_listen(config.address(), error, address_setting) from None
    return runner


def description() -> dict[str, Any]:
    """The API as an OpenAPI document."""
    return describe(ROUTES, {DROP_IN: DESCRIPTION})


def _serve(route: Route) -> Respond:
    seats = Seats(route.at_once)

    async def respond(request: web.Request) -> web.Response:
        for param in route.params:
            if request.query.get(param.name) == "":
                raise RequestError(f"{param.name}: it is empty: give a value, or leave it out")
        with seats:
            status, answer = await route.handler(request.app[BACKEND], request)
        return json_answer(status, answer)

    return respond


def _description(body: bytes) -> Respond:
    async def respond(request: web.Request) -> web.Response:
        return web.Response(body=body, content_type="application/json")

    return respond


async def _metrics(request: web.Request) -> web.Response:
    metrics = request.app[BACKEND].metrics
    body, content_type = await metrics.scrape(request.headers.get("Accept", ""))
    return web.Response(body=body, headers={"Content-Type": content_type})


async def _healthz(request: web.Request) -> web.Response:
    return web.Response(text="ok\n")


async def _readyz(request: web.Request) -> web.Response:
    problems = await request.app[BACKEND].health.problems()
    text = "".join(f"{problem}\n" for problem in problems) or "ok\n"
    return web.Response(status=503 if problems else 200, text=text)


def _backup(seats: Seats) -> Respond:
    async def respond(request: web.Request) -> web.StreamResponse:
        with seats:
            return await _send_backup(request)

    return respond


async def _send_backup(request: web.Request) -> web.StreamResponse:
    """A consistent copy of the database, made beside it and removed once sent."""
    backend = request.app[BACKEND]
    store = backend.store
    await asyncio.to_thread(check_room, store.path.parent, sum(store.sizes()))
    with scratch(store.path) as directory:
        copy = Path(directory) / "watcher.db"
        await store.backup(copy)
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
    backend.backups.note_made(backend.clock())
    return response
