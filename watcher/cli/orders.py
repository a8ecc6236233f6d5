"""`watcher orders`."""

from typing import Annotated

import typer

from watcher.cli.api_client import ApiClient
from watcher.cli.command import command
from watcher.cli.options import (
    DEFAULT_LIMIT,
    All,
    Cursor,
    CustomerFilter,
    Json,
    Limit,
    PanelOption,
    ReferenceFilter,
    StatusFilter,
    TagFilter,
)
from watcher.cli.output import money
from watcher.cli.requests import show_listing
from watcher.cli.tables import Column, show_table
from watcher.web.shapes import OrderView

_COLUMNS = (
    Column("order"),
    Column("reference", drop=1),
    Column("panel", drop=3),
    Column("service", drop=6, right=True),
    Column("status"),
    Column("tags", lambda order: ", ".join(order.tags) or None, drop=10, flexible=True),
    Column("remains", drop=4, right=True),
    Column("of", "quantity", drop=7, right=True),
    Column("charge", lambda order: money(order.charge, order.currency), drop=8, right=True),
    Column("phase", drop=9),
    Column("checked", lambda order: order.checked_at or "never", drop=5, right=True),
    Column(
        "note", lambda o: o.problem or ("stalled" if o.stalled else None), drop=2, flexible=True
    ),
)


@command(
    "Orders",
    examples=(
        "watcher orders",
        "watcher orders --panel mypanel --status pending --limit 5",
        "watcher orders --stalled --all",
    ),
)
def orders(
    client: ApiClient,
    panel: PanelOption = None,
    status: StatusFilter = None,
    tag: TagFilter = None,
    reference: ReferenceFilter = None,
    customer: CustomerFilter = None,
    stalled: Annotated[bool, typer.Option("--stalled", help="Only stalled orders.")] = False,
    problem: Annotated[
        bool, typer.Option("--problem", help="Only orders that the panel doesn't know.")
    ] = False,
    limit: Limit = DEFAULT_LIMIT,
    every: All = False,
    cursor: Cursor = None,
    json: Json = False,
) -> None:
    """List orders, the first tracked at the top."""
    query = {
        "panel": panel,
        "status": None if status is None else status.value,
        "tag": tag,
        "reference": reference,
        "customer": customer,
        "stalled": "true" if stalled else None,
        "problem": "true" if problem else None,
        "cursor": cursor,
    }
    most = None if every else limit
    show_listing(client, "orders", query, OrderView, _show, most=most, json=json)


def _show(orders: list[OrderView]) -> None:
    show_table(_COLUMNS, orders)
