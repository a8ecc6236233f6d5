"""Finds a panel where its API is, and asks it what it can do: for `watcher init`."""

import os
from collections.abc import Iterator
from pathlib import Path

import msgspec

from watcher.cli import addresses
from watcher.cli.detect import DetectedPanel, Unlike, detect, detect_cancel
from watcher.cli.init_file import Choice, whole_text, with_key
from watcher.cli.output import warn
from watcher.config import Config, Secrets, parse
from watcher.errors import (
    BadKey,
    ConfigError,
    NotSent,
    PanelError,
    RateLimited,
    Redirected,
    TimedOut,
    WatcherError,
)
from watcher.panels.client import PanelClient
from watcher.panels.profiles import shipped

_VARIABLE = "WATCHER_INIT_KEY"  # where the key is while its file is not written


async def find(choice: Choice) -> tuple[Choice, DetectedPanel]:
    """The panel, here or where its API is likely to be; the first failure is the one to tell."""
    try:
        return choice, await _detected(choice)
    except (PanelError, Unlike) as error:
        first = error
    for other in _others(choice, first):
        try:
            found = await _detected(other)
        except BadKey:
            if not isinstance(first, BadKey):
                raise  # there is a panel, as its answer shows
        except (PanelError, Unlike):
            continue
        else:
            differs = "JSON bodies are wanted there" if other.request != choice.request else ""
            warn(
                f"{choice.url}: {first}", f"the panel answers at {other.url}; {differs}".strip("; ")
            )
            return other, found
    raise first


def _others(choice: Choice, error: WatcherError) -> Iterator[Choice]:
    """What to try after a failure, which tells what may be wrong."""
    if isinstance(error, RateLimited | TimedOut):
        return
    urls: list[str] = []
    if isinstance(error, Redirected):
        there = addresses.safe(error.url) if error.url else None
        urls = [there] if there else []
        urls += addresses.other_paths(there or choice.url)
    elif isinstance(error, NotSent):
        urls = [url for url in [addresses.other_scheme(choice.url)] if url]
    elif not isinstance(error, BadKey):
        urls = list(addresses.other_paths(choice.url))
    for url in urls:
        yield msgspec.structs.replace(choice, url=url)
    if not isinstance(error, NotSent | Redirected):
        yield msgspec.structs.replace(choice, request={**choice.request, "body": "json"})


async def _detected(choice: Choice) -> DetectedPanel:
    async with _client(choice) as client:
        return await detect(client)


async def cancels(choice: Choice) -> bool | None:
    async with _client(choice) as client:
        return await detect_cancel(client)


def _client(choice: Choice) -> PanelClient:
    panel = read(whole_text(choice, None, ""), choice, Path().resolve()).panels[choice.name]
    return PanelClient(
        name=panel.name,
        url=panel.url,
        key=choice.key,
        dialect=panel.request,
        profile=shipped()["standard"],  # which can do all, so that all can be tried
        timeout=panel.settings.timeout,
        on_request=lambda action, seconds, reason: None,
    )


def read(text: str, choice: Choice, base: Path) -> Config:
    """The configuration as the daemon reads it; ConfigError where it would not."""
    variable = choice.key_env or _VARIABLE
    if choice.key_env is None:
        text = with_key(text, choice, variable)
    try:
        return parse(text, Secrets({**os.environ, variable: choice.key}, base), base)
    except ConfigError as error:
        raise ConfigError(
            [f"nothing was written: {problem}" for problem in error.problems]
        ) from None
