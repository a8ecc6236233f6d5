"""Ids that shops ask about: each is asked about once at a time, and none is lost or kept."""

from hypothesis import given
from hypothesis import strategies as st

from watcher.daemon import untracked_ids as module
from watcher.daemon.untracked_ids import ASK_AGAIN_AFTER, UntrackedIds

IDS = st.lists(st.sampled_from("abcdefgh"), max_size=6)
STEPS = st.lists(
    st.tuples(st.sampled_from(["want", "take", "put_back", "leave", "refuse", "pass"]), IDS),
    max_size=40,
)


@given(STEPS)
def test_every_wanted_id_waits_or_is_under_way_until_it_is_known(
    steps: list[tuple[str, list[str]]],
) -> None:
    untracked, now = UntrackedIds(), 1000.0
    open_: set[str] = set()
    out: set[str] = set()
    refused: dict[str, float] = {}
    for step, ids in steps:
        if step == "want":
            untracked.want(ids, now)
            open_ |= {i for i in ids if now - refused.get(i, -1e9) >= ASK_AGAIN_AFTER}
        elif step == "take":
            taken = untracked.take(len(ids))
            assert not out & set(taken)  # no id is in two requests
            out |= set(taken)
        elif step == "put_back":
            untracked.put_back(ids)
            out -= set(ids)
        elif step == "leave":
            untracked.leave(ids)
            open_ -= set(ids)
            out -= set(ids)
        elif step == "refuse":
            for order_id in ids:
                untracked.refuse(order_id, "Incorrect order ID", now)
                refused[order_id] = now
            open_ -= set(ids)
            out -= set(ids)
        else:
            now += 20
        assert {i for i in "abcdefgh" if i in untracked} == open_
        assert len(untracked) == len(open_)
        assert untracked.wait == bool(open_ - out)
    assert set(untracked.take(100)) == open_ - out


def test_a_refusal_answers_for_a_minute() -> None:
    untracked = UntrackedIds()
    untracked.want(["7"], 0.0)
    assert untracked.take(1) == ["7"]
    untracked.refuse("7", "Incorrect order ID", 0.0)
    untracked.want(["7"], ASK_AGAIN_AFTER - 1)
    assert untracked.refusal("7", ASK_AGAIN_AFTER - 1) == "Incorrect order ID"
    assert not untracked.wait
    untracked.want(["7"], ASK_AGAIN_AFTER)
    assert untracked.take(1) == ["7"]


def test_a_clock_that_was_ahead_keeps_no_refusal() -> None:
    untracked = UntrackedIds()
    untracked.refuse("7", "Incorrect order ID", 1e9)
    assert untracked.refusal("7", 1000.0) is None


def test_invented_ids_take_no_end_of_memory() -> None:
    untracked = UntrackedIds()
    for number in range(module._MOST_REFUSED + 5):
        untracked.refuse(str(number), "no", 0.0)
    assert untracked.refusal("4", 1.0) is None
    assert untracked.refusal("5", 1.0) == "no"
