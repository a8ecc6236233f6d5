"""`watcher init`: writes a configuration for a panel, from a few questions and its answers."""

import asyncio
import os
import re
import sys
import tomllib
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import msgspec
import typer

from watcher.cli.command import command
from watcher.cli.files import NotWritten, whole_file
from watcher.cli.init_file import (
    FALLBACK,
    Choice,
    added_text,
    key_path,
    name_of,
    panels_in,
    profile_of,
    whole_text,
)
from watcher.cli.options import Force, known_profile
from watcher.cli.output import say, warn
from watcher.common.wording import counted
from watcher.errors import BadKey, ConfigError, PanelError, WatcherError
from watcher.panels.profiles import Profile, shipped

if TYPE_CHECKING:  # imported late: CEL and aiohttp take a second that no other command should wait
    from watcher.cli.detect import DetectedPanel

_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9_-]{0,39}")
_TRY_CANCEL = "Find out whether it can cancel, by asking to cancel an order that it can't have?"
_URL = "The panel's API URL"


class Unanswered(WatcherError):
    """The panel could not be asked; nothing was written."""


class Options(msgspec.Struct, frozen=True, kw_only=True):
    """What the user gave, besides the URL and the key."""

    file: Path
    before: str | None  # the configuration to which one more panel is added
    profile: str | None
    name: str | None
    key_env: str | None
    user_agent: str | None
    force: bool


@command("Start")
def init(
    file: Annotated[
        Path, typer.Argument(metavar="PATH", help="The configuration to write.")
    ] = Path("watcher.toml"),
    url: Annotated[str | None, typer.Option(help="The API URL from the panel's API page.")] = None,
    profile: Annotated[
        str | None, typer.Option(metavar="NAME", help="A panel that watcher knows.")
    ] = None,
    name: Annotated[str | None, typer.Option(help="The panel's name in the configuration.")] = None,
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
    add: Annotated[bool, typer.Option("--add", help="Add a panel to PATH, which exists.")] = False,
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
        choice, found = _learn(url, options)
        _learn_cancel(choice, found, try_cancel)
        # The file may have been edited during the questions.
        before = _before(file, add=add, force=force)
        text = _final(choice, found, msgspec.structs.replace(options, before=before))
    except ConfigError as error:
        problems = [f"nothing was written: {problem}" for problem in error.problems]
        raise ConfigError(problems) from None
    if choice.key_env is None:
        with whole_file(key_path(file, choice), force=force) as stream:
            stream.write(f"{choice.key}\n".encode())
    target = file.resolve() if add else file
    with whole_file(target, force=force, keep=add) as stream:
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
        raise NotWritten(f"{file}: {error}: mend it first") from None
    except (OSError, UnicodeDecodeError) as error:
        cause = getattr(error, "strerror", None) or "is not text"
        raise NotWritten(f"{file}: {cause}: without --add a new one is written") from None
    return text


def _learn(url: str | None, options: Options) -> tuple[Choice, "DetectedPanel"]:
    """Ask the user for what is missing, then the panel; a terminal asks again after a failure."""
    from watcher.cli.init_search import find

    url, named = _start(url, options.profile)
    key: str | None = None
    while True:
        choice = _choice(_good_url(url, named), named, key or "", options)
        if key is None:
            key = _key(options.key_env)
            choice = msgspec.structs.replace(choice, key=key)
        try:
            return asyncio.run(find(choice))
        except BadKey as error:
            told = f"the panel does not take this key: {error}"
            if options.key_env is not None or not sys.stdin.isatty():
                raise Unanswered(f"{told}; nothing was written") from None
            warn(told)
            key = None
        except WatcherError as error:
            if isinstance(error, ConfigError):
                raise
            if not sys.stdin.isatty():
                raise Unanswered(f"{choice.url}: {error}; nothing was written") from None
            warn(f"{choice.url}: {error}")
            url = _asked(_URL, "--url", default=choice.url)


def _start(url: str | None, profile: str | None) -> tuple[str | None, Profile | None]:
    if url is None and profile is None:
        answer = _asked(f"{_URL}, or one of " + ", ".join(shipped()), "--url or --profile")
        url, profile = (None, answer) if answer in shipped() else (answer, None)
    return url, None if profile is None else known_profile(profile)


def _good_url(url: str | None, named: Profile | None) -> str:
    """Return a URL that a request can be sent to; a terminal asks until there is one."""
    from watcher.cli import addresses

    while True:
        url = addresses.typed(url or (named.url if named else None) or _asked(_URL, "--url"))
        problem = addresses.problem(url)
        if problem is None:
            break
        if not sys.stdin.isatty():
            raise Unanswered(f"{url}: {problem}; nothing was written")
        warn(f"{url}: {problem}")
        url = _asked(_URL, "--url")
    if addresses.safe(url) != url:
        warn("http:// would show the key to the network: trying https://")
    return addresses.safe(url)


def _choice(url: str, named: Profile | None, key: str, options: Options) -> Choice:
    profile = named or profile_of(url)
    usual = name_of(url) if profile.name == FALLBACK else profile.name
    choice = Choice(
        name=options.name or usual,
        url=url,
        profile=profile,
        key=key,
        key_env=options.key_env,
        is_guess=named is None and profile.name == FALLBACK,
        request={"user_agent": options.user_agent} if options.user_agent else {},
    )
    if options.before is not None and choice.name in panels_in(options.before):
        cause = f"has a panel {choice.name!r} already: give this one another name with --name"
        raise NotWritten(f"{options.file} {cause}")
    if not _NAME.fullmatch(choice.name):
        cause = "a panel's name is letters, digits, - and _, 40 at most"
        raise typer.BadParameter(cause, param_hint="--name")
    path = key_path(options.file, choice)
    if choice.key_env is None and path.exists() and not options.force:
        raise NotWritten(f"{path} is there already: --name gives the panel another name")
    return choice


def _key(variable: str | None) -> str:
    if variable is not None:
        key = os.environ.get(variable, "").strip()
        if key:
            return key
        if not sys.stdin.isatty():
            cause = f"${variable} is not set: put the key into it"
            raise typer.BadParameter(cause, param_hint="--key-env")
    return _asked("The API key (it is not shown)", "--key-env", hidden=True)


def _asked(question: str, option: str, *, hidden: bool = False, default: str | None = None) -> str:
    if not sys.stdin.isatty():
        raise typer.BadParameter(f"nobody is there to ask: give {option}")
    answer = typer.prompt(question, default=default, hide_input=hidden, err=True)
    return str(answer).strip()


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
        warn(f"{options.file} has a problem of before: {problem}")
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
        say(f"{file} is written; next: watcher run --config {file}")
    else:
        say(f"{file} has panel {choice.name} now; a running daemon takes it at a reload (SIGHUP)")
