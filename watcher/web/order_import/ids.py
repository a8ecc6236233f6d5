"""Distinguishes ids that consist of letters from other words in a list. Pure."""

from collections import Counter
from collections.abc import Iterator

import msgspec

from watcher.web.order_import.lines import Problem
from watcher.web.order_import.notes import Notes
from watcher.web.shapes import TrackItem

_SHORTEST = 4  # letters


class ListRow(msgspec.Struct, frozen=True):
    """An order to track, and its line."""

    line: int
    item: TrackItem


class WordFilter:
    """Holds back ids without a digit until the end, when the other ids of the list are known.

    They are orders if other ids of the same length mix letters and digits, or if there are no
    other ids and all have the same length.
    """

    def __init__(self) -> None:
        self._numbers = 0
        self._mixed: Counter[int] = Counter()  # how long they are
        self._first_mixed: tuple[int, str] | None = None
        self._waiting: list[ListRow] = []

    def passes(self, found: ListRow | Problem) -> bool:
        """Return whether the row can be passed on now."""
        if isinstance(found, Problem):
            return True
        text = str(found.item.order)
        if text.isdecimal():
            self._numbers += 1
            return True
        if any(letter.isdigit() for letter in text):
            self._mixed[len(text)] += 1
            self._first_mixed = self._first_mixed or (found.line, text)
            return True
        self._waiting.append(found)
        return False

    def rest(self) -> Iterator[ListRow | Problem]:
        """Yield the rows that were held back, as orders or as problems."""
        lengths = {len(str(row.item.order)) for row in self._waiting}
        alone = not self._numbers and not self._mixed and len(lengths) == 1
        known = {n for n in (lengths if alone else self._mixed) if n >= _SHORTEST}
        for row in self._waiting:
            text = str(row.item.order)
            if len(text) in known:
                yield row
                continue
            by_hand = f"`watcher track {row.item.panel} {text}` tracks it anyway"
            yield Problem(row.line, f"{text!r} does not look like the other ids: {by_hand}")

    def sum_up(self, notes: Notes) -> None:
        """Note ids of another form than nearly all."""
        mixed = self._mixed.total()
        if self._first_mixed is not None and self._numbers > 9 * mixed:
            line, text = self._first_mixed
            notes.add("ids with letters among numbers", line, repr(text), mixed)
