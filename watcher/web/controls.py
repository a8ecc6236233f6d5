"""Pauses, snoozes, and settling or untracking several at once: for the API and the page."""

from collections.abc import Iterable, Sequence

import msgspec
from aiohttp import web

from watcher.common.pauses import ManualPause, Paused
from watcher.daemon.attention_items import panel_of
from watcher.errors import NotFound, RequestError, no_such
from watcher.model import ActionState
from watcher.orders.tracking import OrderRef
from watcher.web.caller import caller_of, note
from watcher.web.context import CONTEXT, WebContext, check_reach
from watcher.web.control_shapes import (
    ResolveManyAnswer,
    ResolveManyRequest,
    UntrackAnswer,
    UntrackRequest,
)
from watcher.web.delivery_shapes import OrderName
from watcher.web.forwarding import spread
from watcher.web.principal import principal_of
from watcher.web.shapes import ActionView
from watcher.web.views import action_view

SNOOZED_FOR = 86400.0  # seconds
_OF = {
    "all": (Paused.READS, Paused.ACTIONS),
    "reads": (Paused.READS,),
    "actions": (Paused.ACTIONS,),
}

PauseResult = tuple[str, list[ManualPause]]  # what was done, in words, and the pauses
Outcome = tuple[int, str, str | None]  # of an action: its number, state and result


async def pause_panel(
    request: web.Request, panel: str, what: str, until: float | None, reason: str
) -> PauseResult:
    """Pause a panel; return the result."""
    commands = request.app[CONTEXT].commands
    commands.check_panel(panel)
    commands.check_led(panel)
    note(request, subject=what)
    return await _pause(request, [(kind, panel) for kind in _OF[what]], until, reason)


async def pause_rule(
    request: web.Request, rule: str, until: float | None, reason: str
) -> PauseResult:
    """Pause a rule; return the result."""
    known = [one.name for one in request.app[CONTEXT].rule_engine.rules]
    if rule not in known:
        raise no_such("rule", rule, known)
    return await _pause(request, [(Paused.RULE, rule)], until, reason)


async def snooze(request: web.Request, key: str, until: float | None, reason: str) -> PauseResult:
    """Snooze something that needs attention; return the result."""
    context = request.app[CONTEXT]
    reached = principal_of(request).reaches
    items = context.daemon_status.attention()
    if key not in (item.key for item in items if reached(item.panel)):
        raise NotFound(f"nothing that needs attention has the key {key[:100]!r}")
    until = context.clock() + SNOOZED_FOR if until is None else until
    note(request, subject=key)
    return await _pause(request, [(Paused.ATTENTION, key)], until, reason)


async def resume_panel(request: web.Request, panel: str, what: str) -> PauseResult:
    """Resume a panel, also one that is no longer configured."""
    things = [(kind, panel) for kind in _OF[what]]
    context = request.app[CONTEXT]
    context.commands.check_led(panel)
    if not any(context.pauses.get(*thing) for thing in things):
        context.commands.check_panel(panel)
    note(request, subject=what)
    return await _resume(context, things, f"{panel} was not paused")


async def resume_rule(request: web.Request, rule: str) -> PauseResult:
    """Resume a rule, also one that is no longer configured."""
    context = request.app[CONTEXT]
    known = [one.name for one in context.rule_engine.rules]
    if context.pauses.get(Paused.RULE, rule) is None and rule not in known:
        raise no_such("rule", rule, known)
    return await _resume(context, [(Paused.RULE, rule)], f"rule {rule!r} was not paused")


async def wake(request: web.Request, key: str) -> PauseResult:
    """End the snooze of something that needs attention."""
    if not principal_of(request).reaches(panel_of(key)):
        raise NotFound(f"nothing that needs attention has the key {key[:100]!r}")
    note(request, subject=key)
    context = request.app[CONTEXT]
    return await _resume(context, [(Paused.ATTENTION, key)], f"{key} was not snoozed")


