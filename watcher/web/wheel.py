"""What people do with pauses, for the API and the page alike: each returns a sentence."""

from collections.abc import Iterable, Sequence

from aiohttp import web

from watcher.common.pauses import ManualPause, Paused
from watcher.daemon.attention_items import panel_of
from watcher.errors import NotFound, RequestError, no_such
from watcher.model import Action, ActionState
from watcher.web.caller import caller_of, note
from watcher.web.context import BACKEND, WebContext, check_reach
from watcher.web.principal import principal_of

SNOOZED_FOR = 86400.0  # seconds
_OF = {
    "all": (Paused.READS, Paused.ACTIONS),
    "reads": (Paused.READS,),
    "actions": (Paused.ACTIONS,),
}

Told = tuple[str, list[ManualPause]]


async def pause_panel(
    request: web.Request, panel: str, what: str, until: float | None, reason: str
) -> Told:
    """Pause a panel; return what was done, in words, and the pauses."""
    request.app[BACKEND].commands.check_panel(panel)
    note(request, subject=what)
    return await _pause(request, [(kind, panel) for kind in _OF[what]], until, reason)


async def pause_rule(request: web.Request, rule: str, until: float | None, reason: str) -> Told:
    """Pause a rule; return what was done, in words, and the pauses."""
    known = [one.name for one in request.app[BACKEND].rule_engine.rules]
    if rule not in known:
        raise no_such("rule", rule, known)
    return await _pause(request, [(Paused.RULE, rule)], until, reason)


async def snooze(request: web.Request, key: str, until: float | None, reason: str) -> Told:
    """Snooze something that needs attention; return what was done, in words, and the pauses."""
    context = request.app[BACKEND]
    reached = principal_of(request).reaches
    items = context.daemon_status.attention()
    if key not in (item.key for item in items if reached(item.panel)):
        raise NotFound(f"nothing that needs attention has the key {key[:100]!r}")
    until = context.clock() + SNOOZED_FOR if until is None else until
    note(request, subject=key)
    return await _pause(request, [(Paused.ATTENTION, key)], until, reason)


async def resume_panel(request: web.Request, panel: str, what: str) -> Told:
    """Resume a panel, also one that is no longer configured."""
    things = [(kind, panel) for kind in _OF[what]]
    context = request.app[BACKEND]
    if not any(context.pauses.get(*thing) for thing in things):
        context.commands.check_panel(panel)
    note(request, subject=what)
    return await _resume(context, things, f"{panel} was not paused")


async def resume_rule(request: web.Request, rule: str) -> Told:
    """Resume a rule, also one that is no longer configured."""
    context = request.app[BACKEND]
    known = [one.name for one in context.rule_engine.rules]
    if context.pauses.get(Paused.RULE, rule) is None and rule not in known:
        raise no_such("rule", rule, known)
    return await _resume(context, [(Paused.RULE, rule)], f"rule {rule!r} was not paused")


async def wake(request: web.Request, key: str) -> Told:
    """End the snooze of something that needs attention."""
    if not principal_of(request).reaches(panel_of(key)):
        raise NotFound(f"nothing that needs attention has the key {key[:100]!r}")
    note(request, subject=key)
    context = request.app[BACKEND]
    return await _resume(context, [(Paused.ATTENTION, key)], f"{key} was not snoozed")


async def resolve_each(
    request: web.Request, outcomes: Iterable[tuple[int, str, str | None]]
) -> list[tuple[int, Action | RequestError]]:
    """Settle actions (number, state, result), each by itself; return what became of each."""
    settled: list[tuple[int, Action | RequestError]] = []
    for number, state, result in outcomes:
        try:
            await check_reach(request, number)
            resolve = request.app[BACKEND].commands.resolve
            action, _ = await resolve(number, ActionState(state), result)
        except RequestError as error:
            settled.append((number, error))
        else:
            settled.append((number, action))
    return settled


async def untrack_each(
    request: web.Request, places: Iterable[tuple[str, str]]
) -> list[tuple[str, str, RequestError | None]]:
    """Untrack orders (panel, id), each by itself; return why one could not be."""
    told: list[tuple[str, str, RequestError | None]] = []
    for panel, order_id in places:
        refusal = None
        try:
            principal_of(request).check_panel(panel)
            await request.app[BACKEND].commands.untrack(panel, order_id)
        except RequestError as error:
            refusal = error
        told.append((panel, order_id, refusal))
    return told


async def _pause(
    request: web.Request, things: Sequence[tuple[Paused, str]], until: float | None, reason: str
) -> Told:
    context, caller = request.app[BACKEND], caller_of(request)
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
) -> Told:
    ended = await context.pauses.resume([*things])
    if not ended:
        return otherwise, []
    words = {Paused.RULE: "rule {!r} decides again", Paused.ATTENTION: "{} is snoozed no more"}
    told = (words.get(one.what, f"{one.what} at {{}} go on").format(one.name) for one in ended)
    return "; ".join(told), ended
