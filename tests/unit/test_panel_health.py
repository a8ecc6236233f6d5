"""What a panel is taken for, by what its calls came to."""

import re

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from watcher.errors import (
    BadKey,
    NotSent,
    PanelError,
    RateLimited,
    Refused,
    ServerFault,
    TimedOut,
    Unreadable,
)
from watcher.panels.breaker import FAILURES
from watcher.panels.health import (
    BALANCE,
    GENERAL,
    READS,
    REFILL_STATUS,
    SERVICES,
    STATUS,
    HealthState,
    PanelHealth,
)
from watcher.panels.limit_words import fold
from watcher.panels.protocol import Unmatched, is_about_an_id

BLOCKED = Refused("Sua conta foi suspensa")
ODD = Unreadable("a balance that can't be read: lots")


def told(*ends: tuple[str, PanelError | None], health: PanelHealth | None = None) -> PanelHealth:
    health = health or PanelHealth()
    for now, (call, error) in enumerate(ends):
        health.ended(call, error, float(now))
    return health


class TestRefusing:
    def test_two_kinds_of_call_in_the_same_words(self):
        health = told((STATUS, BLOCKED), (BALANCE, BLOCKED))
        assert (health.state, health.problem) == (HealthState.REFUSING, str(BLOCKED))
        assert {fault.call for fault in health.faults} == {STATUS, BALANCE}
        assert not health.is_up

    @pytest.mark.parametrize("call", READS)
    def test_one_kind_is_not_enough(self, call: str):
        assert told(*[(call, BLOCKED)] * 20).state is not HealthState.REFUSING

    def test_other_words_are_not_the_same_refusal(self):
        health = told((STATUS, BLOCKED), (BALANCE, Refused("balance is not allowed for this key")))
        assert health.state is HealthState.DEGRADED

    def test_numbers_and_ids_in_the_words_do_not_count(self):
        first = Refused("Access denied, IP 10.0.0.7 (request 7f3a9b21).")
        second = Refused("access denied: IP 10.0.0.8 (request 88aa01cc)")
        assert told((STATUS, first), (BALANCE, second)).state is HealthState.REFUSING

    def test_texts_without_spaces_stay_apart(self):
        assert fold("订单123不存在") != fold("账户123已停用")

    def test_a_call_that_was_answered_in_between_speaks_against_it(self):
        health = told((SERVICES, BLOCKED), (BALANCE, None), (STATUS, BLOCKED))
        assert health.state is HealthState.DEGRADED
        assert not health.doubts(3.0), "the balance was answered just now"
        health.ended(STATUS, BLOCKED, 100.0)
        assert health.probe(100.0, has_orders=True) == BALANCE

    @pytest.mark.parametrize("call", [STATUS, BALANCE])
    def test_an_answer_ends_it(self, call: str):
        health = told((STATUS, BLOCKED), (BALANCE, BLOCKED))
        health.ended(call, None, 5.0, sent_at=4.0)
        assert health.state is not HealthState.REFUSING

    def test_a_price_list_ends_it_only_where_no_balance_can_be_asked(self):
        """It may be public: ending on it, the panel would be asked everything again and again."""
        health = told((STATUS, BLOCKED), (BALANCE, BLOCKED), (SERVICES, None))
        assert health.state is HealthState.REFUSING
        assert SERVICES not in {health.probe(9.0, has_orders=True) for _ in range(9)}
        health = PanelHealth([STATUS, SERVICES])
        for call, error in ((STATUS, BLOCKED), (SERVICES, BLOCKED), (SERVICES, None)):
            health.ended(call, error, 1.0, sent_at=1.0)
        assert health.state is not HealthState.REFUSING

    def test_an_answer_that_was_under_way_ends_it_only_if_it_tells_of_orders(self):
        health = told((STATUS, BLOCKED), (BALANCE, BLOCKED))
        health.ended(SERVICES, None, 5.0, sent_at=0.5)
        assert health.state is HealthState.REFUSING
        health.ended(STATUS, None, 5.0, sent_at=0.5)
        assert health.state is not HealthState.REFUSING

    def test_a_balance_refused_by_right_shows_nothing_of_the_panel(self):
        """Orders are answered meanwhile; later one is refused in just these words."""
        denied = Refused("Access denied")
        health = told((BALANCE, denied), (STATUS, None), (BALANCE, denied), (STATUS, None))
        health.ended(BALANCE, denied, 100.0)
        health.ended(STATUS, denied, 101.0)
        assert health.state is HealthState.DEGRADED
        assert health.probe(101.0, has_orders=True) == SERVICES

    def test_orders_refused_one_by_one_where_no_probe_can_tell(self):
        health = PanelHealth([STATUS])
        for number in range(2):
            health.ended(STATUS, BLOCKED, float(number), order=str(number))
            assert health.probe(float(number), has_orders=True) in (None, STATUS)
        health.ended(STATUS, BLOCKED, 3.0, order="1")
        assert health.state is HealthState.REFUSING
        assert health.probe(4.0, has_orders=True) == STATUS

    def test_orders_answered_before_and_refused_now_show_it_though_the_balance_is_answered(self):
        health = told((STATUS, BLOCKED), (BALANCE, None))
        for number in range(2):
            health.ended(STATUS, BLOCKED, 3.0 + number, order=str(number), was_known=True)
        assert health.state is HealthState.REFUSING
        health.ended(BALANCE, None, 9.0, sent_at=8.0)
        assert health.state is HealthState.REFUSING, "it was never about the balance"
        assert health.probe(9.0, has_orders=True) == STATUS

    def test_ids_that_were_never_answered_don_t(self):
        health = told((STATUS, BLOCKED), (BALANCE, None))
        for number in range(9):
            health.ended(STATUS, BLOCKED, 3.0 + number, order=str(number))
        assert health.state is HealthState.DEGRADED
        assert [(fault.call, fault.text) for fault in health.faults] == [(STATUS, str(BLOCKED))]

    def test_a_known_word_for_an_id_is_an_answer(self):
        health = told(
            (STATUS, BLOCKED), (BALANCE, BLOCKED), (STATUS, Refused("Incorrect order ID"))
        )
        assert health.state is not HealthState.REFUSING


