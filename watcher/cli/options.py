"""Options and arguments that several commands share."""

import os
import re
from datetime import datetime, timedelta
from pathlib import Path
from typing import Annotated, Any

import typer

from watcher.cli.api_client import PATIENCE, ApiClient
from watcher.errors import ConfigError, RequestError, WatcherError
from watcher.model import Status
from watcher.orders.labels import MOST_TAGS, labels_from
from watcher.panels.profiles import Profile, shipped
from watcher.web.order_import.dates import read_time

CONFIG_FILE = Path("watcher.toml")  # in the current directory
COMPLETION_WAIT = 0.5  # seconds that a shell waits for the daemon's names

DEFAULT_URL = "http://127.0.0.1:9466"
_PAST = re.compile(r"(\d{1,6})([dhm])")
_UNITS = {"d": "days", "h": "hours", "m": "minutes"}
DEFAULT_LIMIT = 50

Url = Annotated[
    str,
    typer.Option(
        "--url",
        metavar="URL",
        envvar="WATCHER_URL",
        help="Where the daemon is; of a cluster, all nodes with commas between.",
    ),
]
TokenFile = Annotated[
    Path | None,
    typer.Option(
        "--token-file", metavar="FILE", help="A file with the API's token; or set WATCHER_TOKEN."
    ),
]
Json = Annotated[bool, typer.Option("--json", help="Print the API's JSON.")]
ConfigOption = Annotated[Path, typer.Option("--config", metavar="FILE", help="The configuration.")]
Utc = Annotated[
    bool, typer.Option("--utc", help="Show times in UTC, not in local time; or set WATCHER_UTC.")
]
Force = Annotated[bool, typer.Option("--force", help="Replace FILE if there is one.")]
FileOrStdout = Annotated[Path, typer.Argument(metavar="FILE", allow_dash=True, help="- is stdout.")]
Limit = Annotated[int, typer.Option("--limit", metavar="N", min=1, help="How many, at most.")]
All = Annotated[bool, typer.Option("--all", help="All of them.")]
Cursor = Annotated[
    str | None,
    typer.Option("--cursor", metavar="CURSOR", help="Continue at the `next` of an earlier --json."),
]
Port = Annotated[
    int, typer.Option("--port", metavar="N", min=0, max=65535, help="0 is any free one.")
]
Speed = Annotated[
    float,
    typer.Option("--speed", metavar="N", min=0.001, help="How much faster the panels' time runs."),
]


def panel_names(ctx: typer.Context, incomplete: str) -> list[str]:
    """Return the daemon's panels for a shell's completion; none if it does not answer at once."""
    given = ctx.params
    try:
        token_file = given.get("token_file")
        client = connect(
            given.get("url") or DEFAULT_URL,
            Path(token_file) if token_file else None,
            patience=COMPLETION_WAIT,
        )
        names = [panel.panel for panel in client.panels()]
    except (WatcherError, ValueError, typer.BadParameter):
        return []
    return [name for name in names if name.startswith(incomplete)]


PanelOption = Annotated[
    str | None,
    typer.Option("--panel", metavar="PANEL", help="Only this panel's.", autocompletion=panel_names),
]
PanelArgument = Annotated[
    str, typer.Argument(metavar="PANEL", help="A panel's name.", autocompletion=panel_names)
]
ReferenceOption = Annotated[
    str | None, typer.Option("--reference", metavar="TEXT", help="Your own number of the order.")
]
CustomerOption = Annotated[
    str | None, typer.Option("--customer", metavar="TEXT", help="Whose order it is.")
]
TagsOption = Annotated[
    list[str] | None,
    typer.Option("--tag", metavar="TAG", help=f"A word to find it by; up to {MOST_TAGS}."),
]
NoteOption = Annotated[str | None, typer.Option("--note", metavar="TEXT", help="A note on it.")]
# With the words in the help's text: as the option's type they are cut in two by a narrow window.
StatusFilter = Annotated[
    Status | None,
    typer.Option(
        "--status", metavar="STATUS", help=f"Only orders with this status: {', '.join(Status)}."
    ),
]
TagFilter = Annotated[
    str | None, typer.Option("--tag", metavar="TAG", help="Only orders with this tag.")
]
ReferenceFilter = Annotated[
    str | None,
    typer.Option("--reference", metavar="TEXT", help="Only orders with this number of yours."),
]
CustomerFilter = Annotated[
    str | None, typer.Option("--customer", metavar="TEXT", help="Only this customer's orders.")
]
OrderArgument = Annotated[str, typer.Argument(metavar="ID", help="An order's id at the panel.")]
OrdersArgument = Annotated[list[str], typer.Argument(metavar="ID", help="Orders' ids.")]


def existing_config(file: Path, option: str = "--config FILE") -> Path:
    """Return the configuration's path; ConfigError if none was named and none is here."""
    if file == CONFIG_FILE and not file.exists():
        problem = f"there is no {file} in this directory: give {option}"
        raise ConfigError([f"{problem}, or write one with `watcher init`"])
    return file


def known_profile(name: str) -> Profile:
    """Return a profile that comes with watcher; BadParameter if there is none of this name."""
    known = shipped()
    if name not in known:
        cause = f"there is no {name!r}; there are: {', '.join(known)}"
        raise typer.BadParameter(cause, param_hint="--profile")
    return known[name]


def read_since(text: str, now: datetime) -> datetime:
    """Return the time that --since gives, as a time or as how long ago it was."""
    past = _PAST.fullmatch(text.strip())
    try:
        if past:
            return now - timedelta(**{_UNITS[past[2]]: int(past[1])})
        return read_time(text)
    except (ValueError, OverflowError):
        cause = f"{text!r} is not a time as 2024-05-31, '2024-05-31 18:00' (UTC), 7d or 12h"
        raise typer.BadParameter(cause, param_hint="--since") from None


def connect(url: str, token_file: Path | None, patience: float = PATIENCE) -> ApiClient:
    """Return a client of the daemon that the options name."""
    token = os.environ.get("WATCHER_TOKEN", "").strip() or None
    try:
        return ApiClient(url, _token(token_file) if token_file else token, patience)
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


def read_labels(**given: Any) -> dict[str, Any]:
    """Return those of the labels that are given; BadParameter says what is wrong with one."""
    for name, value in given.items():
        try:
            labels_from({name: value})
        except RequestError as error:
            hint = "--tag" if name == "tags" else f"--{name}"
            raise typer.BadParameter(str(error), param_hint=hint) from None
    return {name: value for name, value in given.items() if value is not None}
