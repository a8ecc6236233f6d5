"""Loads the bodies of answers: JSON, also with other text around it."""

import json
import re
from typing import Any, NoReturn

import msgspec

from watcher.errors import RemoteFault
from watcher.panels.protocol.values import clean, exact

PAGE = "a page in place of JSON"
# A value takes some 100 bytes of memory, however short its text. No price list has so many.
_MOST_VALUES = 1_000_000
_LONGEST_INTEGER = 64  # digits; Python reads long ones in quadratic time
_LOADER = msgspec.json.Decoder(float_hook=exact)
_TITLE = re.compile(r"<title[^>]*>([^<]{1,200})", re.IGNORECASE)
_BEGINS = re.compile(r"\{\s*[\"}]|\[\s*[\[{\"\]0-9]")  # as JSON's objects and lists begin


def load(body: bytes) -> Any:
    """Return an answer's JSON; floats become exact Decimals, absurd ones None."""
    if len(body) > _MOST_VALUES and body.count(b",") + body.count(b"[") > _MOST_VALUES:
        raise RemoteFault("an answer of too many values")
    try:
        return _load(body)
    except RecursionError:
        raise RemoteFault("an answer nested too deeply") from None


def _load(body: bytes) -> Any:
    """Decode JSON; tolerates a byte order mark, bad UTF-8 and text around it."""
    try:
        return _LOADER.decode(body)
    except (ValueError, msgspec.MsgspecError):
        text = body.decode("utf-8-sig", "replace").strip()
    if not text:
        raise RemoteFault("an empty answer")
    try:
        return _READER.decode(text)
    except ValueError:
        found = _embedded(text)
    if found is not None:
        return found
    if text.startswith("<"):
        title = _TITLE.search(text[:4096])
        raise RemoteFault(f"{PAGE}: {clean(title[1] if title else text[:80])}")
    raise RemoteFault(f"an answer that is not JSON: {clean(text[:80])}")


def _embedded(text: str) -> Any | None:
    """Return the object or list at the end of a text, as after PHP's warnings, or its beginning.

    Only the first in the text counts: in a text that is cut off, a later one is a part of it.
    """
    start = _BEGINS.search(text)
    if start is None:
        return None
    at = start.start()
    try:
        if at:
            return _READER.decode(text[at:])
        found, end = _READER.raw_decode(text)
    except ValueError:
        return None
    return None if _BEGINS.search(text, end) else found


def _integer(digits: str) -> int | None:
    return int(digits) if len(digits) <= _LONGEST_INTEGER else None


def _absurd(constant: str) -> NoReturn:
    raise ValueError(constant)


_READER = json.JSONDecoder(
    strict=False, parse_float=exact, parse_int=_integer, parse_constant=_absurd
)
