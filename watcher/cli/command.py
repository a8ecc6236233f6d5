"""Registers commands and adds the options that all of them share.

1. A parameter `client` receives the daemon's API, as named by --url and --token-file.
2. A command that returns a Request has it sent. The answer is shown, or printed with --json.

Exit codes: 0 done, 1 refused or partly done, 2 usage, 3 no daemon answers, 130 Ctrl-C.
"""

import os
from collections.abc import Callable, Sequence
from functools import partial, wraps
from inspect import Parameter, signature
from typing import Annotated, Any

import typer
from typer.completion import completion_init  # type: ignore[attr-defined]
from typer.core import TyperCommand, TyperGroup

from watcher import __version__
from watcher.cli.api_client import ApiClient, Unreachable
from watcher.cli.options import DEFAULT_URL, Json, TokenFile, Url, connect
from watcher.cli.output import say, warn
from watcher.cli.requests import send
from watcher.errors import ConfigError, WatcherError

REFUSED, USAGE, UNREACHABLE, INTERRUPTED = 1, 2, 3, 130

_NoColor = Annotated[bool, typer.Option("--no-color", help="No colours, as with NO_COLOR=1.")]
_KEYWORD = partial(Parameter, kind=Parameter.KEYWORD_ONLY)
_JSON = _KEYWORD("json", default=False, annotation=Json)
_DAEMON = (
    _KEYWORD("url", default=DEFAULT_URL, annotation=Url),
    _KEYWORD("token_file", default=None, annotation=TokenFile),
)
_NO_COLOR = _KEYWORD("no_color", default=False, annotation=_NoColor)
_CONTEXT = _KEYWORD("ctx", annotation=typer.Context)

Decorator = Callable[[Callable[..., Any]], Callable[..., Any]]


class _QuietFlags:
    """Shows no type beside an argument, or an option that takes no value."""

    def get_params(self, ctx: Any) -> list[Any]:
        params: list[Any] = super().get_params(ctx)  # type: ignore[misc]
        for param in params:
            if getattr(param, "is_flag", False):
                param.metavar = ""
            elif param.param_type_name == "argument":
                param.display_type_rich = lambda ctx: None
        return params


class _Command(_QuietFlags, TyperCommand):
    pass


class _Group(_QuietFlags, TyperGroup):
    """Turns expected errors into one line per problem and an exit code."""

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


completion_init()
app = typer.Typer(
    cls=_Group, no_args_is_help=True, pretty_exceptions_enable=False, add_completion=False
)
_groups: dict[str, typer.Typer] = {}


def command(
    title: str,
    *,
    under: str | None = None,
    name: str | None = None,
    is_group: bool = False,
    examples: Sequence[str] = (),
) -> Decorator:
    """Register a command in the section `title` of --help, or under a group.

    A group runs its own command if it is called without a subcommand. Its --help ends with the
    `examples`.
    """
    epilog = "\n  ".join(["Examples:", *examples]) if examples else None

    def register(function: Callable[..., Any]) -> Callable[..., Any]:
        run = _with_options(function, is_group=is_group)
        if is_group:
            group = typer.Typer(cls=_Group, invoke_without_command=True)
            _groups[function.__name__] = group
            group.callback(epilog=epilog)(run)
            app.add_typer(group, name=function.__name__, rich_help_panel=title)
        elif under is not None:
            _groups[under].command(name, cls=_Command, epilog=epilog)(run)
        else:
            app.command(name, cls=_Command, epilog=epilog, rich_help_panel=title)(run)
        return function

    return register


def _with_options(function: Callable[..., Any], *, is_group: bool) -> Callable[..., None]:
    """Return the function with the shared options after its own."""
    known = signature(function)
    own = [parameter for parameter in known.parameters.values() if parameter.name != "client"]
    sends, has_client = known.return_annotation is not None, "client" in known.parameters
    shared = [
        *([_CONTEXT] if is_group else []),
        *([_JSON] if sends else []),
        *(_DAEMON if sends or has_client else ()),
        _NO_COLOR,
    ]

    @wraps(function)
    def run(**given: Any) -> None:
        if given.pop("no_color"):
            os.environ.setdefault("NO_COLOR", "1")
        if is_group and given.pop("ctx").invoked_subcommand is not None:
            return
        if sends:
            client, json = _client(given), given.pop("json")
            send(client, function(**given), json=json)
        elif has_client:
            function(client=_client(given), **given)
        else:
            function(**given)

    run.__signature__ = known.replace(  # type: ignore[attr-defined]
        parameters=[*own, *shared], return_annotation=None
    )
    run.__annotations__ = {parameter.name: parameter.annotation for parameter in (*own, *shared)}
    return run


def _client(given: dict[str, Any]) -> ApiClient:
    return connect(given.pop("url"), given.pop("token_file"))


def _print_version(wanted: bool) -> None:
    if wanted:
        say(f"watcher {__version__}")
        raise typer.Exit


@app.callback()
def _root(
    version: Annotated[
        bool,
        typer.Option(
            "--version",
            callback=_print_version,
            is_eager=True,
            help="Print the version.",
        ),
    ] = False,
) -> None:
    """Watch orders at SMM panels: check in batches, refill and cancel by rules, never twice."""
