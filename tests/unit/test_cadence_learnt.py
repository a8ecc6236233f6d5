"""What a panel's orders teach, and what follows for the next check."""

from math import exp, isclose, log, log1p

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.unit.cadence_kit import sight_of, teach, wait_of
from tests.unit.factories import DAY, HOUR, a_finished_order, an_order
from watcher.model import Order, Status
from watcher.orders.schedule import HazardModel, ModelRow, Stage
from watcher.orders.schedule.hazard_model import ENDS, LASTS, RATE
from watcher.orders.schedule.model_rows import HALF_LIFE
from watcher.orders.schedule.stages import DURATION

NOW = 1_800_000_000.0
MINUTE = 60.0


def in_progress(remains: int | None, **fields: object) -> Order:
    return an_order(status=Status.IN_PROGRESS, remains=remains, **fields)


@pytest.mark.parametrize(
    ("order", "stage"),
    [
        (an_order(), Stage.PENDING),
        (an_order(status=Status.UNKNOWN), Stage.PENDING),
        (in_progress(None), Stage.STARTING),
        (in_progress(1000), Stage.STARTING),
        (in_progress(500, quantity=None), Stage.STARTING),
        (in_progress(500, progressed_at=HOUR), Stage.MOVING),
        (in_progress(500), Stage.STOPPED),
        (in_progress(0), Stage.ENDING),
        (in_progress(-5), Stage.ENDING),
        (a_finished_order(), Stage.GUARDED),
    ],
)
def test_the_last_answer_tells_the_stage(order: Order, stage: Stage):
    assert sight_of(HazardModel(0.0), order, 0.0, HOUR).stage is stage


def test_an_order_that_moves_seldom_has_not_stopped_soon():
    slow = in_progress(998, progressed_at=2 * HOUR)  # a unit an hour
    assert sight_of(HazardModel(0.0), slow, 0.0, 5 * HOUR).stage is Stage.MOVING
    assert sight_of(HazardModel(0.0), slow, 0.0, 7 * HOUR).stage is Stage.STOPPED


def wait(order: Order, now: float, started: float | None = 0.0) -> float:
    return wait_of(HazardModel(0.0), order, started, now)


def test_after_the_usual_time_the_wait_grows_with_the_square_root_of_the_age():
    young, usual, old = (wait(an_order(), age * 30 * MINUTE) for age in (0, 1, 100))
    assert young == usual
    assert isclose(old, 10 * young)
    assert isclose(young, (LASTS[0] / RATE[0]) ** 0.5)


def test_an_order_near_its_end_is_checked_more_often():
    waits = [wait(in_progress(left, progressed_at=HOUR), HOUR) for left in (10, 500, 990)]
    assert waits == sorted(waits)
    assert wait(in_progress(0, progressed_at=HOUR), HOUR) < waits[0]
    assert wait(a_finished_order(), HOUR) > 10 * waits[2]


@given(
    st.sampled_from(Status),
    st.none() | st.integers(-100, 1100),
    st.none() | st.integers(0, 10**9),
    st.floats(-DAY, 1000 * DAY),
    st.none() | st.floats(0, DAY),
)
def test_every_order_has_a_wait(
    status: Status,
    remains: int | None,
    quantity: int | None,
    age: float,
    started: float | None,
):
    order = an_order(status=status, remains=remains, quantity=quantity, submitted_at=NOW - age)
    assert 0.1 < wait_of(HazardModel(0.0), order, started, NOW) < 1e6


@pytest.mark.long
def test_a_service_that_starts_at_once_is_asked_about_sooner():
    learnt = HazardModel(0.0)
    for _ in range(50):
        teach_a_start(learnt, "fast", 2 * MINUTE)
        teach_a_start(learnt, "slow", 600 * MINUTE)
    fast = wait_of(learnt, an_order(service="fast"), None, 0.0)
    new = wait_of(learnt, an_order(service="new"), None, 0.0)
    slow = wait_of(learnt, an_order(service="slow"), None, 0.0)
    assert fast < 0.5 * slow
    assert fast < new < slow, "of a new service we know what is usual at its panel"
    assert learnt.of("fast").lasts[Stage.PENDING] < 3.0
    assert learnt.of("slow").lasts[Stage.PENDING] > 400.0


def teach_a_start(learnt: HazardModel, service: str, after: float, every: float = MINUTE) -> None:
    """An order that is checked every minute and starts in the middle between two checks."""
    order = an_order(service=service)
    now = 0.0
    while now + every <= after:
        teach(learnt, order, order, None, now, now + every)
        now += every
    began = an_order(service=service, status=Status.IN_PROGRESS)
    teach(learnt, order, began, None, now, now + every)


def test_an_answer_adds_exposure_and_a_change_lies_in_the_middle():
    learnt = HazardModel(0.0)
    order, began = an_order(), an_order(status=Status.IN_PROGRESS)
    teach(learnt, order, order, None, 0.0, 10 * MINUTE)
    record = learnt.of("7")
    assert isclose(record.exposure[Stage.PENDING], log1p(10 / 30))
    assert record.changes[Stage.PENDING] == 0
    lasts = record.lasts[Stage.PENDING]
    teach(learnt, order, began, None, 10 * MINUTE, 20 * MINUTE)
    assert isclose(record.exposure[Stage.PENDING], log1p(10 / 30) + log1p(5 / max(10, lasts)))
    assert record.changes[Stage.PENDING] == 1
    assert isclose(record.logs[Stage.PENDING], log(15))


