"""What a recorded time counts as that lies in the future."""

from hypothesis import given
from hypothesis import strategies as st

from tests.unit.factories import DAY, HOUR, a_finished_order, an_order
from watcher.rules.time_correction import TimeCorrection

times = st.floats(0, 1e9)


@given(st.lists(st.tuples(times, times), max_size=20), times)
def test_nothing_has_happened_later_than_now(pairs, since):
    time_correction = TimeCorrection(since)
    for at, now in pairs:
        past = time_correction.past(at, now)
        assert past <= now
        assert past == at or at > now


def test_a_time_of_before_the_start_counts_as_the_start():
    time_correction = TimeCorrection(10 * DAY)
    ahead = 40 * DAY
    assert time_correction.past(ahead, 10 * DAY) == 10 * DAY
    assert time_correction.past(ahead, 12 * DAY) == 10 * DAY, "it does not move along with now"
    assert time_correction.past(ahead, 41 * DAY) == ahead


def test_a_time_recorded_here_is_just_now_until_the_jump_back_is_noticed():
    time_correction = TimeCorrection(0.0)
    time_correction.see(40 * DAY)
    assert time_correction.past(40 * DAY, 10 * DAY) == 10 * DAY
    assert time_correction.past(40 * DAY, 10 * DAY + HOUR) == 10 * DAY + HOUR
    time_correction.jumped(-30 * DAY, 10 * DAY)
    assert time_correction.past(40 * DAY, 11 * DAY) == 10 * DAY


def test_a_jump_forward_makes_nothing_wait_for_longer():
    time_correction = TimeCorrection(10 * DAY)
    assert time_correction.past(90 * DAY, 11 * DAY) == 10 * DAY
    time_correction.jumped(5 * DAY, 16 * DAY)
    assert time_correction.past(90 * DAY, 16 * DAY) == 15 * DAY, "a day has passed since the start"
    assert time_correction.past(12 * DAY, 16 * DAY) == 12 * DAY


def test_an_order_has_no_time_in_the_future():
    time_correction = TimeCorrection(DAY)
    order = an_order(submitted_at=0.0, progressed_at=9 * DAY)
    seen = time_correction.order(order, 2 * DAY)
    assert (seen.submitted_at, seen.progressed_at, seen.finished_at) == (0.0, DAY, None)
    assert time_correction.order(a_finished_order(at=9 * DAY), 2 * DAY).finished_at == DAY
    right = a_finished_order(at=DAY)
    assert time_correction.order(right, 2 * DAY) is right
