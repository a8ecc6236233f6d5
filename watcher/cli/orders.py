"""`watcher orders`: the list."""

from collections.abc import Iterable
from typing import Annotated, Any

import typer

from watcher.cli.api_client import ApiClient, path_of
from watcher.cli.options import (
    DEFAULT_LIMIT,
    DEFAULT_URL,
    All,
    Cursor,
    Json,
    Limit,
    PanelOption,
    TokenFile,
    Url,
    connect,
)
from watcher.cli.output import say, show_json_pages, warn
from watcher.cli.tables import Column, show_table
from watcher.model import Status
from watcher.web.shapes import OrderView

_COLUMNS = (
    Column("order"),
    Column("panel", drop=3),
    Column("service", drop=6, right=True),
    Column("status"),
    Column("remains", drop=4, right=True),
    Column("of", drop=7, right=True),
    Column("charge", drop=8, right=True),
    Column("phase", drop=9),
    Column("checked", drop=5, right=True),
    Column("note", drop=2, flexible=True),
)


def orders(
    panel: PanelOption = None,
    status: Annotated[Status | None, typer.Option(help="Only with this status.")] = None,
    stalled: Annotated[bool, typer.Option("--stalled", help="Only those that stall.")] = False,
    problem: Annotated[
        bool, typer.Option("--problem", help="Only those that their panel does not tell of.")
    ] = False,
    limit: Limit = DEFAULT_LIMIT,
    every: All = False,
    cursor: Cursor = None,
    json: Json = False,
    url: Url = DEFAULT_URL,
    token_file: TokenFile = None,
) -> None:
    """List orders, those tracked first at the top."""
    client = connect(url, token_file)
    query = {
        "panel": panel,
        "status": None if status is None else status.value,
        "stalled": "true" if stalled else None,
        "problem": "true" if problem else None,
        "cursor": cursor,
    }
    pages = client.pages(path_of("orders"), "orders", query, None if every else limit)
    if json:
        show_json_pages("orders", pages)
    else:
        _show(client, pages, panel)


def _show(
    client: ApiClient, pages: Iterable[tuple[list[Any], str | None]], panel: str | None
) -> None:
    after, shown = None, 0
    for items, after in pages:  # noqa: B007 -- the last one tells whether there are more
        views = client.shaped(items, list[OrderView])
        shown += len(views)
        if views:
            show_table(_COLUMNS, [_row(view) for view in views])
    if not shown:
        if panel is not None:
            client.check_panel(panel)
        say("no orders")
    if after is not None:
        warn(f"there are more than these {shown:,}: --all shows all of them")


def _row(order: OrderView) -> tuple[object, ...]:
    charge = None if order.charge is None else f"{order.charge} {order.currency or ''}".strip()
    return (
        order.order,
        order.panel,
        order.service,
        order.status,
        order.remains,
        order.quantity,
        charge,
        order.phase,
        order.checked_at or "never",
        order.problem or ("stalled" if order.stalled else None),
    )
