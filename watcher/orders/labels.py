"""Checks the caller's own words on an order: reference, customer, tags and note. Pure."""

import re
from collections.abc import Mapping, Sequence
from typing import Any

import msgspec

from watcher.errors import RequestError
from watcher.model import Labels, Order

MOST_TAGS = 10
LONGEST = {"reference": 100, "customer": 200, "note": 2000}  # characters
LONGEST_TAG = 50
# What breaks a line or is no text; a note may have line breaks and tabs.
LINE = r"^[^\x00-\x1f\x7f-\x9f\u2028\u2029]*$"
TAG_LINE = r"^[^,\x00-\x1f\x7f-\x9f\u2028\u2029]*$"
LINES = r"^[^\x00-\x08\x0b\x0c\x0e-\x1f\x7f-\x9f]*$"
_ODD, _ODD_IN_NOTE = (
    re.compile(pattern.replace("^[^", "[").replace("]*$", "\ud800-\udfff]"))
    for pattern in (LINE, LINES)
)


def labels_from(given: Mapping[str, Any]) -> Labels:
    """Return the labels among the given values; RequestError says what is wrong with one.

    A text or number may be None. `tags` are a list of texts. Other names are ignored.
    """
    texts = {name: _text(name, given.get(name), most) for name, most in LONGEST.items()}
    return Labels(**texts, tags=_tags(given.get("tags") or ()))


def changed_labels(given: Mapping[str, Any]) -> dict[str, Any]:
    """Return the new values of the labels that are given; RequestError as in `labels_from`."""
    labels = labels_from(given)
    return {name: getattr(labels, name) for name in Labels.__struct_fields__ if name in given}


def tags_in(text: str) -> list[str]:
    """Return the tags in a text that separates them by commas."""
    return [tag.strip() for tag in text.split(",") if tag.strip()]


def missing_labels(labels: Labels, order: Order) -> dict[str, Any]:
    """Return those of the labels that the order has none of yet."""
    given = msgspec.structs.asdict(labels)
    return {name: value for name, value in given.items() if value and not getattr(order, name)}


def _text(name: str, value: object, most: int) -> str | None:
    text = "" if value is None else str(value).strip()
    if name == "note":
        text = text.replace("\r\n", "\n")
    if len(text) > most:
        raise RequestError(f"{name}: {len(text):,} characters; {most:,} are the most")
    _check_letters(name, text)
    return text or None


def _tags(given: Sequence[str]) -> tuple[str, ...]:
    if len(given) > MOST_TAGS:
        raise RequestError(f"tags: {len(given):,} of them; {MOST_TAGS} are the most")
    tags = tuple(dict.fromkeys(tag.strip() for tag in given))
    for tag in tags:
        if not tag:
            raise RequestError("tags: one of them is empty")
        if "," in tag:
            raise RequestError("tags: a comma separates tags; none can have one")
        if len(tag) > LONGEST_TAG:
            raise RequestError(f"tags: one has {len(tag):,} characters; {LONGEST_TAG} are the most")
        _check_letters("tags", tag)
    return tags


def _check_letters(name: str, text: str) -> None:
    odd = _ODD_IN_NOTE if name == "note" else _ODD
    if odd.search(text):
        allowed = "" if name == "note" else " or line break"
        raise RequestError(f"{name}: it has a control character{allowed}, or is not Unicode text")
