"""The watchlist: what is due next."""

import itertools
from decimal import Decimal

import msgspec
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.unit.factories import an_order, rows_of
from watcher.model import Observation, Order, Phase, RowError, Status
from watcher.orders.columns.table import OrderTable
from watcher.orders.lifecycle import observe
from watcher.orders.panel_counts import count
from watcher.orders.panel_orders import Batch
from watcher.orders.schedule import MIN_GAP, EntryState, HazardModel, PollQueue, Stage
from watcher.orders.watchlist import Watchlist


def a_panel(watchlist: Watchlist, name: str = "p") -> Watchlist:
    poll_queue = PollQueue(OrderTable(name), 0.0, within=30.0, ids_per_minute=1e4, idle_every=0.001)
    watchlist.open(name, poll_queue, HazardModel(0.0))
    watchlist.panel(name).poll_queue.begin()
    return watchlist


def a_watchlist(dues: list[float], **fields: object) -> Watchlist:
    watchlist = a_panel(Watchlist())
    for number, due in enumerate(dues):
        watchlist.add(an_order(id=str(number), checked_at=None, **fields), due)
    return watchlist


def ids(batch: Batch) -> list[str]:
    return batch.ids


def check(watchlist: Watchlist, order_id: str, now: float, **changes: object) -> None:
    """The panel told of the order; it is as it was, but for the changes."""
    sight = watchlist.panel("p").glimpses([order_id])[order_id]
    after = sight.order
    if changes:
        after = msgspec.structs.replace(after, **changes)
        watchlist.replace(after)
    watchlist.panel("p").checked([(sight, after, 0)], now)


@pytest.mark.parametrize(
    ("status", "phase", "was_asked"),
    [
        (Status.IN_PROGRESS, Phase.OPEN, False),
        (Status.COMPLETED, Phase.GUARDED, False),
        (Status.COMPLETED, Phase.GUARDED, True),
    ],
)
def test_orders_that_were_tracked_or_finished_together_part(
    status: Status, phase: Phase, was_asked: bool
):
    watchlist = a_watchlist([0.0] * 500)
    for number in range(500):
        if was_asked:
            check(watchlist, str(number), 1.0, checked_at=1.0)
        check(watchlist, str(number), 60.0, status=status, phase=phase, checked_at=60.0)
    queue = watchlist.panel("p").poll_queue
    waits = np.sort(np.array(queue.records.turn) - queue.time.v)
    at_once = np.searchsorted(waits, waits + waits[-1] / 10, "right") - np.arange(500)
    assert at_once.max() < 60


def test_nothing_is_taken_before_it_is_due():
    assert a_watchlist([10.0, 20.0]).panel("p").take(100, 5.0).ids == []
    assert a_watchlist([]).panel("p").take(100, 5.0).ids == []
    assert a_watchlist([]).panel("p").poll_queue.next_at(0.0) is None
    assert Watchlist().panel("p").poll_queue.next_at(0.0) is None


def test_a_request_is_filled_with_those_that_are_not_due_yet():
    watchlist = a_watchlist([1.0, 2.0, 3.0])
    for order_id in watchlist.panel("p").take(100, 4.0).ids:
        check(watchlist, order_id, 4.0)
    watchlist.add(an_order(id="new", checked_at=None), 20.0)
    assert ids(watchlist.panel("p").take(100, 20.0))[0] == "new"
    assert watchlist.panel("p").take(100, 20.0).ids == [], "the others filled the request"


def test_what_was_checked_just_now_is_left_alone():
    watchlist = a_watchlist([1.0, 1.0])
    watchlist.panel("p").take(100, 2.0)
    check(watchlist, "0", 2.0)
    check(watchlist, "1", 5.0)
    assert ids(watchlist.panel("p").take(100, 2.0 + MIN_GAP)) == ["0"]


