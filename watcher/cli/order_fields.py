"""The values of a list's line into an order to track: pure."""

import re
from collections.abc import Mapping
from datetime import UTC, datetime

from watcher.web.shapes import TrackItem

_ORDER = re.compile(r"[^\s,]{1,64}")
_ROUNDED = re.compile(r"\d+\.\d*(E\+?\d+)?|\d+E\+\d+", re.IGNORECASE)
_SURROGATE = re.compile("[\ud800-\udfff]")
_UNIX = (1_000_000_000, 4_102_444_800)  # 2001 to 2100: fewer digits are a date, more are ms


def track_item(panel: str, values: Mapping[str, object]) -> TrackItem:
    """The order of a line; ValueError tells what is wrong with it."""
    _check_panel(panel, values.get("panel"))
    return TrackItem(
        panel=panel,
        order=order_id(values.get("order")),
        service=_text(values.get("service"), "service", 64),
        link=_text(values.get("link"), "link", 4000),
        quantity=_quantity(values.get("quantity")),
        submitted_at=_time(values.get("submitted_at")),
    )


def order_id(value: object) -> str:
    """An order's id as the API takes it; ValueError where it can't be one."""
    text = _text(value, "order", 1000)
    if text is None:
        raise ValueError("the order's id is missing")
    if not _ORDER.fullmatch(text) or not text.isprintable():
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


def _quantity(value: object) -> int | None:
    text = _text(value, "quantity", 1000)
    if text is None:
        return None
    if not (text.isascii() and text.isdecimal() and len(text) <= 15):
        raise ValueError(f"quantity: {_shown(text)} is not a whole number")
    return int(text)


def _time(value: object) -> datetime | None:
    """ISO 8601 or Unix seconds; UTC where no offset is given."""
    if isinstance(value, float):
        value = repr(value)
    text = _text(value, "submitted_at", 1000)
    if text is None:
        return None
    try:
        if re.fullmatch(r"[0-9.]+", text):
            return _unix(float(text))
        time = datetime.fromisoformat(text)
        return time.replace(tzinfo=UTC) if time.tzinfo is None else time.astimezone(UTC)
    except (ValueError, OverflowError):
        cause = "is not a time as 2024-05-31 18:00:00, ISO 8601 or Unix seconds"
        raise ValueError(f"submitted_at: {_shown(text)} {cause}") from None


def _unix(seconds: float) -> datetime:
    least, most = _UNIX
    if not least <= seconds < most:
        raise ValueError
    return datetime.fromtimestamp(seconds, UTC)


def _shown(value: object) -> str:
    text = repr(value)
    return text if len(text) <= 60 else f"{text[:59]}…"
