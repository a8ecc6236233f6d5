"""The circuit breaker of one panel."""

from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, precondition, rule

from watcher.panels.breaker import (
    ACT_WAITS,
    FAILURES,
    JITTER,
    PAUSE,
    PROBE_LASTS,
    Breaker,
    BreakerState,
)


def broken(now: float = 0.0, jitter: float = 0.0) -> Breaker:
    breaker = Breaker(lambda: jitter)
    for _ in range(FAILURES):
        breaker.failed(now)
    return breaker


def test_failures_in_a_row_open_and_others_do_not():
    breaker = Breaker(lambda: 0.0)
    for now in range(20):
        breaker.failed(float(now))
        assert breaker.wait(now, acts=False) is None
        breaker.answered()
    assert breaker.state is BreakerState.CLOSED
    assert broken().state is BreakerState.OPEN


def test_pauses_grow_to_five_minutes():
    breaker, now, pauses = broken(), 0.0, []
    for _ in range(9):
        until = breaker.wait(now, acts=False)
        assert until is not None
        pauses.append(until - now)
        now = until
        assert breaker.wait(now, acts=False) is None
        breaker.sent(now)
        breaker.failed(now)
    assert pauses == [5, 10, 20, 40, 80, 160, 300, 300, 300]


def test_panels_that_fell_together_are_not_tried_together():
    assert broken(jitter=0.0).open_until() == PAUSE[0]
    assert broken(jitter=1.0).open_until() == PAUSE[0] * (1 + JITTER)


def test_one_probe_at_a_time_whose_answer_closes():
    breaker = broken()
    breaker.sent(5.0)
    assert breaker.state is BreakerState.HALF_OPEN
    assert breaker.wait(5.0, acts=False) == 6.0
    breaker.answered()
    assert breaker.wait(5.0, acts=False) is None
    breaker.failed(5.0)
    assert breaker.state is BreakerState.CLOSED, "a new count"


def test_a_probe_of_which_nothing_is_heard_is_given_up():
    breaker = broken()
    breaker.sent(5.0)
    assert breaker.wait(5.0 + PROBE_LASTS, acts=False) is None


def test_actions_go_after_a_read_has_shown_that_the_panel_is_well():
    breaker = Breaker(lambda: 0.0)
    breaker.failed(100.0)
    assert breaker.wait(100.0, acts=False) is None
    assert breaker.wait(100.0, acts=True) == 100.0 + ACT_WAITS[0]
    breaker.answered()
    assert breaker.wait(100.0, acts=True) is None


def test_where_nothing_is_read_an_action_tries():
    breaker, now = broken(), 0.0
    while (again_at := breaker.wait(now, acts=True)) is not None:
        assert again_at > now
        now = again_at
    assert now == PAUSE[0] + ACT_WAITS[1]


def test_a_panel_that_refuses_everything_opens_at_once():
    breaker, now, pauses = Breaker(lambda: 0.0), 0.0, []
    for _ in range(6):
        breaker.refuses(now)
        until = breaker.open_until()
        assert until is not None
        pauses.append(until - now)
        now = until
        breaker.sent(now)
    assert pauses == [5, 10, 20, 40, 80, 120]


def test_answers_of_requests_that_were_under_way_count():
    breaker = broken()
    breaker.failed(1.0)
    assert breaker.open_until() == PAUSE[0], "a pause is not made longer by those sent before it"
    breaker.answered()
    assert breaker.state is BreakerState.CLOSED


class Machine(RuleBasedStateMachine):
    """Requests come and end in any order; what was sent is held against the breaker's word."""

    def __init__(self) -> None:
        super().__init__()
        self.now = 0.0
        self.breaker = Breaker(lambda: 0.5)
        self.under_way = 0
        self.in_a_row = 0
        self.opened_at: float | None = None

    @rule(seconds=st.floats(0.1, 400.0))
    def time_passes(self, seconds: float) -> None:
        self.now += seconds

    @rule(acts=st.booleans())
    def someone_wants_to_ask(self, acts: bool) -> None:
        before = self.breaker.state
        again_at = self.breaker.wait(self.now, acts=acts)
        assert self.breaker.state is before, "asking changes nothing"
        if again_at is not None:
            assert again_at > self.now, "told to come again at once, for ever"
            assert before is not BreakerState.CLOSED or (acts and self.in_a_row)
            return
        self.breaker.sent(self.now)
        self.under_way += 1
        if before is not BreakerState.CLOSED:
            assert self.breaker.state is BreakerState.HALF_OPEN
            assert self.breaker.wait(self.now, acts=False) is not None, "a second probe"

    @precondition(lambda self: self.under_way)
    @rule()
    def one_is_answered(self) -> None:
        self.under_way -= 1
        self.in_a_row = 0
        self.breaker.answered()
        assert self.breaker.state is BreakerState.CLOSED

    @precondition(lambda self: self.under_way)
    @rule(refuses=st.booleans())
    def one_fails(self, refuses: bool) -> None:
        self.under_way -= 1
        self.in_a_row += 1
        before = self.breaker.state
        (self.breaker.refuses if refuses else self.breaker.failed)(self.now)
        if refuses or self.in_a_row >= FAILURES or before is not BreakerState.CLOSED:
            assert self.breaker.state is BreakerState.OPEN
        else:
            assert self.breaker.state is BreakerState.CLOSED

    @invariant()
    def left_alone_for_a_while_and_not_for_ever(self) -> None:
        until = self.breaker.open_until()
        assert (until is not None) == (self.breaker.state is BreakerState.OPEN)
        if until is not None:
            assert until - self.now <= PAUSE[1] * (1 + JITTER)
            assert self.breaker.wait(until, acts=False) is None
            assert self.breaker.wait(until + ACT_WAITS[1], acts=True) is None


Machine.TestCase.settings = settings(max_examples=60, stateful_step_count=40, deadline=None)
TestMachine = Machine.TestCase
