"""Finds the URL of a panel's API, and what it can do: for `watcher init`."""

import os
from collections.abc import Iterator
from pathlib import Path

import msgspec

from watcher.cli import addresses
from watcher.cli.detect import (
    DetectedPanel,
    NotAPanel,
    detect,
    detect_cancel,
    no_panel,
    panel_client,
)
from watcher.cli.init_file import Choice, whole_text, with_key
from watcher.cli.output import warn
from watcher.config import Config, Secrets, parse
from watcher.errors import (
    BadKey,
    NotSent,
    PanelError,
    RateLimited,
    Redirected,
    RemoteFault,
    TimedOut,
    Unreadable,
    WatcherError,
)
from watcher.panels.client import PanelClient
from watcher.panels.profiles import shipped

_NOBODYS = "watcher-init-test"  # a key
_VARIABLE = "WATCHER_INIT_KEY"  # holds the key until its file is written


async def reach(choice: Choice) -> Choice:
    """Return the panel, at this URL or a likely other one; raises the first failure.

    The key is not needed: one request with a key that nobody has is sent to each URL.
    """
    first = await _unlike(choice)
    if first is None:
        return choice
    for other in _others(choice, first):
        if other.request == choice.request and await _unlike(other) is None:
            warn(f"{choice.url}: {first}", f"the panel answers at {other.url}")
            return other
    raise first


async def _unlike(choice: Choice) -> WatcherError | None:
    """Return why this can't be a panel's API; None if it answers as one, whatever it says."""
    try:
        async with _client(msgspec.structs.replace(choice, key=_NOBODYS)) as client:
            await client.balance()
    except (NotSent, Redirected, TimedOut) as error:
        return error
    except RemoteFault as error:
        return None if isinstance(error, Unreadable) else NotAPanel(no_panel(error))
    except PanelError:
        return None
    return None


async def find(choice: Choice) -> tuple[Choice, DetectedPanel]:
    """Return the panel, at this URL or a likely other one; raises the first failure."""
    try:
        return choice, await _detected(choice)
    except (PanelError, NotAPanel) as error:
        first = error
    for other in _others(choice, first):
        try:
            found = await _detected(other)
        except BadKey:
            if not isinstance(first, BadKey):
                raise  # the answer shows that there is a panel
        except (PanelError, NotAPanel):
            continue
        else:
            differs = "JSON bodies are wanted there" if other.request != choice.request else ""
            warn(
                f"{choice.url}: {first}", f"the panel answers at {other.url}; {differs}".strip("; ")
            )
            return other, found
    raise first


def _others(choice: Choice, error: WatcherError) -> Iterator[Choice]:
    """Yield what to try next; the failure shows what may be wrong."""
    if isinstance(error, RateLimited | TimedOut):
        return
    urls: list[str] = []
    if isinstance(error, Redirected):
        there = addresses.safe(error.url) if error.url else None
        urls = [there] if there else []
        urls += addresses.other_paths(there or choice.url)
    elif isinstance(error, NotSent):
        other = addresses.other_scheme(choice.url)
        urls = [other, *addresses.other_paths(other)] if other else []
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
    """Return whether the panel can cancel, None if that can't be found out."""
    async with _client(choice) as client:
        return await detect_cancel(client)


def _client(choice: Choice) -> PanelClient:
    panel = read(whole_text(choice, None, ""), choice, Path().resolve()).panels[choice.name]
    return panel_client(panel, shipped()["standard"])  # which can do all, so that all is tried


def read(text: str, choice: Choice, base: Path) -> Config:
    """Parse the configuration as the daemon does; ConfigError if it has problems."""
    variable = choice.key_env or _VARIABLE
    if choice.key_env is None:
        text = with_key(text, choice, variable)
    return parse(text, Secrets({**os.environ, variable: choice.key}, base), base)
