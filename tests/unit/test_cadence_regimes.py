"""What the rule does where hazards rise, where panels stand still, and what it promises."""

from math import isclose, log

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from msgspec.structs import replace

from tests.unit.cadence_kit import columns_of, sight_of, teach, wait_of
from tests.unit.factories import DAY, HOUR, a_finished_order, an_order
from watcher.model import Order, Phase, Status
from watcher.orders.columns.table import GUARDED, OrderTable
from watcher.orders.panel_orders import PanelOrders
from watcher.orders.schedule import HazardModel, ModelRow, PollQueue, Stage, predict, sooner
from watcher.orders.schedule.entries import Entry
from watcher.orders.schedule.hazard_model import RATE
from watcher.orders.schedule.order_hazards import chances, order_hazards, units_of
from watcher.orders.schedule.stages import MOVEMENT
from watcher.orders.schedule.standstill import CERTAIN, Standstill

MINUTE = 60.0
IN_PROGRESS = Status.IN_PROGRESS


# --- finished orders ---


@pytest.mark.parametrize(
    "shown",
    [
        {"status": Status.PARTIAL},
        {"status": Status.REFUNDED, "phase": Phase.CLOSED},
        {"status": Status.CANCELED, "phase": Phase.CLOSED},
        {"status": IN_PROGRESS, "phase": Phase.OPEN},
        {"remains": 7},
        {"start_count": 12},
        {"charge": 0},
    ],
)
def test_whatever_changes_of_a_finished_order_counts(shown: dict[str, object]):
    learnt, fields = HazardModel(0.0), {"remains": 0, "start_count": 1, "charge": 1}
    before = a_finished_order(**fields)
    teach(learnt, before, a_finished_order(**{**fields, **shown}), None, 0.0, DAY)
    assert learnt.of("7").changes[Stage.GUARDED] == 1.0
    assert not learnt.of("7").ends, "it had ended before"


def test_the_rate_of_finished_orders_does_not_sink_below_what_is_usual():
    learnt, guarded = HazardModel(0.0), a_finished_order()
    for day in range(2000):
        teach(learnt, guarded, guarded, None, day * DAY, (day + 1) * DAY)
    assert learnt.rate("7", Stage.GUARDED) == pytest.approx(RATE[Stage.GUARDED])
    assert wait_of(learnt, guarded, None, DAY) == pytest.approx(RATE[Stage.GUARDED] ** -0.5)


# --- hazards that rise with age ---

DEADLINE = 1000.0  # minutes


