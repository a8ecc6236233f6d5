"""The table of transitions, by examples and for every sequence of observations."""

from decimal import Decimal

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.unit.factories import a_finished_order, an_order, seen
from watcher.errors import LifecycleError
from watcher.model import (
    FINAL,
    REFILL_FINAL,
    ActionState,
    Observation,
    Order,
    Origin,
    Phase,
    Refill,
    RefillStatus,
    Status,
)
from watcher.orders.lifecycle import (
    ACTION_MOVES,
    PHASES,
    close,
    count,
    guard_ends_at,
    kind_of,
    observe,
    observe_refill,
    set_aside,
)


def test_an_answer_that_says_nothing_new_changes_nothing():
    order = an_order(status=Status.IN_PROGRESS, status_text="In progress", remains=5)
    answer = Observation(status=Status.IN_PROGRESS, status_text="In progress", remains=5)
    assert observe(order, answer, 60.0) is None


def test_a_change_has_both_values_and_the_time():
    order = an_order(status_text="Pending", remains=1000)
    transition = observe(
        order, seen(Status.IN_PROGRESS, status_text="In progress", remains=900), 60.0
    )
    assert transition is not None
    assert transition.at == 60.0
    assert transition.changes == {
        "status": (Status.PENDING, Status.IN_PROGRESS),
        "status_text": ("Pending", "In progress"),
        "remains": (1000, 900),
    }
    assert transition.after.progressed_at == transition.after.checked_at == 60.0


def test_what_the_panel_does_not_say_stays_as_it_was():
    order = an_order(charge=Decimal("0.5"), remains=7, start_count=3, currency="USD")
    transition = observe(order, Observation(status=Status.PROCESSING), 1.0)
    assert transition is not None
    after = transition.after
    assert (after.charge, after.remains, after.start_count) == (Decimal("0.5"), 7, 3)


def test_a_new_charge_is_no_progress():
    order = an_order(status_text="Pending")
    transition = observe(order, seen(Status.PENDING, charge=Decimal(1)), 60.0)
    assert transition is not None
    assert transition.after.progressed_at == 0.0


def test_a_completed_order_is_guarded_until_its_guard_ends():
    transition = observe(an_order(), seen(Status.COMPLETED), 100.0)
    assert transition is not None
    assert transition.after.phase is Phase.GUARDED
    assert transition.after.finished_at == 100.0
    assert guard_ends_at(transition.after, 50.0) == 150.0
    closed = close(transition.after, 150.0)
    assert closed.after.phase is Phase.CLOSED
    assert closed.changes == {"phase": (Phase.GUARDED, Phase.CLOSED)}


def test_an_order_can_come_back_to_life_while_it_is_guarded():
    transition = observe(a_finished_order(at=5.0), seen(Status.IN_PROGRESS), 9.0)
    assert transition is not None
    assert transition.after.phase is Phase.OPEN
    assert transition.after.finished_at is None


def test_a_closed_order_has_no_transition():
    closed = an_order(status=Status.CANCELED, phase=Phase.CLOSED, finished_at=1.0)
    with pytest.raises(LifecycleError, match="order 1 at p is closed"):
        observe(closed, seen(Status.PENDING), 2.0)
    with pytest.raises(LifecycleError, match="not guarded"):
        close(closed, 2.0)


def test_an_unknown_word_is_never_final():
    transition = observe(an_order(), Observation(status=Status.UNKNOWN, status_text="Finito"), 1.0)
    assert transition is not None
    assert transition.after.phase is Phase.OPEN
    assert transition.after.status_text == "Finito"


def test_a_refusal_is_kept_and_goes_with_the_next_answer():
    aside = set_aside(an_order(status_text="Pending"), "Incorrect order ID", 1.0)
    assert aside is not None
    assert aside.after.problem == "Incorrect order ID"
    assert set_aside(aside.after, "Incorrect order ID", 2.0) is None
    back = observe(aside.after, Observation(status=Status.PENDING, status_text="Pending"), 3.0)
    assert back is not None
    assert back.changes == {"problem": ("Incorrect order ID", None)}


def test_only_the_panel_makes_an_order_checked():
    """Rules leave alone what no panel has told of: neither a refusal nor a count is that."""
    order = an_order(checked_at=None)
    aside, counted = set_aside(order, "Incorrect order ID", 1.0), count(order, 850, 1.0)
    seen = observe(order, Observation(status=Status.IN_PROGRESS, status_text="In progress"), 1.0)
    assert aside is not None
    assert counted is not None
    assert seen is not None
    assert (aside.after.checked_at, counted.after.checked_at) == (None, None)
    assert seen.after.checked_at == 1.0
    assert "checked_at" not in seen.changes


def test_a_drop_comes_from_the_count():
    order = a_finished_order(start_count=100, remains=0)
    transition = count(order, 850, 1.0)
    assert transition is not None
    assert transition.after.drop == pytest.approx(0.25)
    assert count(transition.after, 850, 2.0) is None


