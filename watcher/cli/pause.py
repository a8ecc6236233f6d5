"""`watcher pause`, `resume`, `attention`, `snooze`."""

import re
from datetime import UTC, datetime, timedelta
from typing import Annotated, Any

import typer

from watcher.cli.api_client import path_of
from watcher.cli.command import command
from watcher.cli.options import panel_names
from watcher.cli.output import say
from watcher.cli.requests import Request
from watcher.cli.tables import Column, show_table
from watcher.web.control_shapes import PauseAnswer
from watcher.web.order_import.dates import read_time
from watcher.web.panel_shapes import AttentionList

_LASTS = re.compile(r"(\d{1,6})([dhm])")
_UNITS = {"d": "days", "h": "hours", "m": "minutes"}
_DAY = timedelta(days=1)

OptionalPanel = Annotated[
    str | None,
    typer.Argument(metavar="[PANEL]", help="A panel's name.", autocompletion=panel_names),
]
RuleOption = Annotated[
    str | None, typer.Option("--rule", metavar="RULE", help="A rule, in place of a panel.")
]
Reads = Annotated[
    bool, typer.Option("--reads", help="Only what reads: statuses, balance, price list.")
]
Actions = Annotated[bool, typer.Option("--actions", help="Only refills, cancels and submissions.")]
For = Annotated[str | None, typer.Option("--for", metavar="TIME", help="How long: 30m, 2h or 3d.")]
Until = Annotated[str | None, typer.Option("--until", metavar="TIME", help="Until when, in UTC.")]
Reason = Annotated[
    str, typer.Option("--reason", metavar="TEXT", help="The reason, which others see.")
]


@command(
    "Actions and rules",
    examples=(
        "watcher pause mypanel --actions --for 2h",
        "watcher pause --rule refills",
    ),
)
def pause(
    panel: OptionalPanel = None,
    rule: RuleOption = None,
    reads: Reads = False,
    actions: Actions = False,
    lasts: For = None,
    until: Until = None,
    reason: Reason = "",
) -> Request[PauseAnswer]:
    """Pause a panel or a rule. Planned actions wait; nothing is lost."""
    body: dict[str, Any] = {"until": _end(lasts, until), "reason": reason}
    if not rule:
        body["what"] = _what(reads=reads, actions=actions)
    return Request(_path(panel, rule, "pause"), PauseAnswer, _show, body=body)


@command("Actions and rules", examples=("watcher resume mypanel",))
def resume(
    panel: OptionalPanel = None,
    rule: RuleOption = None,
    reads: Reads = False,
    actions: Actions = False,
) -> Request[PauseAnswer]:
    """End a pause. Actions that waited are sent."""
    body = {} if rule else {"what": _what(reads=reads, actions=actions)}
    return Request(_path(panel, rule, "resume"), PauseAnswer, _show, body=body)


@command("Panels and database", examples=("watcher attention",))
def attention() -> Request[AttentionList]:
    """List what needs attention, the most urgent first."""
    return Request(path_of("attention"), AttentionList, _show_attention)


@command("Panels and database", examples=("watcher snooze balance_low/mypanel/ --for 1d",))
def snooze(
    key: Annotated[str, typer.Argument(metavar="KEY", help="As `watcher attention` shows it.")],
    end: Annotated[bool, typer.Option("--end", help="End the snooze.")] = False,
    lasts: For = None,
    until: Until = None,
    reason: Reason = "",
) -> Request[PauseAnswer]:
    """Snooze an item of `watcher attention`: it alerts nobody, by default for a day."""
    if end:
        return Request(path_of("attention", "wake"), PauseAnswer, _show, body={"key": key})
    body = {"key": key, "until": _end(lasts, until), "reason": reason}
    return Request(path_of("attention", "snooze"), PauseAnswer, _show, body=body)


def _path(panel: str | None, rule: str | None, verb: str) -> str:
    if panel and rule:
        raise typer.BadParameter("give a panel or --rule, not both")
    if rule:
        return path_of("rules", rule, verb)
    if panel is None:
        raise typer.BadParameter("give a panel, or --rule with a rule")
    return path_of("panels", panel, verb)


def _what(*, reads: bool, actions: bool) -> str:
    return "all" if reads is actions else "reads" if reads else "actions"


def _end(lasts: str | None, until: str | None) -> str | None:
    """Return when the pause ends, None without an end."""
    if lasts and until:
        raise typer.BadParameter("give --for or --until, not both")
    if lasts:
        found = _LASTS.fullmatch(lasts.strip())
        if found is None:
            raise typer.BadParameter(
                f"{lasts!r} is not a time as 30m, 2h or 3d", param_hint="--for"
            )
        wait = timedelta(**{_UNITS[found[2]]: int(found[1])})
        return (datetime.now(UTC) + wait).isoformat()
    if until is None:
        return None
    try:
        return read_time(until).isoformat()
    except (ValueError, OverflowError):
        cause = f"{until!r} is not a time as '2026-12-24 18:00' (UTC)"
        raise typer.BadParameter(cause, param_hint="--until") from None


def _show(answer: PauseAnswer) -> None:
    say(answer.message)


def _show_attention(listed: AttentionList) -> None:
    columns = (
        Column("severity"),
        Column("key", wraps=True),
        Column("sentence", wraps=True),
        Column("since", drop=2, right=True),
        Column("snoozed", lambda item: item.snoozed and item.snoozed.until, drop=3, right=True),
        Column("command", drop=1, wraps=True),
    )
    show_table(columns, listed.attention, empty="nothing needs attention")
