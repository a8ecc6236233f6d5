"""`watcher reload`."""

import typer

from watcher.cli.api_client import ApiClient, Declined, path_of
from watcher.cli.command import command
from watcher.cli.options import Json
from watcher.cli.output import say, show_json, warn
from watcher.web.panel_shapes import ReloadAnswer

_PATIENCE = 90.0  # seconds: requests under way at changed panels end first
_KEPT = "nothing was changed: the daemon keeps its old configuration"


@command("Start", examples=("watcher reload",))
def reload(client: ApiClient, json: Json = False) -> None:
    """Tell the running daemon to read its configuration again. A mistake in it changes nothing.

    Prints what changed; or every problem, with exit code 1.
    """
    try:
        raw = client.post(path_of("reload"), patience=_PATIENCE)[1]
    except Declined as error:
        if error.code != "config_refused":
            raise
        problems = str(error).splitlines()
        if json:
            show_json({"problems": problems})
        else:
            warn(*problems, _KEPT)
        raise typer.Exit(1) from None
    if json:
        show_json(raw)
    else:
        _show(client.shaped(raw, ReloadAnswer))


def _show(answer: ReloadAnswer) -> None:
    say("reloaded" if answer.changed else "reloaded: nothing in the configuration has changed")
    say(*answer.changed)
    if answer.restart:
        warn(f"a restart is needed for {', '.join(answer.restart)}")
