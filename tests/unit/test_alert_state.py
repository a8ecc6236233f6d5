"""What people are told: everything that lasts, once, again in long intervals, and its end."""

from collections import defaultdict
from itertools import pairwise

from hypothesis import given
from hypothesis import strategies as st

from watcher.alerts import Alert, AlertKind, AlertStage
from watcher.notify.alert_state import AlertState
from watcher.rules.time_correction import TimeCorrection

LOW = Alert(AlertKind.BALANCE_LOW, "p", "4 USD left")
DOWN = Alert(AlertKind.PANEL_DOWN, "p", "no check has succeeded for 5 minutes")


def told(watch: AlertState, *alerts: Alert, at: float) -> list[tuple[str, AlertStage]]:
    return [(notice.alert.event, notice.stage) for notice in watch.look(alerts, at)]


class TestWatch:
    def test_a_beginning_and_an_end(self):
        watch = AlertState(3600.0)
        assert told(watch, LOW, at=0.0) == [("balance_low", AlertStage.BEGUN)]
        assert told(watch, LOW, at=10.0) == []
        assert told(watch, at=20.0) == []
        assert told(watch, at=80.0) == [("balance_low", AlertStage.OVER)]
        assert watch.known == {}

    def test_a_hiccup_is_not_told(self):
        watch = AlertState(3600.0)
        assert told(watch, DOWN, at=0.0) == []
        assert told(watch, at=100.0) == []
        assert told(watch, DOWN, at=200.0) == []
        assert told(watch, DOWN, at=499.0) == []
        assert told(watch, DOWN, at=500.0) == [("panel_down", AlertStage.BEGUN)]

    def test_what_comes_back_at_once_was_not_over(self):
        watch = AlertState(3600.0)
        assert told(watch, LOW, at=0.0) == [("balance_low", AlertStage.BEGUN)]
        assert told(watch, at=10.0) == []
        assert told(watch, LOW, at=20.0) == []
        assert told(watch, at=75.0) == []
        assert told(watch, at=135.0) == [("balance_low", AlertStage.OVER)]

    def test_what_lasts_is_told_again(self):
        watch = AlertState(3600.0)
        stages = [told(watch, LOW, at=600.0 * step) for step in range(13)]
        assert [at for at, stage in enumerate(stages) if stage] == [0, 6, 12]
        assert stages[6] == [("balance_low", AlertStage.LASTS)]

    def test_what_a_clock_told_that_was_ahead_is_told_again_in_time(self):
        ahead = AlertState(3600.0)
        ahead.look([LOW], 9e6)
        watch = AlertState(3600.0, ahead.known.values(), TimeCorrection(1000.0))
        assert told(watch, LOW, at=1000.0) == []
        assert told(watch, LOW, at=4000.0) == []
        assert told(watch, LOW, at=4600.0) == [("balance_low", AlertStage.LASTS)]
        assert told(watch, at=4610.0) == []
        assert told(watch, at=4680.0) == [("balance_low", AlertStage.OVER)]

    def test_a_new_start_knows_what_was_told(self):
        watch = AlertState(3600.0)
        watch.look([LOW], 0.0)
        again = AlertState(3600.0, watch.known.values())
        assert told(again, LOW, at=10.0) == []
        assert told(again, at=20.0) == []
        assert told(again, at=90.0) == [("balance_low", AlertStage.OVER)]

    def test_the_text_is_the_newest(self):
        watch = AlertState(600.0)
        watch.look([LOW], 0.0)
        (notice,) = watch.look([Alert(AlertKind.BALANCE_LOW, "p", "1 USD left")], 600.0)
        assert notice.alert.text == "1 USD left"
        assert notice.began_at == 0.0


def a_moment(number: int, kind: AlertKind = AlertKind.REFILL_REJECTED) -> Alert:
    return Alert(kind, "p", f"no refill for {number}", str(number))


class TestMoments:
    def test_the_first_is_told_at_once_and_the_others_together(self):
        watch, fired = AlertState(3600.0), AlertKind.RULE_FIRED
        assert told(watch, a_moment(0), at=0.0) == [("refill_rejected", AlertStage.ONCE)]
        assert told(watch, a_moment(0), a_moment(1), at=10.0) == []
        assert told(watch, a_moment(9, fired), at=20.0) == [("rule_fired", AlertStage.ONCE)]
        assert told(watch, a_moment(2), a_moment(1), at=500.0) == []
        assert told(watch, at=599.0) == [], "they are read no longer, and wait nevertheless"
        assert len(told(watch, at=600.0)) == 2
        assert told(watch, a_moment(1), a_moment(2), at=1300.0) == []
        assert told(watch, a_moment(3), at=1310.0) == [("refill_rejected", AlertStage.ONCE)]

    def test_those_that_wait_outlive_a_restart(self):
        watch = AlertState(3600.0)
        watch.look([a_moment(0)], 0.0)
        watch.look([a_moment(1)], 10.0)
        again = AlertState(3600.0, watch.known.values())
        assert told(again, at=20.0) == []
        assert [notice.alert for notice in again.look([], 600.0)] == [a_moment(1)]

    @given(st.lists(st.tuples(st.integers(0, 3), st.floats(1.0, 900.0)), max_size=60))
    def test_each_is_told_once_and_no_kind_too_often(self, steps: list[tuple[int, float]]):
        watch, now, number = AlertState(3600.0), 0.0, 0
        messages, heard = [], []
        for many, seconds in steps:
            found = watch.look([a_moment(number + n) for n in range(many)], now)
            messages += [now] if found else []
            heard += [notice.alert.subject for notice in found]
            number += many
            now += seconds
        heard += [notice.alert.subject for notice in watch.look([], now + 600.0)]
        assert sorted(heard, key=int) == [str(n) for n in range(number)]
        assert all(after - before >= 600.0 for before, after in pairwise(messages))


TROUBLES = [
    LOW,
    DOWN,
    Alert(AlertKind.BALANCE_LOW, "q", ""),
    Alert(AlertKind.RULE_PAUSED, "p", "", "r"),
]


@given(st.lists(st.tuples(st.sets(st.sampled_from(TROUBLES)), st.floats(1.0, 2000.0)), max_size=60))
def test_each_is_told_in_turns_and_never_too_often(steps: list[tuple[set[Alert], float]]):
    watch, now = AlertState(3600.0), 0.0
    stages: dict[str, list[tuple[AlertStage, float]]] = defaultdict(list)
    for there, seconds in steps:
        for notice in watch.look(there, now):
            stages[notice.alert.key].append((notice.stage, now))
        now += seconds
    for told_of in stages.values():
        words = [stage for stage, _ in told_of]
        assert words[0] is AlertStage.BEGUN
        for (before, at), (after, then) in pairwise(told_of):
            assert (before is AlertStage.OVER) == (after is AlertStage.BEGUN)
            assert after is not AlertStage.LASTS or then - at >= 3600.0
    open_now = {key for key, told_of in stages.items() if told_of[-1][0] is not AlertStage.OVER}
    assert open_now == {key for key, one in watch.known.items() if one.notified_at is not None}
