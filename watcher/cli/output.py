"""Prints messages, times and JSON, without the markup and control characters of panels.

rich is imported where something is printed: the daemon starts from here, too, and needs none.
"""

import os
import re
import sys
from collections.abc import Iterable
from datetime import UTC, datetime, tzinfo
from typing import TYPE_CHECKING, Any

import msgspec

from watcher.common.wording import UNSAFE, clean

if TYPE_CHECKING:
    from rich.console import Console

_WIDE = 10_000  # where nobody looks: no line is cut, so that grep and awk find all


def say(*lines: str, style: str = "") -> None:
    """Print lines on stdout."""
    _lines(output(), lines, style)


def warn(*lines: str, console: "Console | None" = None) -> None:
    """Print lines on stderr: what went wrong, or what is not part of the answer.

    While a bar is shown they go through its console, which keeps them apart.
    """
    _lines(console or errors(), lines, "")


def output() -> "Console":
    return _console(stderr=False)


def errors() -> "Console":
    return _console(stderr=True)


def show_json(document: Any) -> None:
    """Print one JSON document."""
    _write(msgspec.json.format(msgspec.json.encode(document), indent=2))
    _write(b"\n")


def show_json_line(document: Any) -> None:
    """Print one JSON document on one line."""
    _write(msgspec.json.encode(document) + b"\n")
    sys.stdout.flush()  # for a reader of the pipe


def show_json_pages(name: str, pages: Iterable[tuple[list[Any], str | None]]) -> None:
    """Print a listing as one document, page by page, with the last page's `next`."""
    after, before = None, b'{"%s":[\n' % name.encode()
    for items, after in pages:  # noqa: B007 -- the last one is the document's
        for item in items:
            _write(before + msgspec.json.encode(item))
            before = b",\n"
    _write(b"" if before == b",\n" else before)
    _write(b'\n],"next":%s}\n' % msgspec.json.encode(after))


def safe_json(raw: bytes) -> str:
    """Return the JSON with DEL, C1 controls and direction marks escaped."""
    return UNSAFE.sub(_escaped, raw.decode())


def ago(time: datetime | None, now: datetime | None = None) -> str:
    """Return how long ago a time is, or in how long: "3h ago", "in 3h"."""
    if time is None:
        return ""
    seconds = ((now or datetime.now(UTC)) - time).total_seconds()
    if abs(seconds) < 1:
        return "now"
    return f"{span(seconds)} ago" if seconds > 0 else f"in {span(seconds)}"


def money(amount: object, currency: str | None) -> str | None:
    """Return an amount with its currency, None if there is no amount."""
    return None if amount is None else f"{amount} {currency or ''}".strip()


def use_utc() -> None:
    """Show times in UTC from now on."""
    os.environ["WATCHER_UTC"] = "1"


def zone() -> tzinfo | None:
    """Return the zone in which times are shown; None is this machine's."""
    return UTC if os.environ.get("WATCHER_UTC") else None


def zone_words() -> str:
    """Return in words in which zone times are shown: "UTC", "local, UTC+02:00 now"."""
    now = datetime.now(UTC).astimezone(zone())
    offset = f"{now:%z}"
    return "UTC" if now.tzname() == "UTC" else f"local, UTC{offset[:3]}:{offset[3:5]} now"


def stamp(time: datetime | None) -> str:
    """Return the time in the zone of `zone()`."""
    return "" if time is None else f"{time.astimezone(zone()):%Y-%m-%d %H:%M:%S}"


def moment(time: datetime | None) -> str:
    """Return the time in the zone of `zone()`, and how long ago it is."""
    return "" if time is None else f"{stamp(time)} ({ago(time)})"


def span(seconds: float) -> str:
    """Return a duration in its two largest units: "3d 4h", "12m", "5s"."""
    left = round(abs(seconds))
    parts: list[str] = []
    for unit, size in (("d", 86400), ("h", 3600), ("m", 60), ("s", 1)):
        count, left = divmod(left, size)
        if count or (unit == "s" and not parts):
            parts.append(f"{count}{unit}")
        elif parts:
            break
    return " ".join(parts[:2])


def optional_span(seconds: float | None) -> str | None:
    """Return a duration as `span`, None if it is not known."""
    return None if seconds is None else span(seconds)


def _console(*, stderr: bool) -> "Console":
    from rich.console import Console

    console = Console(stderr=stderr, markup=False, emoji=False, highlight=False)
    if not console.is_terminal and "COLUMNS" not in os.environ:
        console.width = _WIDE
    return console


def _lines(console: "Console", lines: Iterable[str], style: str) -> None:
    from rich.text import Text

    for line in lines:  # a terminal would cut words in two where its line ends
        console.print(Text(clean(line), style=style), soft_wrap=not console.is_terminal)


def _write(text: bytes) -> None:
    sys.stdout.write(safe_json(text))


def _escaped(found: re.Match[str]) -> str:
    return found[0] if found[0] == "\n" else f"\\u{ord(found[0]):04x}"