class TestDoubt:
    def test_a_refused_status_is_probed_by_the_balance(self):
        health = told((STATUS, BLOCKED))
        assert health.doubts(0.0)
        assert health.probe(0.0, has_orders=True) == BALANCE
        health.ended(BALANCE, None, 1.0)
        assert not health.doubts(1.0)
        health.ended(STATUS, BLOCKED, 2.0)
        assert not health.doubts(2.0), "it is about the orders"

    def test_a_refused_balance_is_probed_by_a_status_where_there_are_orders(self):
        health = told((BALANCE, BLOCKED))
        assert health.probe(0.0, has_orders=True) == STATUS
        assert health.probe(0.0, has_orders=False) == SERVICES

    def test_a_probe_that_fails_gives_way_to_the_next(self):
        health = told((STATUS, BLOCKED), (BALANCE, TimedOut()))
        assert health.probe(1.0, has_orders=True) == SERVICES
        health.ended(SERVICES, Refused("something else"), 2.0)
        assert health.probe(2.0, has_orders=True) is None
        assert not health.doubts(2.0)

    def test_a_wrong_key_told_to_an_action_is_confirmed_by_a_read(self):
        health = told(("add", BadKey("Invalid API key")))
        assert health.state is HealthState.UP
        assert health.probe(0.0, has_orders=True) == BALANCE
        health.ended(BALANCE, None, 1.0)
        health.ended("add", BadKey("Invalid API key"), 2.0)
        assert not health.doubts(2.0)
        assert health.state is HealthState.UP

    def test_other_refusals_of_actions_are_theirs(self):
        assert not told(("add", BLOCKED), ("refill", BLOCKED)).doubts(1.0)

    def test_known_words_decide_only_where_nothing_else_can_be_asked(self):
        only = told((BALANCE, BadKey("Invalid API key")), health=PanelHealth([STATUS, BALANCE]))
        assert only.probe(0.0, has_orders=False) is None
        assert only.state is HealthState.REFUSING
        right = told((BALANCE, BLOCKED), health=PanelHealth([STATUS, BALANCE]))
        assert right.probe(0.0, has_orders=False) is None
        assert right.state is HealthState.DEGRADED

    def test_it_holds_nothing_back_for_ever(self):
        assert not told((STATUS, BLOCKED)).doubts(61.0)


