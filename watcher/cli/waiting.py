"""Waits for the outcomes of actions, and describes those that are not settled."""

import time
from collections.abc import Iterable
from contextlib import nullcontext

from watcher.cli.api_client import ApiClient, Unreachable, path_of
from watcher.cli.output import errors, say, warn
from watcher.model import ActionState, Kind
from watcher.web.shapes import ActionAnswer, ActionView

WAIT = 30.0  # seconds that a command waits for all of its actions
_POLL_EVERY = 0.5  # seconds
_UNDER_WAY = (ActionState.PLANNED, ActionState.SENDING)


def wait_for(client: ApiClient, actions: Iterable[ActionView], *, json: bool) -> list[ActionView]:
    """Return the actions as they are once settled, or after WAIT; print each unless `json`."""
    console, until, ended = errors(), time.monotonic() + WAIT, []
    for planned in actions:
        # The line ends before the outcome is printed: they would share it.
        shown = console.status("waiting for the panel …") if console.is_terminal else nullcontext()
        with shown:
            action = _settled(client, planned.id, until)
        ended.append(action)
        if not json:
            _tell(action)
    return ended


def _settled(client: ApiClient, number: int, until: float) -> ActionView:
    """Return the action once its outcome is known, or as it is at `until`."""
    while True:
        try:
            raw = client.get(path_of("actions", str(number)))
        except Unreachable as error:
            hint = "the request stands: see `watcher actions`"
            raise Unreachable(f"{error}; {hint}") from None
        action = client.shaped(raw, ActionAnswer).action
        if action.state not in _UNDER_WAY or time.monotonic() >= until:
            return action
        time.sleep(_POLL_EVERY)


def _tell(action: ActionView) -> None:
    outcome = action.outcome or f"{action.kind} {action.state}"
    if action.state == ActionState.ACCEPTED:
        say(f"{action.order}: {outcome}")
    elif action.state == ActionState.REJECTED:
        warn(f"{action.order}: {action.kind} {outcome}")
    else:
        first, *more = unsettled(action)
        warn(f"{action.order}: {first}", *more)


def unsettled(action: ActionView) -> list[str]:
    """Return what is known of an action that is not settled, and what to do."""
    kind = "order" if action.kind == Kind.SUBMIT else action.kind
    if action.state == ActionState.UNRESOLVED:
        result = "" if action.kind == Kind.CANCEL else " --result ID"
        return [
            f"action {action.id} is unresolved: the panel may have taken the {kind} or not",
            *([action.answer] if action.answer else []),
            f"look at the panel, then `watcher resolve {action.id} accepted{result}` or "
            f"`watcher resolve {action.id} rejected`",
        ]
    if action.state == ActionState.PLANNED:
        what = "placed" if action.kind == Kind.SUBMIT else "asked for"
        return [
            f"action {action.id} is still planned: the {kind} will be {what} as soon as the panel"
            " can be asked",
            *([f"why it waits: {action.answer}"] if action.answer else []),
            f"to take it back: `watcher withdraw {action.id}`",
        ]
    return [f"action {action.id} is still {action.state}: see `watcher actions`"]
