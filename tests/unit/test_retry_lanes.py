"""What a program has yet to be told: in order for one order, at least once, nothing lost."""

from collections import defaultdict

from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, rule

from watcher.alerts import ChangeKind, RetryLane
from watcher.events.retries import LONG_ENOUGH, LONGEST, TRIES, pause
from watcher.events.retry_lanes import AT_ONCE, RetryLanes, kind_of

WAVE = 7


def test_what_a_change_is():
    assert kind_of({"status", "remains"}) is ChangeKind.STATUS
    assert kind_of({"remains", "charge"}) is ChangeKind.PROGRESS
    assert kind_of({"start_count"}) is ChangeKind.PROGRESS
    assert kind_of({"charge"}) is ChangeKind.OTHER


def test_the_pauses_grow_up_to_an_hour_and_all_tries_take_three_days():
    assert [pause(n) for n in (1, 2, 3, 9)] == [10.0, 20.0, 40.0, 2560.0]
    assert pause(10) == pause(10**6) == LONGEST
    assert abs(sum(map(pause, range(1, TRIES + 1))) - LONG_ENOUGH) < 2 * LONGEST


def test_an_order_that_fails_waits_alone():
    lanes = RetryLanes(0)
    assert not lanes.failed(7, 3, "HTTP 500", 100.0)
    assert lanes.held[7] == RetryLane(7, 3, 1, 110.0, "HTTP 500")
    assert lanes.room(100.0) == AT_ONCE
    assert lanes.due(109.0) == []
    assert [lane.key for lane in lanes.due(110.0)] == [7]


def test_a_change_is_given_up_and_the_next_has_its_turn():
    lanes = RetryLanes(0)
    given_up = [lanes.failed(7, 3, "HTTP 500", float(at)) for at in range(TRIES)]
    assert given_up == [*[False] * (TRIES - 1), True]
    assert lanes.held[7].first == 4
    assert lanes.held[7].attempts == 0


def test_where_all_fail_it_is_the_target_and_no_change_is_given_up():
    lanes = RetryLanes(0)
    for key in range(5):
        lanes.failed(key, key, "HTTP 500", 100.0)
    assert lanes.room(100.0) == 0
    assert lanes.room(110.0) == 1
    for again in range(3 * TRIES):
        at = 110.0 + again * LONGEST
        assert lanes.room(at) == 1
        assert not lanes.failed(again % 5, again % 5, "HTTP 500", at)
        assert lanes.room(at) == 0
    lanes.arrived(10.0**6)
    assert lanes.room(10.0**6) == AT_ONCE
    assert len(lanes.due(10.0**6)) == 5, "what waited for the target is due"


def test_failures_of_one_wave_are_one_pause():
    lanes = RetryLanes(0)
    for key in range(10):
        lanes.failed(key, key, "no answer in time", 100.0)
    assert lanes.paused_until == 110.0


def test_a_target_can_say_how_long_it_wants_nothing():
    lanes = RetryLanes(0)
    lanes.failed(1, 1, "HTTP 429", 100.0, wait=300.0)
    assert lanes.room(399.0) == 0
    assert lanes.room(400.0) == 1
    assert lanes.held[1].attempts == 0


def test_a_new_start_tries_at_once():
    lanes = RetryLanes(0, [RetryLane(1, 1, 9, 5000.0, "HTTP 500")])
    lanes.hurry(100.0)
    assert lanes.due(100.0) == [RetryLane(1, 1, 9, 100.0, "HTTP 500")]
    assert lanes.changed == {1}