told = {
    "charge": st.sampled_from([None, Decimal("0.5"), Decimal("0.50"), Decimal(0)]),
    "currency": st.sampled_from([None, "USD", "EUR"]),
    "start_count": st.sampled_from([None, 0, 7]),
    "remains": st.sampled_from([None, 0, 5, -5]),
}
orders = st.builds(
    an_order,
    status=st.sampled_from([Status.IN_PROGRESS, Status.PENDING, Status.UNKNOWN]),
    status_text=st.sampled_from([None, "In progress", "x"]),
    problem=st.sampled_from([None, None, "Incorrect order ID"]),
    **told,
)
observations = st.builds(
    Observation,
    status=st.sampled_from([Status.IN_PROGRESS, Status.PENDING, Status.UNKNOWN]),
    status_text=st.sampled_from([None, "In progress", "x"]),
    **told,
)


@given(orders, observations)
def test_an_answer_is_no_news_just_where_it_changes_nothing(order: Order, seen: Observation):
    watchlist = a_panel(Watchlist())
    watchlist.add(order, 1.0)
    batch = watchlist.panel("p").take(100, 1.0)
    is_news = observe(order, seen, 5.0) is not None
    same = watchlist.panel("p").same(batch, [], {order.id: seen}, {order.id: 77})
    assert same == ([] if is_news else [0])
    watchlist.panel("p").unchanged(batch, same, 5.0)
    entry = watchlist.entry("p", order.id)
    assert entry is not None
    assert entry.checked_at == (None if is_news else 5.0)
    assert entry.state is (EntryState.ASKED if is_news else EntryState.WAITING)
    assert entry.order == order


def test_what_is_no_news_is_marked_so_that_it_need_not_be_read_again():
    watchlist = a_watchlist([1.0, 1.0, 1.0], status=Status.IN_PROGRESS)
    batch = watchlist.panel("p").take(100, 1.0)
    rows = {
        batch.ids[0]: Observation(status=Status.IN_PROGRESS),
        batch.ids[1]: Observation(status=Status.COMPLETED),
        batch.ids[2]: RowError("Incorrect order ID"),
    }
    same = watchlist.panel("p").same(batch, [], rows, {batch.ids[0]: 77})
    assert same == [0]
    watchlist.panel("p").unchanged(batch, same, 1.0)
    again = watchlist.panel("p").take(100, 1.0 + MIN_GAP)
    assert (again.ids, again.marks) == ([batch.ids[0]], [77])


def test_an_answer_about_an_order_that_left_is_none_about_who_has_its_slot():
    watchlist = a_watchlist([1.0], status=Status.IN_PROGRESS)
    batch = watchlist.panel("p").take(100, 1.0)
    watchlist.replace(an_order(id="0", phase=Phase.CLOSED))
    watchlist.add(an_order(id="other", status=Status.IN_PROGRESS), 1.0)
    rows = {"0": Observation(status=Status.IN_PROGRESS)}
    assert watchlist.panel("p").same(batch, [], rows, {}) == []
    watchlist.panel("p").unchanged(batch, [0], 1.0)
    assert watchlist.panel("p").take(100, 1.0).ids == ["other"]


def test_a_refused_id_fills_no_request():
    watchlist = a_watchlist([1.0, 2.0])
    watchlist.panel("p").take(100, 5.0)
    watchlist.panel("p").refused("0", 70.0, alone=False)
    check(watchlist, "1", 5.0)
    assert ids(watchlist.panel("p").take(100, 30.0)) == ["1"]
    watchlist.panel("p").put_back(["1"])
    assert sorted(ids(watchlist.panel("p").take(100, 70.0))) == ["0", "1"]
    watchlist.panel("p").put_back(["0"])
    assert watchlist.entry("p", "0").turn == 70.0, "as it was appointed"


def test_an_id_that_failed_a_whole_batch_is_asked_alone():
    watchlist = a_watchlist([3.0, 1.0, 2.0])
    watchlist.panel("p").take(100, 5.0)
    watchlist.panel("p").refused("0", 10.0, alone=True)
    watchlist.panel("p").put_back(["1", "2"])
    assert ids(watchlist.panel("p").take(100, 20.0)) == ["1", "2"]
    assert ids(watchlist.panel("p").take(100, 20.0)) == ["0"]
    check(watchlist, "0", 20.0)
    watchlist.panel("p").put_back(["1", "2"])
    assert sorted(ids(watchlist.panel("p").take(100, 40.0))) == ["0", "1", "2"]


