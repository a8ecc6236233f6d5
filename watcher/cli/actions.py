"""Actions: the list, a refill or a cancel by hand, and what a person settles or withdraws."""

from enum import StrEnum
from typing import Annotated

import typer

from watcher.cli.api_client import ApiClient, Declined, Unreachable, path_of
from watcher.cli.options import (
    DEFAULT_LIMIT,
    DEFAULT_URL,
    All,
    Cursor,
    Json,
    Limit,
    OrdersArgument,
    PanelArgument,
    PanelOption,
    TokenFile,
    Url,
    connect,
)
from watcher.cli.output import say, show_json, show_json_pages, warn
from watcher.cli.tables import Column, show_table
from watcher.common.wording import counted
from watcher.model import ActionState, Kind
from watcher.web.shapes import ActionAnswer, ActionView


class Resolution(StrEnum):
    """What became of an unresolved action."""

    ACCEPTED = "accepted"
    REJECTED = "rejected"


def actions(
    state: Annotated[ActionState | None, typer.Option(help="Only in this state.")] = None,
    panel: PanelOption = None,
    limit: Limit = DEFAULT_LIMIT,
    every: All = False,
    cursor: Cursor = None,
    json: Json = False,
    url: Url = DEFAULT_URL,
    token_file: TokenFile = None,
) -> None:
    """List what was sent or is to be sent, the newest first."""
    client = connect(url, token_file)
    query = {"state": None if state is None else state.value, "panel": panel, "cursor": cursor}
    pages = client.pages(path_of("actions"), "actions", query, None if every else limit)
    if json:
        show_json_pages("actions", pages)
        return
    after, shown = None, 0
    for items, after in pages:  # noqa: B007 -- the last one tells whether there are more
        views = client.shaped(items, list[ActionView])
        shown += len(views)
        if views:
            show_actions(views)
    if not shown:
        if panel is not None:
            client.check_panel(panel)
        say("no actions")
    if after is not None:
        warn(f"there are more than these {shown:,}: --all shows all of them")


def show_actions(views: list[ActionView], *, wraps: bool = False) -> None:
    """Show actions as a table; with `wraps` nothing of what came of them is cut."""
    columns = (
        Column("action", right=True),
        Column("kind"),
        Column("panel", drop=5),
        Column("order", drop=2),
        Column("state"),
        Column("planned", drop=4, right=True),
        Column("settled", drop=7, right=True),
        Column("by", drop=6, flexible=True),
        Column("outcome", drop=3, flexible=not wraps, wraps=wraps),
    )
    show_table(columns, [_row(view) for view in views])


def _row(action: ActionView) -> tuple[object, ...]:
    return (
        action.id,
        action.kind,
        action.panel,
        action.order,
        action.state,
        action.planned_at,
        action.settled_at,
        action.rule or "hand",
        action.outcome or action.answer,  # a daemon of before does not tell the outcome
    )


def resolve(
    action: Annotated[int, typer.Argument(metavar="ACTION", min=1, help="The action's number.")],
    verdict: Annotated[
        Resolution, typer.Argument(metavar="accepted|rejected", help="What it did.")
    ],
    result: Annotated[
        str | None, typer.Option(metavar="ID", help="The panel's id of what it accepted.")
    ] = None,
    json: Json = False,
    url: Url = DEFAULT_URL,
    token_file: TokenFile = None,
) -> None:
    """Settle an unresolved action, having looked at the panel."""
    client = connect(url, token_file)
    body = {"state": verdict.value, "result": result}
    answer = client.post(path_of("actions", str(action), "resolve"), body)[1]
    settled = client.shaped(answer, ActionAnswer)
    if json:
        show_json(answer)
        return
    say(f"action {settled.action.id} is {settled.action.state}")
    if settled.order is not None:
        say(f"order {settled.order.order} at {settled.order.panel} is tracked")


def withdraw(
    action: Annotated[int, typer.Argument(metavar="ACTION", min=1, help="The action's number.")],
    json: Json = False,
    url: Url = DEFAULT_URL,
    token_file: TokenFile = None,
) -> None:
    """Take back an action that is planned and not sent yet."""
    client = connect(url, token_file)
    answer = client.post(path_of("actions", str(action), "withdraw"))[1]
    withdrawn = client.shaped(answer, ActionAnswer).action
    if json:
        show_json(answer)
        return
    say(f"action {withdrawn.id} is withdrawn: nothing was sent")


def refill(
    panel: PanelArgument,
    orders: OrdersArgument,
    json: Json = False,
    url: Url = DEFAULT_URL,
    token_file: TokenFile = None,
) -> None:
    """Ask a panel to refill orders, each once."""
    _act_on_each(connect(url, token_file), Kind.REFILL, panel, orders, json=json)


def cancel(
    panel: PanelArgument,
    orders: OrdersArgument,
    json: Json = False,
    url: Url = DEFAULT_URL,
    token_file: TokenFile = None,
) -> None:
    """Ask a panel to cancel orders, each once."""
    _act_on_each(connect(url, token_file), Kind.CANCEL, panel, orders, json=json)


def _act_on_each(
    client: ApiClient, kind: Kind, panel: str, orders: list[str], *, json: bool
) -> None:
    """One request an order: what is refused for one says nothing of the others."""
    refused = 0
    planned: list[ActionView] = []
    for place, order in enumerate(orders):
        try:
            answer = client.post(path_of("orders", panel, order, kind.value))[1]
        except Declined as error:
            warn(f"{order}: {error}")
            refused += 1
            continue
        except Unreachable as error:
            raise _broken_off(error, order, len(orders) - place - 1) from None
        action = client.shaped(answer, ActionAnswer).action
        planned.append(action)
        if not json:
            say(f"{order}: {kind} is {action.state} as action {action.id}")
    if json:
        show_json({"actions": planned})
    if refused:
        raise typer.Exit(1)


def _broken_off(error: Unreachable, order: str, left: int) -> Unreachable:
    """What is known of the order that was being asked for, and of those after it."""
    if error.sent:
        state = f"order {order} may have been taken: see `watcher actions`"
    else:
        state = f"order {order} was not asked for"
    after = f"; nor were {counted(left, 'order')} after it" if left else ""
    return Unreachable(f"{error}; {state}{after}", sent=error.sent)
