"""Overrides of orders' rows, for tests."""

from collections.abc import Iterable

import msgspec


class Override(msgspec.Struct, frozen=True):
    """Fields that replace those of a row, or an answer that replaces the row."""

    at: float
    fields: dict[str, object]
    answer: object = msgspec.UNSET


class Overrides:
    """Overrides by order."""

    def __init__(self) -> None:
        self._of: dict[int, Override] = {}

    def force(self, orders: Iterable[int], now: float, fields: dict[str, object]) -> None:
        for order in orders:
            old = self._of.get(order)
            merged = {**old.fields, **fields} if old else fields
            self._of[order] = Override(now, merged)

    def garble(self, orders: Iterable[int], now: float, answer: object) -> None:
        override = Override(now, {}, answer)
        self._of.update(dict.fromkeys(orders, override))

    def release(self, orders: Iterable[int]) -> None:
        for order in orders:
            self._of.pop(order, None)

    def __contains__(self, order: int) -> bool:
        return order in self._of

    def over(self, order: int, row: dict[str, object]) -> object:
        override = self._of.get(order)
        if override is None:
            return row
        if override.answer is not msgspec.UNSET:
            return override.answer
        return {**row, **override.fields}

    def status(self, order: int) -> tuple[str, float] | None:
        """Return the forced status and since when; None if there is none."""
        override = self._of.get(order)
        if override is None or "status" not in override.fields:
            return None
        return str(override.fields["status"]), override.at
