"""The options and arguments that several commands share."""

import os
from pathlib import Path
from typing import Annotated

import typer

from watcher.cli.client import Client

DEFAULT_URL = "http://127.0.0.1:9466"
DEFAULT_LIMIT = 50

Url = Annotated[str, typer.Option("--url", envvar="WATCHER_URL", help="Where the daemon is.")]
TokenFile = Annotated[
    Path | None,
    typer.Option("--token-file", help="A file with the API's token; or set WATCHER_TOKEN."),
]
Json = Annotated[bool, typer.Option("--json", help="Print the API's JSON.")]
Limit = Annotated[int, typer.Option("--limit", min=1, help="How many, at most.")]
All = Annotated[bool, typer.Option("--all", help="All of them, however many.")]
Cursor = Annotated[
    str | None, typer.Option("--cursor", help="Go on from the `next` of an earlier --json.")
]
Port = Annotated[int, typer.Option("--port", min=0, max=65535, help="0 is any free one.")]
Speed = Annotated[
    float, typer.Option("--speed", min=0.001, help="How much faster the panels' time runs.")
]
PanelOption = Annotated[str | None, typer.Option("--panel", help="Only this panel's.")]
PanelArgument = Annotated[str, typer.Argument(metavar="PANEL", help="A panel's name.")]
OrderArgument = Annotated[str, typer.Argument(metavar="ID", help="An order's id at the panel.")]
OrdersArgument = Annotated[list[str], typer.Argument(metavar="ID", help="Orders' ids.")]


def connect(url: str, token_file: Path | None) -> Client:
    """The daemon that the options name."""
    token = os.environ.get("WATCHER_TOKEN", "").strip() or None
    try:
        return Client(url, _token(token_file) if token_file else token)
    except ValueError as error:
        raise typer.BadParameter(str(error)) from None


def _token(file: Path) -> str | None:
    # Imported late: the configuration brings CEL along, which takes a second.
    from watcher.config.secrets import Secrets

    try:
        token = Secrets({}, Path()).token(str(file))
    except UnicodeDecodeError:
        raise ValueError(f"{file} is not text") from None
    return token.reveal() if token else None