class Machine(RuleBasedStateMachine):
    """Orders change, a target fails as it likes, the daemon is killed between any two steps.

    What `watcher.events.feed` does with RetryLanes and the database is done here in memory.
    """

    def __init__(self) -> None:
        super().__init__()
        self.now = 0.0
        self.history: list[tuple[int, int]] = []  # (change, order)
        self.lanes = RetryLanes(0)
        self.saved: tuple[int, list[RetryLane]] = (0, [])
        self.delivered: defaultdict[int, list[int]] = defaultdict(list)  # by order
        self.dead: set[int] = set()
        self.poison: set[int] = set()
        self.down = False

    @rule(orders=st.lists(st.integers(0, 6), min_size=1, max_size=12))
    def change(self, orders: list[int]) -> None:
        for order in orders:
            self.history.append((len(self.history) + 1, order))

    @rule(seconds=st.floats(0.1, 2 * LONGEST))
    def wait(self, seconds: float) -> None:
        self.now += seconds

    @rule(down=st.booleans())
    def target(self, down: bool) -> None:
        self.down = down

    @rule(order=st.integers(0, 6))
    def spoil(self, order: int) -> None:
        self.poison ^= {order}

    @rule(saves=st.booleans())
    def tell(self, saves: bool) -> None:
        """A wave; without `saves` the daemon is killed before it is on record."""
        room = self.lanes.room(self.now)
        if not room:
            return
        if self.lanes.is_down:
            self._read_on(room) or self._go_on(room)
        else:
            self._go_on(room) or self._read_on(room)
        if saves:
            self.saved = (self.lanes.cursor, list(self.lanes.held.values()))
            self.lanes.changed.clear()
        else:
            self.lanes = RetryLanes(*self.saved)

    @rule(back=st.integers(0, 20))
    def replay(self, back: int) -> None:
        self.lanes.rewind(max(0, self.lanes.cursor - back))
        self.saved = (self.lanes.cursor, list(self.lanes.held.values()))

    def _read_on(self, room: int) -> bool:
        rows = [row for row in self.history if row[0] > self.lanes.cursor][:WAVE]
        by_order: defaultdict[int, list[int]] = defaultdict(list)
        for change, order in rows:
            if order not in self.lanes.held:
                by_order[order].append(change)
        for order, changes in by_order.items():
            self._tell(order, changes)
        if rows:
            self.lanes.cursor = rows[-1][0]
        return bool(rows)

    def _go_on(self, room: int) -> bool:
        due = self.lanes.due(self.now)[:room]
        for lane in due:
            upto = range(lane.first, self.lanes.cursor + 1)
            changes = [change for change, order in self.history if order == lane.key]
            if self._tell(lane.key, [change for change in changes if change in upto]):
                self.lanes.go_on(lane.key, None, self.now)
        return bool(due)

    def _tell(self, order: int, changes: list[int]) -> bool:
        for change in changes:
            if not self.lanes.room(self.now):
                self.lanes.hold(order, change, self.now)
                return False
            if self.down or order in self.poison:
                if self.lanes.failed(order, change, "HTTP 500", self.now):
                    self.dead.add(change)
                return False
            self.lanes.arrived(self.now)
            self.delivered[order].append(change)
        return True

    @invariant()
    def each_has_arrived_or_waits_or_was_given_up(self) -> None:
        for change, order in self.history:
            lane = self.lanes.held.get(order)
            waits = change > self.lanes.cursor or (lane is not None and change >= lane.first)
            assert waits or change in self.delivered[order] or change in self.dead

    @invariant()
    def an_order_is_told_of_in_order(self) -> None:
        """What is told for the first time comes after all that came before it."""
        for order, changes in self.delivered.items():
            newest = 0
            mine = [change for change, of in self.history if of == order]
            for change in changes:
                if change > newest:
                    skipped = [c for c in mine if newest < c < change and c not in self.dead]
                    assert not skipped
                    newest = change

    def teardown(self) -> None:
        """Once all is well, everything arrives."""
        self.poison.clear()
        self.down = False
        for _ in range(400):
            self.now += LONGEST
            self.tell(saves=True)
        told = {change for changes in self.delivered.values() for change in changes}
        assert told | self.dead == {change for change, _ in self.history}
        assert self.lanes.held == {}


TestMachine = Machine.TestCase
TestMachine.settings = settings(max_examples=60, stateful_step_count=50, deadline=None)
