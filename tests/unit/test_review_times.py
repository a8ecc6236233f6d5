"""When the rules look at orders again."""

from hypothesis import given
from hypothesis import strategies as st

from watcher.orders.review_times import ReviewTimes

_WISHES = st.lists(st.tuples(st.integers(0, 9), st.integers(0, 20) | st.none()), max_size=60)


@given(_WISHES, st.integers(0, 25))
def test_each_order_is_looked_at_once_at_the_second_it_wanted_last(wishes, now):
    """Orders change their mind; what they wanted before stands in nobody's way."""
    wanted: dict[int, int] = {}
    reviews = ReviewTimes(lambda order, second: wanted.get(order) == second)
    for order, second in wishes:
        wanted.pop(order, None)
        if second is not None:
            wanted[order] = second
            reviews.add(order, second)
    expected = dict(wanted)

    seen: dict[int, int] = {}
    while (second := reviews.next()) is not None and second <= now:
        order = reviews.pop()
        assert order not in seen
        seen[order] = second
        del wanted[order]

    assert seen == {order: second for order, second in expected.items() if second <= now}
    assert list(seen.values()) == sorted(seen.values())
    assert reviews.next() == min(wanted.values(), default=None)


def test_without_wishes_there_is_no_look():
    assert ReviewTimes(lambda order, second: True).next() is None
