"""The text that `watcher init` writes: a whole configuration, or one more panel."""

import re
import tomllib
from pathlib import Path
from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit

import msgspec

from watcher.panels.profiles import Profile, shipped

if TYPE_CHECKING:  # imported late: aiohttp takes a second that no other command should wait
    from watcher.cli.detect import DetectedPanel

FALLBACK = "standard"  # the profile of an unknown panel
_HEAD = """\
# watcher's configuration. Check it with: watcher check-config {name}
# Write durations as 90s, 30m, 24h or 30d. Keys and tokens don't belong in this file.

[daemon]
# database = "watcher.db"          # beside this file
# listen = "127.0.0.1:9466"        # other addresses need a token_file

"""
_TAIL = """
# [[notify]]                       # see docs/notifications.md
# name = "phone"                   # its URL is in $PHONE_URL
# format = "text"

# [[rules]]                        # see docs/rules.md
# name = "refill daily for a month"
# action = "refill"
# when = "order.status == 'completed' && service.refill && order.finished_ago > duration('24h')"
# attempts = 30
# dry_run = true                   # look at `watcher rules` before you trust it
"""


class Choice(msgspec.Struct, frozen=True, kw_only=True):
    """What is known of a panel before it is asked."""

    name: str
    url: str
    profile: Profile
    key: str
    key_env: str | None
    is_guess: bool  # the profile was not named, nor found by its URL
    request: dict[str, str] = {}  # what differs in [panels.<name>.request]
    allow_http: bool = False  # somebody wants it, although it shows the key

    @property
    def key_file(self) -> str:
        return f"{self.name}.key"


def profile_of(url: str | None) -> Profile:
    """Return the profile of this host, else the standard one."""
    host = urlsplit(url or "").hostname
    profiles = shipped()
    same = (p for p in profiles.values() if p.url and urlsplit(p.url).hostname == host)
    return next(same, profiles[FALLBACK])


def name_of(url: str) -> str:
    """Return the part of the host that names the panel."""
    parts = (urlsplit(url).hostname or "").split(".")
    part = parts[-2] if len(parts) > 1 and not parts[-1].isdecimal() else "panel"
    return re.sub(r"[^A-Za-z0-9_-]", "", part)[:40] or "panel"


def whole_text(choice: Choice, found: "DetectedPanel | None", name: str) -> str:
    """Return a configuration for one panel; `found` is None before the panel was asked."""
    return _HEAD.format(name=name) + panel_text(choice, found) + _TAIL


def added_text(before: str, choice: Choice, found: "DetectedPanel | None") -> str:
    """Return a configuration with one more panel at its end; all else stays as it is."""
    end = "" if before.endswith("\n") or not before else "\n"
    return f"{before}{end}\n{panel_text(choice, found)}"


def panel_text(choice: Choice, found: "DetectedPanel | None") -> str:
    """Return the panel's tables."""
    has = choice.profile.has if found is None else found.has
    more, less = sorted(has - choice.profile.has), sorted(choice.profile.has - has)
    secret = ("key_env", choice.key_env) if choice.key_env else ("key_file", choice.key_file)
    lines = [
        f"[panels.{choice.name}]",
        f"profile = {quoted(choice.profile.name)}",
        f"url = {quoted(choice.url)}",
        f"{secret[0]} = {quoted(secret[1])}",
        *(["allow_http = true   # everyone on the way can read the key"] * choice.allow_http),
        *([f"has = {_list(more)}   # beyond its profile"] if more else []),
        *([f"lacks = {_list(less)}   # of its profile"] if less else []),
        *remarks(choice, found),
        '# low_balance = "25.00"            # attention says so below it; the panel\'s currency',
        "# requests_per_minute = 60         # the most that is sent; watcher adapts below it",
    ]
    if choice.request:
        lines += ["", f"[panels.{choice.name}.request]"]
        lines += [f"{name} = {quoted(value)}" for name, value in choice.request.items()]
    return "\n".join(lines) + "\n"


def remarks(choice: Choice, found: "DetectedPanel | None") -> list[str]:
    """Return comments on what is assumed because no answer showed it."""
    if found is None:
        return []
    told = []
    if found.same_words is not None:
        told.append("# It answers unknown orders as it answers unknown actions: all is assumed.")
    if found.cancel is None and choice.is_guess and "cancel" in found.has:
        told.append('# Not tested: cancel. If it can\'t cancel orders, write lacks = ["cancel"].')
    return told


def panels_in(text: str) -> dict[str, Any]:
    """Return the tables of a configuration's panels."""
    panels = tomllib.loads(text).get("panels", {})
    return panels if isinstance(panels, dict) else {}


def with_key(text: str, choice: Choice, variable: str) -> str:
    """Return the text with the key in a variable, as its file is not written yet."""
    return text.replace(f"key_file = {quoted(choice.key_file)}", f"key_env = {quoted(variable)}")


def quoted(text: str | None) -> str:
    """Return text in quotes, as TOML and JSON write it."""
    return msgspec.json.encode(text or "").decode()


def _list(words: list[str]) -> str:
    return "[" + ", ".join(map(quoted, words)) + "]"


def key_path(file: Path, choice: Choice) -> Path:
    """Return the path of the panel's key, beside the file, where the daemon looks for it."""
    return (file.resolve() if file.is_symlink() else file).parent / choice.key_file
