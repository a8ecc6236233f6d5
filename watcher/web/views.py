"""Converts the daemon's values into the API's answers."""

from datetime import UTC, datetime
from decimal import Decimal
from functools import cache
from typing import Any, TypeVar

import msgspec

from watcher.common.pauses import ManualPause
from watcher.daemon.attention_items import Attention
from watcher.model import (
    REFILL_FINAL,
    Action,
    ActionState,
    Firing,
    Kind,
    Order,
    Origin,
    Phase,
    Refill,
    RefillStatus,
    Service,
)
from watcher.orders.schedule import Entry, Forecast, ServiceStats
from watcher.panels.protocol.words import SUCCESS_WORDS
from watcher.rules.rule import Decision
from watcher.web.control_shapes import PauseView
from watcher.web.panel_shapes import AttentionView, DecisionView, LessonView, ServiceView
from watcher.web.shapes import ActionView, FiringView, NextCheckView, OrderView, RefillView

View = TypeVar("View", bound=msgspec.Struct)


def moment(at: float) -> datetime:
    """Return Unix seconds as a time in UTC."""
    return datetime.fromtimestamp(at, UTC)


def moment_or_none(at: float | None) -> datetime | None:
    return None if at is None else moment(at)


def money(amount: Decimal | None) -> str | None:
    """Return the amount in plain digits, without an exponent."""
    return None if amount is None else format(amount, "f")


@cache
def _names(shape: type[View]) -> list[tuple[str, bool]]:
    """Return the names of the shape's fields, and whether each is a time."""
    times = ("at", "since")
    return [(n, n.endswith("_at") or n in times) for n in shape.__struct_fields__]


def view_of(shape: type[View], source: msgspec.Struct, **own: Any) -> View:
    """Return the view whose values are `own`, or else those of the source's attributes."""
    for name, is_time in _names(shape):
        if name not in own:
            value = getattr(source, name)
            is_money = isinstance(value, Decimal)
            own[name] = moment_or_none(value) if is_time else money(value) if is_money else value
    return shape(**own)


def attention_view(item: Attention) -> AttentionView:
    since, meaning = moment(item.since), item.meaning
    snoozed = None if item.snooze is None else pause_view(item.snooze)
    more = {"todo": meaning.todo, "doc": meaning.doc, "snoozed": snoozed}
    return view_of(AttentionView, item, since=since, **more)


def pause_view(pause: ManualPause) -> PauseView:
    since, until = moment(pause.since), moment_or_none(pause.until)
    return view_of(PauseView, pause, since=since, until=until)


def order_view(
    order: Order,
    entry: Entry | None,
    next_check_at: float | None,
    now: float,
    stalled_after: float | None,
) -> OrderView:
    """Return an order; `entry` is its place in the watchlist, None if it is closed."""
    is_stalled = (
        order.phase is Phase.OPEN
        and stalled_after is not None
        and now - order.progressed_at > stalled_after
    )
    asked_at = None if entry is None else entry.checked_at
    return view_of(
        OrderView,
        order,
        order=order.id,
        tags=list(order.tags),
        stalled=is_stalled,
        checked_at=moment_or_none(_latest(asked_at, order.checked_at)),
        next_check_at=moment_or_none(next_check_at),
        submitted_known=order.origin is not Origin.UNDATED,
    )


def _latest(*times: float | None) -> float | None:
    return max((at for at in times if at is not None), default=None)


def next_check_view(forecast: Forecast) -> NextCheckView:
    return NextCheckView(
        at=moment_or_none(forecast.at),
        reason=forecast.reason,
        stage=None if forecast.stage is None else forecast.stage.name.lower(),
        every=_rounded(forecast.every, 1),
        hazard_per_hour=_rounded(forecast.hazard, 4),
        change_within_hour=_rounded(forecast.within_hour, 4),
        change_expected_at=moment_or_none(forecast.change_at),
    )


def stats_view(stats: ServiceStats) -> LessonView:
    return LessonView(
        start_delay=_rounded(stats.start_delay, 0),
        duration={str(quantity): round(lasts) for quantity, lasts in stats.duration.items()},
        orders=round(stats.orders, 1),
        completed=_rounded(stats.completed, 3),
        partial=_rounded(stats.partial, 3),
        canceled=_rounded(stats.canceled, 3),
    )


