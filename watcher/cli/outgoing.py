"""`watcher notify` and `watcher events`: who is told, how that goes, and telling once more."""

from collections.abc import Callable
from datetime import UTC, datetime
from typing import Annotated

import typer

from watcher.cli.api_client import ApiClient, Declined, path_of
from watcher.cli.options import DEFAULT_URL, Json, TokenFile, Url, connect, read_since
from watcher.cli.output import ago, moment, say, show_json, warn
from watcher.cli.tables import Column, show_table
from watcher.common.wording import counted
from watcher.web.delivery_shapes import DeadList, EventsList, NotifyList, ReplayAnswer

_PATIENCE = 90.0  # seconds: a chat's server may take its time


def list_notify(
    ctx: typer.Context,
    json: Json = False,
    url: Url = DEFAULT_URL,
    token_file: TokenFile = None,
) -> None:
    """List where people are told of troubles, and how that goes; `test` sends a message."""
    if ctx.invoked_subcommand is not None:
        return
    client = connect(url, token_file)
    raw = client.get(path_of("notify"))
    if json:
        show_json(raw)
        return
    targets = client.shaped(raw, NotifyList).targets
    if not targets:
        say("nobody is told: the configuration has no [[notify]]")
        return
    columns = (
        Column("target"),
        Column("queued", right=True),
        Column("given up", drop=2, right=True),
        Column("arrived", drop=1, right=True),
        Column("error", wraps=True),
        Column("on", drop=3, wraps=True),
    )
    rows = [(t.name, t.queued, t.given_up, ago(t.arrived_at), t.error, t.on) for t in targets]
    show_table(columns, rows)


def try_out(
    names: Annotated[
        list[str] | None, typer.Argument(metavar="[NAME]…", help="Targets; all without one.")
    ] = None,
    url: Url = DEFAULT_URL,
    token_file: TokenFile = None,
) -> None:
    """Send a test message to targets."""
    client = connect(url, token_file)
    listed = client.shaped(client.get(path_of("notify")), NotifyList).targets
    wanted = names or [target.name for target in listed]
    if not wanted:
        warn("nobody is told: the configuration has no [[notify]]")
        raise typer.Exit(1)
    failed = [name for name in wanted if not _test(client, name)]
    if failed:
        raise typer.Exit(1)


def _test(client: ApiClient, name: str) -> bool:
    try:
        client.post(path_of("notify", name, "test"), patience=_PATIENCE)
    except Declined as error:
        warn(str(error))
        return False
    say(f"{name}: the message has arrived")
    return True


def list_events(
    ctx: typer.Context,
    json: Json = False,
    url: Url = DEFAULT_URL,
    token_file: TokenFile = None,
) -> None:
    """List programs that are told of changed orders, and how that goes."""
    if ctx.invoked_subcommand is not None:
        return
    client = connect(url, token_file)
    raw = client.get(path_of("events"))
    if json:
        show_json(raw)
        return
    targets = client.shaped(raw, EventsList).targets
    if not targets:
        say("no program is told: the configuration has no [[events]]")
        return
    columns = (
        Column("target"),
        Column("behind", right=True),
        Column("orders waiting", drop=1, right=True),
        Column("dead", right=True),
        Column("arrived", drop=2, right=True),
        Column("paused", drop=3, right=True),
        Column("error", wraps=True),
        Column("panels", drop=5, wraps=True),
        Column("on", drop=4, wraps=True),
    )
    rows = [
        (
            t.name,
            t.behind,
            t.orders_waiting,
            t.dead,
            ago(t.arrived_at),
            ago(t.paused_until),
            t.error,
            t.panels or "all",
            t.on,
        )
        for t in targets
    ]
    show_table(columns, rows)


def dead(
    target: Annotated[str, typer.Argument(metavar="TARGET", help="A target's name.")],
    json: Json = False,
    url: Url = DEFAULT_URL,
    token_file: TokenFile = None,
) -> None:
    """List a target's dead letters: changes that did not arrive after many tries."""
    client = connect(url, token_file)
    raw = client.get(path_of("events", target, "dead"))
    if json:
        show_json(raw)
        return
    letters = client.shaped(raw, DeadList).dead
    if not letters:
        say("no dead letters")
        return
    columns = (
        Column("id", drop=2, right=True),
        Column("panel", drop=1),
        Column("order"),
        Column("given up"),
        Column("error", wraps=True),
    )
    show_table(columns, [(d.id, d.panel, d.order, moment(d.at), d.error) for d in letters])


def replay(
    target: Annotated[str, typer.Argument(metavar="TARGET", help="A target's name.")],
    since: Annotated[
        str | None,
        typer.Option(metavar="TIME", help="All since then: 2026-07-01 12:00, 2d, 12h."),
    ] = None,
    dead: Annotated[
        bool, typer.Option("--dead", help="What was given up, and what followed of its orders.")
    ] = False,
    order: Annotated[
        tuple[str, str] | None, typer.Option(metavar="PANEL ID", help="One order, from its start.")
    ] = None,
    url: Url = DEFAULT_URL,
    token_file: TokenFile = None,
) -> None:
    """Tell a target once more of changes. What it knows already it has to recognise by its id."""
    if (since is not None) + dead + (order is not None) != 1:
        raise typer.BadParameter("one of --since, --dead, --order is wanted")
    body: dict[str, object] = {}
    if since is not None:
        body["since"] = read_since(since, datetime.now(UTC)).isoformat()
    elif order is not None:
        body["order"] = {"panel": order[0], "order": order[1]}
    else:
        body["dead"] = True
    client = connect(url, token_file)
    raw = client.post(path_of("events", target, "replay"), body, patience=_PATIENCE)[1]
    answer = client.shaped(raw, ReplayAnswer)
    say(
        f"{answer.name}: {counted(answer.dead, 'dead letter')} will be sent again"
        if dead
        else f"{answer.name}: will be told once more"
    )


# A group lists its targets when it is called alone.
GROUPS: dict[str, tuple[Callable[..., None], dict[str, Callable[..., None]]]] = {
    "notify": (list_notify, {"test": try_out}),
    "events": (list_events, {"dead": dead, "replay": replay}),
}