def test_moving_within_progress_is_no_change():
    learnt = HazardModel(0.0)
    teach(learnt, in_progress(1000), in_progress(0), 0.0, 0.0, HOUR)
    assert sum(learnt.of("7").changes) == 0
    assert learnt.of("7").exposure[Stage.STARTING] > 0


def test_a_completed_order_teaches_how_long_its_quantity_takes():
    learnt = HazardModel(0.0)
    for _ in range(200):
        teach(
            learnt,
            in_progress(0, progressed_at=99 * MINUTE),
            a_finished_order(),
            0.0,
            100 * MINUTE,
            100 * MINUTE + 1,
        )
    assert isclose(learnt.of("7").minutes_in_progress(1000), 100, rel_tol=0.02)
    assert isclose(learnt.of("7").minutes_in_progress(4000), 200, rel_tol=0.02)
    assert learnt.of("7").ends == {"completed": 200.0}


def test_a_start_that_nobody_saw_teaches_no_duration():
    learnt = HazardModel(0.0)
    teach(learnt, in_progress(0), a_finished_order(), None, HOUR, 2 * HOUR)
    assert learnt.of("7").changes[DURATION] == 0
    assert learnt.of("7").ends == {"completed": 1.0}


def test_a_guarded_order_teaches_by_time_alone():
    learnt = HazardModel(0.0)
    guarded = a_finished_order()
    teach(learnt, guarded, guarded, None, 0.0, DAY)
    assert learnt.of("7").exposure[Stage.GUARDED] == DAY / MINUTE
    before = learnt.rate("7", Stage.GUARDED)
    for _ in range(5):
        teach(learnt, guarded, in_progress(10), None, DAY, 2 * DAY)
    assert learnt.rate("7", Stage.GUARDED) > before


def test_refill_tasks_teach_too():
    learnt = HazardModel(0.0)
    learnt.refill_answered("7", 0.0, 0.0, 10 * MINUTE, changed=False)
    learnt.refill_answered("7", 0.0, 10 * MINUTE, 30 * MINUTE, changed=True)
    assert learnt.of("7").changes[Stage.REFILL] == 1
    assert isclose(learnt.of("7").logs[Stage.REFILL], log(20))


def test_the_past_is_forgotten_by_halves():
    learnt = HazardModel(NOW)
    for _ in range(10):
        teach_a_start(learnt, "7", 5 * MINUTE)
    record = learnt.of("7")
    before = list(record.exposure), list(record.changes), list(record.logs)
    learnt.forget(NOW + HALF_LIFE * MINUTE)
    for old, new in zip(before, (record.exposure, record.changes, record.logs), strict=True):
        assert new == pytest.approx([number / 2 for number in old])
    learnt.forget(NOW)
    assert record.changes == pytest.approx([number / 2 for number in before[1]]), (
        "time never goes back"
    )


numbers = st.floats(0, 1e5)
rows = st.lists(
    st.builds(
        lambda service, what, n, e, mean: ModelRow(service, what, n, e, n * mean),
        st.sampled_from(["", "1", "2"]),
        st.sampled_from([*(stage.name.lower() for stage in Stage), "duration", *ENDS.values()]),
        numbers,
        numbers,
        st.floats(-4, 12),
    ),
    max_size=40,
)


@given(rows, rows)
def test_what_is_stored_is_what_was_learnt(some: list[ModelRow], more: list[ModelRow]):
    """Loading adds up, in any order and any parts; storing and loading changes nothing."""
    together, apart, again = HazardModel(NOW), HazardModel(NOW), HazardModel(NOW)
    together.load([*some, *more])
    apart.load(more)
    apart.load(some)
    again.load(together.rows(together.services))
    for learnt in (apart, again):
        for service in together.services:
            for stage in Stage:
                rates = [which.rate(service, stage) for which in (together, learnt)]
                assert isclose(*rates, rel_tol=1e-6)
            lasts = [which.of(service).lasts for which in (together, learnt)]
            assert lasts[0] == pytest.approx(lasts[1], rel=1e-6)


@given(st.lists(st.tuples(st.floats(1, 1e5), st.booleans()), max_size=30))
def test_the_panels_average_is_what_its_services_sum_up_to(answers: list[tuple[float, bool]]):
    learnt = HazardModel(0.0)
    now = 0.0
    for number, (gap, changed) in enumerate([*answers, (1.0, True)]):
        order = an_order(service=str(number % 3), submitted_at=now)
        after = an_order(status=Status.IN_PROGRESS) if changed else order
        teach(learnt, order, after, None, now, now + gap)
        now += gap
    usual = learnt.rate("unheard of", Stage.PENDING)
    learnt.forget(0.0)
    assert isclose(learnt.rate("unheard of", Stage.PENDING), usual, rel_tol=1e-9)


def test_a_lone_service_leans_on_three_pseudo_events():
    learnt = HazardModel(0.0)
    learnt.load([ModelRow("7", "pending", 3.0, 1.0, 3 * log(10))])
    usual = (3 + 2) / (1 + 2 / 0.4)
    assert isclose(learnt.rate("7", Stage.PENDING), 6 / (1 + 3 / usual))
    lasts = exp((3 * log(10) + 3 * log(30)) / 6)
    assert isclose(learnt.of("7").lasts[Stage.PENDING], lasts)
