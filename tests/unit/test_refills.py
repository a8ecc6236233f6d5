"""Refill tasks: followed, and ended where nothing can be learnt of them."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest

from tests.support.odd_answers import usual
from tests.support.odd_house import PANEL, OddHouse, an_odd_house
from watcher.errors import LifecycleError, TimedOut
from watcher.model import Refill, RefillStatus
from watcher.orders.lifecycle import is_running, lose_refill, lost_at, miss_refill, observe_refill
from watcher.rules.rule import Reason
from watcher.web.views import refill_view

HOUR = 3600.0
PLAIN = """
[panels.p]
url = "https://p.example/api/v2"
requests_per_minute = 60000
refill_gives_up_after = "3h"
idle_every = "5m"
balance_every = "10m"
services_every = "30d"

[[rules]]
name = "again"
action = "refill"
when = "order.status == 'completed'"
every = "1h"
"""
UNTOLD = PLAIN.replace("refill_gives", 'lacks = ["refill_status"]\nrefill_gives')


def answering(refill_status: Any) -> Any:
    """A panel in order, but for what it answers to refill_status."""

    def answer(action: str, params: Mapping[str, str]) -> Any:
        if action != "refill_status":
            return usual(action, params)
        return refill_status(params) if callable(refill_status) else refill_status

    return answer


async def task(house: OddHouse) -> Refill:
    """The order's first refill task, as it is on record."""
    return (await house.daemon.store.refills.of_order(PANEL, "1"))[0]


def reason(house: OddHouse) -> Reason:
    entry = house.daemon.watchlist.entry(PANEL, "1")
    assert entry is not None
    return house.daemon.rule_engine.decisions(entry.order, house.clock())[0].reason


NOT_FOUND = [
    {"error": "Refill not found"},
    {"status": {"error": "Not here"}},
    {"error": "bilinmiyor"},
]


@pytest.mark.parametrize("words", NOT_FOUND)
async def test_a_task_that_the_panel_does_not_know_is_not_running(words: Any, tmp_path: Path):
    async with an_odd_house(tmp_path, answering(words), PLAIN) as house:
        await house.track("1")
        await house.run(10 * 60.0)
        found = await task(house)
        assert (found.status, found.finished_at) == (RefillStatus.NOT_FOUND, None)
        assert reason(house) is Reason.EVERY, "only the rule's own pause holds it"
        await house.run(HOUR)
        assert len(house.panel.requests["refill"]) == 2
        await house.restart()
        assert reason(house) is Reason.EVERY, "after a restart as well"
        await house.run(2.5 * HOUR)
        ended = await task(house)
        assert ended.status is RefillStatus.LOST
        assert ended.finished_at is not None
        view = refill_view(ended, tells=True)
        assert (view.status, view.note) == ("unknown", "the panel no longer reports it")


SILENT = [[], {}, b"", "ok", {"status": None}, {"77": {"status": "Completed"}}, b"<html></html>"]


@pytest.mark.long
@pytest.mark.parametrize("silence", SILENT)
async def test_a_task_that_no_answer_tells_of_ends_after_the_stated_time(
    silence: Any, tmp_path: Path
):
    async with an_odd_house(tmp_path, answering(silence), PLAIN) as house:
        await house.track("1")
        await house.run(HOUR)
        assert reason(house) is Reason.REFILL_RUNNING, "it may well be"
        assert (await task(house)).silent_since is not None
        await house.restart()
        await house.run(1.9 * HOUR)
        assert (await task(house)).status is RefillStatus.PENDING, "a restart is no news"
        await house.run(0.5 * HOUR)
        assert (await task(house)).status is RefillStatus.LOST
        assert len(house.panel.requests["refill"]) == 2, "it may be refilled again"


async def test_a_task_whose_word_is_not_understood_ends_as_well(tmp_path: Path):
    async with an_odd_house(tmp_path, answering({"status": "Reddedildi"}), PLAIN) as house:
        await house.track("1")
        await house.run(2.9 * HOUR)
        assert (await task(house)).status is RefillStatus.UNKNOWN
        assert reason(house) is Reason.REFILL_RUNNING
        await house.run(0.5 * HOUR)
        ended = await task(house)
        assert (ended.status, ended.status_text) == (RefillStatus.LOST, "Reddedildi")


