"""Numbers, texts and ids of panels: exact and bounded, None if they can't be read."""

import json
import re
from collections.abc import Mapping
from decimal import Decimal
from itertools import islice
from typing import Any, NamedTuple, TypeVar

from watcher.panels.protocol import numbers

TEXT_LIMIT = 200
_LARGEST = 2**63 - 1
MOST_UNREAD = 8  # an answer
_UNREAD_LIMIT = 60
_SHOWN_ITEMS = 20
_LARGEST_EXPONENT = 1000
_LONGEST_ID, _LARGEST_ID_BITS = 64, 212  # digits, and as many bits
_UNPRINTABLE = re.compile(
    r"[\x00-\x1f\x7f-\x9f\u2028\u2029\u200e\u200f\u202a-\u202e\u2066-\u2069\ud800-\udfff]+"
)
_ID = re.compile(r"[A-Za-z0-9_.:-]{1,64}")

Number = TypeVar("Number", int, Decimal)


def clean(text: str, limit: int = TEXT_LIMIT) -> str:
    """Return a panel's text without control characters, clipped."""
    return _UNPRINTABLE.sub(" ", text[: 4 * limit]).strip()[:limit].rstrip()


def word(value: Any, limit: int = TEXT_LIMIT) -> str | None:
    """Return a value that should be a text, cleaned; None if it is not one."""
    if isinstance(value, str):
        return clean(value, limit) or None
    if isinstance(value, bool):
        return str(value).lower()
    if isinstance(value, int | Decimal):
        return clean(str(value), limit)
    return None


class Unread(NamedTuple):
    """A value that can't be read, with our name for its field."""

    field: str
    value: str


class Reading:
    """Reads the fields of rows, and keeps the first few values that can't be read."""

    def __init__(self) -> None:
        self.unread: list[Unread] = []

    def money(self, row: Mapping[str, Any], field: str) -> tuple[Decimal | None, str | None]:
        """Read an amount, and the currency's code beside it."""
        value = row.get(field)
        found = self._kept(field, value, money(value))
        return found, money_code(value) if isinstance(value, str) and found is not None else None

    def count(self, row: Mapping[str, Any], field: str, other: str = "") -> int | None:
        """Read a count, which may also be under the `other` name."""
        value = row.get(field)
        if other and integer(value) is None and row.get(other) is not None:
            value = row[other]
        return self._kept(field, value, integer(value))

    def _kept(self, field: str, value: Any, found: Number | None) -> Number | None:
        is_missed = found is None and not numbers.is_blank(value)
        if is_missed and len(self.unread) < MOST_UNREAD:
            self.unread.append(Unread(field, shown(value, _UNREAD_LIMIT)))
        return found


def shown(value: Any, limit: int = TEXT_LIMIT) -> str:
    """Return any value of an answer as readable text, clipped."""
    if isinstance(value, str | Decimal):
        return clean(str(value), limit)
    if isinstance(value, list | dict):
        value = _beginning(value)
    try:
        text = json.dumps(value, ensure_ascii=False, default=str)
    except (ValueError, RecursionError):
        text = f"a {type(value).__name__}"
    return clean(text, limit)


def _beginning(value: Any) -> Any:
    """Return the first items of a list or an object."""
    if isinstance(value, list):
        return value[:_SHOWN_ITEMS]
    return dict(islice(value.items(), _SHOWN_ITEMS))


def money(value: Any) -> Decimal | None:
    """Read an amount exactly; JSON's floats arrive here as they were written."""
    if isinstance(value, str):
        printed = numbers.amount(value)
        value = None if printed is None else printed.number
    elif isinstance(value, int) and not isinstance(value, bool):
        value = Decimal(value)
    return value if isinstance(value, Decimal) and is_sane(value) else None


def money_code(value: str) -> str | None:
    """Return the currency's code beside an amount."""
    printed = numbers.amount(value)
    return printed.code if printed else None


def exact(literal: str) -> Decimal | None:
    """Read a JSON float exactly, None if it is absurdly large or small."""
    number = numbers.plain(literal)
    return number if number is not None and abs(number.adjusted()) < _LARGEST_EXPONENT else None


def is_sane(number: Decimal) -> bool:
    """Return whether a number can be an amount: finite, and not of hundreds of digits."""
    return number.is_finite() and -31 < number.adjusted() < 19


def integer(value: Any) -> int | None:
    """Read a whole number in any notation."""
    if type(value) is str:
        if value.isdecimal() and len(value) < 19:
            return int(value)
        value = numbers.count(value)
    if type(value) is not int:
        number = money(value)
        if number is None or number != number.to_integral_value():
            return None
        value = int(number)
    return value if -_LARGEST <= value <= _LARGEST else None


def flag(value: Any) -> bool | None:
    """Read a yes or no."""
    folded = (word(value) or "").casefold()
    if folded in ("true", "1", "yes", "on"):
        return True
    return False if folded in ("false", "0", "no", "off") else None


def id_text(value: Any) -> str | None:
    """Return an answer's id as text, for comparison with the ids that were asked for."""
    if isinstance(value, str):
        return value.strip() or None
    if isinstance(value, Decimal):
        is_whole = value.adjusted() < _LONGEST_ID and value == value.to_integral_value()
        return format(value.to_integral_value(), "f") if is_whole else None
    if isinstance(value, bool) or not isinstance(value, int):
        return None
    return str(value) if value.bit_length() <= _LARGEST_ID_BITS else None


def is_id(text: str) -> bool:
    """Return whether a text can be an id of a panel."""
    return _ID.fullmatch(text) is not None


# The usual codes, interned: a million orders share one string each.
_CURRENCIES = {code: code for code in "USD EUR GBP INR RUB TRY BRL IDR BDT PKR NGN UAH".split()}


def currency(value: Any) -> str | None:
    """Return a currency's code as sent."""
    if not isinstance(value, str):
        return None
    return _CURRENCIES.get(value) or (None if value == "null" else word(value, 16))
