"""Reads the values of a row into an order to track: pure."""

import re
from collections.abc import Callable, Mapping
from datetime import datetime
from decimal import Decimal
from typing import Any

from watcher.errors import RequestError
from watcher.model import Status
from watcher.orders.fields import LABELS
from watcher.orders.labels import labels_from, tags_in
from watcher.panels.protocol import status_of
from watcher.web.order_import.dates import DateOrder, read_time
from watcher.web.shapes import TrackItem

# Every id that a panel was seen to give: letters and digits, maybe joined by a mark.
_ORDER = re.compile(r"[A-Za-z0-9_-](?:[A-Za-z0-9_.:-]{0,62}[A-Za-z0-9_-])?")
_WRITTEN_DATE = re.compile(r"\d{4}-\d\d?-\d\d?|\d\d?[.-]\d\d?[.-]\d{4}|\d\d?:\d\d(?::\d\d)?")
_ROUNDED = re.compile(r"\d+[.,]\d*(E\+?\d+)?|\d+E\+\d+", re.IGNORECASE)
_SURROGATE = re.compile("[\ud800-\udfff]")
# "1234 - Followers", "[1234] Followers": panels show a service's id before its name.
_SERVICE = re.compile(r"#?(\d{1,12})\s*[-–—|:]\s*\D.*|\[(\d{1,12})\].*", re.DOTALL)
_SERVICE_ID = re.compile(r"#?([A-Za-z0-9_.:-]{1,64})")
_THOUSANDS = re.compile(r"\d{1,3}(?:[, '\u00a0\u202f]\d{3})+(?:\.0{1,2})?")
_DOTTED = re.compile(r"\d{1,3}(?:\.\d{3})+(?:,0{1,2})?")
_WITH_ZEROS = re.compile(r"(\d+)[.,]0{1,2}|(\d+)\.0{4,8}")
# What databases and scripts write where there is nothing.
_NOTHING = frozenset(("", "null", "none", "nil", "\\n", "-", "–", "—", "n/a", "#n/a", "undefined"))
_NO_ORDER = _NOTHING | {"0", "-1"}
_UNFINISHED = frozenset((Status.PENDING, Status.PROCESSING, Status.IN_PROGRESS))
_NO_DATE = re.compile(r"0{4}-00-00.*|0|0\.0")

Note = Callable[[str, str], None]  # a kind, and an example of it


def track_item(
    panel: str,
    values: Mapping[str, object],
    dates: DateOrder | None = None,
    *,
    note: Note = lambda kind, example: None,
    dotted: bool = False,
    guessed: bool = False,
) -> TrackItem:
    """Return the order of a row; ValueError says what is wrong with it.

    What is left out is noted. `dotted`: a dot separates thousands. `guessed`: letters beyond
    ASCII may be wrong.
    """
    return TrackItem(
        panel=panel,
        order=order_id(values.get("order")),
        service=_service(values.get("service"), note),
        link=_link(values.get("link"), note, guessed=guessed),
        quantity=_quantity(values.get("quantity"), note, dotted=dotted),
        submitted_at=_time(values.get("submitted_at"), "submitted_at", dates),
        finished_at=_finished(values, dates, note),
        **_labels(values, note),
    )


def order_id(value: object) -> str:
    """Return an order's id as the API takes it; ValueError if it can't be one."""
    text = text_of(value, "order", 1000)
    if text is None:
        raise ValueError("the order's id is missing")
    bare = text[1:] if re.fullmatch(r"#[A-Za-z0-9]+", text) else text
    if _ROUNDED.fullmatch(bare):
        raise ValueError(f"{shown(text)} is an id that a spreadsheet has made a number of")
    if not _ORDER.fullmatch(bare) or _WRITTEN_DATE.fullmatch(bare):
        raise ValueError(f"{shown(text)} is not an order's id")
    return bare


def is_no_order(value: object) -> bool:
    """Return whether the value of a shop's list means that an order is at no panel."""
    text = text_of(value, "order", 1000)
    return text is None or text.lower() in _NO_ORDER


def text_of(value: object, name: str, most: int) -> str | None:
    """Return the cell's text, None if it is empty; ValueError if it is no text."""
    if value is None:
        return None
    if isinstance(value, int) and not isinstance(value, bool) and abs(value) < 10**18:
        value = str(value)
    if not isinstance(value, str):
        raise ValueError(f"{name}: {shown(value)} is not text")
    text = _bare(value.strip())
    if len(text) > most:
        raise ValueError(f"{name}: longer than {most} characters")
    if not text.isascii() and _SURROGATE.search(text):
        raise ValueError(f"{name}: not UTF-8")
    return None if text.lower() in _NOTHING else text