def test_what_is_under_way_is_not_taken_again():
    watchlist = a_watchlist([1.0, 2.0])
    assert ids(watchlist.panel("p").take(1, 5.0)) == ["0"]
    assert ids(watchlist.panel("p").take(100, 5.0)) == ["1"]
    assert watchlist.panel("p").take(100, 5.0).ids == []
    watchlist.panel("p").put_back(["0"])
    assert watchlist.panel("p").poll_queue.next_at(5.0) == 5.0


def test_hasten_brings_forward_only():
    watchlist = a_watchlist([100.0])
    watchlist.panel("p").hasten("0", 200.0, 1.0)
    assert watchlist.entry("p", "0").turn == 100.0
    watchlist.panel("p").hasten("0", 50.0, 1.0)
    assert watchlist.entry("p", "0").turn == 50.0
    watchlist.panel("p").hasten("nobody", 1.0, 1.0)


def test_orders_that_were_checked_before_a_start_are_spread_over_their_wait():
    watchlist = a_panel(Watchlist())
    for part in range(2):
        orders = [an_order(id=f"{part}-{number}", checked_at=5.0) for number in range(50)]
        watchlist.fill(rows_of(orders), 1000.0)
    ids = [f"{part}-{number}" for part in range(2) for number in range(50)]
    turns = sorted(watchlist.entry("p", order).turn for order in ids)
    gaps = [later - earlier for earlier, later in itertools.pairwise([0.0, *turns])]
    assert max(gaps) < 3 * turns[-1] / len(turns)
    assert watchlist.counts["p", Status.PENDING] == 100


def test_an_order_that_was_checked_in_the_future_is_checked_at_once():
    watchlist = a_panel(Watchlist())
    watchlist.fill(rows_of([an_order(checked_at=2000.0)]), 1000.0)
    assert watchlist.panel("p").poll_queue.next_at(1000.0) == 1000.0


def test_the_answers_teach_how_soon_orders_start():
    watchlist = a_watchlist([1.0])
    watchlist.panel("p").take(100, 1.0)
    check(watchlist, "0", 1.0)
    check(watchlist, "0", 61.0, status=Status.IN_PROGRESS)
    assert watchlist.entry("p", "0").started == 31.0, "in the middle between the two checks"
    assert watchlist.panel("p").learnt.of("7").changes[Stage.PENDING] == 1


def test_an_answer_that_closes_an_order_teaches_too():
    watchlist = a_watchlist([1.0])
    watchlist.panel("p").take(100, 1.0)
    check(watchlist, "0", 1.0)
    check(watchlist, "0", 61.0, status=Status.CANCELED, phase=Phase.CLOSED)
    assert watchlist.panel("p").learnt.of("7").ends == {"canceled": 1.0}
    assert watchlist.panel("p").poll_queue.next_at(1e6) is None


def test_the_panels_pace_is_told_by_the_latest_of_a_batch():
    watchlist = a_watchlist([1.0, 2.0])
    assert watchlist.panel("p").take(100, 5.0).late == 4.0
    check(watchlist, "0", 5.0)
    check(watchlist, "1", 5.0)
    assert watchlist.panel("p").take(1, 34.0).late == 0.0
    assert watchlist.panel("p").take(100, 37.0).late == 2.0, "30 s are promised"


def test_a_closed_order_leaves_the_book_and_the_counts():
    watchlist = a_watchlist([1.0, 2.0])
    order = watchlist.entry("p", "0").order
    watchlist.replace(msgspec.structs.replace(order, status=Status.CANCELED, phase=Phase.CLOSED))
    assert watchlist.entry("p", "0") is None
    assert ids(watchlist.panel("p").take(100, 5.0)) == ["1"]
    assert watchlist.counts["p", Status.PENDING] == 1
    assert watchlist.counts["p", Status.CANCELED] == 0


