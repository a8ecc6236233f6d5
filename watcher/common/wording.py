"""Numbers, times and texts from outside in what people read: pure."""

import re
from datetime import UTC, datetime

# Controls, their C1 kin, line separators, surrogates and what turns the writing direction.
UNSAFE = re.compile("[\x00-\x1f\x7f-\x9f\u2028\u2029\u202a-\u202e\u2066-\u2069\ud800-\udfff]")


def clean(value: object) -> str:
    """Return text that can't move the cursor, set colours or change the direction."""
    text = re.sub(r"[\t\r\n]+", " ", str(value))
    return UNSAFE.sub("\ufffd", text)


def counted(number: int, thing: str) -> str:
    """Return "1 order", "2,000 orders"."""
    return f"{number:,} {thing}" + ("" if number == 1 else "s")


def times(number: int) -> str:
    """Return "once", "2 times"."""
    return "once" if number == 1 else f"{number:,} times"


def utc(at: float) -> str:
    """Return a Unix time as logs have it, to the second."""
    return datetime.fromtimestamp(at, UTC).isoformat(timespec="seconds").replace("+00:00", "Z")


def lasting(seconds: float) -> str:
    """Return a length of time in its largest unit: "40 seconds", "5 minutes", "7 hours"."""
    for unit, size in (("day", 172_800), ("hour", 3600), ("minute", 60)):
        if seconds >= size:
            return counted(round(seconds / min(size, 86_400)), unit)
    return counted(round(seconds), "second")


def clock(at: float) -> str:
    """Return a Unix time as the time of day: "14:05 UTC"."""
    return f"{datetime.fromtimestamp(at, UTC):%H:%M} UTC"