async def test_a_task_is_not_given_up_while_the_panel_is_down(tmp_path: Path):
    async with an_odd_house(tmp_path, usual, PLAIN) as house:
        await house.track("1")
        await house.run(HOUR)
        house.panel.answer = lambda action, params: TimedOut("no whole answer within 20 s")
        await house.run(3.5 * HOUR)
        assert (await task(house)).status is RefillStatus.PENDING
        house.panel.answer = usual
        await house.run(HOUR)
        found = await task(house)
        assert (found.status, found.silent_since) == (RefillStatus.PENDING, None)


async def test_a_task_that_is_told_of_again_goes_on(tmp_path: Path):
    async with an_odd_house(tmp_path, answering({"error": "Refill not found"}), PLAIN) as house:
        await house.track("1")
        await house.run(20 * 60.0)
        assert (await task(house)).status is RefillStatus.NOT_FOUND
        house.panel.answer = usual
        await house.run(HOUR)
        found = await task(house)
        assert (found.status, found.silent_since) == (RefillStatus.PENDING, None)
        assert reason(house) is Reason.REFILL_RUNNING


async def test_where_the_panel_does_not_tell_no_task_runs_and_each_ends(tmp_path: Path):
    async with an_odd_house(tmp_path, usual, UNTOLD) as house:
        await house.track("1")
        await house.run(2.5 * HOUR)
        assert len(house.panel.requests["refill"]) == 3, "by `every` alone"
        assert house.panel.requests["refill_status"] == []
        note = refill_view(await task(house), tells=False).note
        assert note == "accepted; this panel does not report the status of refills"
        assert (await task(house)).status is RefillStatus.PENDING
        await house.run(0.7 * HOUR)
        assert (await task(house)).status is RefillStatus.LOST
        assert house.panel.requests["refill_status"] == []


async def test_open_tasks_follow_what_a_reload_says_of_the_panel(tmp_path: Path):
    async with an_odd_house(tmp_path, usual, PLAIN) as house:
        await house.track("1")
        await house.run(2 * HOUR)
        assert reason(house) is Reason.REFILL_RUNNING
        house.configure(UNTOLD)
        await house.daemon.reload()
        assert reason(house) is Reason.FIRES, "nobody can tell that it runs"
        await house.run(60.0)
        house.configure(PLAIN)
        await house.daemon.reload()
        assert reason(house) is Reason.REFILL_RUNNING
        house.configure(UNTOLD)
        await house.restart()
        await house.run(60.0)
        assert reason(house) is Reason.EVERY
        await house.run(3 * HOUR)
        assert (await task(house)).status is RefillStatus.LOST


def a_task(**fields: Any) -> Refill:
    return Refill(panel="p", order="1", id="9", requested_at=100.0, **fields)


def test_the_silence_begins_once_and_ends_with_a_word():
    silent = miss_refill(a_task(), None, 200.0)
    assert silent is not None
    assert (silent.status, silent.silent_since) == (RefillStatus.PENDING, 200.0)
    assert miss_refill(silent, None, 300.0) is None, "nothing new"
    refused = miss_refill(silent, "not here", 300.0)
    assert refused is not None
    assert (refused.status, refused.status_text) == (RefillStatus.NOT_FOUND, "not here")
    assert refused.silent_since == 200.0
    told = observe_refill(refused, RefillStatus.IN_PROGRESS, "In progress", 400.0)
    assert told is not None
    assert told.silent_since is None


def test_a_silence_that_began_in_the_future_is_no_longer_for_that():
    silent = a_task(silent_since=1e9)
    assert lost_at(silent, 50.0, tells=True, now=200.0) == 250.0
    mended = miss_refill(silent, None, 200.0)
    assert mended is not None
    assert mended.silent_since == 200.0


@pytest.mark.parametrize("status", RefillStatus)
def test_what_may_run_and_what_is_over(status: RefillStatus):
    found = a_task(status=status)
    open_states = {RefillStatus.PENDING, RefillStatus.IN_PROGRESS, RefillStatus.UNKNOWN}
    assert is_running(found, tells=True) == (status in open_states)
    assert not is_running(found, tells=False)
    if status in open_states | {RefillStatus.NOT_FOUND}:
        lost = lose_refill(found, 9.0)
        assert lost is not None
        assert (lost.status, lost.finished_at) == (RefillStatus.LOST, 9.0)
    else:
        with pytest.raises(LifecycleError):
            lose_refill(found, 9.0)
