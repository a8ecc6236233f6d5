"""The routes of the page and of its buttons."""

import mimetypes
from collections.abc import Awaitable, Callable
from functools import partial
from pathlib import Path
from typing import Any

from aiohttp import web

from watcher.errors import NotFound, NotLed, RequestError
from watcher.model import ActionState, Kind
from watcher.web.auth import SESSION, SESSION_AUTH, WrongKey, asks_for_key, cookie_name
from watcher.web.caller import note
from watcher.web.context import CONTEXT, action_id
from watcher.web.guard import UPLOAD
from watcher.web.order_file import OrderFiles
from watcher.web.page import (
    actions_page,
    download,
    listing,
    order_page,
    panels_page,
    rendering,
    services_page,
    upload,
)
from watcher.web.page.answer import html_answer
from watcher.web.page.forms import may_be_id, own_path, read_form, redirect_to
from watcher.web.page.live_updates import LiveUpdates
from watcher.web.page.page_answer import LIVE, page_answer
from watcher.web.principal import principal_of
from watcher.web.state import refuse_paused

_FOREVER = "public, max-age=31536000, immutable"

Page = Callable[[web.Request, LiveUpdates], Awaitable[dict[str, Any]]]


def add_pages(app: web.Application, files: OrderFiles) -> None:
    """Add the pages' routes; their streams end when the daemon stops."""
    app[LIVE] = LiveUpdates(app[CONTEXT])
    app.on_shutdown.append(_close)
    get, post = app.router.add_get, app.router.add_post
    get("/", _page("overview.html", _overview))
    get("/orders", _page("orders.html", listing.show))
    get("/orders.csv", partial(download.send, files=files))
    get(UPLOAD, _page("upload.html", upload.show))
    uploads = upload.Uploads(app[CONTEXT].clock)
    post(UPLOAD, _preview(uploads))
    post(UPLOAD + "/{token}", _track(uploads))
    get("/orders/{panel}/{order}", _page("order.html", order_page.show))
    get("/actions", _page("actions.html", actions_page.show))
    get("/panels", _page("panels.html", panels_page.show_all))
    get("/panels/{panel}", _page("panel.html", panels_page.show))
    get("/nodes", _page("nodes.html", panels_page.show_nodes))
    get("/services", _page("services.html", services_page.show))
    get("/events/page", _events)
    get("/static/{digest}/{name}", _static)
    get("/login", _ask)
    post("/login", _login)
    post("/logout", _logout)
    post("/orders/{panel}/{order}/refill", _act(Kind.REFILL))
    post("/orders/{panel}/{order}/cancel", _act(Kind.CANCEL))
    post("/orders/{panel}/{order}/service", _set_service)
    post("/orders/{panel}/{order}/untrack", _untrack)
    post("/actions/{id}/resolve", _resolve)
    post("/panels/{panel}/retry", _retry)
    post("/actions/{id}/withdraw", _withdraw)


async def _overview(request: web.Request, live: LiveUpdates) -> dict[str, Any]:
    parts = await live.parts(principal_of(request))
    return {"parts": parts, "events": "/events/page?view=overview", "here": "overview"}


def _page(template: str, page: Page) -> Callable[[web.Request], Awaitable[web.Response]]:
    async def respond(request: web.Request) -> web.Response:
        return page_answer(request, template, await page(request, request.app[LIVE]))

    return respond


def _act(kind: Kind) -> Callable[[web.Request], Awaitable[web.Response]]:
    async def respond(request: web.Request) -> web.Response:
        await read_form(request)
        panel, order_id = request.match_info["panel"], request.match_info["order"]
        action = await request.app[CONTEXT].commands.act(kind, panel, order_id)
        url = rendering.query(rendering.order_url(panel, order_id), {"done": action.id})
        return redirect_to(f"{url}#action-{action.id}")

    return respond


def _preview(uploads: upload.Uploads) -> Callable[[web.Request], Awaitable[web.Response]]:
    async def respond(request: web.Request) -> web.Response:
        return page_answer(request, "preview.html", await uploads.preview(request))

    return respond


def _track(uploads: upload.Uploads) -> Callable[[web.Request], Awaitable[web.Response]]:
    async def respond(request: web.Request) -> web.Response:
        await read_form(request)
        return redirect_to(await uploads.track(request))

    return respond


async def _set_service(request: web.Request) -> web.Response:
    form = await read_form(request)
    panel, order_id = request.match_info["panel"], request.match_info["order"]
    service = form.get("service", "").strip()
    try:
        if not may_be_id(service):
            raise RequestError("give the service's id at the panel")
        note(request, detail=service)
        await request.app[CONTEXT].commands.set_service(panel, order_id, service)
    except (NotFound, NotLed):
        raise
    except RequestError as error:
        context = await order_page.show(request, request.app[LIVE])
        told = {**context, "problem": str(error), "typed": service}
        return page_answer(request, "order.html", told, error.status)
    return redirect_to(rendering.order_url(panel, order_id))


