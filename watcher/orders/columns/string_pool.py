"""String pool: values that many orders share, stored once."""

from array import array
from collections.abc import Callable, Iterable
from decimal import Decimal
from typing import Any

_MOST_UNUSED = 50_000  # new texts after which unused codes are searched


class StringPool:
    """Texts, and amounts (Decimal) by their texts, each with a code."""

    def __init__(self) -> None:
        self.values: list[Any] = [None]
        self._unused: list[int] = []
        self._looked_at = _MOST_UNUSED
        self.code = _Codes(self._keep)
        self.amount = _Codes(lambda text: self._keep(Decimal(text)))

    def tidy(self, columns: Iterable["array[int]"]) -> None:
        """Release unused codes, once there may be many."""
        if len(self.values) - len(self._unused) <= self._looked_at:
            return
        used = set().union(*map(set, columns))
        for codes in (self.code, self.amount):
            for text, code in [(t, c) for t, c in codes.items() if c not in used and c]:
                del codes[text]
                self.values[code] = None
                self._unused.append(code)
        self._looked_at = 2 * (len(self.values) - len(self._unused)) + _MOST_UNUSED

    def _keep(self, value: Any) -> int:
        if self._unused:
            code = self._unused.pop()
            self.values[code] = value
        else:
            code = len(self.values)
            self.values.append(value)
        return code


class _Codes(dict[str | None, int]):
    """Assigns a code to each text on first use; None is 0."""

    def __init__(self, keep: Callable[[str], int]) -> None:
        super().__init__({None: 0})
        self._keep = keep

    def __missing__(self, text: str | None) -> int:
        code = self[text] = self._keep(text or "")
        return code
