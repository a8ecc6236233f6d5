"""When an order is checked next."""

from hypothesis import given
from hypothesis import strategies as st

from tests.unit.factories import DAY, HOUR, a_finished_order, an_order
from watcher.cadence import MIN_GAP, after_problem, next_check, next_refill_check
from watcher.model import Refill, Status


@given(
    st.sampled_from(Status),
    st.floats(0, 1e7),
    st.none() | st.integers(-100, 1100),
    st.floats(60, 1e5),
)
def test_never_too_soon_and_never_later_than_check_within(
    status: Status, age: float, remains: int | None, within: float
):
    order = an_order(status=status, remains=remains)
    due = next_check(order, age, within=within)
    assert min(MIN_GAP, within) <= due - age <= within + 0.001


def test_a_young_order_is_checked_more_often_than_an_old_one():
    young = next_check(an_order(), 60.0, within=DAY) - 60.0
    old = next_check(an_order(), DAY, within=DAY) - DAY
    assert young < 0.1 * old


def test_an_order_near_its_end_is_checked_more_often():
    def gap(remains: int) -> float:
        order = an_order(status=Status.IN_PROGRESS, remains=remains, progressed_at=HOUR)
        return next_check(order, HOUR, within=DAY) - HOUR

    assert gap(10) < gap(500) < gap(990)


def test_a_finished_order_is_looked_at_twice_a_day():
    assert next_check(a_finished_order(), 100.0, within=HOUR) == 100.0 + 12 * HOUR


def test_pauses_after_problems_grow_to_six_hours():
    pauses = [after_problem(failures, 0.0) for failures in range(1, 12)]
    assert pauses[:3] == [60, 120, 240]
    assert pauses[-1] == 6 * HOUR


def test_a_refill_is_asked_about_less_often_with_time():
    refill = Refill(panel="p", order="1", id="1", requested_at=0.0)
    assert next_refill_check(refill, 0.0) == MIN_GAP
    assert next_refill_check(refill, DAY) - DAY > 10 * 60