class TestDegraded:
    @pytest.mark.parametrize("call", READS)
    def test_what_can_t_be_read_is_a_fault_of_its_call(self, call: str):
        health = told(*[(call, ODD)] * 10)
        assert (health.state, health.is_up) == (HealthState.DEGRADED, True)
        assert health.problem == f"{call}: {ODD}"
        assert health.faults[0].since == 0.0
        health.ended(call, None, 20.0)
        assert (health.state, health.problem) == (HealthState.UP, None)

    def test_a_batch_whose_rows_name_no_order_is_no_fault(self):
        assert told((STATUS, Unmatched())).state is HealthState.UP

    def test_a_field_that_can_t_be_read(self):
        health = PanelHealth()
        health.unread(BALANCE, "balance", "1,23,4", 5.0)
        health.ended(BALANCE, None, 5.1, sent_at=4.0)
        assert health.state is HealthState.DEGRADED
        assert health.problem == "balance: balance '1,23,4' can't be read"
        health.ended(BALANCE, None, 9.0, sent_at=8.0)
        assert health.state is HealthState.UP

    def test_a_field_of_orders_is_told_while_other_orders_are_answered(self):
        health = PanelHealth()
        health.unread(STATUS, "remains", "some", 5.0)
        health.ended(STATUS, None, 100.0, sent_at=99.0)
        assert health.state is HealthState.DEGRADED
        health.ended(STATUS, None, 1000.0, sent_at=999.0)
        assert health.state is HealthState.UP

    def test_fields_are_bounded(self):
        health = PanelHealth()
        for number in range(10_000):
            health.unread(STATUS, f"field {number}", "x" * 10_000, 1.0)
        assert len(health.faults) < 100
        assert max(len(fault.text) for fault in health.faults) <= 200


class TestDown:
    @pytest.mark.parametrize("error", [NotSent("no"), TimedOut("late"), ServerFault("HTTP 500")])
    def test_no_answer_three_times(self, error: PanelError):
        health = told(*[(STATUS, error)] * (FAILURES - 1))
        assert (health.state, health.is_up) == (HealthState.UP, False)
        health.ended(STATUS, error, 9.0)
        assert (health.state, health.problem) == (HealthState.DOWN, str(error))
        health.ended(BALANCE, ODD, 10.0)
        assert health.state is HealthState.DEGRADED, "it lives"


class TestLimits:
    def test_a_limit_of_orders(self):
        health = told((STATUS, RateLimited("slow down")))
        assert (health.state, health.is_up) == (HealthState.LIMITED, True)
        health.ended(STATUS, None, 9.0)
        assert health.state is HealthState.UP

    def test_calls_with_limits_of_their_own(self):
        assert told((BALANCE, RateLimited()), (SERVICES, RateLimited())).state is HealthState.UP

    def episode(self, health: PanelHealth, at: float, passed: int) -> None:
        for call in (STATUS, BALANCE):
            health.ended(call, BLOCKED, at, passed=passed)
        assert health.state is HealthState.REFUSING

    def test_words_that_go_by_waiting_and_come_back_with_the_pace(self):
        health = PanelHealth()
        self.episode(health, 0.0, passed=20)
        health.ended(STATUS, None, 60.0)
        assert not health.is_rate_limit(str(BLOCKED), 70.0, passed=5), "much slower than before"
        assert health.is_rate_limit(str(BLOCKED), 90.0, passed=19)
        health.ended(STATUS, RateLimited(str(BLOCKED)), 90.0)
        assert health.is_rate_limit(str(BLOCKED), 91.0, passed=0), "known by now"

    def test_what_waiting_does_not_end_is_a_refusal_after_all(self):
        health = PanelHealth()
        health.note_rate_limit(str(BLOCKED))
        assert health.is_rate_limit(str(BLOCKED), 0.0, passed=0)
        health.ended(STATUS, RateLimited(str(BLOCKED)), 0.0)
        assert health.is_rate_limit(str(BLOCKED), 100.0, passed=0)
        assert not health.is_rate_limit(str(BLOCKED), 200.0, passed=0)
        self.episode(health, 201.0, passed=0)

    def test_a_long_refusal_is_no_limit(self):
        health = PanelHealth()
        self.episode(health, 0.0, passed=20)
        health.ended(STATUS, None, 3600.0)
        assert not health.is_rate_limit(str(BLOCKED), 3650.0, passed=20)


