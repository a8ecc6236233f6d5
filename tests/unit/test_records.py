"""Orders in columns: what goes in comes out, and ids are found."""

from array import array
from decimal import Decimal

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, rule

from tests.unit.factories import an_order, rows_of
from watcher.model import Order, Phase, Status
from watcher.orders.columns import id_index
from watcher.orders.columns.table import OrderTable

WHOLE = st.none() | st.integers(1 - 2**63, 2**63 - 1)
TIMES = st.floats(0, 1e12)
TEXTS = st.none() | st.text(max_size=5)
IDS = st.one_of(
    st.integers(0, 50).map(str),
    st.integers(2**32 - 3, 2**32 + 3).map(str),
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
    one_by_one, together = OrderTable("p"), OrderTable("p")
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
        self.records = OrderTable("p")
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


class ChunkedIds(Ids):
    """The same where few ids stand together."""

    def __init__(self) -> None:
        super().__init__()
        self.patched = pytest.MonkeyPatch()
        self.patched.setattr(id_index, "_MOST", 2)

    def teardown(self) -> None:
        self.patched.undo()


TestIds, TestChunkedIds = Ids.TestCase, ChunkedIds.TestCase
TestIds.settings = TestChunkedIds.settings = settings(
    max_examples=60, stateful_step_count=40, deadline=None
)


@given(st.lists(IDS | st.text("0123456789-+,. \n[]e\u0663", max_size=4), min_size=1, unique=True))
def test_ids_that_come_together_are_numbers_where_they_are_one_by_one(ids: list[str]):
    together, one_by_one = array("q"), array("q")
    id_index.IdIndex(together).extend(ids, 0)
    ids_of = id_index.IdIndex(one_by_one)
    for slot, order_id in enumerate(ids):
        ids_of.add(order_id, slot)
    assert together == one_by_one


@pytest.mark.parametrize("step", [1, -1, 7])
def test_however_many_there_are_only_few_ids_stand_together(step: int):
    """What one more moves is bounded by that."""
    ids, count = id_index.IdIndex(array("q")), 50_000
    numbers = [number * step % count for number in range(0, count * 3, 3)]
    for slot, number in enumerate(numbers):
        ids.add(str(number), slot)
    assert [ids.find(str(number)) for number in numbers] == [*range(count)]
    assert max(map(len, ids._sorted)) <= id_index._MOST
    assert len(ids._sorted) <= 1 + 2 * count // id_index._MOST


def test_what_was_removed_takes_no_room():
    ids = id_index.IdIndex(array("q"))
    ids.extend([str(number) for number in range(50_000)], 0)
    for slot in range(50_000):
        ids.remove(slot)
    ids.add("7", 7)
    assert [*map(len, ids._sorted)] == [*map(len, ids._slots)] == [1]
    assert ids.find("7") == 7
    assert ids.find("8") is None


@pytest.mark.parametrize("together", [True, False])
def test_large_numbers_are_found_after_small_ones(together: bool):
    records = OrderTable("p")
    orders = [an_order(id=str(number)) for number in (7, 2**32 - 1, 2**32, 10**18 - 1, 10**18)]
    if together:
        records.extend(rows_of(orders[:2]))
        records.extend(rows_of(orders[2:]))
    else:
        for order in orders:
            records.add(order)
    assert [records.find(order.id) for order in orders] == [*range(5)]
    assert records.find("8") is None


def test_words_that_nobody_uses_any_more_are_forgotten(monkeypatch):
    monkeypatch.setattr("watcher.orders.columns.string_pool._MOST_UNUSED", 50)
    records = OrderTable("p")
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
