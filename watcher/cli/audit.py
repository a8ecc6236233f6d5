"""`watcher audit`."""

from datetime import UTC, datetime
from typing import Annotated

import typer

from watcher.cli.api_client import ApiClient
from watcher.cli.command import command
from watcher.cli.options import (
    DEFAULT_LIMIT,
    All,
    Cursor,
    Json,
    Limit,
    PanelOption,
    read_since,
)
from watcher.cli.output import stamp
from watcher.cli.requests import show_listing
from watcher.cli.tables import Column, show_table
from watcher.web.control_shapes import DeedView


@command("Panels and database", examples=("watcher audit",))
def audit(
    client: ApiClient,
    by: Annotated[str | None, typer.Option(metavar="KEY", help="Only by this key.")] = None,
    did: Annotated[
        str | None, typer.Option(metavar="WORD", help="Only this kind, such as `refill`.")
    ] = None,
    panel: PanelOption = None,
    since: Annotated[
        str | None, typer.Option(metavar="TIME", help="Only since then: 7d, 12h, a date.")
    ] = None,
    limit: Limit = DEFAULT_LIMIT,
    every: All = False,
    cursor: Cursor = None,
    json: Json = False,
) -> None:
    """List what people and keys did, the newest first."""
    after = None if since is None else read_since(since, datetime.now(UTC)).isoformat()
    query = {"by": by, "did": did, "panel": panel, "since": after, "cursor": cursor}
    most = None if every else limit
    show_listing(client, "audit", query, DeedView, _show_deeds, most=most, json=json)


def _show_deeds(deeds: list[DeedView]) -> None:
    columns = (
        Column("at (UTC)", lambda deed: stamp(deed.at)),
        Column("ago", "at", drop=3, right=True),
        Column("by"),
        Column("via", drop=2),
        Column("did"),
        Column("panel", drop=4),
        Column("subject", wraps=True),
        Column("detail", drop=1, flexible=True),
    )
    show_table(columns, deeds)
