"""The pace of one panel."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from watcher.panels.pacing import Pace, RequestLane
from watcher.panels.rate import Rate, RememberedRate


def at(per_minute: float) -> Pace:
    return Pace(Rate(per_minute, RememberedRate(rate=per_minute)))


def grants(pace: Pace, lane: RequestLane, start: float, seconds: float) -> int:
    """How many requests are granted to someone who always comes when told to."""
    now, granted = start, 0
    while now < start + seconds:
        again = pace.take(now, lane)
        if again is None:
            granted += 1
        else:
            assert again > now, "told to come again at once, for ever"
            now = again
    return granted


@given(st.floats(1, 6000))
def test_the_ceiling_is_kept(requests_per_minute: float):
    granted = grants(at(requests_per_minute), RequestLane.READ, 1000.0, 60.0)
    assert requests_per_minute - 1 <= granted <= requests_per_minute + 2


def test_actions_go_ahead_of_reads_and_count():
    pace = at(60)
    assert pace.take(100.0) is None
    assert pace.take(100.0) == 101.0
    assert pace.take(100.0, RequestLane.ACT) is None
    assert pace.take(101.0) == 102.0, "an action's request is paid for by the reads"


def test_actions_get_their_share_and_no_more_while_reads_wait():
    pace = at(60)
    pace.take(0.0)
    acted = 0
    for tenth in range(6000):
        now = tenth / 10
        while pace.take(now) is None:
            pass
        acted += pace.take(now, RequestLane.ACT) is None
    assert acted == pytest.approx(0.15 * 600, abs=5)


def test_a_refusal_pauses_as_long_as_the_panel_says():
    pace = at(600)
    pace.refused(100.0, 30.0, sent_at=99.0)
    assert pace.take(100.0) == pace.take(100.0, RequestLane.ACT) == 130.0
    assert pace.take(130.0) is None


def test_a_second_refusal_at_once_pauses_longer():
    pace = at(600)
    pace.refused(100.0, None, sent_at=99.0)
    assert pace.pause_until == 105.0
    pace.refused(101.0, None, sent_at=99.5)
    assert pace.pause_until == 105.0, "it was under way when the first was refused"
    pace.refused(106.0, None, sent_at=105.0)
    assert pace.pause_until == 171.0
    pace.succeeded(180.0)
    pace.refused(200.0, None, sent_at=199.0)
    assert pace.pause_until == 205.0
