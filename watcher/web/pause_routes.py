"""The API's calls that pause, resume and snooze."""

from datetime import datetime

import msgspec
from aiohttp import web

from watcher.errors import RequestError
from watcher.web import controls
from watcher.web.context import Route, WebContext, read_body
from watcher.web.control_shapes import (
    PanelPauseRequest,
    PanelResumeRequest,
    PauseAnswer,
    PauseList,
    PauseRequest,
    SnoozeRequest,
    WakeRequest,
)
from watcher.web.shapes import FaultAnswer
from watcher.web.views import pause_view

_Answer = tuple[int, PauseAnswer]


async def list_pauses(context: WebContext, request: web.Request) -> tuple[int, PauseList]:
    return 200, PauseList([pause_view(one) for one in context.pauses.all()])


async def pause_panel(context: WebContext, request: web.Request) -> _Answer:
    body = await read_body(request, PanelPauseRequest)
    panel, until = request.match_info["panel"], _seconds(body.until)
    return _respond(await controls.pause_panel(request, panel, body.what, until, body.reason))


async def resume_panel(context: WebContext, request: web.Request) -> _Answer:
    body = await read_body(request, PanelResumeRequest)
    return _respond(await controls.resume_panel(request, request.match_info["panel"], body.what))


async def pause_rule(context: WebContext, request: web.Request) -> _Answer:
    body = await read_body(request, PauseRequest)
    rule, until = request.match_info["rule"], _seconds(body.until)
    return _respond(await controls.pause_rule(request, rule, until, body.reason))


async def resume_rule(context: WebContext, request: web.Request) -> _Answer:
    return _respond(await controls.resume_rule(request, request.match_info["rule"]))


async def snooze(context: WebContext, request: web.Request) -> _Answer:
    body = await read_body(request, SnoozeRequest)
    return _respond(await controls.snooze(request, body.key, _seconds(body.until), body.reason))


async def wake(context: WebContext, request: web.Request) -> _Answer:
    body = await read_body(request, WakeRequest)
    return _respond(await controls.wake(request, body.key))


def _respond(done: controls.PauseResult) -> _Answer:
    return 200, PauseAnswer(done[0], [pause_view(one) for one in done[1]])


def _seconds(until: datetime | None) -> float | None:
    if until is not None and until.tzinfo is None:
        raise RequestError("until: add the time zone, as 2026-01-31T12:00:00Z")
    return None if until is None else until.timestamp()


_GIVES: dict[int, type[msgspec.Struct]] = {200: PauseAnswer, 404: FaultAnswer}
ROUTES = (
    Route(
        method="GET",
        path="/v1/pauses",
        handler=list_pauses,
        summary="List what people have paused or snoozed.",
        gives={200: PauseList},
    ),
    Route(
        method="POST",
        path="/v1/panels/{panel}/pause",
        handler=pause_panel,
        summary="Pause a panel: its reads, its actions, or both. What is planned waits.",
        takes=PanelPauseRequest,
        gives=_GIVES,
    ),
    Route(
        method="POST",
        path="/v1/panels/{panel}/resume",
        handler=resume_panel,
        summary="End the pause of a panel; what waited is sent.",
        takes=PanelResumeRequest,
        gives=_GIVES,
    ),
    Route(
        method="POST",
        path="/v1/rules/{rule}/pause",
        handler=pause_rule,
        summary="Pause a rule: it decides nothing until it is resumed.",
        takes=PauseRequest,
        gives=_GIVES,
    ),
    Route(
        method="POST",
        path="/v1/rules/{rule}/resume",
        handler=resume_rule,
        summary="End the pause of a rule; it looks at every order.",
        gives=_GIVES,
    ),
    Route(
        method="POST",
        path="/v1/attention/snooze",
        handler=snooze,
        summary="Snooze something that needs attention: it stays listed, and alerts nobody.",
        takes=SnoozeRequest,
        gives=_GIVES,
    ),
    Route(
        method="POST",
        path="/v1/attention/wake",
        handler=wake,
        summary="End a snooze.",
        takes=WakeRequest,
        gives={200: PauseAnswer},
    ),
)
