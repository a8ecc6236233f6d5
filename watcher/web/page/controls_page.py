"""The buttons that pause, resume, snooze and settle, and the page of who did what."""

import re
from collections.abc import Awaitable, Callable, Mapping
from typing import Any

from aiohttp import web

from watcher.errors import RequestError
from watcher.web import controls
from watcher.web.caller import note
from watcher.web.context import CONTEXT, page_of
from watcher.web.control_shapes import MOST_RESOLVED
from watcher.web.page.forms import may_be_id, own_path, read_form, read_lists, redirect_to
from watcher.web.page.page_answer import page_answer
from watcher.web.page.rendering import panel_url, query
from watcher.web.shapes import ActionView

A_PAGE = 100
_WHAT = ("all", "reads", "actions")
_CHOSEN = re.compile(r"state-([0-9]{1,18})")
_FILTERS = ("by", "did", "panel")

Form = Mapping[str, str]
Control = Callable[[web.Request, Form], Awaitable[controls.PauseResult]]


def add_controls(app: web.Application) -> None:
    """Add the routes."""
    post = app.router.add_post
    post("/panels/{panel}/pause", _handler(_pause_panel))
    post("/panels/{panel}/resume", _handler(_resume_panel))
    post("/rules/{rule}/pause", _handler(_pause_rule))
    post("/rules/{rule}/resume", _handler(_resume_rule))
    post("/attention/snooze", _handler(_snooze))
    post("/attention/wake", _handler(_wake))
    post("/actions/resolve", _settle)
    app.router.add_get("/audit", _audit)


def _handler(control: Control) -> Callable[[web.Request], Awaitable[web.Response]]:
    """Return a handler that runs the control and redirects to the page of the button."""

    async def respond(request: web.Request) -> web.Response:
        form = await read_form(request)
        await control(request, form)
        panel = request.match_info.get("panel")
        return redirect_to(own_path(form.get("back", ""), panel_url(panel) if panel else "/"))

    return respond


async def _pause_panel(request: web.Request, form: Form) -> controls.PauseResult:
    panel, until = request.match_info["panel"], _until(request, form)
    return await controls.pause_panel(request, panel, _what(form), until, form.get("reason", ""))


async def _resume_panel(request: web.Request, form: Form) -> controls.PauseResult:
    return await controls.resume_panel(request, request.match_info["panel"], _what(form))


async def _pause_rule(request: web.Request, form: Form) -> controls.PauseResult:
    rule, until = request.match_info["rule"], _until(request, form)
    return await controls.pause_rule(request, rule, until, form.get("reason", ""))


async def _resume_rule(request: web.Request, form: Form) -> controls.PauseResult:
    return await controls.resume_rule(request, request.match_info["rule"])


async def _snooze(request: web.Request, form: Form) -> controls.PauseResult:
    until = _until(request, form)
    return await controls.snooze(request, form.get("key", ""), until, form.get("reason", ""))


async def _wake(request: web.Request, form: Form) -> controls.PauseResult:
    return await controls.wake(request, form.get("key", ""))


def _what(form: Form) -> str:
    what = form.get("what", "all")
    if what not in _WHAT:
        raise RequestError(f"what: one of {', '.join(_WHAT)}")
    return what


def _until(request: web.Request, form: Form) -> float | None:
    """Return when the pause ends, by the hours that were chosen; None without an end."""
    hours = form.get("hours", "")
    if not hours:
        return None
    if not (hours.isascii() and hours.isdecimal() and len(hours) <= 5 and int(hours)):
        raise RequestError("hours: a whole number is wanted")
    return request.app[CONTEXT].clock() + 3600.0 * int(hours)


async def _settle(request: web.Request) -> web.Response:
    """Settle the actions for which an outcome was chosen, each by itself."""
    lists = await read_lists(request, 3 * MOST_RESOLVED)
    form = {name: values[-1].strip() for name, values in lists.items()}
    chosen = {
        int(found[1]): state
        for name, state in form.items()
        if state and (found := _CHOSEN.fullmatch(name))
    }
    if not chosen or not set(chosen.values()) <= {"accepted", "rejected"}:
        raise RequestError("choose for one action at least whether the panel accepted it")
    given = {number: form.get(f"result-{number}") or None for number in chosen}
    odd = {number for number, result in given.items() if result and not may_be_id(result)}
    outcomes = [(n, state, given[n]) for n, state in chosen.items() if n not in odd]
    settled = dict(await controls.resolve_each(request, outcomes))
    rows = [(number, _became(settled.get(number), state)) for number, state in chosen.items()]
    done = (one for one in settled.values() if isinstance(one, ActionView))
    note(request, detail=", ".join(f"{one.id} {one.state}" for one in done))
    back = own_path(form.get("back", ""), "/actions")
    return page_answer(request, "settled.html", {"here": "actions", "rows": rows, "back": back})


def _became(settled: ActionView | RequestError | None, state: str) -> str:
    if settled is None:
        return "that can't be an id of a panel"
    return str(settled) if isinstance(settled, RequestError) else state


async def _audit(request: web.Request) -> web.Response:
    _, before = page_of(request)
    wanted = {name: request.query.get(name, "") for name in _FILTERS}
    entries, cursor = await request.app[CONTEXT].store.audit.page(
        limit=A_PAGE,
        before=before or None,
        by=wanted["by"],
        did=wanted["did"],
        panel=wanted["panel"],
    )
    context: dict[str, Any] = {
        "here": "audit",
        "entries": entries,
        "wanted": wanted,
        "older": query("/audit", {**wanted, "cursor": cursor}) if cursor else None,
        "panels": sorted(request.app[CONTEXT].config.current.panels),
    }
    return page_answer(request, "audit.html", context)
