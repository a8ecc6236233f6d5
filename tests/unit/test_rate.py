"""How the rate of one panel is learnt."""

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, rule

from benchmarks.limits import Aimd, Cubic, Spaced, Watcher, run
from watcher.panels.rate import SLOWEST, START, Rate, RememberedRate, start_of
from watcher.simulator.request_limits import LimitKind

DAY = 86400.0


def used(rate: Rate, now: float, seconds: float) -> float:
    """Use the rate in full, without a refusal; the time after that."""
    ends = now + seconds
    while now < ends:
        rate.succeeded(now)
        now += 60.0 / rate.per_minute
    return now


def test_while_nothing_is_known_it_doubles_a_minute():
    rate = Rate(1000, RememberedRate(rate=START))
    used(rate, 0.0, 60.0)
    assert rate.per_minute == pytest.approx(2 * START, rel=0.05)


def test_it_never_exceeds_what_the_user_allows():
    rate = Rate(60, RememberedRate(rate=500.0))
    assert rate.per_minute == 60
    used(rate, 0.0, 600.0)
    assert rate.per_minute == 60


def test_a_rate_that_is_not_used_does_not_grow():
    rate = Rate(1000, RememberedRate(rate=START))
    for minute in range(10):
        rate.succeeded(minute * 60.0)
    assert rate.per_minute < 1.3 * START


def test_a_refusal_tells_the_ceiling():
    rate = Rate(1000, RememberedRate(rate=60.0, ceiling=60.0))
    now = used(rate, 0.0, 120.0)
    assert rate.refused(now, None, sent_at=now) == 5.0
    assert rate.learnt.ceiling == pytest.approx(60, abs=3)
    assert rate.per_minute == pytest.approx(54, abs=3)


def test_near_the_ceiling_it_grows_slowly_and_beyond_it_fast():
    rate = Rate(1000, RememberedRate(rate=98.0, ceiling=100.0))
    now = used(rate, 0.0, 60.0)
    assert rate.per_minute == pytest.approx(98 * 1.015, rel=0.005)
    used(rate, now, 600.0)
    assert rate.per_minute > 150, "the ceiling is no more"


def test_a_limit_far_below_is_reached_in_few_steps():
    rate, now, refusals = Rate(1000, RememberedRate(rate=600.0)), 1000.0, 0
    while rate.per_minute > 20 and refusals < 20:
        now += 70.0
        rate.succeeded(now)
        rate.refused(now, None, sent_at=now)
        refusals += 1
    assert refusals <= 11


def blocked(rate: Rate, now: float) -> float:
    """A refusal at 60 a minute, and one at once again; the time after that."""
    now = used(rate, now, 600.0) if rate.per_minute < 55 else used(rate, now, 90.0)
    rate.refused(now, None, sent_at=now)
    assert rate.refused(now + 6, None, sent_at=now + 5) == 65.0
    return now + 71


def test_a_panel_that_blocks_after_a_refusal_is_pressed_less_for_a_day():
    rate = Rate(60, RememberedRate(rate=60.0, ceiling=60.0))
    now = blocked(rate, 0.0)
    assert rate.learnt.punishes_until == 0.0, "once is no proof"
    now = blocked(rate, now)
    assert rate.learnt.punishes_until > now
    now = used(rate, now, 600.0)
    assert rate.refused(now, None, sent_at=now) == 65.0, "at once"
    later = now + DAY + 1
    rate.succeeded(later)
    rate.refused(later, None, sent_at=later)
    rate.succeeded(later + 100)
    assert rate.refused(later + 101, None, sent_at=later + 100) == 5.0


def test_a_limit_that_fell_is_no_punishment():
    rate = Rate(60, RememberedRate(rate=60.0, ceiling=60.0))
    now = blocked(rate, blocked(rate, 0.0))
    assert rate.learnt.punishes_until > now
    rate.succeeded(now + 80)
    assert rate.refused(now + 81, None, sent_at=now + 80.5) == 5.0
    assert rate.learnt.punishes_until == 0.0