def test_looks_come_in_their_order_and_the_latest_word_counts():
    watchlist = a_watchlist([1.0, 2.0, 3.0])
    orders = [watchlist.entry("p", str(n)).order for n in range(3)]
    watchlist.review_at(orders[0], 30.0)
    watchlist.review_at(orders[1], 10.0)
    watchlist.review_at(orders[2], 20.0)
    watchlist.review_at(orders[1], 40.0)
    watchlist.review_at(orders[2], None)
    assert watchlist.next_review() == 30.0
    assert watchlist.take_due_reviews(29.0, 10) == []
    assert [order.id for order in watchlist.take_due_reviews(100.0, 10)] == ["0", "1"]
    assert watchlist.next_review() is None


def test_the_census_counts_what_waits_and_what_stands_still():
    watchlist = a_watchlist([1.0, 2.0, 99.0])
    watchlist.add(an_order(id="new", progressed_at=90.0, submitted_at=80.0, checked_at=None), 95.0)
    watchlist.add(an_order(id="done", phase=Phase.GUARDED, status=Status.COMPLETED), 200.0)
    *_, panel_counts = count(watchlist.panel("p").poll_queue, 100.0, stalled_after=50.0)
    assert (panel_counts.due, panel_counts.open, panel_counts.guarded, panel_counts.stalled) == (
        4,
        4,
        1,
        3,
    )
    assert (panel_counts.oldest_due, panel_counts.oldest_open) == (1.0, 0.0)


def test_the_census_counts_problems_that_last():
    watchlist = a_watchlist([1.0])
    orders = watchlist.panel("p")
    watchlist.add(an_order(id="abc", problem="Incorrect order ID", checked_at=None), 95.0)

    def problems() -> tuple[int, str]:
        *_, counts = count(orders.poll_queue, 100.0, stalled_after=50.0)
        return counts.problems, counts.problem_id

    assert problems() == (1, "abc"), "it was refused before the restart"
    orders.refused("abc", 160.0, alone=False)
    assert problems() == (0, ""), "the next answer comes within a minute"
    orders.refused("abc", 280.0, alone=False)
    assert problems() == (1, "abc")


def test_a_dropped_panel_leaves_nothing():
    watchlist = a_watchlist([1.0])
    watchlist.review_at(watchlist.entry("p", "0").order, 5.0)
    watchlist.drop_panel("p")
    assert watchlist.panel("p").poll_queue.next_at(10.0) is None
    assert watchlist.next_review() is None
    assert not +watchlist.counts


@given(
    st.lists(st.floats(0, 1000), max_size=150),
    st.lists(
        st.tuples(
            st.sampled_from(["take", "hasten", "check", "put_back", "refuse"]), st.integers(0, 300)
        ),
        max_size=60,
    ),
)
def test_every_order_stays_in_the_schedule(dues: list[float], moves: list[tuple[str, int]]):
    """Whatever happens, each order is under way or will be taken, once."""
    watchlist = a_watchlist(dues)
    under_way: list[str] = []
    now = 500.0
    for move, number in moves:
        now += 1.0
        if move == "take":
            taken = ids(watchlist.panel("p").take(100, now))
            assert not set(taken) & set(under_way)
            under_way += taken
        elif move == "hasten":
            watchlist.panel("p").hasten(str(number), now - number, now)
        elif under_way:
            order_id = under_way.pop(number % len(under_way))
            if move == "check":
                check(watchlist, order_id, now)
            elif move == "refuse":
                watchlist.panel("p").refused(order_id, now + number, alone=number % 2 == 0)
            else:
                watchlist.panel("p").put_back([order_id])
    later = 1e6
    rest: list[str] = []
    while taken := watchlist.panel("p").take(100, later).ids:
        rest += taken
        later += 1.0
    assert sorted(rest + under_way) == sorted(str(n) for n in range(len(dues)))


@pytest.mark.parametrize("count", [99, 100, 101, 250])
def test_batches_are_full_while_enough_is_due(count: int):
    watchlist = a_watchlist([1.0] * count)
    sizes = []
    while taken := watchlist.panel("p").take(100, 2.0).ids:
        sizes.append(len(taken))
    assert sizes == [100] * (count // 100) + ([count % 100] if count % 100 else [])
