"""Numbers as people print them, read only if one reading is possible.

`1,234.50`, `1.234,50`, `1 234`, `2,5`, `$0.90` and `0.90 USD` have one. `1,234` has two: more than
a thousand, or a little more than one. So it is read as a count, but not as an amount.
"""

import re
import unicodedata
from decimal import Decimal, InvalidOperation
from typing import NamedTuple

_LONGEST = 100  # characters; floats printed to their last binary digit take some 60
_BLANKS = frozenset({"", "-", "--", "–", "—", "n/a", "na", "null", "none", "nil", "undefined"})
_SPACES = dict.fromkeys(map(ord, "\u00a0\u2007\u2009\u202f"), " ")
_SIGNS = dict.fromkeys(map(ord, "\u2212\u2013"), "-") | {ord("\u2019"): "'"}
_BEFORE = re.compile(r"([+-]?) ?(.*?) ?([+-]?)(?=[0-9.])")
_AFTER = re.compile(r"(?<=[0-9.]) ?([^0-9.,' ].*)$")
_CODE = re.compile(r"(?!MIO|MLN|MLD|MRD|BIO|BLN|TSD|LAKH)[A-Z]{3,4}")  # those are powers of ten
_THOUSANDS = re.compile(r"[1-9][0-9]{0,2}(?:([.,' ])[0-9]{3})(?:\1[0-9]{3})*")
_INDIAN = re.compile(r"[1-9][0-9]?(?:,[0-9]{2})+,[0-9]{3}")
_SEPARATOR = re.compile(r"[.,' ]")


class ExactNumber(NamedTuple):
    """A number, with the currency's code if it has one."""

    number: Decimal
    code: str | None = None


def is_blank(value: object) -> bool:
    """Return whether a value stands for a missing number."""
    if isinstance(value, str):
        return value.strip().casefold() in _BLANKS
    return value is None or value is False or value == [] or value == {}


def amount(text: str) -> ExactNumber | None:
    """Read an amount of money; None if it has no reading, or two."""
    number = plain(text)
    if number is not None or len(text) > _LONGEST:
        return None if number is None else ExactNumber(number)
    bare = _without_currency(text)
    if bare is None:
        return None
    sign, digits, code = bare
    number = plain(digits)
    if number is None:
        number = _printed(digits, is_count=False)
    return None if number is None else ExactNumber(-number if sign == "-" else number, code)


def count(text: str) -> Decimal | None:
    """Read a count: one separator before exactly three digits separates thousands."""
    if len(text) > _LONGEST:
        return None
    digits = _tidy(text)
    sign, digits = (digits[0], digits[1:]) if digits[:1] in ("-", "+") else ("", digits)
    if digits[:1] in ("-", "+"):
        return None
    number = _printed(digits, is_count=True)
    if number is None:
        number = plain(digits)
    return None if number is None else -number if sign == "-" else number


def plain(text: str) -> Decimal | None:
    """Read a number as programs print it."""
    if len(text) > _LONGEST:
        return None
    try:
        number = Decimal(text)
    except InvalidOperation:
        return None
    return number if number.is_finite() else None


def _tidy(text: str) -> str:
    return text.translate(_SPACES).translate(_SIGNS).strip()


def _without_currency(text: str) -> tuple[str, str, str | None] | None:
    """Return the sign, the number and the currency's code; "$" is not a code."""
    tidy = _tidy(text)
    before, after = _BEFORE.match(tidy), _AFTER.search(tidy)
    if before is None:
        return None
    names = [name for name in (before[2], after[1] if after else "") if name]
    signs = before[1] + before[3]
    if len(names) > 1 or len(signs) > 1 or not all(map(_is_currency, names)):
        return None
    code = names[0] if names and _CODE.fullmatch(names[0]) else None
    return signs, tidy[before.end() : after.start() if after else None], code


def _is_currency(name: str) -> bool:
    """Return whether a text is a currency's code, or a sign as "$", "R$" or "₹"."""
    letters, sign = name[:-1], name[-1]
    is_sign = unicodedata.category(sign) == "Sc" and len(letters) <= 3
    return bool(_CODE.fullmatch(name)) or (is_sign and (not letters or letters.isalpha()))


def _printed(digits: str, *, is_count: bool) -> Decimal | None:
    """Read a number with separators of thousands, a decimal mark, or both."""
    marks = _SEPARATOR.findall(digits)
    kinds = list(dict.fromkeys(marks))
    if len(kinds) == 2 and marks.count(kinds[1]) == 1:
        whole, _, rest = digits.partition(kinds[1])
        return _joined(whole, rest) if rest and kinds[1] in ".," and _is_grouped(whole) else None
    if len(kinds) != 1:
        return None
    if _is_grouped(digits) and (is_count or len(marks) > 1 or kinds[0] in "' "):
        return _joined(digits, "")
    is_ambiguous = kinds[0] == "," and _is_grouped(digits)
    if kinds[0] in "' " or len(marks) > 1 or is_ambiguous:
        return None
    whole, _, rest = digits.partition(kinds[0])
    return _joined(whole, rest) if rest else None


def _is_grouped(whole: str) -> bool:
    return bool(_THOUSANDS.fullmatch(whole) or _INDIAN.fullmatch(whole))


def _joined(whole: str, rest: str) -> Decimal | None:
    figures = _SEPARATOR.sub("", whole)
    if not (figures.isascii() and figures.isdecimal()):
        return None
    if rest and not (rest.isascii() and rest.isdecimal()):
        return None
    return Decimal(f"{figures}.{rest}" if rest else figures)
