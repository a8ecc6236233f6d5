"""Where an order is, by its id."""

from array import array
from collections.abc import Iterable, Sequence

_MOVED = (4, 1000)  # slots that move to a larger table: for each new one, and at the least


class Index:
    """The slots of ids: open addressing, 6 to 32 bytes an order.

    Nearly all ids are whole numbers, and kept as such; the few others stand beside as texts, as
    negative numbers in the column. A table that is full is followed by a larger one, to which the
    slots move little by little: all at once would hold up everything for seconds a million.
    """

    def __init__(self, numbers: "array[int]") -> None:
        self._numbers = numbers
        self._table = array("I", bytes(4 * 16))  # slot + 1; 0 is free
        self._used = 0  # places, by slots and by those that were removed
        self._old: array[int] | None = None  # the table before, while slots move from it:
        self._moving = range(0)  # these
        self._texts: dict[str, int] = {}
        self._of_slot: dict[int, str] = {}

    def find(self, order_id: str) -> int | None:
        number = _number(order_id)
        if number is None:
            return self._texts.get(order_id)
        slot = self._look(self._table, number)
        if slot is None and self._old is not None:
            return self._look(self._old, number)
        return slot

    def text(self, slot: int) -> str:
        number = self._numbers[slot]
        return str(number) if number >= 0 else self._of_slot[slot]

    def add(self, order_id: str, slot: int) -> None:
        """`slot` is one of the column's or the next one."""
        number = _number(order_id)
        if slot == len(self._numbers):
            self._numbers.append(-1)
        self._numbers[slot] = -1 if number is None else number
        if number is None:
            self._texts[order_id] = slot
            self._of_slot[slot] = order_id
            return
        self._put(slot, [number])

    def extend(self, ids: Sequence[str], first: int) -> None:
        numbers = _all_numbers(ids) or [_number(order_id) for order_id in ids]
        self._numbers.extend([-1 if number is None else number for number in numbers])
        if None in numbers:
            for slot, (number, order_id) in enumerate(zip(numbers, ids, strict=True), first):
                if number is None:
                    self._texts[order_id] = slot
                    self._of_slot[slot] = order_id
        self._put(first, self._numbers[first:])

    def remove(self, slot: int) -> None:
        """Its place in the table stays taken until that is built anew; no id fits it."""
        text = self._of_slot.pop(slot, None)
        if text is not None:
            del self._texts[text]
        self._numbers[slot] = -2

    def _look(self, table: "array[int]", number: int) -> int | None:
        numbers, mask = self._numbers, len(table) - 1
        at = _place(number, mask)
        while place := table[at]:
            if numbers[place - 1] == number:
                return place - 1
            at = (at + 1) & mask
        return None

    def _put(self, first: int, numbers: Sequence[int]) -> None:
        """The slots from `first` on, by the numbers in them; the table has room for them."""
        if 3 * (self._used + len(self._moving) + len(numbers)) >= 2 * len(self._table):
            self._move(len(self._moving))
            size = 16
            while size < 4 * len(self._numbers):
                size *= 2
            self._old, self._table, self._used = self._table, array("I", bytes(4 * size)), 0
            is_last = first + len(numbers) == len(self._numbers)
            self._moving = range(first if is_last else len(self._numbers))
        self._enter(first, numbers)
        each, least = _MOVED
        self._move(max(least, each * len(numbers)))

    def _move(self, count: int) -> None:
        """So many slots more. One that was put there anew has two places then, which is as well."""
        some, self._moving = self._moving[:count], self._moving[count:]
        self._enter(some.start, self._numbers[some.start : some.stop])
        if not self._moving:
            self._old = None

    def _enter(self, first: int, numbers: Iterable[int]) -> None:
        """The slots from `first` on, by the numbers in them."""
        table, mask = self._table, len(self._table) - 1
        for place, number in enumerate(numbers, first + 1):
            if number >= 0:
                at = (number ^ number >> 15) & mask  # see _place
                while table[at]:
                    at = (at + 1) & mask
                table[at] = place
                self._used += 1


def _all_numbers(ids: Sequence[str]) -> list[int | None] | None:
    """The ids as whole numbers where all are such, as they nearly always are."""
    try:
        numbers = [*map(int, ids)]
    except ValueError:
        return None
    are_plain = [*map(str, numbers)] == [*ids] and min(numbers) >= 0 and max(numbers) < 10**18
    return [*numbers] if are_plain else None


def _number(order_id: str) -> int | None:
    """The id as a whole number, None where that is not the same."""
    if order_id.isdecimal() and order_id.isascii() and len(order_id) < 19:
        number = int(order_id)
        if order_id[0] != "0" or order_id == "0":
            return number
    return None


def _place(number: int, mask: int) -> int:
    """Where to begin to look. Ids in a row stand in a row: few steps, and near each other."""
    return (number ^ number >> 15) & mask
