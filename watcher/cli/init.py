"""`watcher init`: a configuration for a panel, by a few questions and what the panel answers."""

import asyncio
import os
import re
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Annotated
from urllib.parse import urlsplit

import msgspec
import typer

from watcher.cli.files import NotWritten, whole_file
from watcher.cli.options import Force
from watcher.cli.output import counted, say
from watcher.errors import BadKey, ConfigError, PanelError, WatcherError
from watcher.panels.profiles import Profile, shipped

if TYPE_CHECKING:  # imported late: CEL and aiohttp take a second that no other command should wait
    from watcher.cli.detect import Found
    from watcher.config import PanelConfig

_FALLBACK = "standard"
_TRY_CANCEL = "Find out whether it can cancel, by asking to cancel an order that it can't have?"


class Unanswered(WatcherError):
    """The panel could not be asked; nothing was written."""


class Choice(msgspec.Struct, frozen=True, kw_only=True):
    """What is known before the panel is asked."""

    name: str
    url: str
    profile: Profile
    key: str
    key_env: str | None
    is_guess: bool  # the profile was not named, nor found by its URL


def init(
    file: Annotated[
        Path, typer.Argument(metavar="PATH", help="Where the configuration is to be.")
    ] = Path("watcher.toml"),
    url: Annotated[str | None, typer.Option(help="The panel's API, as its page tells.")] = None,
    profile: Annotated[
        str | None, typer.Option(metavar="NAME", help="A panel that watcher knows.")
    ] = None,
    name: Annotated[str | None, typer.Option(help="What the panel is to be called here.")] = None,
    key_env: Annotated[
        str | None, typer.Option(metavar="VARIABLE", help="The variable that holds the key.")
    ] = None,
    try_cancel: Annotated[
        bool | None,
        typer.Option(
            "--try-cancel/--no-try-cancel",
            help="Whether to ask it to cancel an order that it can't have. Default: it is asked.",
        ),
    ] = None,
    force: Force = False,
) -> None:
    """Write a configuration for a panel, having asked it what it can do. Changes nothing there."""
    if file.exists() and not force:
        raise NotWritten(f"{file} is there already: --force replaces it")
    choice = _choose(url, profile, name, key_env)
    panel = _checked(_written(choice, None, file.name), choice, file)
    if try_cancel is None:
        try_cancel = choice.is_guess and sys.stdin.isatty() and typer.confirm(_TRY_CANCEL)
    found = _ask(panel, try_cancel=try_cancel)
    if found.cancel is None and not choice.is_guess and choice.profile.can("cancel"):
        found.has.add("cancel")
    text = _written(choice, found, file.name)
    _checked(text, choice, file)
    if choice.key_env is None:
        _write(file.parent / _key_file(choice.name), f"{choice.key}\n", force=force)
    _write(file, text, force=force)
    _tell(file, choice, found)


def _choose(url: str | None, profile: str | None, name: str | None, key_env: str | None) -> Choice:
    known = shipped()
    if url is None and profile is None:
        answer = _asked("The panel's API URL, or one of " + ", ".join(known), "--url or --profile")
        url, profile = (None, answer) if answer in known else (answer, None)
    if profile is not None and profile not in known:
        cause = f"there is no {profile!r}; there are: {', '.join(known)}"
        raise typer.BadParameter(cause, param_hint="--profile")
    named = known[profile] if profile else _by_url(url)
    url = url or named.url
    if url is None:
        url = _asked("The panel's API URL", "--url")
    is_guess = profile is None and named.name == _FALLBACK
    name = name or (_name_of(url) if named.name == _FALLBACK else named.name)
    return Choice(
        name=name,
        url=url,
        profile=named,
        key=_key(key_env),
        key_env=key_env,
        is_guess=is_guess,
    )


def _by_url(url: str | None) -> Profile:
    """The shipped profile of this host, else the standard one."""
    host = urlsplit(url or "").hostname
    profiles = shipped()
    same = (p for p in profiles.values() if p.url and urlsplit(p.url).hostname == host)
    return next(same, profiles[_FALLBACK])


def _name_of(url: str) -> str:
    """The part of the host that people call the panel by."""
    parts = (urlsplit(url).hostname or "").split(".")
    part = parts[-2] if len(parts) > 1 and not parts[-1].isdecimal() else "panel"
    return re.sub(r"[^A-Za-z0-9_-]", "", part)[:40] or "panel"


def _key(variable: str | None) -> str:
    if variable is not None:
        key = os.environ.get(variable, "").strip()
        if key:
            return key
        if not sys.stdin.isatty():
            cause = f"${variable} is not set: put the key into it"
            raise typer.BadParameter(cause, param_hint="--key-env")
    return _asked("The API key (it is not shown)", "--key-env", hidden=True)


def _asked(question: str, option: str, *, hidden: bool = False) -> str:
    if not sys.stdin.isatty():
        raise typer.BadParameter(f"nobody is there to ask: give {option}")
    return str(typer.prompt(question, hide_input=hidden, err=True)).strip()


