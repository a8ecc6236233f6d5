"""Finds the rows of a shop's list that are orders at one panel: pure.

A list may have the orders of many panels. A row names its provider: by a name, a domain, or a
number that the shop gave it.

1. A provider with the panel's name is the panel; another name is another panel.
2. A domain such as genie.com may be the panel `genie`, a number any panel: these rows wait. They
   are taken at the end if nothing else in the list can be the panel.
"""

import re
from collections.abc import Collection, Iterator
from typing import Generic, NamedTuple, TypeVar

from watcher.web.order_import.names import plain

MOST_WAITING = 500_000  # rows that wait

T = TypeVar("T")


class Skipped(NamedTuple):
    """The rows of a provider that are not taken, the first of them, and the reason."""

    provider: str
    rows: int
    first_row: int
    why: str


class Providers(Generic[T]):
    """Sorts the rows of one list by their providers."""

    def __init__(self, panel: str, wanted: str | None = None, panels: Collection[str] = ()) -> None:
        self._panel = panel
        self._panels = [name for name in panels if name != panel]
        self._wanted = wanted
        self._is_there = False  # a row of the panel by name
        self._waiting: dict[str, list[tuple[int, T]]] = {}
        self._count = 0
        self._others: dict[str, tuple[int, int]] = {}
        self.taken: str | None = None  # the provider that was taken for the panel

    def takes(self, provider: str, number: int, row: T) -> bool:
        """Return whether the row is the panel's; if that is not clear it waits for the end."""
        if self._wanted is not None:
            is_it = plain(provider) == plain(self._wanted)
        else:
            is_it = bool(provider) and _is_name(provider, self._panel)
        if is_it:
            self._is_there = True
            return True
        may_be = self._wanted is None and _may_be(provider, self._panel)
        if may_be and self._count < MOST_WAITING:
            self._waiting.setdefault(provider, []).append((number, row))
            self._count += 1
        else:
            rows, first = self._others.get(provider, (0, number))
            self._others[provider] = (rows + 1, first)
        return False

    def rest(self) -> Iterator[T]:
        """Yield the rows that waited and turn out to be the panel's."""
        chosen = self._chosen()
        if chosen is not None:
            self.taken = chosen
            yield from (row for _, row in self._waiting.pop(chosen))

    def skipped(self) -> list[Skipped]:
        """Return the providers whose rows were not taken."""
        waiting = {name: (len(rows), rows[0][0]) for name, rows in self._waiting.items()}
        found = [
            Skipped(name, rows, first, self._why(name))
            for name, (rows, first) in (*self._others.items(), *waiting.items())
        ]
        return sorted(found, key=lambda some: some.first_row)

    def _chosen(self) -> str | None:
        if self._is_there:
            return None
        named = [name for name in self._waiting if name and not name.isdecimal()]
        if named or self._others:
            return named[0] if len(named) == 1 else None
        return next(iter(self._waiting)) if len(self._waiting) == 1 else None

    def _why(self, provider: str) -> str:
        other = next((name for name in self._panels if _may_be_panel(provider, name)), None)
        if other is not None:
            return f"`watcher track {other}` takes these"
        if self._is_there or (self.taken is not None and self.taken != provider):
            return "skipped"
        return f"skipped; if that is {self._panel}, give --provider {_quoted(provider)}"


def _is_name(provider: str, panel: str) -> bool:
    return provider.casefold() == panel.casefold() or plain(provider) == plain(panel) != ""


def _may_be(provider: str, panel: str) -> bool:
    if not provider or provider.isdecimal():
        return True
    host = re.sub(r"^https?://", "", provider.casefold()).partition("/")[0].removeprefix("www.")
    return "." in host and plain(panel) in (plain(host), plain(host.partition(".")[0]))


def _may_be_panel(provider: str, panel: str) -> bool:
    is_text = bool(provider) and not provider.isdecimal()
    return is_text and (_is_name(provider, panel) or _may_be(provider, panel))


def _quoted(text: str) -> str:
    return text if re.fullmatch(r"[\w.]+", text) else repr(text)
