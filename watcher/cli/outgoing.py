"""`watcher notify` and `watcher events`: targets, dead letters, test messages, replays."""

from datetime import UTC, datetime
from typing import Annotated

import typer

from watcher.cli.api_client import ApiClient, Declined, path_of
from watcher.cli.command import command
from watcher.cli.options import Utc, read_since
from watcher.cli.output import moment, say, use_utc, warn, zone_words
from watcher.cli.requests import Request
from watcher.cli.tables import Column, show_table
from watcher.common.wording import counted
from watcher.web.delivery_shapes import DeadList, EventsList, NotifyList, ReplayAnswer

_PATIENCE = 90.0  # seconds: a chat server may be slow
_NO_PROGRAM = "no program receives events: the configuration has no [[events]]"
_NOBODY = "nobody is notified: the configuration has no [[notify]]"

TargetArgument = Annotated[str, typer.Argument(metavar="TARGET", help="A target's name.")]


@command("Messages", is_group=True, examples=("watcher notify", "watcher notify test phone"))
def notify() -> Request[NotifyList]:
    """List the targets of notifications and their state; `test` sends a message."""
    return Request(path_of("notify"), NotifyList, _show_notify)


def _show_notify(listed: NotifyList) -> None:
    columns = (
        Column("target", "name"),
        Column("queued", right=True),
        Column("given up", "given_up", drop=2, right=True),
        Column("arrived", "arrived_at", drop=1, right=True),
        Column("error", wraps=True),
        Column("on", drop=3, wraps=True),
    )
    show_table(columns, listed.targets, empty=_NOBODY)


@command(
    "Messages",
    under="notify",
    name="test",
    examples=("watcher notify test", "watcher notify test phone"),
)
def try_out(
    client: ApiClient,
    names: Annotated[
        list[str] | None, typer.Argument(metavar="[NAME]…", help="Targets; all if none is given.")
    ] = None,
) -> None:
    """Send a test message to targets."""
    listed = client.shaped(client.get(path_of("notify")), NotifyList).targets
    wanted = names or [target.name for target in listed]
    if not wanted:
        warn(_NOBODY)
    results = [_test(client, name) for name in wanted]
    if not (results and all(results)):
        raise typer.Exit(1)


def _test(client: ApiClient, name: str) -> bool:
    try:
        client.post(path_of("notify", name, "test"), patience=_PATIENCE)
    except Declined as error:
        warn(str(error))
        return False
    say(f"{name}: delivered")
    return True


@command(
    "Messages",
    is_group=True,
    examples=("watcher events", "watcher events replay shop --since 2d"),
)
def events() -> Request[EventsList]:
    """List the programs that receive order events, and their state."""
    return Request(path_of("events"), EventsList, _show_events)


def _show_events(listed: EventsList) -> None:
    columns = (
        Column("target", "name"),
        Column("behind", right=True),
        Column("orders waiting", "orders_waiting", drop=1, right=True),
        Column("dead", right=True),
        Column("arrived", "arrived_at", drop=2, right=True),
        Column("paused", "paused_until", drop=3, right=True),
        Column("error", wraps=True),
        Column("panels", lambda target: target.panels or "all", drop=5, wraps=True),
        Column("on", drop=4, wraps=True),
    )
    show_table(columns, listed.targets, empty=_NO_PROGRAM)


@command("Messages", under="events", examples=("watcher events dead shop",))
def dead(target: TargetArgument, utc: Utc = False) -> Request[DeadList]:
    """List a target's dead letters: events that were given up after many tries."""
    if utc:
        use_utc()
    return Request(path_of("events", target, "dead"), DeadList, _show_dead)


def _show_dead(listed: DeadList) -> None:
    columns = (
        Column("id", drop=2, right=True),
        Column("panel", drop=1),
        Column("order"),
        Column(f"given up ({zone_words()})", lambda letter: moment(letter.at)),
        Column("error", wraps=True),
    )
    show_table(columns, listed.dead, empty="no dead letters")


@command(
    "Messages",
    under="events",
    examples=(
        "watcher events replay shop --since 2d",
        "watcher events replay shop --order mypanel 23501",
    ),
)
def replay(
    client: ApiClient,
    target: TargetArgument,
    since: Annotated[
        str | None,
        typer.Option(metavar="TIME", help="All events since: 2026-07-01 12:00, 2d, 12h."),
    ] = None,
    dead: Annotated[
        bool, typer.Option("--dead", help="Dead letters, and later events of their orders.")
    ] = False,
    order: Annotated[
        tuple[str, str] | None,
        typer.Option(metavar="PANEL ID", help="All events of one order."),
    ] = None,
) -> None:
    """Send events to a target again. The target must recognise by the id what it already has."""
    if (since is not None) + dead + (order is not None) != 1:
        raise typer.BadParameter("give one of --since, --dead, --order")
    body: dict[str, object] = {"dead": True}
    if since is not None:
        body = {"since": read_since(since, datetime.now(UTC)).isoformat()}
    elif order is not None:
        body = {"order": {"panel": order[0], "order": order[1]}}
    raw = client.post(path_of("events", target, "replay"), body, patience=_PATIENCE)[1]
    answer = client.shaped(raw, ReplayAnswer)
    what = f"{counted(answer.dead, 'dead letter')} will" if dead else "its events will"
    say(f"{answer.name}: {what} be sent again")
