"""A daemon of canned answers, served over real HTTP, for tests of the command line."""

import asyncio
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from typing import Any, Self

import msgspec
from aiohttp import web
from typer.testing import CliRunner, Result

from watcher.cli import app
from watcher.panels.breaker import BreakerState
from watcher.simulator import SimulatedPanel
from watcher.web.panel_shapes import PanelView
from watcher.web.shapes import ActionView, Fault, FaultAnswer, OrderView

HOSTILE = "[bold]x[/] :smile: \x1b[31mred\x07\x9b2J \u202egnp"


def now() -> datetime:
    """When a test runs, not when it was imported: what it expects are ages."""
    return datetime.now(UTC)


class Request(msgspec.Struct):
    """What was asked."""

    method: str
    path: str
    query: dict[str, str]
    headers: dict[str, str]
    body: Any


Answer = tuple[int, Any] | Callable[[Request], tuple[int, Any]]


class CannedDaemon:
    """Answers each call with what was put for it; a callable makes its answer of the request.

    An answer of bytes leaves as it is, with the headers of `headers`; all else as JSON.
    """

    def __init__(self) -> None:
        self.answers: dict[str, Answer] = {}
        self.headers: dict[str, str] = {}
        self.requests: list[Request] = []
        self._loop = asyncio.new_event_loop()
        self._thread = threading.Thread(target=self._loop.run_forever)
        self._over = asyncio.Event()
        self._runner: web.AppRunner | None = None
        self.url = ""

    def put(self, call: str, body: Any, status: int = 200) -> None:
        self.answers[call] = (status, body)

    def refuse(self, call: str, status: int, code: str, message: str) -> None:
        self.put(call, FaultAnswer(Fault(code, message)), status)

    def asked(self, call: str) -> list[Request]:
        return [r for r in self.requests if f"{r.method} {r.path}" == call]

    def watcher(self, *args: object, stdin: bytes | None = None, **env: str) -> Result:
        """Run a command against it."""
        unset = dict.fromkeys(("WATCHER_TOKEN", "WATCHER_UTC", "COLUMNS"))
        given = {"WATCHER_URL": self.url, **unset, **env}
        return CliRunner().invoke(app, [*map(str, args)], input=stdin, env=given)

    def __enter__(self) -> Self:
        self._thread.start()
        asyncio.run_coroutine_threadsafe(self._start(), self._loop).result(10)
        return self

    def __exit__(self, *error: object) -> None:
        asyncio.run_coroutine_threadsafe(self._stop(), self._loop).result(10)
        self._loop.call_soon_threadsafe(self._loop.stop)
        self._thread.join(10)
        self._loop.close()

    async def _start(self) -> None:
        app = web.Application(client_max_size=1 << 30)
        app.router.add_route("*", "/{path:.*}", self._serve)
        self._runner = web.AppRunner(app, access_log=None, shutdown_timeout=0.1)
        await self._runner.setup()
        await web.TCPSite(self._runner, "127.0.0.1", 0).start()
        self.url = f"http://127.0.0.1:{self._runner.addresses[0][1]}"

    async def _stop(self) -> None:
        assert self._runner is not None
        self._over.set()
        await self._runner.cleanup()

    async def _serve(self, raw: web.Request) -> web.StreamResponse:
        text = await raw.read()
        body = msgspec.json.decode(text) if text else None
        path = raw.rel_url.raw_path
        request = Request(raw.method, path, dict(raw.query), dict(raw.headers), body)
        self.requests.append(request)
        answer = self.answers.get(f"{raw.method} {path}")
        if answer is None:
            answer = (404, FaultAnswer(Fault("not_found", "there is no such thing")))
        status, document = answer(request) if callable(answer) else answer
        if document == "stall":
            await self._over.wait()
        if document == "cut":
            assert raw.transport is not None
            raw.transport.abort()
        if document == "half":
            return await _half(raw)
        if isinstance(document, bytes):
            return web.Response(status=status, body=document, headers=self.headers)
        return web.Response(
            status=status, body=msgspec.json.encode(document), content_type="application/json"
        )


async def _half(raw: web.Request) -> web.StreamResponse:
    """The first half of what is promised."""
    response = web.StreamResponse(headers={"Content-Length": "1000"})
    await response.prepare(raw)
    await response.write(b"x" * 500)
    assert raw.transport is not None
    raw.transport.close()
    return response


@contextmanager
def in_thread(panel: SimulatedPanel) -> Iterator[SimulatedPanel]:
    """The simulated panel, running beside the test."""
    loop = asyncio.new_event_loop()
    thread = threading.Thread(target=loop.run_forever)
    thread.start()
    asyncio.run_coroutine_threadsafe(panel.start(), loop).result(10)
    try:
        yield panel
    finally:
        asyncio.run_coroutine_threadsafe(panel.stop(), loop).result(10)
        loop.call_soon_threadsafe(loop.stop)
        thread.join(10)
        loop.close()


def order_view(order: str = "23501", **changed: Any) -> OrderView:
    """An order in progress."""
    fields: dict[str, Any] = {
        "panel": "smmgenie",
        "order": order,
        "service": "12",
        "link": "https://example.com/a",
        "quantity": 1000,
        "reference": None,
        "customer": None,
        "tags": [],
        "note": None,
        "status": "in_progress",
        "status_text": "In progress",
        "remains": 157,
        "start_count": 3572,
        "count": None,
        "charge": "0.27819",
        "currency": "USD",
        "phase": "open",
        "stalled": False,
        "problem": None,
        "refills": 0,
        "submitted_at": now() - timedelta(days=2),
        "progressed_at": now() - timedelta(hours=3),
        "finished_at": None,
        "checked_at": now() - timedelta(minutes=5),
        "next_check_at": now() + timedelta(minutes=10),
    }
    return OrderView(**{**fields, **changed})


def action_view(number: int = 17, **changed: Any) -> ActionView:
    """A refill by hand, planned."""
    fields: dict[str, Any] = {
        "id": number,
        "kind": "refill",
        "panel": "smmgenie",
        "order": "23501",
        "state": "planned",
        "rule": None,
        "reason": "by hand",
        "params": None,
        "result": None,
        "answer": None,
        "planned_at": now(),
        "sent_at": None,
        "settled_at": None,
    }
    return ActionView(**{**fields, **changed})


def panel_view(panel: str = "smmgenie", **changed: Any) -> PanelView:
    """A panel that is well."""
    fields: dict[str, Any] = {
        "panel": panel,
        "profile": "smmgenie",
        "can": ["add", "status"],
        "up": True,
        "problem": None,
        "breaker": BreakerState.CLOSED,
        "paused_until": None,
        "requests_per_minute": 60.0,
        "last_success_at": now() - timedelta(minutes=2),
        "balance": "25.10",
        "currency": "USD",
        "low_balance": "20",
        "balance_at": now(),
        "orders_open": 1234,
        "orders_guarded": 6,
        "orders_due": 7,
        "orders_stalled": 8,
        "lag": 75.2,
        "actions_pending": 0,
        "actions_unresolved": 1,
    }
    return PanelView(**{**fields, **changed})
