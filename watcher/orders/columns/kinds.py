"""Columns in memory: one class for each kind of field. A row is an order's slot."""

from array import array
from collections.abc import Mapping, Sequence
from math import nan
from typing import Any

from watcher.orders.columns.dictionary_column import DictionaryColumn
from watcher.orders.columns.optional_numbers import NONE, times, whole
from watcher.orders.columns.string_pool import StringPool
from watcher.orders.fields import Field, FieldKind, tags_of


class FieldColumn:
    """One field of many orders. Subclasses hold values that are not just numbers."""

    def __init__(self, typecode: str) -> None:
        self.data: Any = array(typecode)

    def lengthen(self) -> None:
        """Add a row; `put` gives it its value."""
        self.data.append(0)

    def extend(self, values: Sequence[Any], first: int) -> None:
        """Add rows with these values, as the database has them; the first gets slot `first`."""
        self.data.frombytes(DictionaryColumn.of(values).translated(int, self.data.typecode))

    def put(self, slot: int, value: Any) -> None:
        """Write a value of `Order`."""
        self.data[slot] = value

    def get(self, slot: int) -> Any:
        """Return the value as `Order` has it."""
        return self.data[slot]

    def forget(self, slot: int) -> None:
        """Free what the row takes beyond its place in the column."""


class WholeColumn(FieldColumn):
    """8 bytes a row; NONE is None."""

    def extend(self, values: Sequence[Any], first: int) -> None:
        self.data.extend(whole(values))

    def put(self, slot: int, value: Any) -> None:
        self.data[slot] = NONE if value is None else value

    def get(self, slot: int) -> Any:
        number = self.data[slot]
        return None if number == NONE else number


class TimeColumn(FieldColumn):
    """8 bytes a row; NaN is None."""

    def extend(self, values: Sequence[Any], first: int) -> None:
        self.data.extend(times(values))

    def put(self, slot: int, value: Any) -> None:
        self.data[slot] = nan if value is None else value

    def get(self, slot: int) -> Any:
        at = self.data[slot]
        return None if at != at else at


class CodeColumn(FieldColumn):
    """1 or 4 bytes a row: the code of a value that many orders have."""

    def __init__(self, typecode: str, codes: Mapping[Any, int], values: Sequence[Any]) -> None:
        super().__init__(typecode)
        self._codes, self._values = codes, values

    def extend(self, values: Sequence[Any], first: int) -> None:
        code = self._codes.__getitem__
        self.data.frombytes(DictionaryColumn.of(values).translated(code, self.data.typecode))

    def put(self, slot: int, value: Any) -> None:
        self.data[slot] = self._codes[value]

    def get(self, slot: int) -> Any:
        return self._values[self.data[slot]]


class MoneyColumn(CodeColumn):
    """4 bytes a row: the code of an amount; codes go by the amounts' texts."""

    def put(self, slot: int, value: Any) -> None:
        self.data[slot] = self._codes[None if value is None else f"{value:f}"]


class TextColumn(FieldColumn):
    """Nothing for a row without a text."""

    def __init__(self) -> None:
        self.data: dict[int, Any] = {}

    def lengthen(self) -> None:
        pass

    def extend(self, values: Sequence[Any], first: int) -> None:
        rows = enumerate(values, first)
        self.data.update((slot, text) for slot, text in rows if text is not None)

    def put(self, slot: int, value: Any) -> None:
        if value is None:
            self.forget(slot)
        else:
            self.data[slot] = value

    def get(self, slot: int) -> Any:
        return self.data.get(slot)

    def forget(self, slot: int) -> None:
        self.data.pop(slot, None)


class TagsColumn(TextColumn):
    """Nothing for a row without tags."""

    def extend(self, values: Sequence[Any], first: int) -> None:
        rows = enumerate(values, first)
        self.data.update((slot, tags_of(text)) for slot, text in rows if text is not None)

    def put(self, slot: int, value: Any) -> None:
        super().put(slot, value or None)

    def get(self, slot: int) -> Any:
        return self.data.get(slot, ())


def column_of(field: Field, words: StringPool) -> FieldColumn:
    """Return an empty column for the field; `words` holds what orders share."""
    match field.kind:
        case FieldKind.WHOLE:
            return WholeColumn("q")
        case FieldKind.SMALL:
            return FieldColumn("I")
        case FieldKind.TIME:
            return TimeColumn("d")
        case FieldKind.TEXT:
            return TextColumn()
        case FieldKind.TAGS:
            return TagsColumn()
        case FieldKind.WORD:
            return CodeColumn("I", words.code, words.values)
        case FieldKind.MONEY:
            return MoneyColumn("I", words.amount, words.values)
        case FieldKind.CODE:
            members = tuple(field.codes)
            codes: dict[Any, int] = {member: at for at, member in enumerate(members)}
            return CodeColumn("B", codes | {None: codes.get(field.null, 0)}, members)
