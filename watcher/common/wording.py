"""Numbers and times in sentences for people: pure."""

from datetime import UTC, datetime


def counted(number: int, thing: str) -> str:
    """Return "1 order", "2,000 orders"."""
    return f"{number:,} {thing}" + ("" if number == 1 else "s")


def times(number: int) -> str:
    """Return "once", "2 times"."""
    return "once" if number == 1 else f"{number:,} times"


def utc(at: float) -> str:
    """Return a Unix time as logs have it, to the second."""
    return datetime.fromtimestamp(at, UTC).isoformat(timespec="seconds").replace("+00:00", "Z")
