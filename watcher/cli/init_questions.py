"""The questions of `watcher init`; a terminal asks again for what was wrong, and only for that."""

import asyncio
import os
import re
import sys
from pathlib import Path
from typing import TYPE_CHECKING

import msgspec
import typer

from watcher.cli.files import NotWritten
from watcher.cli.init_file import FALLBACK, Choice, key_path, name_of, panels_in, profile_of
from watcher.cli.options import known_profile
from watcher.cli.output import warn
from watcher.errors import BadKey, ConfigError, WatcherError
from watcher.panels.profiles import Profile, shipped

if TYPE_CHECKING:  # imported late: CEL and aiohttp take a second that no other command should wait
    from watcher.cli.detect import DetectedPanel

_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9_-]{0,39}")
_URL = "The panel's API URL"
_KEY = "The API key (it is not shown)"
_OVER_HTTP = "Only http:// answers, and everyone on the way could read the key. Use it anyway?"


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


def learn(url: str | None, options: Options) -> tuple[Choice, "DetectedPanel"]:
    """Ask the user for what is missing, then the panel.

    The panel is looked for before its key is asked for, unless somebody insists on a URL.
    """
    from watcher.cli import addresses
    from watcher.cli.init_search import find, reach

    url, named = _start(url, options.profile)
    choice: Choice | None = None
    key: str | None = None
    insists = False
    while True:
        try:
            if choice is None:
                url = _good_url(url, named)
                choice = choose(addresses.safe(url), named, options)
                options = msgspec.structs.replace(options, name=choice.name)
                key = key or _given_key(options.key_env)
                choice = choice if key or insists else asyncio.run(reach(choice))
            key = key or _typed_key()
            return asyncio.run(find(msgspec.structs.replace(choice, key=key)))
        except ConfigError:
            raise
        except BadKey as error:
            told = f"the panel does not take this key: {error}"
            if options.key_env is not None or not sys.stdin.isatty():
                raise Unanswered(f"{told}; nothing was written") from None
            warn(told)
            key = None
        except WatcherError as error:
            if choice is None or isinstance(error, NotWritten):
                raise
            if not sys.stdin.isatty():
                raise Unanswered(f"{choice.url}: {error}; nothing was written") from None
            warn(f"{choice.url}: {error}")
            choice = _over_http(choice, url or "")
            if choice is None:
                before, url = url, prompt(_URL, "--url", default=url)
                insists = url == before


def _start(url: str | None, profile: str | None) -> tuple[str | None, Profile | None]:
    if url is None and profile is None:
        option = "--url or --profile"
        if sys.stdin.isatty():
            warn("known by name: " + ", ".join(name for name, one in shipped().items() if one.url))
        answer = prompt(f"{_URL}, or one of these names", option)
        url, profile = (None, answer) if answer in shipped() else (answer, None)
    return url, None if profile is None else known_profile(profile)


def _good_url(url: str | None, named: Profile | None) -> str:
    """Return a URL that a request can be sent to; a terminal asks until there is one."""
    from watcher.cli import addresses

    while True:
        url = addresses.typed(url or (named.url if named else None) or prompt(_URL, "--url"))
        problem = addresses.problem(url)
        if problem is None:
            break
        if not sys.stdin.isatty():
            raise Unanswered(f"{url}: {problem}; nothing was written")
        warn(f"{url}: {problem}")
        url = prompt(_URL, "--url")
    if addresses.safe(url) != url:
        warn("http:// would show the key to the network: trying https://")
    return url


def _over_http(choice: Choice, typed: str) -> Choice | None:
    """Return the panel over http if it was typed so, nothing else answers, and it is wanted."""
    from watcher.cli import addresses
    from watcher.cli.init_search import reach

    if addresses.safe(typed) == typed or choice.allow_http:
        return None
    try:
        plain = msgspec.structs.replace(choice, url=typed, allow_http=True)
        plain = asyncio.run(reach(plain))
    except WatcherError:
        return None
    return plain if typer.confirm(_OVER_HTTP, err=True) else None


def choose(url: str, named: Profile | None, options: Options) -> Choice:
    """Return what is known of the panel; its name can be used."""
    profile = named or profile_of(url)
    usual = name_of(url) if profile.name == FALLBACK else profile.name
    choice = Choice(
        name=options.name or usual,
        url=url,
        profile=profile,
        key="",
        key_env=options.key_env,
        is_guess=named is None and profile.name == FALLBACK,
        request={"user_agent": options.user_agent} if options.user_agent else {},
    )
    while True:
        try:
            _check_name(choice, options)
        except (NotWritten, typer.BadParameter) as error:
            if not sys.stdin.isatty():
                raise
            warn(str(error))
            name = prompt("Another name for this panel", "--name")
            choice = msgspec.structs.replace(choice, name=name)
        else:
            return choice


def _check_name(choice: Choice, options: Options) -> None:
    """Raise BadParameter or NotWritten if the panel can't have this name."""
    if options.before is not None and choice.name in panels_in(options.before):
        cause = f"has a panel {choice.name!r} already: give this one another name with --name"
        raise NotWritten(f"{options.file} {cause}")
    if not _NAME.fullmatch(choice.name):
        cause = "a panel's name is letters, digits, - and _, 40 at most"
        raise typer.BadParameter(cause, param_hint="--name")
    path = key_path(options.file, choice)
    if choice.key_env is None and path.exists() and not options.force:
        raise NotWritten(f"{path} is there already: --name gives the panel another name")


def _given_key(variable: str | None) -> str | None:
    """Return the variable's key; None if somebody is there to type it."""
    key = os.environ.get(variable, "").strip() if variable else ""
    if not key and not sys.stdin.isatty():
        cause = f"${variable} is not set: put the key into it"
        raise typer.BadParameter(
            cause if variable else "nobody is there to ask: give --key-env",
            param_hint="--key-env" if variable else None,
        )
    return key or None


def _typed_key() -> str:
    """Return a key that somebody types, without quotes around it."""
    while True:
        typed = prompt(_KEY, "--key-env", hidden=True)
        key = typed.strip("\"'").strip()
        if key and not re.search(r"\s", key):
            break
        warn("a key has no blanks in it: give it alone")
    if key != typed:
        warn("the quotes around the key are left out")
    return key


def prompt(question: str, option: str, *, hidden: bool = False, default: str | None = None) -> str:
    """Return what somebody answers; BadParameter, which names the option, if nobody is there."""
    if not sys.stdin.isatty():
        raise typer.BadParameter(f"nobody is there to ask: give {option}")
    answer = typer.prompt(question, default=default, hide_input=hidden, err=True)
    return str(answer).strip()