async def resolve_each(
    request: web.Request, outcomes: Iterable[Outcome]
) -> list[tuple[int, ActionView | RequestError]]:
    """Settle actions (number, state, result), each by itself; return the result of each."""
    context, wanted = request.app[CONTEXT], [*outcomes]
    panels: dict[int, str] = {}
    if context.leadership.is_clustered:
        found = await context.store.actions.by_id([number for number, *_ in wanted])
        panels = {action.id: action.panel for action in found}
    own, others = await spread(
        request,
        wanted,
        lambda outcome: panels.get(outcome[0], ""),
        "/v1/resolve",
        _resolve_request,
        ResolveManyAnswer,
    )
    settled = [pair for some, answer in others for pair in _settled(some, answer)]
    for number, state, result in own:
        try:
            await check_reach(request, number)
            action, _ = await context.commands.resolve(number, ActionState(state), result)
        except RequestError as error:
            settled.append((number, error))
        else:
            settled.append((number, action_view(action)))
    return settled


def _resolve_request(some: Sequence[Outcome]) -> ResolveManyRequest:
    items = [{"id": number, "state": state, "result": result} for number, state, result in some]
    return msgspec.convert({"actions": items}, ResolveManyRequest)


def _settled(
    some: Sequence[Outcome], answer: ResolveManyAnswer | RequestError
) -> list[tuple[int, ActionView | RequestError]]:
    """Return the results of the actions that were sent to another node."""
    if isinstance(answer, RequestError):
        return [(number, answer) for number, *_ in some]
    refused = [(int(one.item), RequestError(one.error)) for one in answer.refused]
    return [*((one.id, one) for one in answer.resolved), *refused]


async def untrack_each(
    request: web.Request, refs: Iterable[OrderRef]
) -> list[tuple[str, str, RequestError | None]]:
    """Untrack orders (panel, id), each by itself; return why one could not be."""
    own, others = await spread(
        request,
        refs,
        lambda ref: ref[0],
        "/v1/untrack",
        lambda some: UntrackRequest([OrderName(*ref) for ref in some]),
        UntrackAnswer,
    )
    told: list[tuple[str, str, RequestError | None]] = []
    for some, answer in others:
        if isinstance(answer, RequestError):
            told += [(panel, order_id, answer) for panel, order_id in some]
            continue
        refused = {one.item: RequestError(one.error) for one in answer.refused}
        told += [(panel, order_id, refused.get(f"{panel}/{order_id}")) for panel, order_id in some]
    for panel, order_id in own:
        refusal = None
        try:
            principal_of(request).check_panel(panel)
            await request.app[CONTEXT].commands.untrack(panel, order_id)
        except RequestError as error:
            refusal = error
        told.append((panel, order_id, refusal))
    return told


async def _pause(
    request: web.Request, things: Sequence[tuple[Paused, str]], until: float | None, reason: str
) -> PauseResult:
    context, caller = request.app[CONTEXT], caller_of(request)
    now = context.clock()
    wanted = [
        ManualPause(
            what=what,
            name=name,
            since=now,
            until=until,
            reason=reason.strip(),
            by=caller.name,
            via=caller.via,
        )
        for what, name in things
    ]
    begun = await context.pauses.pause(wanted)
    note(request, detail="; ".join(one.sentence for one in begun) or "was paused already")
    held = [one for thing in things if (one := context.pauses.get(*thing)) is not None]
    told = (one.sentence if one in begun else f"{one.sentence}: already" for one in held)
    return "; ".join(told), held


async def _resume(
    context: WebContext, things: Iterable[tuple[Paused, str]], otherwise: str
) -> PauseResult:
    ended = await context.pauses.resume([*things])
    if not ended:
        return otherwise, []
    words = {Paused.RULE: "rule {!r} decides again", Paused.ATTENTION: "{} is no longer snoozed"}
    told = (words.get(one.what, f"{one.what} at {{}} continue").format(one.name) for one in ended)
    return "; ".join(told), ended
