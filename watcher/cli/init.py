"""`watcher init`: writes a configuration for a panel, from a few questions and its answers."""

import asyncio
import shlex
import sys
import tomllib
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import msgspec
import typer

from watcher.cli.command import command
from watcher.cli.files import NotWritten, atomic_file
from watcher.cli.init_file import (
    FALLBACK,
    Choice,
    added_text,
    key_path,
    panels_in,
    whole_text,
)
from watcher.cli.init_questions import Options, learn
from watcher.cli.options import CONFIG_FILE, Force
from watcher.cli.output import say, warn
from watcher.common.wording import counted
from watcher.errors import ConfigError, PanelError
from watcher.panels.profiles import shipped

if TYPE_CHECKING:  # imported late: CEL and aiohttp take a second that no other command should wait
    from watcher.cli.detect import DetectedPanel

_TRY_CANCEL = "Test whether it can cancel, with an order number that does not exist there?"


@command(
    "Start",
    examples=(
        "watcher init",
        "watcher init --add --name second",
        "watcher init --url https://panel.example/api/v2 --key-env PANEL_KEY",
    ),
)
def init(
    file: Annotated[
        Path, typer.Argument(metavar="FILE", help="The configuration to write.")
    ] = CONFIG_FILE,
    url: Annotated[
        str | None, typer.Option(metavar="URL", help="The API URL from the panel's API page.")
    ] = None,
    profile: Annotated[
        str | None, typer.Option(metavar="NAME", help="A panel that watcher knows.")
    ] = None,
    name: Annotated[
        str | None, typer.Option(metavar="NAME", help="The panel's name in the configuration.")
    ] = None,
    key_env: Annotated[
        str | None, typer.Option(metavar="VARIABLE", help="The variable that holds the key.")
    ] = None,
    try_cancel: Annotated[
        bool | None,
        typer.Option(
            "--try-cancel/--no-try-cancel",
            help="Test whether it can cancel, with an order that does not exist."
            " By default a terminal asks you.",
        ),
    ] = None,
    user_agent: Annotated[
        str | None,
        typer.Option(metavar="TEXT", help="The User-Agent that its firewall accepts."),
    ] = None,
    add: Annotated[bool, typer.Option("--add", help="Add a panel to FILE, which exists.")] = False,
    force: Force = False,
) -> None:
    """Ask a panel what it can do and write its configuration. Changes nothing at the panel."""
    options = Options(
        file=file,
        before=_before(file, add=add, force=force),
        profile=profile,
        name=name,
        key_env=key_env,
        user_agent=user_agent,
        force=force,
    )
    try:
        choice, found = learn(url, options)
        _learn_cancel(choice, found, try_cancel)
        # The file may have been edited during the questions.
        before = _before(file, add=add, force=force)
        text = _final(choice, found, msgspec.structs.replace(options, before=before))
    except ConfigError as error:
        problems = [f"nothing was written: {problem}" for problem in error.problems]
        raise ConfigError(problems) from None
    if choice.key_env is None:
        with atomic_file(key_path(file, choice), force=force) as stream:
            stream.write(f"{choice.key}\n".encode())
    target = file.resolve() if add else file
    with atomic_file(target, force=force, keep=add) as stream:
        stream.write(text.encode())
    _tell(choice, found, options)


def _before(file: Path, *, add: bool, force: bool) -> str | None:
    if not add:
        if file.exists() and not force:
            raise NotWritten(
                f"{file} is there already: --add adds a panel to it, --force replaces it"
            )
        return None
    try:
        text = file.read_bytes().decode()  # with its line breaks as they are
        tomllib.loads(text)
    except tomllib.TOMLDecodeError as error:
        raise NotWritten(f"{file}: {error}: correct it first") from None
    except (OSError, UnicodeDecodeError) as error:
        cause = getattr(error, "strerror", None) or "is not text"
        raise NotWritten(f"{file}: {cause}: without --add a new one is written") from None
    return text


def _learn_cancel(choice: Choice, found: "DetectedPanel", wanted: bool | None) -> None:
    """Record whether the panel can cancel: as tried if allowed, else as its profile says."""
    from watcher.cli.init_search import cancels

    if found.same_words is not None:
        found.has |= choice.profile.has
        return
    can = choice.profile.can("cancel")
    if wanted is None:
        wanted = choice.is_guess and sys.stdin.isatty() and typer.confirm(_TRY_CANCEL, err=True)
    if wanted:
        try:
            found.cancel = asyncio.run(cancels(choice))
        except PanelError as error:
            warn(f"whether it can cancel could not be found out: {error}")
    if found.cancel or (found.cancel is None and can):
        found.has.add("cancel")


def _final(choice: Choice, found: "DetectedPanel", options: Options) -> str:
    """Return the text to write; ConfigError if the daemon would not accept it."""
    from watcher.cli.init_search import read

    base = options.file.resolve().parent
    if options.before is None:
        text = whole_text(choice, found, options.file.name)
        read(text, choice, base)
        return text
    text = added_text(options.before, choice, found)
    before, after = _problems(options.before, choice, base), _problems(text, choice, base)
    if new := [problem for problem in after if problem not in before]:
        raise ConfigError(new)
    if choice.name not in panels_in(text):
        raise ConfigError([f"in {options.file} no [panels.<name>] can be added"])
    for problem in before:  # this shell may lack the keys of other panels
        warn(f"{options.file} had this problem before: {problem}")
    return text


def _problems(text: str, choice: Choice, base: Path) -> list[str]:
    from watcher.cli.init_search import read

    try:
        read(text, choice, base)
    except ConfigError as error:
        return error.problems
    return []


def _tell(choice: Choice, found: "DetectedPanel", options: Options) -> None:
    balance = found.balance
    money = f"balance {balance.amount:f} {balance.currency}" if balance else "no balance"
    services = "no price list" if found.services is None else counted(found.services, "service")
    lacks = sorted(shipped()[FALLBACK].has - found.has)
    say(f"{choice.name}: {money}, {services}", f"can: {', '.join(sorted(found.has))}")
    if lacks:
        say(f"can't, as far as known: {', '.join(lacks)}")
    if found.same_words is not None:
        say(
            f"it answers unknown orders and unknown actions alike ({found.same_words}): all assumed"
        )
    elif found.cancel is None and "cancel" in found.has and choice.is_guess:
        say("not tested: whether it can cancel; --try-cancel finds out")
    file = options.file
    if choice.key_env is None:
        say(f"the key is in {key_path(file, choice)}, which you alone can read")
    if options.before is None:
        option = "" if file == CONFIG_FILE else f" --config {shlex.quote(str(file))}"
        say(f"{file} is written; next: watcher run{option}")
    else:
        say(f"{file} has panel {choice.name} now; a running daemon uses it after a reload")
        say("next: watcher reload")
