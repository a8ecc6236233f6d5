"""The panel API from the other side: requests decoded, ids and numbers as panels write them.

For whoever answers it: the simulated panels, and the watcher's own `/api/v2`.
"""

import re
from collections.abc import Iterator
from urllib.parse import parse_qsl

MOST_FIELDS = 100
_BOUNDARY = re.compile(r'boundary=(?:"([^"]{1,70})"|([^\s;,"]{1,70}))', re.IGNORECASE)
_NAME = re.compile(rb'[;\s]name="([^"]*)"', re.IGNORECASE)
_FILE = re.compile(rb"[;\s]filename", re.IGNORECASE)


def decode_form(body: bytes, content_type: str = "") -> dict[str, str]:
    """The fields of a form, the last of equal names; ValueError where it is none.

    URL-encoded or, as PHP sends an array, multipart; files in it are left out.
    """
    kind, _, parameters = content_type.partition(";")
    if kind.strip().lower() == "multipart/form-data":
        return dict(_parts(body, parameters))
    text = body.decode()
    return dict(
        parse_qsl(text, keep_blank_values=True, errors="strict", max_num_fields=MOST_FIELDS)
    )


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
    """The number that a parameter writes."""
    # Not int() alone, which also takes "1_000", "+5" and digits of other alphabets.
    digits = text.strip()
    is_number = digits.isascii() and digits.isdecimal() and len(digits) < 16
    return int(digits) if is_number else None


def several(text: str) -> list[str]:
    """The ids of a parameter that joins them with commas."""
    return [part.strip() for part in text.split(",") if part.strip()]


def identity(text: str) -> int | str:
    """An id as it stands in an answer: a number where it is one."""
    return int(text) if text.isascii() and text.isdecimal() and len(text) < 19 else text
