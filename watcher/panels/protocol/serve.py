"""The server's side of the panel API: decodes requests; writes ids and numbers as panels do.

Used by the simulated panels and the watcher's own `/api/v2`.
"""

import re
from collections.abc import Iterable, Iterator
from typing import Any
from urllib.parse import parse_qsl

import msgspec

MOST_FIELDS = 250  # a hundred ids, each in a field of its own, and an order's parameters
LISTS = frozenset({"order", "orders", "refill", "refills", "tags"})  # may be given as an array
_ITEM = re.compile(r"(\w+)\[[0-9]*\]")
_JSON = msgspec.json.Decoder(float_hook=str)
_BOUNDARY = re.compile(r'boundary=(?:"([^"]{1,70})"|([^\s;,"]{1,70}))', re.IGNORECASE)
_NAME = re.compile(rb'[;\s]name="([^"]*)"', re.IGNORECASE)
_FILE = re.compile(rb"[;\s]filename", re.IGNORECASE)


def decode_form(body: bytes, content_type: str = "") -> dict[str, str]:
    """Decode a form, URL-encoded or multipart (files are ignored); ValueError if it is not one.

    The last of equal names counts.
    """
    kind, _, parameters = content_type.partition(";")
    if kind.strip().lower() == "multipart/form-data":
        return dict(_parts(body, parameters))
    return dict(_pairs(body.decode()))


def decode_request(query: str, body: bytes, content_type: str = "") -> dict[str, str]:
    """Decode a URL's query and a body, which may be URL-encoded, multipart or a JSON object.

    The Content-Type may be wrong. Items of an array are joined with commas. The body overrides the
    query; the last of equal names counts. ValueError if it can't be read.
    """
    fields = _joined(_pairs(query))
    kind = content_type.partition(";")[0].strip().lower()
    if kind == "multipart/form-data":
        return fields | _joined(_parts(body, content_type.partition(";")[2]))
    text = body.decode("utf-8-sig").strip()
    # A form never begins with a brace: it would be quoted.
    return fields | (_object(text) if text.startswith("{") else _joined(_pairs(text)))


def _pairs(text: str) -> list[tuple[str, str]]:
    return parse_qsl(text, keep_blank_values=True, errors="strict", max_num_fields=MOST_FIELDS)


def _joined(pairs: Iterable[tuple[str, str]]) -> dict[str, str]:
    """Return the fields; an array, as `orders[]=1&orders[]=2`, is joined."""
    fields: dict[str, str] = {}
    arrays: set[str] = set()
    for name, value in pairs:
        item = _ITEM.fullmatch(name)
        if item is None or item[1] not in LISTS:
            fields[name] = value
            arrays.discard(name)
            continue
        name = item[1]
        fields[name] = f"{fields[name]},{value}" if name in arrays else value
        arrays.add(name)
    return fields


def _object(text: str) -> dict[str, str]:
    try:
        found = _JSON.decode(text)
    except (msgspec.DecodeError, RecursionError):
        raise ValueError("a body that is no JSON") from None
    if len(found) > MOST_FIELDS:
        raise ValueError("a body of too many fields")
    return {name: _text(name, value) for name, value in found.items() if value is not None}


def _text(name: str, value: Any) -> str:
    """Return a JSON value as in a form."""
    if isinstance(value, bool):
        return str(int(value))
    if isinstance(value, str | int):
        return str(value)
    if isinstance(value, list) and name in LISTS and len(value) <= MOST_FIELDS:
        return ",".join(_text("", item) for item in value)
    raise ValueError(f"{name[:40]!r} is no text")


def _parts(body: bytes, parameters: str) -> Iterator[tuple[str, str]]:
    found = _BOUNDARY.search(parameters)
    if found is None:
        raise ValueError("a multipart form without its boundary")
    boundary = (found[1] or found[2]).encode()
    before, *parts = (b"\r\n" + body).split(b"\r\n--" + boundary, MOST_FIELDS + 1)
    if before or len(parts) > MOST_FIELDS or not parts or not parts.pop().startswith(b"--"):
        raise ValueError("a multipart form that is cut, or of too many parts")
    for part in parts:
        head, _, value = part.partition(b"\r\n\r\n")
        name = _NAME.search(head)
        if name is not None and not _FILE.search(head):
            yield name[1].decode(), value.decode()


def whole(text: str) -> int | None:
    """Read a parameter as a whole number, None if it is not one."""
    # Not int() alone, which also takes "1_000", "+5" and digits of other alphabets.
    digits = text.strip()
    is_number = digits.isascii() and digits.isdecimal() and len(digits) < 16
    return int(digits) if is_number else None


def several(text: str) -> list[str]:
    """Split ids that are joined with commas."""
    return [part.strip() for part in text.split(",") if part.strip()]


def listed(text: str) -> list[str]:
    """Split ids as shops write them: `1,2`, or as JSON, `[1, "2"]`."""
    bare = text.strip()
    if bare.startswith("[") and bare.endswith("]"):
        bare = ",".join(part.strip("\"' ") for part in several(bare[1:-1]))
    return several(bare)


def identity(text: str) -> int | str:
    """Return an id for an answer: as a number if it is one."""
    return int(text) if text.isascii() and text.isdecimal() and len(text) < 19 else text
