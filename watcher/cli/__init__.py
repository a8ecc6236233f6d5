"""The command line: its commands, and what each kind of error means for the exit code.

0 done · 1 refused, or not all done · 2 usage · 3 no daemon answers · 130 Ctrl-C.
"""

import os
import sys
from collections.abc import Callable
from functools import wraps
from inspect import Parameter, signature
from typing import Annotated, Any

import typer
from typer.completion import completion_init  # type: ignore[attr-defined]
from typer.core import TyperGroup

from watcher import __version__
from watcher.cli import (
    actions,
    backup,
    check_config,
    completion,
    daemon,
    export,
    init,
    orders,
    outgoing,
    panels,
    restore,
    rules,
    show,
    simulated,
    submit,
    top,
    track,
    untrack,
)
from watcher.cli.api_client import Unreachable
from watcher.cli.output import say, warn
from watcher.errors import ConfigError, WatcherError

_NoColor = Annotated[
    bool, typer.Option("--no-color", help="No colours; as NO_COLOR in the environment.")
]
REFUSED, USAGE, UNREACHABLE, INTERRUPTED = 1, 2, 3, 130

_COMMANDS = {
    "Start": (daemon.demo, init.init, daemon.run, check_config.check_config, simulated.panel),
    "Orders": (
        track.track,
        untrack.untrack,
        submit.submit,
        orders.orders,
        show.show,
        export.export,
        actions.refill,
        actions.cancel,
    ),
    "Decisions": (actions.actions, actions.resolve, actions.withdraw, rules.rules),
    "Surroundings": (
        top.top,
        panels.services,
        backup.backup,
        restore.restore,
        restore.disown,
    ),
    "Shell": (completion.completion,),
}
_GROUPS = {"Surroundings": panels.GROUPS, "Messages": outgoing.GROUPS}


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


class _Group(TyperGroup):
    """Expected errors leave as one line a problem and an exit code, never as a traceback."""

    def invoke(self, ctx: Any) -> Any:
        try:
            return super().invoke(ctx)
        except ConfigError as error:
            warn(*error.problems)
            raise typer.Exit(REFUSED) from None
        except WatcherError as error:
            warn(str(error))
            raise typer.Exit(UNREACHABLE if isinstance(error, Unreachable) else REFUSED) from None
        except UnicodeEncodeError:
            warn("an argument is not UTF-8")
            raise typer.Exit(USAGE) from None
        except KeyboardInterrupt:
            raise typer.Exit(INTERRUPTED) from None


def _with_no_color(command: Callable[..., None]) -> Callable[..., None]:
    """The command with --no-color, which people write last, not before the command."""

    @wraps(command)
    def run(*args: Any, no_color: bool, **kwargs: Any) -> None:
        if no_color:
            os.environ.setdefault("NO_COLOR", "1")
        command(*args, **kwargs)

    known = signature(command)
    extra = Parameter("no_color", Parameter.KEYWORD_ONLY, default=False, annotation=_NoColor)
    run.__signature__ = known.replace(  # type: ignore[attr-defined]
        parameters=[*known.parameters.values(), extra]
    )
    run.__annotations__ = {**command.__annotations__, "no_color": _NoColor}
    return run


def _build() -> typer.Typer:
    completion_init()
    built = typer.Typer(
        cls=_Group, no_args_is_help=True, pretty_exceptions_enable=False, add_completion=False
    )
    built.callback()(_root)
    for title, commands in _COMMANDS.items():
        for command in commands:
            built.command(rich_help_panel=title)(_with_no_color(command))
    for title, groups in _GROUPS.items():
        for name, (alone, below) in groups.items():
            group = typer.Typer(invoke_without_command=True)
            group.callback()(_with_no_color(alone))
            for word, command in below.items():
                group.command(word)(_with_no_color(command))
            built.add_typer(group, name=name, rich_help_panel=title)
    return built


def _print_version(wanted: bool) -> None:
    if wanted:
        say(f"watcher {__version__}")
        raise typer.Exit


def _root(
    version: Annotated[
        bool,
        typer.Option(
            "--version", callback=_print_version, is_eager=True, help="Print the version."
        ),
    ] = False,
) -> None:
    """Watch orders at SMM panels: check in batches, refill and cancel by rules, never twice."""


app = _build()