def _rounded(number: float | None, digits: int) -> float | None:
    return None if number is None else round(number, digits)


def refill_view(refill: Refill, *, tells: bool) -> RefillView:
    """Return a refill; `tells`: whether the panel's API can report the statuses of refills."""
    is_unknown = refill.status in (RefillStatus.NOT_FOUND, RefillStatus.LOST)
    status = RefillStatus.UNKNOWN if is_unknown else refill.status
    note = refill_note(refill, tells=tells)
    return view_of(RefillView, refill, refill=refill.id, status=status, note=note)


_LONGEST_VALUE = 200  # characters of a parameter in a list of actions
_LARGEST_PARAMS = 1000  # bytes of them all: a list of 1,000 actions stays below 2 MB


def listed_action(action: Action) -> ActionView:
    """Return the action as in lists, with its parameters cut to the room there is."""
    view, params = action_view(action), clipped(action.params)
    return msgspec.structs.replace(view, params=params, params_cut=params != action.params)


def clipped(params: dict[str, str] | None) -> dict[str, str] | None:
    """Return an order's parameters, long ones cut and marked by an ellipsis."""
    if params is None:
        return None
    found: dict[str, str] = {}
    left = _LARGEST_PARAMS
    for name, value in params.items():
        text = value if len(value) <= _LONGEST_VALUE else f"{value[:_LONGEST_VALUE]}…"
        left -= len(msgspec.json.encode({name: text}))
        if left < 0:
            break
        found[name] = text
    return found


def refill_note(refill: Refill, *, tells: bool) -> str | None:
    """Return why the refill's status is not known; None if it is known."""
    if refill.status in REFILL_FINAL - {RefillStatus.LOST}:
        return None
    if not tells:
        return "accepted; this panel does not report the status of refills"
    if refill.status is RefillStatus.LOST:
        return "the panel no longer reports it"
    if refill.status is RefillStatus.NOT_FOUND:
        return "the panel does not know it"
    return "the panel does not report it" if refill.silent_since is not None else None


def action_view(action: Action) -> ActionView:
    return view_of(ActionView, action, outcome=outcome(action), params_cut=False)


def outcome(action: Action) -> str:
    """Return the outcome of an action in words."""
    answer = f": {action.answer}" if action.answer else ""
    match action.state:
        case ActionState.PLANNED:
            return f"not sent yet{answer}"
        case ActionState.SENDING:
            return "being sent"
        case ActionState.ACCEPTED:
            return _accepted(action)
        case ActionState.REJECTED:
            return f"{'not sent' if action.sent_at is None else 'refused'}{answer}"
        case ActionState.UNRESOLVED:
            return f"unknown{answer}"


def _accepted(action: Action) -> str:
    """Return what an accepted action has started, with the panel's words if it had any."""
    by_number = f" {action.result}" if action.result else ""
    match action.kind:
        case Kind.SUBMIT:
            told = f"placed as order{by_number}" if by_number else "placed"
        case Kind.REFILL:
            told = f"refill{by_number} started"
        case Kind.CANCEL:
            told = "the panel accepted the cancel"
    answer = action.answer or ""
    return f"{told}: {answer}" if _is_telling(answer, action.result) else told


def _is_telling(answer: str, result: str | None) -> bool:
    """Return whether an answer says more than "yes" and the number of what was accepted."""
    word = answer.strip().casefold()
    return word not in ("", "yes", "1", *SUCCESS_WORDS) and answer != result and not word.isdigit()


def firing_view(firing: Firing) -> FiringView:
    return view_of(FiringView, firing)


def service_view(
    service: Service, disabled: str | None, gone_at: float | None, stats: ServiceStats | None
) -> ServiceView:
    return view_of(
        ServiceView,
        service,
        service=service.id,
        refill_disabled=disabled,
        gone_at=moment_or_none(gone_at),
        learnt=None if stats is None else stats_view(stats),
    )


def decision_view(decision: Decision) -> DecisionView:
    return view_of(DecisionView, decision)
