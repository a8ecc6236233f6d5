"""`watcher untrack`."""

from watcher.cli.api_client import ApiClient, path_of
from watcher.cli.command import command
from watcher.cli.options import Json, OrdersArgument, PanelArgument
from watcher.cli.requests import send_each
from watcher.web.shapes import OrderView


@command("Orders", examples=("watcher untrack mypanel 23501 23502",))
def untrack(
    client: ApiClient, panel: PanelArgument, orders: OrdersArgument, json: Json = False
) -> None:
    """Stop tracking orders: they are no longer checked. Nothing changes at the panel."""

    def ask(order: str) -> tuple[OrderView, str]:
        return client.shaped(client.delete(path_of("orders", panel, order)), OrderView), "untracked"

    send_each(orders, ask, name="orders", look="watcher orders", json=json)
