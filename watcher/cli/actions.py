"""`watcher actions`, `refill`, `cancel`, `resolve`, `withdraw`."""

from enum import StrEnum
from typing import Annotated

import typer

from watcher.cli.api_client import ApiClient, path_of
from watcher.cli.command import command
from watcher.cli.options import (
    DEFAULT_LIMIT,
    All,
    Cursor,
    Json,
    Limit,
    OrdersArgument,
    PanelArgument,
    PanelOption,
)
from watcher.cli.output import say, show_json, warn
from watcher.cli.requests import Request, send, send_all, show_listing
from watcher.cli.tables import Column, show_table
from watcher.cli.waiting import WAIT, wait_for
from watcher.model import ActionState, Kind
from watcher.web.control_shapes import ResolveManyAnswer
from watcher.web.shapes import ActionAnswer, ActionView

ActionArgument = Annotated[
    int, typer.Argument(metavar="ACTION", min=1, help="The action's number.")
]


Wait = Annotated[
    bool,
    typer.Option("--wait", help=f"Wait up to {WAIT:.0f} seconds for the outcome, and print it."),
]


class Resolution(StrEnum):
    """The outcome of an unresolved action."""

    ACCEPTED = "accepted"
    REJECTED = "rejected"


@command(
    "Orders",
    examples=("watcher refill mypanel 23501 23502", "watcher refill mypanel 23501 --wait"),
)
def refill(
    client: ApiClient,
    panel: PanelArgument,
    orders: OrdersArgument,
    wait: Wait = False,
    json: Json = False,
) -> None:
    """Request a refill of each order at its panel."""
    _act(client, Kind.REFILL, panel, orders, wait=wait, json=json)


@command("Orders", examples=("watcher cancel mypanel 23501 --wait",))
def cancel(
    client: ApiClient,
    panel: PanelArgument,
    orders: OrdersArgument,
    wait: Wait = False,
    json: Json = False,
) -> None:
    """Request the cancellation of each order at its panel."""
    _act(client, Kind.CANCEL, panel, orders, wait=wait, json=json)


def _act(
    client: ApiClient, kind: Kind, panel: str, orders: list[str], *, wait: bool, json: bool
) -> None:
    def ask(order: str) -> tuple[ActionView, str]:
        raw = client.post(path_of("orders", panel, order, kind.value))[1]
        answer = client.shaped(raw, ActionAnswer)
        action, waits = answer.action, f": {answer.message}" if answer.message else ""
        return action, f"{kind} is {action.state} as action {action.id}{waits}"

    done = send_all(orders, ask, look="watcher actions", is_quiet=wait or json)
    if wait and done:
        done = wait_for(client, done, json=json)
    if json:
        show_json({"actions": done})
    good = [action for action in done if action.state == ActionState.ACCEPTED or not wait]
    if len(good) < len(orders):
        raise typer.Exit(1)


@command(
    "Actions and rules",
    examples=("watcher actions", "watcher actions --state unresolved --panel mypanel"),
)
def actions(
    client: ApiClient,
    state: Annotated[
        ActionState | None,
        typer.Option(metavar="STATE", help=f"Only in this state: {', '.join(ActionState)}."),
    ] = None,
    panel: PanelOption = None,
    limit: Limit = DEFAULT_LIMIT,
    every: All = False,
    cursor: Cursor = None,
    json: Json = False,
) -> None:
    """List planned and sent actions, the newest first."""
    query = {"state": None if state is None else state.value, "panel": panel, "cursor": cursor}
    most = None if every else limit
    show_listing(client, "actions", query, ActionView, show_actions, most=most, json=json)


def show_actions(views: list[ActionView], *, wraps: bool = False) -> None:
    """Show actions as a table; with `wraps` the outcome is never cut."""
    columns = (
        Column("action", "id", right=True),
        Column("kind"),
        Column("panel", drop=5),
        Column("order", drop=2),
        Column("state"),
        Column("planned", "planned_at", drop=4, right=True),
        Column("settled", "settled_at", drop=7, right=True),
        Column(
            "by", lambda a: a.rule or a.reason.removeprefix("by ") or "hand", drop=6, flexible=True
        ),
        # An older daemon does not send the outcome.
        Column("outcome", lambda a: a.outcome or a.answer, drop=3, flexible=not wraps, wraps=wraps),
    )
    show_table(columns, views)


@command(
    "Actions and rules",
    examples=("watcher resolve 17 accepted --result 23501", "watcher resolve 17 rejected"),
)
def resolve(
    client: ApiClient,
    actions: Annotated[
        list[int], typer.Argument(metavar="ACTION", min=1, help="The actions' numbers.")
    ],
    verdict: Annotated[
        Resolution,
        typer.Argument(
            metavar="accepted|rejected",
            help="The outcome: rejected only once the panel has answered for two minutes.",
        ),
    ],
    result: Annotated[
        str | None, typer.Option(metavar="ID", help="The panel's id of the order or refill.")
    ] = None,
    json: Json = False,
) -> None:
    """Settle unresolved actions after a look at the panel."""
    if len(actions) > 1:
        _resolve_several(client, actions, verdict, result, json=json)
        return
    body = {"state": verdict.value, "result": result}
    path = path_of("actions", str(actions[0]), "resolve")
    send(client, Request(path, ActionAnswer, _show_settled, body=body), json=json)


def _resolve_several(
    client: ApiClient, actions: list[int], verdict: Resolution, result: str | None, *, json: bool
) -> None:
    if result is not None:
        raise typer.BadParameter("an id is of one action: give one ACTION", param_hint="--result")
    listed = [{"id": action, "state": verdict.value} for action in dict.fromkeys(actions)]
    raw = client.post(path_of("resolve"), {"actions": listed})[1]
    settled = client.shaped(raw, ResolveManyAnswer)
    if json:
        show_json(raw)
    else:
        say(*(f"action {action.id} is {action.state}" for action in settled.resolved))
    warn(*(f"action {refused.item}: {refused.error}" for refused in settled.refused))
    if settled.refused:
        raise typer.Exit(1)


def _show_settled(settled: ActionAnswer) -> None:
    say(f"action {settled.action.id} is {settled.action.state}")
    if settled.order is not None:
        say(f"order {settled.order.order} at {settled.order.panel} is tracked")


@command("Actions and rules", examples=("watcher withdraw 17",))
def withdraw(action: ActionArgument) -> Request[ActionAnswer]:
    """Withdraw a planned action that is not sent yet."""
    path = path_of("actions", str(action), "withdraw")
    return Request(path, ActionAnswer, _show_withdrawn, body={})


def _show_withdrawn(withdrawn: ActionAnswer) -> None:
    say(f"action {withdrawn.action.id} is withdrawn: nothing was sent")