@given(
    st.lists(
        st.builds(
            Observation,
            status=st.sampled_from(Status),
            status_text=st.sampled_from([None, "a", "b"]),
            remains=st.none() | st.integers(-10, 1010),
            charge=st.none() | st.decimals(0, 10, places=5),
        ),
        max_size=30,
    )
)
def test_any_observations_keep_the_state_consistent(observations: list[Observation]):
    order = an_order()
    for at, observation in enumerate(observations, 1):
        if order.phase is Phase.CLOSED:
            break
        transition = observe(order, observation, float(at))
        if transition is None:
            continue
        assert transition.changes, "a transition without a change would be written for nothing"
        order = transition.after
        assert (order.phase is Phase.OPEN) == (order.finished_at is None)
        if order.phase is Phase.CLOSED:
            assert order.status in FINAL
        if observation.remains is not None:
            assert order.remains == observation.remains


def test_every_phase_that_is_watched_has_an_entry_for_every_status():
    for phase in (Phase.OPEN, Phase.GUARDED):
        for status in Status:
            assert (phase, kind_of(status)) in PHASES


def test_nothing_leads_from_unresolved_back_to_sending():
    assert {after for before, after in ACTION_MOVES if before is ActionState.UNRESOLVED} == {
        ActionState.ACCEPTED,
        ActionState.REJECTED,
    }
    assert {before for before, after in ACTION_MOVES if after is ActionState.SENDING} == {
        ActionState.PLANNED
    }


@given(st.lists(st.sampled_from(RefillStatus), min_size=1))
def test_a_refill_ends_once(statuses: list[RefillStatus]):
    refill = Refill(panel="p", order="1", id="9", requested_at=0.0)
    for at, status in enumerate(statuses, 1):
        if refill.status in REFILL_FINAL:
            with pytest.raises(LifecycleError):
                observe_refill(refill, status, status.value, float(at))
            break
        refill = observe_refill(refill, status, status.value, float(at)) or refill
        assert (refill.finished_at is not None) == (refill.status in REFILL_FINAL)


LATE = (Origin.DATED, Origin.UNDATED)
FINAL_ONES = sorted(FINAL)


def unseen(**fields) -> Order:
    return an_order(**{"status": Status.UNKNOWN, "checked_at": None, **fields})


@pytest.mark.parametrize("origin", LATE)
@pytest.mark.parametrize("status", FINAL_ONES)
def test_an_order_that_is_final_when_first_seen_has_an_unknown_finish(origin, status):
    transition = observe(unseen(origin=origin), seen(status), 1000.0)
    assert transition is not None
    assert transition.after.finished_at is None
    assert transition.after.phase in (Phase.GUARDED, Phase.CLOSED)
    assert "finished_at" not in transition.changes


@pytest.mark.parametrize("status", FINAL_ONES)
def test_an_order_placed_here_finishes_when_it_is_seen_to(status):
    transition = observe(unseen(), seen(status), 1000.0)
    assert transition is not None
    assert transition.after.finished_at == 1000.0


def test_the_finish_of_an_order_placed_here_is_unknown_if_nobody_looked_for_days():
    assert observe(unseen(), seen(Status.COMPLETED), 86_400.0).after.finished_at == 86_400.0
    assert observe(unseen(), seen(Status.COMPLETED), 86_401.0).after.finished_at is None
    watched = observe(unseen(), seen(Status.UNKNOWN, status_text="Odd"), 10.0).after
    assert observe(watched, seen(Status.COMPLETED), 9e6).after.finished_at == 9e6


@pytest.mark.parametrize("origin", LATE)
def test_an_order_that_was_seen_open_finishes_when_it_is_seen_to(origin):
    order = observe(unseen(origin=origin), seen(Status.PENDING), 10.0).after
    assert observe(order, seen(Status.COMPLETED), 20.0).after.finished_at == 20.0


@pytest.mark.parametrize("origin", LATE)
def test_an_unknown_word_does_not_prove_that_an_order_was_open(origin):
    order = observe(unseen(origin=origin), seen(Status.UNKNOWN, status_text="Selesai"), 10.0).after
    assert observe(order, seen(Status.COMPLETED), 20.0).after.finished_at is None


@pytest.mark.parametrize("origin", LATE)
def test_a_finish_that_the_list_tells_holds_only_if_the_order_is_final(origin):
    order = unseen(origin=origin, finished_at=5.0)
    assert observe(order, seen(Status.COMPLETED), 1000.0).after.finished_at == 5.0
    reopened = observe(order, seen(Status.PENDING), 1000.0).after
    assert reopened.finished_at is None
    assert observe(reopened, seen(Status.COMPLETED), 2000.0).after.finished_at == 2000.0


def test_an_unknown_finish_stays_unknown_until_the_order_was_open_again():
    order = observe(unseen(origin=Origin.UNDATED), seen(Status.COMPLETED), 10.0).after
    for status in (Status.PARTIAL, Status.UNKNOWN, Status.COMPLETED):
        order = observe(order, seen(status), 20.0).after
        assert (order.phase, order.finished_at) == (Phase.GUARDED, None)
    order = observe(order, seen(Status.IN_PROGRESS), 30.0).after
    assert order.phase is Phase.OPEN
    assert observe(order, seen(Status.COMPLETED), 40.0).after.finished_at == 40.0


def test_an_order_whose_finish_is_not_known_is_guarded_from_its_submission_on():
    order = unseen(origin=Origin.DATED, submitted_at=100.0)
    guarded = observe(order, seen(Status.COMPLETED), 1000.0).after
    assert guard_ends_at(guarded, 50.0) == 150.0, "it is over already"
