"""`watcher run` and `watcher demo`."""

from typing import Annotated

import typer

from watcher.cli.command import command
from watcher.cli.options import CONFIG_FILE, ConfigOption, Port, Speed, existing_config


@command("Start", examples=("watcher run", "watcher run --config /etc/watcher/watcher.toml"))
def run(config: ConfigOption = CONFIG_FILE) -> None:
    """Run the daemon."""
    # Imported late, here and below: it takes a second that no other command should wait.
    from watcher import process

    raise typer.Exit(process.run(existing_config(config)))


@command("Start", examples=("watcher demo", "watcher demo --port 0 --log"))
def demo(
    port: Port = 9466,
    speed: Speed = 60.0,
    log: Annotated[bool, typer.Option("--log", help="Show the log in place of a screen.")] = False,
) -> None:
    """Try watcher: five simulated panels, the daemon and its status page, until Ctrl-C."""
    from watcher.cli import demo

    raise typer.Exit(demo.run(host="127.0.0.1", port=port, speed=speed, log=log))
