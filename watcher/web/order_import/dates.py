"""Reads dates in the forms that panels, spreadsheets and people write: pure."""

import re
from datetime import UTC, datetime, timedelta
from enum import StrEnum

_UNIX = (1_000_000_000, 4_102_444_800)  # 2001 to 2100: fewer digits are a date, more are ms
_SHEET = (36_526, 73_051)  # 2000 to 2100 as spreadsheets count days
_SHEET_BEGAN = datetime(1899, 12, 30, tzinfo=UTC)
_CLOCK = r"(?:(?:\s+|T)(?P<h>\d{1,2}):(?P<m>\d{2})(?::(?P<s>\d{2}))?(?:\s*(?P<half>[ap]m))?)?"
_NAMED = r"(?P<name>jan|feb|mar|apr|may|jun|jul|aug|sep|oct|nov|dec)[a-z]*\.?"
_MONTHS = "jan feb mar apr may jun jul aug sep oct nov dec".split()
_FORMS = tuple(
    re.compile(form + _CLOCK)
    for form in (
        r"(?P<year>\d{4})[/.](?P<month>\d{1,2})[/.](?P<day>\d{1,2})",
        r"(?P<day>\d{1,2})\.(?P<month>\d{1,2})\.(?P<year>\d{4})",
        rf"(?P<day>\d{{1,2}})(?:st|nd|rd|th)?[\s-]+{_NAMED}[\s-]+(?P<year>\d{{4}})",
        rf"{_NAMED}\s+(?P<day>\d{{1,2}})(?:st|nd|rd|th)?\s+(?P<year>\d{{4}})",
        r"(?P<one>\d{1,2})(?P<mark>[/-])(?P<two>\d{1,2})(?P=mark)(?P<year>\d{4})",
    )
)


class DateOrder(StrEnum):
    """What comes first in 05/06/2024."""

    DMY = "dmy"
    MDY = "mdy"


def read_time(text: str, order: DateOrder | None = None) -> datetime:
    """Return the time in UTC; one without an offset counts as UTC.

    ValueError where the text is no time, or could be two: 05/06/2024 is never guessed.
    """
    try:
        if re.fullmatch(r"[0-9.]+", text) and text.count(".") < 2:
            return _counted(float(text))
        return _of_form(text, order) or _iso(text)
    except OverflowError:
        raise ValueError("out of range") from None


def sheet_time(days: float) -> datetime:
    """Return the time of a spreadsheet's number of days, to the second."""
    return _SHEET_BEGAN + timedelta(seconds=round(days * 86_400))


def _counted(number: float) -> datetime:
    """Read Unix seconds, or a spreadsheet's days: their ranges are far apart."""
    if _SHEET[0] <= number < _SHEET[1]:
        return sheet_time(number)
    if not _UNIX[0] <= number < _UNIX[1]:
        raise ValueError("neither Unix seconds nor a spreadsheet's days")
    return datetime.fromtimestamp(number, UTC)


def _iso(text: str) -> datetime:
    time = datetime.fromisoformat(re.sub(r"\s+(?:UTC|GMT)$", "+00:00", text))
    return time.replace(tzinfo=UTC) if time.tzinfo is None else time.astimezone(UTC)


def _of_form(text: str, order: DateOrder | None) -> datetime | None:
    plain = re.sub(r"\s*(?:utc|gmt)$", "", text.strip().lower().replace(",", " "))
    found = next((match for form in _FORMS if (match := form.fullmatch(plain))), None)
    if found is None:
        return None
    parts = found.groupdict()
    if "one" in parts:
        day, month = _day_and_month(int(parts["one"]), int(parts["two"]), order)
    else:
        day = int(parts["day"])
        month = int(parts["month"]) if "month" in parts else _MONTHS.index(parts["name"]) + 1
    return datetime(int(parts["year"]), month, day, *_clock(parts), tzinfo=UTC)


def _day_and_month(one: int, two: int, order: DateOrder | None) -> tuple[int, int]:
    if order is DateOrder.DMY or (order is None and one > 12):
        return one, two
    if order is DateOrder.MDY or two > 12:
        return two, one
    if one == two:
        return one, two
    raise ValueError("day or month first? give --dates dmy or --dates mdy")


def _clock(parts: dict[str, str | None]) -> tuple[int, int, int]:
    hour, half = int(parts["h"] or 0), parts["half"]
    if half:
        if not 1 <= hour <= 12:
            raise ValueError("no hour of a half day")
        hour = hour % 12 + (12 if half == "pm" else 0)
    return hour, int(parts["m"] or 0), int(parts["s"] or 0)
