"""Orders in columns: what goes in comes out, and ids are found."""

from array import array
from decimal import Decimal

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, rule

from tests.unit.factories import an_order, rows_of
from watcher.model import Order, Phase, Status
from watcher.records import Records, index

WHOLE = st.none() | st.integers(1 - 2**63, 2**63 - 1)
TIMES = st.floats(0, 1e12)
TEXTS = st.none() | st.text(max_size=5)
IDS = st.one_of(
    st.integers(0, 50).map(str),
    st.sampled_from(["A-1", "007", "0", "00", "1_0", " 1", "٣", "-1", "9" * 30, str(10**18)]),
)
ORDERS = st.builds(
    Order,
    panel=st.just("p"),
    id=IDS,
    key=st.integers(1, 2**62),
    service=TEXTS,
    link=TEXTS,
    quantity=WHOLE,
    submitted_at=TIMES,
    status=st.sampled_from(Status),
    status_text=TEXTS,
    charge=st.none() | st.decimals(allow_nan=False, allow_infinity=False, places=4),
    currency=TEXTS,
    start_count=WHOLE,
    remains=WHOLE,
    count=WHOLE,
    phase=st.sampled_from([Phase.OPEN, Phase.GUARDED]),
    progressed_at=TIMES,
    finished_at=st.none() | TIMES,
    checked_at=st.none() | TIMES,
    problem=TEXTS,
    refills=st.integers(0, 2**31),
)


@given(st.lists(ORDERS, max_size=30, unique_by=lambda order: order.id))
def test_orders_come_back_as_they_were_however_they_came(orders: list[Order]):
    one_by_one, together = Records("p"), Records("p")
    for order in orders:
        one_by_one.add(order)
    if orders:
        together.extend(rows_of(orders))
    for records in (one_by_one, together):
        found = [records.find(order.id) for order in orders]
        assert [records.order(slot) for slot in found] == orders
        assert records.find("nobody") is None
        assert len(records) == len(orders)
        if found:
            assert records.ids(found) == [order.id for order in orders]


class Ids(RuleBasedStateMachine):
    """Orders come and go; each is found where it is, and nowhere else."""

    def __init__(self) -> None:
        super().__init__()
        self.records = Records("p")
        self.slots: dict[str, int] = {}

    @rule(order_id=IDS)
    def come(self, order_id: str) -> None:
        if order_id not in self.slots:
            self.slots[order_id] = self.records.add(an_order(id=order_id))

    @rule(first=st.integers(0, 10**6), count=st.integers(1, 40))
    def come_together(self, first: int, count: int) -> None:
        ids = [str(n) for n in range(first, first + count) if str(n) not in self.slots]
        if ids:
            slots = self.records.extend(rows_of([an_order(id=order_id) for order_id in ids]))
            self.slots.update(zip(ids, slots, strict=True))

    @rule(which=st.integers(0, 1000))
    def go(self, which: int) -> None:
        if self.slots:
            order_id = list(self.slots)[which % len(self.slots)]
            self.records.remove(self.slots.pop(order_id))
            assert self.records.find(order_id) is None

    @invariant()
    def all_are_found(self) -> None:
        assert {order_id: self.records.find(order_id) for order_id in self.slots} == self.slots
        assert sorted(self.records.slots()) == sorted(self.slots.values())


class MovingIds(Ids):
    """The same while most ids stand in the old of two tables."""

    def __init__(self) -> None:
        super().__init__()
        self.patched = pytest.MonkeyPatch()
        self.patched.setattr(index, "_MOVED", (0, 1))

    def teardown(self) -> None:
        self.patched.undo()


TestIds, TestMovingIds = Ids.TestCase, MovingIds.TestCase
TestIds.settings = TestMovingIds.settings = settings(
    max_examples=60, stateful_step_count=40, deadline=None
)


def test_no_id_waits_for_all_of_them_to_move():
    """A table that grows enters some for each new one: never all, however many there are."""
    entered: list[int] = []
    with pytest.MonkeyPatch.context() as patch:
        plain = index.Index._enter

        def enter(self: index.Index, first: int, numbers: list[int]) -> None:
            entered.append(len(numbers))
            plain(self, first, numbers)

        patch.setattr(index.Index, "_enter", enter)
        numbers = array("q")
        ids = index.Index(numbers)
        for number in range(100_000):
            ids.add(str(number), number)
        assert max(entered) == index._MOVED[1]
        assert [ids.find(str(number)) for number in range(0, 100_000, 997)] == [
            *range(0, 100_000, 997)
        ]


def test_words_that_nobody_uses_any_more_are_forgotten(monkeypatch):
    monkeypatch.setattr("watcher.records.words._MOST_UNUSED", 50)
    records = Records("p")
    kept = an_order(id="kept", charge=Decimal("0.5"), status_text="In progress")
    slot = records.add(kept)
    other = records.add(an_order(id="other"))
    for number in range(2000):
        records.write(
            other, an_order(id="other", charge=Decimal(number), problem=f"problem {number}")
        )
    assert len(records.words.values) < 500
    assert records.order(slot) == kept
    assert records.order(other).problem == "problem 1999"
