"""What people are told: everything that lasts, once, again in long intervals, and its end."""

from collections import defaultdict
from itertools import pairwise

from hypothesis import given
from hypothesis import strategies as st

from watcher.clocks import Hindsight
from watcher.metrics.state import PanelState
from watcher.model import Kind
from watcher.outlets.troubles import found
from watcher.telling.notices import Event, Stage, Trouble, Watch

LOW = Trouble(Event.BALANCE_LOW, "p", "4 USD left")
DOWN = Trouble(Event.PANEL_DOWN, "p", "no check has succeeded for 5 minutes")


def a_panel(**fields: object) -> PanelState:
    usual: dict[str, object] = {
        "name": "p",
        "up": True,
        "last_success": 1000.0,
        "poll_interval": 60.0,
        "backoff_until": 0.0,
        "due": 0,
        "oldest_due": 0.0,
        "oldest_open": 0.0,
        "stalled": 0,
        "statuses": {},
        "pending": {},
        "unresolved": dict.fromkeys(Kind, 0),
        "balance": 100.0,
        "currency": "USD",
        "threshold": 10.0,
        "balance_at": 1000.0,
    }
    return PanelState(**(usual | fields))


def told(watch: Watch, *troubles: Trouble, at: float) -> list[tuple[str, Stage]]:
    return [(notice.trouble.event, notice.stage) for notice in watch.look(troubles, at)]


class TestFound:
    def texts(self, panel: PanelState, lasting: dict[str, float | None] | None = None) -> list[str]:
        return [f"{t.event}: {t.text}" for t in found([panel], [], lasting or {}, 1100.0)]

    def test_nothing_is_wrong(self):
        assert self.texts(a_panel()) == []

    def test_a_low_balance(self):
        low = a_panel(balance=4.5)
        assert self.texts(low) == ["balance_low: 4.5 USD left"]
        assert self.texts(low, {"p": 26_000.0}) == ["balance_low: 4.5 USD left, enough for 7 hours"]

    def test_a_balance_at_its_limit_or_without_one_is_fine(self):
        assert self.texts(a_panel(balance=10.0)) == []
        assert self.texts(a_panel(balance=0.0, threshold=None)) == []
        assert self.texts(a_panel(balance=None)) == []

    def test_a_panel_that_does_not_answer(self):
        silent = a_panel(last_success=800.0)
        assert self.texts(silent) == ["panel_down: no check has succeeded for 5 minutes"]
        assert self.texts(a_panel(last_success=0.0)) == []  # not asked yet

    def test_a_panel_that_has_not_answered_since_the_start(self):
        silent = a_panel(last_success=0.0, up=False)

        def texts(since: float, down: tuple[str, ...] = ()) -> list[str]:
            return [t.text for t in found([silent], [], {}, 1100.0, since=since, down=down)]

        assert texts(1000.0) == []
        assert texts(800.0) == ["no check has succeeded for 5 minutes"]
        assert texts(1000.0, ("p",)) == ["no check has succeeded for 2 minutes"]
        assert texts(1000.0, ("q",)) == []

    def test_orders_and_actions(self):
        panel = a_panel(stalled=3, unresolved={Kind.REFILL: 2, Kind.CANCEL: 0})
        assert self.texts(panel) == [
            "order_stalled: 3 orders make no progress",
            "action_unresolved: 2 refill whose outcome nobody knows: watcher resolve",
        ]

    def test_one_of_a_kind_is_told_as_one(self):
        assert self.texts(a_panel(stalled=1)) == ["order_stalled: 1 order makes no progress"]

    def test_a_rule_that_pauses(self):
        (trouble,) = found([], [("r", "p", "more than per_hour wanted")], {}, 0.0)
        assert trouble.event is Event.RULE_PAUSED
        assert trouble.key == "rule_paused/p/r"


