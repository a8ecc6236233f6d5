"""Sets by order, of which memory holds only what is not empty."""

from collections.abc import Iterable
from typing import Any, TypeVar

Key = tuple[str, str]  # panel, order id
Item = TypeVar("Item", bound=str)


def discard(sets: dict[Key, set[Item]], key: Key, item: Item) -> None:
    """Remove the item, and the set when it is empty."""
    found = sets.get(key)
    if found is not None:
        found.discard(item)
        if not found:
            del sets[key]


def drop(known: dict[Any, Any], keys: Iterable[Any]) -> None:
    """Remove the keys, which are all there."""
    for key in keys:
        del known[key]
