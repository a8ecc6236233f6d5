"""`watcher changes`: what changed of the orders, as it is recorded."""

import time
from collections.abc import Iterator
from typing import Annotated

import typer

from watcher.cli.api_client import ApiClient, Unreachable, path_of
from watcher.cli.command import command
from watcher.cli.options import DEFAULT_LIMIT, Json, Limit, PanelOption, TagFilter
from watcher.cli.output import say, show_json_line, stamp, warn
from watcher.cli.show import changes_text
from watcher.cli.tables import Column, show_table
from watcher.web.change_shapes import ChangeList, OrderChangeView

_WAIT, _PATIENCE = 25, 60.0  # seconds
_AGAIN_AFTER = 2.0  # seconds until a daemon that does not answer is asked again
_COLUMNS = (
    Column("at (UTC)", lambda change: stamp(change.at)),
    Column("panel", drop=2),
    Column("order"),
    Column("reference", drop=1),
    Column("change", lambda change: changes_text(change.changes), wraps=True),
)


@command(
    "Orders",
    examples=("watcher changes --follow", "watcher changes --follow --tag vip --json"),
)
def changes(
    client: ApiClient,
    follow: Annotated[
        bool,
        typer.Option("--follow", "-f", help="Continue until Ctrl-C; without --after, from now on."),
    ] = False,
    after: Annotated[
        str | None,
        typer.Option(
            metavar="CURSOR", help="Only changes after this `cursor` of an earlier --json."
        ),
    ] = None,
    panel: PanelOption = None,
    tag: TagFilter = None,
    limit: Limit = DEFAULT_LIMIT,
    json: Json = False,
) -> None:
    """Show what changed of orders, the oldest first; --json prints one page a line."""
    query = {"panel": panel, "tag": tag, "limit": min(limit, 1000)}
    start = after or ("now" if follow else None)
    shown = 0
    for page, raw in _pages(client, query, start, follow=follow):
        if json:
            show_json_line(raw)
        elif follow:
            for change in page.changes:
                _say(change)
        else:
            show_table(_COLUMNS, page.changes, empty="no changes")
        shown += len(page.changes)
        if not follow:
            if page.more and not json:
                warn(f"there are more than these {shown:,}: --follow --after {page.cursor}")
            return


def _pages(
    client: ApiClient, query: dict[str, str | int | None], after: str | None, *, follow: bool
) -> Iterator[tuple[ChangeList, object]]:
    """Yield pages and their JSON; following, wait for changes, also while the daemon is away."""
    is_away = False
    while True:
        asked = {**query, "after": after, "wait": _WAIT if follow and after != "now" else None}
        try:
            raw = client.ask("GET", path_of("changes"), query=asked, patience=_PATIENCE)[1]
        except Unreachable as error:
            if not follow or after in (None, "now"):
                raise
            if not is_away:
                warn(f"{error}; asking again until it answers")
            is_away = True
            time.sleep(_AGAIN_AFTER)
            continue
        is_away = False
        page = client.shaped(raw, ChangeList)
        if page.changes or not follow:
            yield page, raw
        after = page.cursor


def _say(change: OrderChangeView) -> None:
    reference = f" ({change.reference})" if change.reference else ""
    text = changes_text(change.changes)
    say(f"{stamp(change.at)} {change.panel} {change.order}{reference}: {text}")
