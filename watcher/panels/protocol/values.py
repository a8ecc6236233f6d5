"""Numbers, texts and ids as panels send them: exact and bounded, None where they make no sense."""

import re
from decimal import Decimal, InvalidOperation
from typing import Any

TEXT_LIMIT = 200
_LARGEST = 2**63 - 1
_LONGEST_NUMBER = 100  # characters; floats printed to their last binary digit take some 60
_UNPRINTABLE = re.compile(
    r"[\x00-\x1f\x7f-\x9f\u2028\u2029\u200e\u200f\u202a-\u202e\u2066-\u2069\ud800-\udfff]+"
)
_ID = re.compile(r"[A-Za-z0-9_.:-]{1,64}")


def clean(text: str, limit: int = TEXT_LIMIT) -> str:
    """A panel's text without control characters, clipped."""
    return _UNPRINTABLE.sub(" ", text[: 4 * limit]).strip()[:limit].rstrip()


def word(value: Any, limit: int = TEXT_LIMIT) -> str | None:
    """A value that should be a text, as sent."""
    if isinstance(value, str):
        return clean(value, limit) or None
    if isinstance(value, bool):
        return str(value).lower()
    if isinstance(value, int | Decimal):
        return clean(str(value), limit)
    return None


def money(value: Any) -> Decimal | None:
    """A number to its last digit; JSON's floats arrive here as their literal text."""
    if isinstance(value, str):
        if len(value) > _LONGEST_NUMBER:
            return None
        try:
            value = Decimal(value)
        except InvalidOperation:
            return None
    elif isinstance(value, int) and not isinstance(value, bool):
        value = Decimal(value)
    return value if isinstance(value, Decimal) and is_sane(value) else None


def is_sane(number: Decimal) -> bool:
    """Whether a number can be an amount: no NaN, no infinity, no hundreds of digits."""
    return number.is_finite() and -31 < number.adjusted() < 19


def integer(value: Any) -> int | None:
    """A whole number, however it is written."""
    if type(value) is str and value.isdecimal() and len(value) < 19:
        return int(value)
    if type(value) is not int:
        number = money(value)
        if number is None or number != number.to_integral_value():
            return None
        value = int(number)
    return value if -_LARGEST <= value <= _LARGEST else None


def flag(value: Any) -> bool | None:
    """A yes or no."""
    folded = (word(value) or "").casefold()
    if folded in ("true", "1", "yes", "on"):
        return True
    return False if folded in ("false", "0", "no", "off") else None


def id_text(value: Any) -> str | None:
    """What an answer calls a thing by, to be compared with the ids that were asked for."""
    if isinstance(value, str):
        return value.strip() or None
    if isinstance(value, bool) or not isinstance(value, int | Decimal):
        return None
    number = integer(value)
    return str(number) if number is not None else None


def is_id(text: str) -> bool:
    """Whether a text can be an id: one that a request can carry and a panel would give out."""
    return _ID.fullmatch(text) is not None


def new_id(value: Any) -> str | None:
    """The id of something that a panel accepted; words like "success" are none, nor is 0."""
    text = id_text(value)
    if text is None or not is_id(text) or text.startswith("-"):
        return None
    return text if any(digit in text for digit in "123456789") else None


# The usual codes, each as one text that a million orders can share.
_CURRENCIES = {code: code for code in "USD EUR GBP INR RUB TRY BRL IDR BDT PKR NGN UAH".split()}


def currency(value: Any) -> str | None:
    """A currency's code as sent."""
    if not isinstance(value, str):
        return None
    return _CURRENCIES.get(value) or (None if value == "null" else word(value, 16))
