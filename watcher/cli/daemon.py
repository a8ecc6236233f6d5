"""`watcher run` and `watcher demo`."""

from pathlib import Path
from typing import Annotated

import typer

from watcher.cli.command import command
from watcher.cli.options import Port, Speed


@command("Start")
def run(
    config: Annotated[Path, typer.Option(metavar="FILE", help="The configuration.")],
) -> None:
    """Run the daemon."""
    # Imported late, here and below: it takes a second that no other command should wait.
    from watcher import process

    raise typer.Exit(process.run(config))


@command("Start")
def demo(
    port: Port = 9466,
    speed: Speed = 60.0,
    log: Annotated[bool, typer.Option("--log", help="Show the log in place of a screen.")] = False,
) -> None:
    """Try watcher: five simulated panels, the daemon and its status page, until Ctrl-C."""
    from watcher.cli import demo

    raise typer.Exit(demo.run(host="127.0.0.1", port=port, speed=speed, log=log))