def _checked(text: str, choice: Choice, file: Path) -> "PanelConfig":
    """The configuration as the daemon reads it; ConfigError where it would not."""
    from watcher.config import Secrets, parse

    variable = choice.key_env or "WATCHER_INIT_KEY"
    if choice.key_env is None:
        text = text.replace(
            f"key_file = {_quoted(_key_file(choice.name))}", f'key_env = "{variable}"'
        )
    base = file.resolve().parent
    try:
        return parse(text, Secrets({variable: choice.key}, base), base).panels[choice.name]
    except ConfigError as error:
        raise ConfigError(
            [f"nothing was written: {problem}" for problem in error.problems]
        ) from None


def _ask(panel: "PanelConfig", *, try_cancel: bool) -> "Found":
    try:
        found = asyncio.run(_detected(panel, try_cancel=try_cancel))
    except BadKey as error:
        raise Unanswered(
            f"the panel does not take this key: {error}; nothing was written"
        ) from None
    except PanelError as error:
        raise Unanswered(f"{panel.url}: {error}; nothing was written") from None
    if "status" not in found.has:
        cause = "it does not answer as a panel does: is this its API's URL, with its path?"
        raise Unanswered(f"{panel.url}: {cause}; nothing was written")
    return found


async def _detected(panel: "PanelConfig", *, try_cancel: bool) -> "Found":
    from watcher.cli.detect import detect
    from watcher.panels.client import PanelClient

    async with PanelClient(
        name=panel.name,
        url=panel.url,
        key=panel.key.reveal(),
        dialect=panel.request,
        profile=shipped()[_FALLBACK],  # which can do all, so that all can be tried
        timeout=panel.settings.timeout,
        on_request=lambda action, seconds, reason: None,
    ) as client:
        return await detect(client, try_cancel=try_cancel)


def _written(choice: Choice, found: "Found | None", name: str) -> str:
    """The configuration's text; `found` None is before the panel was asked."""
    has = choice.profile.has if found is None else found.has
    secret = (
        f"key_env = {_quoted(choice.key_env)}"
        if choice.key_env
        else f"key_file = {_quoted(_key_file(choice.name))}"
    )
    more, less = sorted(has - choice.profile.has), sorted(choice.profile.has - has)
    lines = [
        f"# watcher's configuration. Check it with: watcher check-config {name}",
        "# Durations are 90s, 30m, 24h, 30d; keys and tokens never stand in this file.",
        "",
        "[daemon]",
        '# database = "watcher.db"          # beside this file',
        '# listen = "127.0.0.1:9466"        # anything but this machine needs a token_file',
        "",
        f"[panels.{choice.name}]",
        f"profile = {_quoted(choice.profile.name)}",
        f"url = {_quoted(choice.url)}",
        secret,
        *([f"has = {_list(more)}   # beyond its profile"] if more else []),
        *([f"lacks = {_list(less)}   # of its profile"] if less else []),
        *_remarks(choice, found),
        '# low_balance = "25.00"            # in the panel\'s currency: be told below it',
        "# requests_per_minute = 60         # a ceiling; below it the watcher adapts",
        "",
        "# [[notify]]                       # see docs/notifications.md",
        '# name = "phone"                   # its URL is in $PHONE_URL',
        '# format = "text"',
        "",
        "# [[rules]]                        # see docs/rules.md",
        '# name = "refill daily for a month"',
        '# action = "refill"',
        "# when = \"order.status == 'completed' && service.refill"
        " && order.finished_ago > duration('24h')\"",
        "# attempts = 30",
        "# dry_run = true                   # look at `watcher rules` before you trust it",
    ]
    return "\n".join(lines) + "\n"


def _remarks(choice: Choice, found: "Found | None") -> list[str]:
    if found is not None and found.cancel is None and choice.is_guess:
        return ['# Whether it can cancel was not tried: if its page says so, take "cancel" out.']
    return []


def _list(words: list[str]) -> str:
    return "[" + ", ".join(map(_quoted, words)) + "]"


def _quoted(text: str) -> str:
    """As TOML and JSON both write text."""
    return msgspec.json.encode(text).decode()


def _key_file(name: str) -> str:
    return f"{name}.key"


def _write(file: Path, text: str, *, force: bool) -> None:
    with whole_file(file, force=force) as stream:
        stream.write(text.encode())


def _tell(file: Path, choice: Choice, found: "Found") -> None:
    balance = found.balance
    money = f"balance {balance.amount:f} {balance.currency}" if balance else "no balance"
    services = "no price list" if found.services is None else counted(found.services, "service")
    say(f"{choice.name}: {money}, {services}", f"can: {', '.join(sorted(found.has))}")
    if found.cancel is None and choice.is_guess:
        say("whether it can cancel was not tried: see --try-cancel")
    if choice.key_env is None:
        say(f"the key is in {file.parent / _key_file(choice.name)}, which you alone can read")
    say(f"{file} is written; next: watcher run --config {file}")
