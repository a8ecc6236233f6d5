"""When orders were asked about: what is written is read again, else it is not known."""

from math import isnan, nan

from hypothesis import given
from hypothesis import strategies as st

from watcher.orders.columns.check_times import CheckTimes, pages_of

KEYS = st.integers(0, 3 * 4096) | st.integers(1, 2**62)
TIMES = st.floats(0, 2**32 - 1) | st.just(nan)


def again(asked: CheckTimes) -> CheckTimes:
    return CheckTimes.unpacked(asked.packed())


@given(st.lists(st.tuples(KEYS, TIMES)), st.lists(KEYS))
def test_what_was_noted_is_there_to_the_second(noted: list[tuple[int, float]], others: list[int]):
    asked, expected = CheckTimes(), dict[int, int]()
    for key, at in noted:
        asked.note([key], [at])
        if not isnan(at):
            expected[key] = int(at)
    keys = [*expected, *others]
    told = [0.0 if isnan(at) else at for at in again(asked).times(keys)]
    assert told == [expected.get(key, 0) for key in keys]
    assert asked.newest == max([0, *(int(at) for _, at in noted if not isnan(at))])


@given(st.lists(st.tuples(KEYS, TIMES)))
def test_noted_together_it_is_the_same_as_one_by_one(noted: list[tuple[int, float]]):
    together, one_by_one = CheckTimes(), CheckTimes()
    together.note([key for key, _ in noted], [at for _, at in noted])
    for key, at in noted:
        one_by_one.note([key], [at])
    assert dict(together.packed()) == dict(one_by_one.packed())
    assert together.newest == one_by_one.newest


@given(st.lists(KEYS, min_size=1))
def test_the_pages_of_a_stretch_hold_all_of_its_orders(keys: list[int]):
    asked = CheckTimes()
    asked.note(keys, [7.0] * len(keys))
    first, last = pages_of(min(keys), max(keys))
    assert all(first <= number <= last for number, _ in asked.packed())


@given(st.binary(max_size=50))
def test_a_page_that_cannot_be_read_is_left_out(spoiled: bytes):
    asked = CheckTimes()
    asked.note([1, 5000], [7.0, 8.0])
    (_, _), (number, whole) = asked.packed()
    known = CheckTimes.unpacked([(0, spoiled), (number, whole)]).times([1, 5000])
    assert isnan(known[0])
    assert known[1] == 8.0


def test_very_many_take_little_room():
    asked = CheckTimes()
    asked.note(range(1, 100_001), [1_800_000_000.0 + number // 100 for number in range(100_000)])
    assert sum(len(packed) for _, packed in asked.packed()) < 2 * 100_000