class TestWatch:
    def test_a_beginning_and_an_end(self):
        watch = Watch(3600.0)
        assert told(watch, LOW, at=0.0) == [("balance_low", Stage.BEGUN)]
        assert told(watch, LOW, at=10.0) == []
        assert told(watch, at=20.0) == []
        assert told(watch, at=80.0) == [("balance_low", Stage.OVER)]
        assert watch.known == {}

    def test_a_hiccup_is_not_told(self):
        watch = Watch(3600.0)
        assert told(watch, DOWN, at=0.0) == []
        assert told(watch, at=100.0) == []
        assert told(watch, DOWN, at=200.0) == []
        assert told(watch, DOWN, at=499.0) == []
        assert told(watch, DOWN, at=500.0) == [("panel_down", Stage.BEGUN)]

    def test_what_comes_back_at_once_was_not_over(self):
        watch = Watch(3600.0)
        assert told(watch, LOW, at=0.0) == [("balance_low", Stage.BEGUN)]
        assert told(watch, at=10.0) == []
        assert told(watch, LOW, at=20.0) == []
        assert told(watch, at=75.0) == []
        assert told(watch, at=135.0) == [("balance_low", Stage.OVER)]

    def test_what_lasts_is_told_again(self):
        watch = Watch(3600.0)
        stages = [told(watch, LOW, at=600.0 * step) for step in range(13)]
        assert [at for at, stage in enumerate(stages) if stage] == [0, 6, 12]
        assert stages[6] == [("balance_low", Stage.LASTS)]

    def test_what_a_clock_told_that_was_ahead_is_told_again_in_time(self):
        ahead = Watch(3600.0)
        ahead.look([LOW], 9e6)
        watch = Watch(3600.0, ahead.known.values(), Hindsight(1000.0))
        assert told(watch, LOW, at=1000.0) == []
        assert told(watch, LOW, at=4000.0) == []
        assert told(watch, LOW, at=4600.0) == [("balance_low", Stage.LASTS)]
        assert told(watch, at=4610.0) == []
        assert told(watch, at=4680.0) == [("balance_low", Stage.OVER)]

    def test_a_new_start_knows_what_was_told(self):
        watch = Watch(3600.0)
        watch.look([LOW], 0.0)
        again = Watch(3600.0, watch.known.values())
        assert told(again, LOW, at=10.0) == []
        assert told(again, at=20.0) == []
        assert told(again, at=90.0) == [("balance_low", Stage.OVER)]

    def test_the_text_is_the_newest(self):
        watch = Watch(600.0)
        watch.look([LOW], 0.0)
        (notice,) = watch.look([Trouble(Event.BALANCE_LOW, "p", "1 USD left")], 600.0)
        assert notice.trouble.text == "1 USD left"
        assert notice.began_at == 0.0


TROUBLES = [
    LOW,
    DOWN,
    Trouble(Event.BALANCE_LOW, "q", ""),
    Trouble(Event.RULE_PAUSED, "p", "", "r"),
]


@given(st.lists(st.tuples(st.sets(st.sampled_from(TROUBLES)), st.floats(1.0, 2000.0)), max_size=60))
def test_each_is_told_in_turns_and_never_too_often(steps: list[tuple[set[Trouble], float]]):
    watch, now = Watch(3600.0), 0.0
    stages: dict[str, list[tuple[Stage, float]]] = defaultdict(list)
    for there, seconds in steps:
        for notice in watch.look(there, now):
            stages[notice.trouble.key].append((notice.stage, now))
        now += seconds
    for told_of in stages.values():
        words = [stage for stage, _ in told_of]
        assert words[0] is Stage.BEGUN
        for (before, at), (after, then) in pairwise(told_of):
            assert (before is Stage.OVER) == (after is Stage.BEGUN)
            assert after is not Stage.LASTS or then - at >= 3600.0
    open_now = {key for key, told_of in stages.items() if told_of[-1][0] is not Stage.OVER}
    assert open_now == {key for key, one in watch.known.items() if one.told_at is not None}