async def _untrack(request: web.Request) -> web.Response:
    await read_form(request)
    panel, order_id = request.match_info["panel"], request.match_info["order"]
    await request.app[CONTEXT].commands.untrack(panel, order_id)
    return redirect_to(rendering.query("/orders", {"panel": panel}))


async def _resolve(request: web.Request) -> web.Response:
    form = await read_form(request)
    number = await action_id(request)
    try:
        await _resolve_as(request, number, form)
    except (NotFound, NotLed):
        raise
    except RequestError as error:
        return await _resolve_again(request, number, error, form.get("result", ""))
    return _back(form, number)


async def _withdraw(request: web.Request) -> web.Response:
    form = await read_form(request)
    number = await action_id(request)
    await request.app[CONTEXT].commands.take_back(number)
    return _back(form, number)


def _back(form: dict[str, str], number: int) -> web.Response:
    return redirect_to(own_path(form.get("back", ""), "/actions") + f"#action-{number}")


async def _resolve_as(request: web.Request, action: int, form: dict[str, str]) -> None:
    state = form.get("state", "")
    if state not in ("accepted", "rejected"):
        raise RequestError("say whether the panel accepted or rejected it")
    result = form.get("result", "").strip() or None
    if result is not None and not may_be_id(result):
        raise RequestError("that can't be an id of a panel")
    note(request, detail=f"{state} {result or ''}".rstrip())
    await request.app[CONTEXT].commands.resolve(action, ActionState(state), result)


async def _resolve_again(
    request: web.Request, action: int, error: RequestError, typed: str
) -> web.Response:
    """Show the form once more, with the problem and what was typed."""
    context = await actions_page.listed(
        request.app[CONTEXT],
        principal_of(request),
        {"state": ActionState.UNRESOLVED.value, "panel": ""},
        after=action + 1,
        asked=str(action),
        problem=str(error),
        typed=typed,
    )
    return page_answer(request, "actions.html", context, error.status)


async def _retry(request: web.Request) -> web.Response:
    form, context = await read_form(request), request.app[CONTEXT]
    panel = request.match_info["panel"]
    context.commands.check_panel(panel)
    context.commands.check_led(panel)
    refuse_paused(context, panel)
    context.panel_workers[panel].retry()
    return redirect_to(own_path(form.get("back", ""), rendering.panel_url(panel)))


async def _ask(request: web.Request) -> web.Response:
    if not asks_for_key(request) or request.app[SESSION_AUTH].has_session(request):
        raise web.HTTPSeeOther("/")
    return html_answer("login.html", problem="", wanted="/")


async def _login(request: web.Request) -> web.Response:
    form = await read_form(request)
    if not asks_for_key(request):
        raise web.HTTPSeeOther("/")
    wanted = own_path(form.get("wanted", ""), "/")
    try:
        session = request.app[SESSION_AUTH].begin(request, form.get("token", ""))
    except WrongKey as error:
        return html_answer("login.html", 401, problem=str(error), wanted=wanted)
    answer = redirect_to(wanted)
    answer.set_cookie(
        cookie_name(request),
        session,
        max_age=SESSION,
        path="/",
        httponly=True,
        samesite="Strict",
        # Behind a proxy that terminates TLS, only the browser's Origin shows that there is TLS.
        secure=request.headers.get("Origin", "").startswith("https://"),
    )
    return answer


async def _logout(request: web.Request) -> web.Response:
    await read_form(request)
    await request.app[SESSION_AUTH].end(request)
    answer = redirect_to("/login")
    answer.del_cookie(cookie_name(request), path="/")
    return answer


async def _events(request: web.Request) -> web.StreamResponse:
    keeper, principal = request.app[SESSION_AUTH], principal_of(request)
    panel, order_id = request.query.get("panel"), request.query.get("order")
    return await request.app[LIVE].show(
        request,
        wants_parts=request.query.get("view") == "overview",
        order=(panel, order_id) if panel and order_id else None,
        is_let_in=lambda: keeper.still_lets_in(request, principal),
    )


async def _static(request: web.Request) -> web.Response:
    name = request.match_info["name"]
    path = rendering.STATIC / name
    if Path(name).name != name or name.startswith(".") or not path.is_file():
        raise NotFound("there is no such file")
    kind, _ = mimetypes.guess_type(name)
    return web.Response(
        body=path.read_bytes(),
        content_type=kind or "application/octet-stream",
        charset="utf-8",
        headers={"Cache-Control": _FOREVER},
    )


async def _close(app: web.Application) -> None:
    await app[LIVE].close()