def keeps_to(deadline: float, count: int = 60, stuck: int = 0) -> HazardModel:
    """A panel whose orders start within the last tenth of the deadline, but for some."""
    learnt = HazardModel(0.0)
    began = an_order(status=IN_PROGRESS)
    for number in range(count + stuck):
        is_stuck = number % (count // stuck + 1) == 0 if stuck else False
        share = 5.0 if is_stuck else 1.0 - 0.1 * (number * 0.618 % 1.0)
        starts = deadline * share * MINUTE
        teach(learnt, an_order(), began, None, starts - MINUTE, starts + MINUTE)
    learnt.forget(0.0)  # sums up what the panel's services have in common
    return learnt


def wait_at(learnt: HazardModel, age: float) -> float:
    """Minutes until the next check of a pending order of this age, at a tenth of one a unit."""
    records = columns_of(an_order())
    found = order_hazards(learnt, records, np.array([0]), age * MINUTE)
    return 0.1 * float(units_of(learnt, found, 0.1)[0])


def test_near_the_deadline_an_order_is_asked_about_more_often():
    learnt = keeps_to(DEADLINE)
    waits = [wait_at(learnt, age) for age in (300.0, 930.0)]
    assert waits[0] > 3 * waits[1]
    assert waits[1] < 2.0


@pytest.mark.parametrize("stuck", [0, 3])
def test_an_order_that_outlived_the_deadline_is_asked_about_as_any_other(stuck: int):
    learnt = keeps_to(DEADLINE, stuck=stuck)
    late = [wait_at(learnt, age) for age in (1500.0, 6000.0)]
    assert 1.0 < late[0] < late[1]


def test_a_few_stuck_orders_do_not_hide_the_deadline():
    clean, mixed = keeps_to(DEADLINE), keeps_to(DEADLINE, stuck=3)
    assert mixed.of("7").spread[Stage.PENDING] < 0.45
    assert wait_at(mixed, 930.0) < 3 * wait_at(clean, 930.0)
    assert wait_at(mixed, 300.0) > 2 * wait_at(mixed, 930.0)


def test_durations_that_differ_are_no_deadline():
    learnt, began = HazardModel(0.0), an_order(status=IN_PROGRESS)
    for number in range(60):
        starts = 10.0 ** (number % 4) * MINUTE
        teach(learnt, an_order(), began, None, starts * 0.99, starts * 1.01)
    assert learnt.of("7").spread[Stage.PENDING] > 1.0
    found = wait_of(learnt, an_order(), None, HOUR)
    minutes = max(60.0, learnt.of("7").lasts[Stage.PENDING])
    assert isclose(found, (minutes / learnt.rate("7", Stage.PENDING)) ** 0.5, rel_tol=1e-9)


def in_progress(quantity: int) -> Order:
    """As a panel tells it that tells no remains."""
    return an_order(status=IN_PROGRESS, quantity=quantity, remains=None)


def test_an_order_without_remains_is_asked_about_when_its_quantity_is_usually_done():
    learnt = HazardModel(0.0)
    for number in range(40):
        root = (10, 100)[number % 2]
        before, ends = in_progress(root**2), 6.0 * root * (1.0 + 0.1 * (number * 0.618 % 1.0))
        after = replace(before, status=Status.COMPLETED, phase=Phase.GUARDED)
        teach(learnt, before, after, 0.0, (ends - 1.0) * MINUTE, (ends + 1.0) * MINUTE)

    def wait_of_root(root: int, age: float) -> float:
        records = columns_of(in_progress(root**2), 0.0)
        found = order_hazards(learnt, records, np.array([0]), age * MINUTE)
        return float(units_of(learnt, found, 0.1)[0])

    assert wait_of_root(10, 20.0) > 2 * wait_of_root(10, 60.0)
    assert wait_of_root(100, 60.0) > 10 * wait_of_root(10, 60.0)
    assert wait_of_root(100, 60.0) > 4 * wait_of_root(100, 610.0)


def test_the_forecast_says_that_a_service_keeps_to_its_time():
    learnt = keeps_to(DEADLINE)
    poll_queue = PollQueue(OrderTable("p"), 0.0, within=1800.0, ids_per_minute=100.0)
    order = an_order(checked_at=1.0)
    slot = poll_queue.records.add(order)
    poll_queue.records.checked_at[slot] = 1.0
    young = predict(poll_queue, learnt, Entry(poll_queue.records, slot), 300 * MINUTE)
    old = predict(poll_queue, learnt, Entry(poll_queue.records, slot), 940 * MINUTE)
    assert young.reason == "waits to start; with its service this nearly always lasts 16 hours"
    assert young.change_at == pytest.approx(950 * MINUTE, rel=0.05)
    assert young.within_hour is not None
    assert old.within_hour is not None
    assert young.within_hour < 0.1 < 0.7 < old.within_hour


@given(st.lists(st.floats(0.01, 1e5), min_size=5, max_size=40), st.floats(0, 1e5))
def test_every_age_has_a_wait(durations: list[float], age: float):
    learnt = HazardModel(0.0)
    logs = [log(duration) for duration in durations]
    count = float(len(logs))
    row = ModelRow("7", "pending", count, count, sum(logs), sum(x * x for x in logs))
    learnt.load([row])
    assert 1e-4 < wait_at(learnt, age) < 1e6


def test_the_spread_is_stored_and_forgotten_and_where_it_was_not_stored_it_is_wide():
    learnt = keeps_to(DEADLINE)
    again, old = HazardModel(0.0), HazardModel(0.0)
    rows = list(learnt.rows(["7"]))
    again.load(rows)
    old.load([ModelRow(r.service, r.what, r.changes, r.exposure, r.logs) for r in rows])
    assert again.of("7").spread[Stage.PENDING] == pytest.approx(
        learnt.of("7").spread[Stage.PENDING]
    )
    assert again.of("7").spread[Stage.PENDING] < 0.3
    assert old.of("7").spread[Stage.PENDING] > 0.9
    learnt.forget(20 * DAY)
    assert learnt.of("7").spread[Stage.PENDING] == np.inf, "it is too long ago"


# --- panels that report in ticks ---


def moving(remains: int, moved: float) -> Order:
    return an_order(status=IN_PROGRESS, remains=remains, progressed_at=moved)


def test_an_order_whose_panel_reports_once_an_hour_has_not_stopped():
    learnt = HazardModel(0.0)
    for tick in range(1, 9):
        now = tick * HOUR
        before = moving(1000 - 100 * tick, now - HOUR)
        teach(learnt, before, moving(900 - 100 * tick, now), 0.0, now - MINUTE, now)
    learnt.forget(0.0)
    assert learnt.of("7").changes[MOVEMENT] == 8.0
    assert 40.0 < learnt.of("7").lasts[MOVEMENT] < 60.0
    assert learnt.of("unheard of").lasts[MOVEMENT] > 20.0, "it borrows from its panel"
    assert sight_of(learnt, moving(500, HOUR), 0.0, 2.5 * HOUR).stage is Stage.MOVING
    assert sight_of(HazardModel(0.0), moving(500, HOUR), 0.0, 2.5 * HOUR).stage is Stage.STOPPED
    again = HazardModel(0.0)
    again.load(learnt.rows(["7"]))
    assert again.of("7").lasts[MOVEMENT] == pytest.approx(learnt.of("7").lasts[MOVEMENT], rel=0.2)


# --- panels that stand still ---


def test_a_panel_stands_still_once_nothing_comes_of_what_was_expected():
    still = Standstill()
    for minute in range(20):
        assert still.since is None
        still.note(3.0, 3, minute * MINUTE)
    for minute in range(20, 30):
        still.note(3.0, 0, minute * MINUTE)
    assert still.since == 19 * MINUTE
    still.note(0.0, 2, 40 * MINUTE)
    assert still.since is not None, "a few changes may be strays"
    still.note(0.0, 2, 41 * MINUTE)
    assert still.since is None
    assert (still.ended_at, still.lasted) == (41 * MINUTE, 22 * MINUTE)


@given(st.lists(st.tuples(st.floats(0, 5), st.integers(0, 3)), max_size=60))
def test_no_panel_stands_still_while_a_third_of_the_changes_comes(answers):
    still, expected, seen = Standstill(), 0.0, 0
    for at, (more, _) in enumerate(answers):
        expected += more
        changes = int(expected / 3.0) + 1 - seen
        seen += changes
        still.note(more, changes, float(at))
        assert still.since is None


@given(st.lists(st.tuples(st.floats(0, 1e6), st.integers(0, 1000)), max_size=60))
def test_whatever_came_before_a_standstill_ends_with_a_few_changes(answers):
    still = Standstill()
    for at, (expected, seen) in enumerate(answers):
        still.note(expected, seen, float(at))
    still.note(0.0, int(2 * CERTAIN), 100.0)
    assert still.since is None


def test_what_happened_before_a_panel_stopped_is_no_sign_that_it_moves():
    panel_orders = PanelOrders(queue_of(100), HazardModel(0.0))
    still = panel_orders.poll_queue.standstill
    still.note(3.0, 3, 30 * MINUTE)
    assert still.moved_at == 30 * MINUTE
    before, after = moving(500, 0.0), moving(400, 40 * MINUTE)
    for minute in range(31, 40):
        seen_before = sight_of(panel_orders.learnt, before, 0.0, 20 * MINUTE)
        panel_orders.checked([(seen_before, after, 0)], minute * MINUTE)
        still.note(3.0, 0, minute * MINUTE)
    assert still.since == 30 * MINUTE
    for minute in (50, 51, 52, 53):
        seen_since = sight_of(panel_orders.learnt, before, 0.0, 45 * MINUTE)
        panel_orders.checked([(seen_since, after, 0)], minute * MINUTE)
    assert still.since is None


@given(st.floats(0, 1e6), st.floats(1, 1e5), st.lists(st.floats(0, 1e5), min_size=2))
def test_a_panels_clock_stops_with_it_and_catches_up(began: float, stood: float, after):
    still = Standstill()
    still.note(3.0, 3, began)
    still.note(100.0, 0, began + stood / 2)
    assert still.clock(began + stood / 2) == began
    still.note(0.0, 100, began + stood)
    shown = [still.clock(began + stood + seconds) for seconds in sorted(after)]
    assert shown == sorted(shown)
    assert all(began - 1e-6 <= at <= began + stood + max(after) for at in shown)
    settled = began + stood + 1200.1  # a tenth more: the sum is rounded
    assert still.clock(settled) == settled


def test_an_order_that_moves_has_probably_ended_once_its_time_left_has_passed():
    learnt, moves = HazardModel(0.0), moving(500, HOUR)
    found = order_hazards(learnt, columns_of(moves, 0.0, HOUR), np.array([0]), HOUR)
    (left,) = found.minutes
    by_then, (late,) = float(chances(learnt, found, left)[0]), chances(learnt, found, 20 * left)
    assert by_then == pytest.approx(0.5, abs=0.05)
    assert late > 0.9
    guarded = order_hazards(learnt, columns_of(a_finished_order(), None, HOUR), np.array([0]), HOUR)
    assert chances(learnt, guarded, 60.0)[0] == pytest.approx(60.0 * RATE[Stage.GUARDED], rel=1e-3)


def queue_of(count: int) -> PollQueue:
    poll_queue = PollQueue(OrderTable("p"), 0.0, within=10 * DAY, ids_per_minute=100.0)
    slots = [poll_queue.records.add(an_order(id=str(n), checked_at=0.0)) for n in range(count)]
    for slot in slots:
        poll_queue.records.checked_at[slot] = 0.0
    poll_queue.join(slots, np.full(count, 10.0), np.linspace(0.1, 1.0, count), 0.0)
    poll_queue.begin()
    return poll_queue


def test_while_a_panel_stands_still_all_take_turns_also_those_that_were_not_due_for_long():
    poll_queue = queue_of(10)
    panel_orders = PanelOrders(poll_queue, HazardModel(0.0))
    poll_queue.answered(np.array([9]), np.array([1000.0]), 0.0)
    poll_queue.standstill.note(100.0, 0, MINUTE)
    asked: list[int] = []
    for turn in range(1, 11):
        taken = panel_orders.take(1, turn * 3 * MINUTE).slots.tolist()
        asked += taken
        poll_queue.answered(taken, [1.0], turn * 3 * MINUTE)
    assert sorted(asked) == [*range(10)]
    assert asked[-1] == 9


def test_after_a_standstill_all_come_soon_the_likeliest_first():
    poll_queue = queue_of(3)
    records, slots = poll_queue.records, np.arange(3)
    records.submitted_at[1] = 4.9 * HOUR
    records.phase[2] = GUARDED
    poll_queue.standstill.note(100.0, 0, 0.0)
    poll_queue.answered(slots, np.array([1.0, 4.0, 1000.0]), HOUR)
    far = np.array(records.turn) - poll_queue.time.v
    poll_queue.standstill.note(0.0, 100, 5 * HOUR)
    assert poll_queue.standstill.since is None
    waits = sooner(poll_queue, HazardModel(0.0), slots)
    assert waits.tolist() == sorted(waits), "the second waited for six minutes of the five hours"
    poll_queue.resume(slots, waits)
    assert (np.array(records.turn) - poll_queue.time.v < far / 4).all()


def test_an_order_that_was_due_next_waits_for_those_that_have_most_likely_changed():
    poll_queue = queue_of(2)
    records, slots = poll_queue.records, np.arange(2)
    records.submitted_at[1] = 4.99 * HOUR  # nearly all of the standstill was over by then
    poll_queue.standstill.note(100.0, 0, 0.0)
    poll_queue.answered(slots, np.array([1.0, 1.0]), HOUR)
    records.turn[1] = poll_queue.time.v
    poll_queue.standstill.note(0.0, 100, 5 * HOUR)
    poll_queue.resume(slots, sooner(poll_queue, HazardModel(0.0), slots))
    assert records.turn[0] < records.turn[1]


def test_while_a_panel_stands_still_open_orders_wait_equally_long():
    poll_queue = queue_of(3)
    poll_queue.records.phase[2] = GUARDED
    poll_queue.standstill.note(100.0, 0, 0.0)
    poll_queue.answered(np.arange(3), np.array([1.0, 500.0, 500.0]), HOUR)
    short, long, guarded = np.array(poll_queue.records.turn) - poll_queue.time.v
    assert short == long < guarded


def test_an_order_that_moves_does_not_end_long_before_its_time():
    learnt, moves = HazardModel(0.0), moving(10, HOUR)
    found = order_hazards(learnt, columns_of(moves, 0.0, HOUR), np.array([0]), HOUR)
    (left,) = found.minutes
    assert float(chances(learnt, found, left / 20)[0]) < 0.02


def test_after_a_standstill_every_order_gets_its_usual_turn_again():
    poll_queue = queue_of(5000)
    panel_orders = PanelOrders(poll_queue, HazardModel(0.0))
    poll_queue.standstill.note(100.0, 0, 0.0)
    slots = np.arange(5000)
    poll_queue.answered(slots, np.full(5000, 1e6), HOUR)
    poll_queue.standstill.note(0.0, 100, 5 * HOUR)
    for second in range(5):
        panel_orders.take(1, 5 * HOUR + second)
    assert max(poll_queue.records.turn) < 1e4


# --- the promise ---


@pytest.mark.parametrize(
    ("orders", "kept"), [(10, True), (2900, True), (3001, False), (6000, False)]
)
def test_check_within_is_kept_where_a_plain_turn_fits(orders: int, kept: bool):
    poll_queue = PollQueue(OrderTable("p"), 0.0, within=1800.0, ids_per_minute=100.0)
    poll_queue.note_phase(Phase.OPEN, orders)
    assert poll_queue.needed == pytest.approx(orders / 3000)
    if kept:
        assert poll_queue.cap(Phase.OPEN) == 1800.0
    else:
        assert poll_queue.cap(Phase.OPEN) == pytest.approx(orders / 25 * 60.0)


def test_a_standstill_that_the_first_answer_shows_begins_with_it():
    """As after a takeover: what was before is not known, and since when is told to people."""
    panel = Standstill()
    panel.note(100.0, 0, HOUR)
    assert panel.since == HOUR
    panel.note(0.0, 10, HOUR + MINUTE)
    assert (panel.since, panel.lasted) == (None, MINUTE)
