"""`watcher untrack`: orders that the daemon is to forget."""

import typer

from watcher.cli.api_client import Declined, path_of
from watcher.cli.options import (
    DEFAULT_URL,
    Json,
    OrdersArgument,
    PanelArgument,
    TokenFile,
    Url,
    connect,
)
from watcher.cli.output import say, show_json, warn
from watcher.web.shapes import OrderView


def untrack(
    panel: PanelArgument,
    orders: OrdersArgument,
    json: Json = False,
    url: Url = DEFAULT_URL,
    token_file: TokenFile = None,
) -> None:
    """Forget orders: they are not checked any more. At the panel nothing changes."""
    client = connect(url, token_file)
    forgotten: list[OrderView] = []
    for order in orders:
        try:
            raw = client.delete(path_of("orders", panel, order))
        except Declined as error:
            warn(f"{order}: {error}")
            continue
        forgotten.append(client.shaped(raw, OrderView))
        if not json:
            say(f"{order}: untracked")
    if json:
        show_json({"orders": forgotten})
    if len(forgotten) < len(orders):
        raise typer.Exit(1)
