"""`watcher edit`: the caller's own words on an order."""

import typer

from watcher.cli.api_client import path_of
from watcher.cli.command import command
from watcher.cli.options import (
    CustomerOption,
    NoteOption,
    OrderArgument,
    PanelArgument,
    ReferenceOption,
    TagsOption,
    read_labels,
)
from watcher.cli.requests import Request
from watcher.cli.show import show_order
from watcher.web.shapes import OrderView


@command(
    "Orders",
    examples=(
        "watcher edit smmgenie 23501 --reference A-1001 --tag vip",
        'watcher edit smmgenie 23501 --note ""',
    ),
)
def edit(
    panel: PanelArgument,
    order: OrderArgument,
    reference: ReferenceOption = None,
    customer: CustomerOption = None,
    tag: TagsOption = None,
    note: NoteOption = None,
) -> Request[OrderView]:
    """Change an order's labels. New tags replace all old ones; an empty text removes a label."""
    tags = None if tag is None else [text for text in tag if text]
    body = read_labels(reference=reference, customer=customer, tags=tags, note=note)
    if not body:
        raise typer.BadParameter("give at least one of --reference, --customer, --tag, --note")
    return Request(
        path_of("orders", panel, order), OrderView, show_order, body=body, method="PATCH"
    )
