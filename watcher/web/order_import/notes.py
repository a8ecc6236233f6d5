"""Counts what was left out, guessed or skipped in a list, by kind: pure."""

import msgspec


class Note(msgspec.Struct, frozen=True):
    """The rows of one kind: how many, the first, and an example."""

    kind: str
    rows: int
    first_row: int
    example: str | None

    def sentence(self, unit: str) -> str:
        """Return the note in words; `unit` is "line" or "row"."""
        example = f", {self.example}" if self.example else ""
        if not self.first_row:
            return self.kind + example
        if self.rows == 1:
            return f"{self.kind}: {unit} {self.first_row}{example}"
        return f"{self.kind}: {self.rows:,} {unit}s, first {unit} {self.first_row}{example}"


class Notes:
    """Counts rows by kind."""

    def __init__(self) -> None:
        self._notes: dict[str, tuple[int, int, str | None]] = {}

    def add(self, kind: str, row: int, example: str | None = None, rows: int = 1) -> None:
        """Count more rows of a kind."""
        count, first, shown = self._notes.get(kind, (0, row, example))
        self._notes[kind] = (count + rows, first, shown)

    def all(self) -> list[Note]:
        """Return every kind, in order of appearance."""
        return [Note(kind, *rest) for kind, rest in self._notes.items()]

    def lines(self, unit: str) -> list[str]:
        """Return a sentence for each kind; `unit` is "line" or "row"."""
        return [note.sentence(unit) for note in self.all()]