def test_failures_in_a_row_slow_down_once():
    """An outage, with a probe now and then, tells nothing of the limit."""
    rate = Rate(100, RememberedRate(rate=100.0))
    for _ in range(20):
        rate.failed()
    assert rate.per_minute == pytest.approx(70)


def test_after_an_outage_the_rate_is_soon_what_it_was():
    rate = Rate(600, RememberedRate(rate=100.0, ceiling=110.0))
    for _ in range(3):
        rate.failed()
        rate.succeeded(0.0)
    assert rate.per_minute < 40
    now = 0.0
    while now < 120.0:
        now += 60.0 / rate.per_minute
        rate.succeeded(now)
    assert 100 <= rate.per_minute < 112, "then it grows as slowly as near any ceiling"


@pytest.mark.parametrize(
    ("stated", "remembered", "rate"),
    [
        (False, None, START),
        (True, None, 600.0),
        (True, RememberedRate(rate=90.0), 600.0),
        (False, RememberedRate(rate=90.0), 90.0),
        (True, RememberedRate(rate=55.0, ceiling=60.0), 55.0),
    ],
)
def test_what_it_starts_with(stated: bool, remembered: RememberedRate | None, rate: float):
    assert start_of(600.0, stated=stated, remembered=remembered).rate == rate


class Machine(RuleBasedStateMachine):
    """Whatever a panel answers, the rate stays within its bounds and pauses end."""

    def __init__(self) -> None:
        super().__init__()
        self.now = 0.0
        self.rate = Rate(300.0, RememberedRate(rate=START))

    @rule(seconds=st.floats(0.0, 100.0))
    def time_passes(self, seconds: float) -> None:
        self.now += seconds

    @rule(count=st.integers(1, 50))
    def some_pass(self, count: int) -> None:
        before = self.rate.per_minute
        for _ in range(count):
            self.rate.succeeded(self.now)
        assert self.rate.per_minute >= before

    @rule(age=st.floats(0.0, 30.0), says=st.none() | st.floats(0.0, 3600.0))
    def one_is_refused(self, age: float, says: float | None) -> None:
        before = self.rate.per_minute
        pause = self.rate.refused(self.now, says, sent_at=self.now - age)
        assert 0 <= pause <= 3600
        assert self.rate.per_minute <= before

    @rule()
    def one_fails(self) -> None:
        before = self.rate.per_minute
        self.rate.failed()
        assert self.rate.per_minute <= before

    @invariant()
    def within_bounds(self) -> None:
        assert SLOWEST <= self.rate.per_minute <= 300.0
        learnt = self.rate.learnt
        assert Rate(300.0, learnt).learnt == learnt, "a restart changes nothing"


Machine.TestCase.settings = settings(max_examples=50, deadline=None)
TestMachine = Machine.TestCase


@settings(max_examples=5, deadline=None)
@given(st.integers(0, 1000))
@pytest.mark.parametrize("kind", list(LimitKind))
def test_a_third_of_the_target_is_kept_against_every_kind_of_server(kind: LimitKind, seed: int):
    """`make bench-limits` measures; this fails only where something broke."""
    found = run(Watcher(), kind, seed, hours_each=0.5)
    assert found["share of the allowed rate"] >= 0.3
    assert found["refusals an hour"] <= 45


def test_the_rivals_are_run_too():
    found = {
        name: run(client, LimitKind.SLIDING_WINDOW, 1, hours_each=0.1)
        for name, client in {"aimd": Aimd(30), "cubic": Cubic(30), "fixed": Spaced(20)}.items()
    }
    assert found["fixed"]["refusals an hour"] == 0
    assert found["cubic"]["refusals an hour"] > 0
    assert found["aimd"]["share of the allowed rate"] > 0.2
