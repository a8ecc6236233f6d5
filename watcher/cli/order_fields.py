"""The values of a list's line into an order to track: pure."""

import re
from collections.abc import Mapping
from datetime import datetime

from watcher.cli.order_dates import DateOrder, read_time
from watcher.web.shapes import TrackItem

_ORDER = re.compile(r"[^\s,]{1,64}")
_ROUNDED = re.compile(r"\d+\.\d*(E\+?\d+)?|\d+E\+\d+", re.IGNORECASE)
_SURROGATE = re.compile("[\ud800-\udfff]")
# "1234 - Followers", "[1234] Followers": panels show a service's id before its name.
_SERVICE = re.compile(r"#?(\d{1,12})\s*[-–—|:]\s*\D.*|\[(\d{1,12})\].*", re.DOTALL)
_THOUSANDS = re.compile(r"\d{1,3}(?:[, '\u00a0\u202f]\d{3})+")


def track_item(
    panel: str, values: Mapping[str, object], dates: DateOrder | None = None
) -> TrackItem:
    """The order of a line; ValueError tells what is wrong with it."""
    _check_panel(panel, values.get("panel"))
    return TrackItem(
        panel=panel,
        order=order_id(values.get("order")),
        service=_service(values.get("service")),
        link=_text(values.get("link"), "link", 4000),
        quantity=_quantity(values.get("quantity")),
        submitted_at=_time(values.get("submitted_at"), dates),
    )


def order_id(value: object) -> str:
    """An order's id as the API takes it; ValueError where it can't be one."""
    text = _text(value, "order", 1000)
    if text is None:
        raise ValueError("the order's id is missing")
    if not _ORDER.fullmatch(text) or not text.isprintable() or "\ufffd" in text:
        raise ValueError(f"{_shown(text)} is not an order's id")
    if _ROUNDED.fullmatch(text):
        raise ValueError(f"{_shown(text)} is an id that a spreadsheet has made a number of")
    return text


def _check_panel(panel: str, value: object) -> None:
    named = _text(value, "panel", 1000)
    if named is not None and named.casefold() != panel.casefold():
        raise ValueError(f"an order at panel {_shown(named)}, not {panel}")


def _text(value: object, name: str, most: int) -> str | None:
    if value is None:
        return None
    if isinstance(value, int) and not isinstance(value, bool) and abs(value) < 10**18:
        value = str(value)
    if not isinstance(value, str):
        raise ValueError(f"{name}: {_shown(value)} is not text")
    text = value.strip()
    if len(text) > most:
        raise ValueError(f"{name}: longer than {most} characters")
    if not text.isascii() and _SURROGATE.search(text):
        raise ValueError(f"{name}: not UTF-8")
    return text or None


def _service(value: object) -> str | None:
    """A service's id; a name without one is left out, as an id has no blanks."""
    text = _text(value, "service", 1000)
    if text is None:
        return None
    found = _SERVICE.fullmatch(text)
    if found:
        return found[1] or found[2]
    return None if len(text) > 64 or re.search(r"\s", text) else text


def _quantity(value: object) -> int | None:
    text = _text(value, "quantity", 1000)
    if text is None:
        return None
    if _THOUSANDS.fullmatch(text):
        text = re.sub(r"\D", "", text)
    if not (text.isascii() and text.isdecimal() and len(text) <= 15):
        raise ValueError(f"quantity: {_shown(text)} is not a whole number")
    return int(text)


def _time(value: object, dates: DateOrder | None) -> datetime | None:
    if isinstance(value, float):
        value = repr(value)
    text = _text(value, "submitted_at", 1000)
    if text is None:
        return None
    try:
        return read_time(text, dates)
    except ValueError as error:
        cause = "is not a time as 2024-05-31 18:00:00 or 31.05.2024 18:00"
        if "--dates" in str(error):
            cause = f"can be two days: {error}"
        raise ValueError(f"submitted_at: {_shown(text)} {cause}") from None


def _shown(value: object) -> str:
    text = repr(value)
    return text if len(text) <= 60 else f"{text[:59]}…"
