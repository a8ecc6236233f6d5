"""`watcher check`."""

from collections.abc import Iterator, Sequence
from typing import Annotated

import typer

from watcher.cli.api_client import PATIENCE, ApiClient, path_of
from watcher.cli.command import REFUSED, command
from watcher.cli.options import Json, OrdersArgument, PanelArgument
from watcher.cli.output import say, show_json, warn
from watcher.daemon.check_outcomes import CheckOutcome
from watcher.web.check_shapes import MOST_LISTED, CheckList, CheckView

_WAIT, _LONG_WAIT = 10.0, 25.0  # seconds for which the daemon waits for the panel
_LEARNT = (CheckOutcome.CHANGED, CheckOutcome.UNCHANGED)


@command("Orders", examples=("watcher check mypanel 23501 23502 --wait",))
def check(
    client: ApiClient,
    panel: PanelArgument,
    orders: OrdersArgument,
    wait: Annotated[bool, typer.Option("--wait", help="Wait until each is answered.")] = False,
    json: Json = False,
) -> None:
    """Check orders now, with the panel's next requests; exit 1 if some have no answer."""
    views: list[CheckView] = []
    for start in range(0, len(orders), MOST_LISTED):
        some = _checked(client, panel, orders[start : start + MOST_LISTED], waits=wait, json=json)
        for view in some:
            views.append(view)
            if not json:
                _show(view)
    if json:
        show_json({"checks": views})
    if any(view.outcome not in _LEARNT for view in views):
        raise typer.Exit(REFUSED)


def _checked(
    client: ApiClient, panel: str, orders: Sequence[str], *, waits: bool, json: bool
) -> Iterator[CheckView]:
    """Yield the checks; with `waits` those without an answer last, as they get one."""
    left, told = list(dict.fromkeys(orders)), ""
    while left:
        views = _ask(client, panel, left, _LONG_WAIT if waits else _WAIT)
        waiting = [view for view in views if view.outcome is CheckOutcome.WAITING]
        yield from (view for view in views if not waits or view not in waiting)
        left = [view.order for view in waiting] if waits else []
        if left and not json and waiting[0].sentence != told:
            told = waiting[0].sentence
            warn(f"{len(left):,} of {len(orders):,} wait: {told}")


def _ask(client: ApiClient, panel: str, orders: Sequence[str], wait: float) -> list[CheckView]:
    body = {"orders": [{"panel": panel, "order": order} for order in orders], "wait": wait}
    raw = client.post(path_of("checks"), body, patience=wait + PATIENCE)[1]
    return client.shaped(raw, CheckList).checks


def _show(view: CheckView) -> None:
    (say if view.outcome in _LEARNT else warn)(f"{view.order}: {view.sentence}")