TEXTS = ("Conta suspensa", "Invalid API key", "не найдено", "Incorrect order ID", "Access denied")
ERRORS = st.one_of(
    st.none(),
    st.sampled_from(TEXTS).map(Refused),
    st.just(BadKey("Invalid API key")),
    st.sampled_from([RateLimited("slow down"), TimedOut("late"), ODD, Unmatched()]),
)
CALLS = st.sampled_from([*READS, "add", "refill", "cancel"])
ORDERS = st.sampled_from(["1", "2", "3", None])
ENDS = st.lists(
    st.tuples(CALLS, ERRORS, ORDERS, st.booleans(), st.floats(0.1, 200.0), st.booleans()),
    max_size=40,
)


@settings(max_examples=400, deadline=None)
@given(ends=ENDS, calls=st.sets(st.sampled_from(READS)).map(lambda some: some | {STATUS}))
def test_refusing_needs_two_kinds_of_call_or_all_orders(ends, calls):
    """And one answer about orders ends it, as one answer of any kind ends being down."""
    health, now = PanelHealth(calls), 0.0
    since: dict[str, set[str]] = {}  # calls refused since the last answer about orders, by words
    orders: set[str] = set()
    for call, error, order, was_known, seconds, probes in ends:
        now += seconds
        order = order if call == STATUS else None
        is_refusal = isinstance(error, Refused) and call in (STATUS, *GENERAL)
        is_about_an_order = is_refusal and call == STATUS and is_about_an_id(str(error))
        health.ended(call, error, now, order=order, was_known=was_known)
        if is_refusal and not is_about_an_order:
            since.setdefault(fold(str(error)), set()).add(call)
            orders |= {order} if order else set()
        asked = health.probe(now, has_orders=True) if probes else None
        assert asked is None or asked in calls
        state = health.state
        if call == STATUS and (error is None or is_about_an_order):
            since.clear()
            orders.clear()
            assert state not in (HealthState.REFUSING, HealthState.DOWN)
        if error is None:
            assert state is not HealthState.DOWN
        if state is HealthState.REFUSING:
            only = [name for name in calls if name != REFILL_STATUS]
            assert (
                max(map(len, since.values()), default=0) >= 2
                or len(orders) >= 2
                or (any("api key" in words for words in since) and len(only) <= 2)
            )
        assert (state in (HealthState.DOWN, HealthState.REFUSING)) <= (not health.is_up)
        assert (health.problem is None) == (state is HealthState.UP and health.is_up)
        assert len(health.faults) > 0 or state is HealthState.UP


@settings(max_examples=200, deadline=None)
@given(
    errors=st.lists(st.sampled_from([*map(Refused, TEXTS), BadKey("Invalid API key")])),
    calls=st.lists(st.sampled_from(["add", "refill", "cancel", REFILL_STATUS]), min_size=1),
)
def test_no_action_makes_a_panel_refusing(errors, calls):
    health = PanelHealth()
    for now, error in enumerate(errors):
        health.ended(calls[now % len(calls)], error, float(now))
        health.probe(float(now), has_orders=True)
        assert health.state is HealthState.UP


@given(st.text(max_size=300))
def test_any_text_is_folded_to_one_form(text):
    assert fold(fold(text)) == fold(fold(fold(text)))
    assert not re.search(r"[1-9]", fold(text)) or not text.isascii()
