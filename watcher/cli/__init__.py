"""The command line. Each module below registers its commands; --help lists them in this order."""

import sys

# isort: off
from watcher.cli import daemon, init, check_config, reload, simulated  # noqa: F401
from watcher.cli import track, check, untrack, submit, orders, show, edit  # noqa: F401
from watcher.cli import changes, export, actions, rules, pause, audit  # noqa: F401
from watcher.cli import top, panels, nodes, services, backup, restore, migrate  # noqa: F401
from watcher.cli import completion, outgoing  # noqa: F401
from watcher.cli.command import INTERRUPTED, app

# isort: on

__all__ = ["app", "main"]


def main() -> None:
    """Run the command that the arguments name, and exit."""
    for stream in (sys.stdout, sys.stderr):
        # A panel's words may have letters that the terminal's encoding has not.
        if hasattr(stream, "reconfigure"):
            stream.reconfigure(errors="backslashreplace")
    try:
        app(prog_name="watcher")
    except KeyboardInterrupt:
        sys.exit(INTERRUPTED)
