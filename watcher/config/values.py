"""Values that a configuration file writes as text: durations, money, rights, secrets."""

import re
from decimal import Decimal
from enum import StrEnum


class Duration(float):
    """Seconds; written as "90s", "30m", "24h", "30d", or combined, as "1h30m"."""


class Pause(Duration):
    """A duration that may be "0s"."""


class PositiveAmount(Decimal):
    """Money, not negative; written as "25.00", so that it is exact."""


class Right(StrEnum):
    """What a key may do at the API and the status page; `admin` includes all others."""

    READ = "read"
    CHECK = "check"
    ACT = "act"
    SUBMIT = "submit"
    ADMIN = "admin"


class Secret:
    """A text that no log, error or repr shows; `reveal` returns it."""

    __slots__ = ("_text",)

    def __init__(self, text: str) -> None:
        self._text = text

    def reveal(self) -> str:
        return self._text

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Secret) and other._text == self._text

    def __hash__(self) -> int:
        return hash(self._text)

    def __repr__(self) -> str:
        return "Secret(…)"


def amount(text: str) -> PositiveAmount:
    """Read money as "25.00"; ValueError for anything else."""
    if not re.fullmatch(r"\d{1,12}(\.\d{1,12})?", text.strip()):
        raise ValueError(f'{text!r} is not an amount as "25.00"')
    return PositiveAmount(text.strip())


def duration(text: str) -> Duration:
    """Read "90s", "30m", "24h", "30d", "1h30m" as seconds; ValueError for anything else."""
    parts = re.fullmatch(r"(?:(\d+)d)?(?:(\d+)h)?(?:(\d+)m)?(?:(\d+)s)?", text.strip())
    if not text.strip() or parts is None:
        raise ValueError(f'{text!r} is not a duration as "90s", "30m", "24h", "30d", "1h30m"')
    days, hours, minutes, seconds = (int(part or 0) for part in parts.groups())
    total = ((days * 24 + hours) * 60 + minutes) * 60 + seconds
    if not 0 < total < 100 * 366 * 86400:
        raise ValueError(f"{text!r} is out of range")
    return Duration(total)


def pause(text: str) -> Pause:
    """Read a duration that may be "0s"."""
    return Pause(0 if text.strip() == "0s" else duration(text))