def _bare(text: str) -> str:
    """Remove what keeps a spreadsheet from reading a number: ="23519", '23519."""
    if not text.startswith(("=", "'")):
        return text
    wrapped = re.fullmatch(r'=\s*"(.*)"', text, re.DOTALL)
    if wrapped:
        return wrapped[1].replace('""', '"').strip()
    return text[1:].strip() if text.startswith("'") else text


def _service(value: object, note: Note) -> str | None:
    """Return a service's id; a name without one is left out, as an id has no blanks."""
    text = text_of(value, "service", 1000)
    if text is None or text == "0":
        return None
    if text.isascii() and text.isdecimal() and len(text) <= 64:
        return text
    found = _SERVICE.fullmatch(text)
    if found:
        return found[1] or found[2]
    whole = _WITH_ZEROS.fullmatch(text)
    if whole:
        return whole[1] or whole[2]
    bare = _SERVICE_ID.fullmatch(text)
    if bare is None or not re.search(r"\d", text):
        note("a service's name without its number is left out", shown(text))
        return None
    return bare[1]


def _link(value: object, note: Note, *, guessed: bool) -> str | None:
    text = text_of(value, "link", 4000)
    if text is None:
        return None
    if (guessed and not text.isascii()) or "\ufffd" in text:
        note("a link that is not in UTF-8 is left out (give --encoding)", shown(text))
        return None
    return text


def _quantity(value: object, note: Note, *, dotted: bool) -> int | None:
    if isinstance(value, float) and value.is_integer():
        value = str(Decimal(value))
    text = text_of(value, "quantity", 1000)
    if text is None:
        return None
    if text.isascii() and text.isdecimal() and len(text) <= 15:
        return int(text)
    if _THOUSANDS.fullmatch(text):
        text = re.sub(r"\D", "", re.sub(r"\.0+$", "", text))
    elif _DOTTED.fullmatch(text):
        if not (dotted or text.count(".") > 1 or "," in text):
            note("a quantity that can be two numbers is left out", shown(text))
            return None
        text = re.sub(r"\D", "", re.sub(r",0+$", "", text))
    elif whole := _WITH_ZEROS.fullmatch(text):
        text = whole[1] or whole[2]
    if not (text.isascii() and text.isdecimal() and len(text) <= 15):
        raise ValueError(f"quantity: {shown(text)} is not a whole number")
    return int(text)


def _labels(values: Mapping[str, object], note: Note) -> dict[str, Any]:
    """Return the labels of a row; one that can't be used is only noted."""
    found: dict[str, Any] = {}
    for name in sorted(LABELS & values.keys()):
        raw = values[name]
        try:
            given = _tags(raw) if name == "tags" else _label(raw, name)
            label = getattr(labels_from({name: given}), name)
        except (ValueError, RequestError) as error:
            note(f"a {name} that can't be used is left out", str(error))
            continue
        if label:
            found[name] = list(label) if name == "tags" else label
    return found


def _tags(raw: object) -> list[str]:
    texts = raw if isinstance(raw, list) else [raw]
    return [tag for text in texts for tag in tags_in(_label(text, "tags") or "")]


def _label(raw: object, name: str) -> str | None:
    if isinstance(raw, float) and raw.is_integer():
        raw = int(raw)
    return text_of(raw, name, 10_000)


def _finished(values: Mapping[str, object], dates: DateOrder | None, note: Note) -> datetime | None:
    """Return when the order finished; a time that can't be read is only noted."""
    try:
        finished_at = _time(values.get("finished_at"), "finished_at", dates)
        status = values.get("status")
    except ValueError as error:
        note("a finished_at that can't be read is left out", str(error))
        return None
    if finished_at and isinstance(status, str) and status_of(status) in _UNFINISHED:
        note("a finished_at of an unfinished order is left out", shown(status))
        return None
    return finished_at


def _time(value: object, name: str, dates: DateOrder | None) -> datetime | None:
    if isinstance(value, float):
        value = repr(value)
    text = text_of(value, name, 1000)
    if text is None or _NO_DATE.fullmatch(text):
        return None
    try:
        return read_time(text, dates)
    except ValueError as error:
        cause = "is not a time as 2024-05-31 18:00:00 or 31.05.2024 18:00"
        if "--dates" in str(error):
            cause = f"can be two days: {error}"
        raise ValueError(f"{name}: {shown(text)} {cause}") from None


def shown(value: object) -> str:
    """Return the value as it is written, cut to 60 characters."""
    text = repr(value)
    return text if len(text) <= 60 else f"{text[:59]}…"
