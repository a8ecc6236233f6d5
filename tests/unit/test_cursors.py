"""Cursors of changes: nothing is missed, whatever was restored how often."""

import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, rule

from watcher.store.cursors import NAMED, BadCursor, Cursor, Epoch, cursor_from, named, resumed

whole = st.integers(0, 2**62)
epochs = st.lists(st.builds(Epoch, whole, st.integers(0, 2**48)), max_size=NAMED).map(tuple)


@given(st.builds(Cursor, whole, whole, epochs))
def test_a_cursor_is_read_as_it_was_written(cursor: Cursor) -> None:
    assert cursor_from(cursor.text()) == cursor
    assert cursor.text().isascii()
    assert cursor.text().replace("-", "").replace("_", "").isalnum()
    assert len(cursor.text()) < 500


@given(st.builds(Cursor, whole, whole, epochs), st.data())
def test_a_cursor_that_was_changed_is_none(cursor: Cursor, data: st.DataObject) -> None:
    text = cursor.text()
    at = data.draw(st.integers(0, len(text) - 1))
    other = data.draw(st.characters(codec="ascii").filter(lambda letter: letter != text[at]))
    for changed in (text[:at], text[:at] + other + text[at + 1 :], text + other):
        with pytest.raises(BadCursor):
            cursor_from(changed)


@pytest.mark.parametrize(
    "text", ["", "c1", "17", "now ", "c1=", "ç1", "c1" + "A" * 5000, "c1AA\x00"]
)
def test_what_is_no_cursor_is_refused_in_one_sentence(text: str) -> None:
    with pytest.raises(BadCursor, match="no cursor of `GET /v1/changes`"):
        cursor_from(text)


def test_many_starts_without_a_change_take_no_room() -> None:
    own = [Epoch(0, 1), *(Epoch(7, mark) for mark in range(2, 500)), Epoch(9, 500)]
    assert named(own) == [Epoch(0, 1), Epoch(7, 499), Epoch(9, 500)]
    old = Cursor(7, 0, (Epoch(0, 1), Epoch(7, 2)))
    assert resumed(old, own).id == 7


class Database:
    """Changes by their ids, and epochs; what a change is, is a number that is given once."""

    def __init__(self, changes: dict[int, int], epochs: list[Epoch]) -> None:
        self.changes, self.epochs = changes, epochs

    def copy(self) -> "Database":
        return Database(dict(self.changes), list(self.epochs))


class Reader:
    def __init__(self) -> None:
        self.cursor = Cursor()
        self.seen: set[int] = set()


class Restores(RuleBasedStateMachine):
    """One database, its backups and readers; a restore may come at any time, to any backup."""

    def __init__(self) -> None:
        super().__init__()
        self.database = Database({}, [])
        self.backups = [self.database.copy()]
        self.readers = [Reader(), Reader()]
        self.made = 0
        self.start()

    @rule()
    def start(self) -> None:
        self.made += 1
        self.database.epochs.append(Epoch(len(self.database.changes), self.made))

    @rule(count=st.integers(1, 3))
    def record(self, count: int) -> None:
        for _ in range(count):
            self.made += 1
            self.database.changes[len(self.database.changes) + 1] = self.made

    @rule()
    def back_up(self) -> None:
        self.backups.append(self.database.copy())

    @rule(data=st.data())
    def restore(self, data: st.DataObject) -> None:
        self.database = data.draw(st.sampled_from(self.backups)).copy()
        self.start()

    @rule(which=st.integers(0, 1), limit=st.integers(1, 4))
    def read(self, which: int, limit: int) -> None:
        reader, own = self.readers[which], self.database.epochs
        cursor = resumed(cursor_from(reader.cursor.text()), own)
        found = [n for n in sorted(self.database.changes) if n > cursor.id][:limit]
        reader.seen |= {self.database.changes[n] for n in found}
        last = found[-1] if found else cursor.id
        reader.cursor = Cursor(last, 0, tuple(named(own)))

    @invariant()
    def nothing_before_the_cursor_was_missed(self) -> None:
        for reader in self.readers:
            at = resumed(reader.cursor, self.database.epochs).id
            passed = {change for n, change in self.database.changes.items() if n <= at}
            assert passed <= reader.seen


TestRestores = Restores.TestCase
