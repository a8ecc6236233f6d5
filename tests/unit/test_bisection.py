"""Finding the ids that spoil a batch, in few requests and without believing a dead panel."""

from collections import deque
from math import ceil, log2

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from watcher.daemon.bisection import BatchBisector, Bisection, PollRequest

LIMIT = 100
MANY = LIMIT * 3


class Panel:
    """Asked as the poller does it; counts requests, and what was found."""

    def __init__(self, ids: list[str], bad: set[str], *, how: str) -> None:
        self.waiting = deque(ids)
        self.bad = bad
        self.how = how
        self.bisector = BatchBisector(LIMIT)
        self.observed: list[str] = []
        self.found: list[str] = []
        self.requests = 0
        self.failed_before = False

    def run(self) -> "Panel":
        while self.bisector or self.waiting:
            self.requests += 1
            assert self.requests < 10_000, "it never ends"
            self.ask(self.next())
        return self

    def next(self) -> PollRequest:
        if self.bisector and not (self.failed_before and (self.waiting or self.observed)):
            return self.bisector.take()
        if not self.waiting and self.observed:  # those of before become due again
            return PollRequest(ids=self.observed[-1:])
        count = min(self.bisector.size, len(self.waiting))
        return PollRequest(ids=[self.waiting.popleft() for _ in range(count)])

    def ask(self, ask: PollRequest) -> None:
        self.failed_before = False
        if self.bad.isdisjoint(ask.ids):
            self.bisector.answered(ask)
            self.observed += [order for order in ask.ids if order not in self.observed]
            return
        if self.how == "refused":
            finding = self.bisector.refused(ask)
        else:
            self.failed_before = True
            finding = self.bisector.failed(ask)
        self.waiting.extendleft(reversed(finding.free))
        if finding.bad is not None:
            self.found.append(finding.bad)


def ids_of(count: int) -> list[str]:
    return [str(number) for number in range(count)]


@pytest.mark.parametrize("how", ["refused", "failed"])
@pytest.mark.parametrize("where", range(LIMIT))
def test_one_bad_id_of_a_hundred(how: str, where: int):
    panel = Panel(ids_of(LIMIT), {str(where)}, how=how).run()
    assert panel.found == [str(where)]
    assert sorted(panel.observed) == sorted(set(ids_of(LIMIT)) - {str(where)})
    assert panel.requests - 1 <= (9 if how == "refused" else ceil(2 * log2(LIMIT)) + 2)


@pytest.mark.parametrize("how", ["refused", "failed"])
@settings(max_examples=150, deadline=None)
@given(data=st.data())
def test_several_bad_ids(how: str, data: st.DataObject):
    ids = ids_of(data.draw(st.integers(2, MANY)))
    bad = set(data.draw(st.lists(st.sampled_from(ids), max_size=12, unique=True)))
    if how == "failed" and bad:
        ids.append("good")  # else it is a panel that is down
    panel = Panel(ids, bad, how=how).run()
    assert sorted(panel.found) == sorted(bad)
    assert sorted(panel.observed) == sorted(set(ids) - bad), "each good one is told of once"
    a_bad_id = log2(LIMIT) + 3 if how == "refused" else 2 * log2(LIMIT) + 4
    assert panel.requests <= ceil(len(ids) / LIMIT) + len(bad) * a_bad_id


def test_where_all_are_bad_no_search_is_wasted():
    panel = Panel(ids_of(MANY), set(ids_of(MANY)), how="refused").run()
    assert len(panel.found) == MANY
    assert panel.requests < 3 * MANY


def test_batches_grow_again():
    panel = Panel(ids_of(LIMIT), set(ids_of(20)), how="refused").run()
    assert panel.bisector.size < LIMIT
    for _ in range(200):
        panel.bisector.answered(PollRequest(ids=ids_of(LIMIT)))
    assert panel.bisector.size == LIMIT


@settings(deadline=None)
@given(st.integers(1, LIMIT), st.integers(1, 50))
def test_of_a_panel_that_is_down_nothing_is_believed(count: int, requests: int):
    bisector = BatchBisector(LIMIT)
    bisector.failed(PollRequest(ids=ids_of(count)))
    for _ in range(requests):
        assert bisector.failed(bisector.take()) == Bisection()
    ask = bisector.take()
    assert sorted([*ask.ids, *ask.rest]) == sorted(ids_of(count)), "none is lost"


def test_a_stray_refusal_condemns_nobody():
    bisector = BatchBisector(LIMIT)
    bisector.refused(PollRequest(ids=ids_of(8)))
    asked: list[str] = []
    while bisector:
        ask = bisector.take()
        asked += ask.ids
        bisector.answered(ask)
    assert asked == ids_of(8)


def test_what_was_not_asked_waits_as_it_was():
    bisector = BatchBisector(LIMIT)
    bisector.refused(PollRequest(ids=ids_of(8)))
    ask = bisector.take()
    bisector.again(ask)
    assert bisector.take() == ask
    bisector.again(PollRequest(ids=["1"]))
    assert not bisector, "a fresh one goes back to the watchlist"
