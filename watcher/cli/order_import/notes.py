"""What was left out, guessed or skipped while a list was read, counted by its kind: pure."""

import msgspec


class Note(msgspec.Struct, frozen=True):
    """So many rows of a kind, and the first of them."""

    kind: str
    rows: int
    first_row: int
    example: str | None


class Notes:
    """Counts rows by what became of them."""

    def __init__(self) -> None:
        self._notes: dict[str, tuple[int, int, str | None]] = {}

    def add(self, kind: str, row: int, example: str | None = None, rows: int = 1) -> None:
        """Some rows more of the kind."""
        count, first, shown = self._notes.get(kind, (0, row, example))
        self._notes[kind] = (count + rows, first, shown)

    def all(self) -> list[Note]:
        """Every kind, in the order in which they were met."""
        return [Note(kind, *rest) for kind, rest in self._notes.items()]

    def lines(self, unit: str) -> list[str]:
        """A sentence for each kind; `unit` is what the list has: lines or rows."""
        return [_sentence(note, unit) for note in self.all()]


def _sentence(note: Note, unit: str) -> str:
    example = f", {note.example}" if note.example else ""
    if not note.first_row:
        return note.kind + example
    if note.rows == 1:
        return f"{note.kind}: {unit} {note.first_row}{example}"
    return f"{note.kind}: {note.rows:,} {unit}s, first {unit} {note.first_row}{example}"
