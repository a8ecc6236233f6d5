"""Nobody is forgotten, whatever fails once: each write to the database, and each call."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest

from tests.support.liveness import forgotten
from tests.support.odd_answers import usual
from tests.support.odd_house import PANEL, OddHouse, an_odd_house
from watcher.errors import StoreBusy, StoreFull
from watcher.model import Kind

pytestmark = pytest.mark.long

HOUR = 3600.0
CONFIG = """
[panels.p]
url = "https://p.example/api/v2"
requests_per_minute = 60000
idle_every = "5m"

[[rules]]
name = "again"
action = "refill"
when = "order.status == 'completed'"
every = "1h"
"""
WRITES = (
    "changes.record",
    "refills.save",
    "actions.claim",
    "actions.settle",
    "balances.save",
    "services.save",
    "schedule.save_rate",
    "schedule.save_learnt",
    "schedule.save_asked",
)


# Written in the first minutes, if at all.
EARLY = ("actions.claim", "actions.settle", "schedule.save_rate")


def fails_once(house: OddHouse, method: str, error: Exception) -> list[str]:
    """Let the store's method fail the next time; what is returned holds its name from then on."""
    part, _, name = method.partition(".")
    owner = getattr(house.daemon.store, part)
    plain, failed = getattr(owner, name), []

    async def once(*args: Any, **more: Any) -> Any:
        if not failed:
            failed.append(method)
            raise error
        return await plain(*args, **more)

    setattr(owner, name, once)
    return failed


def news(refill: str = "Completed") -> Any:
    """From now on the panel tells of other states than before, so that all is written."""

    def answer(action: str, params: Mapping[str, str]) -> Any:
        told = usual(action, params)
        if action == "refill_status":
            ids = params.get("refills", params.get("refill", "")).split(",")
            many = [{"refill": int(each), "status": refill} for each in ids]
            return many if "refills" in params else {"status": refill}
        if action == "status" and "orders" in params:
            return {order: row | {"start_count": "6"} for order, row in told.items()}
        if action == "services":
            return [{"service": 7, "name": "Followers", "rate": "2", "refill": True}]
        return told | {"start_count": "6"} if action == "status" else told

    return answer


async def check_all_go_on(house: OddHouse) -> None:
    """Each order and each refill is asked about, and what was planned is sent."""
    assert forgotten(house.daemon, at_rest=True) == []
    house.panel.forget()
    await house.run(2 * HOUR)
    assert {"1", "2", "3", "4"} <= set(house.panel.asked["status"])
    assert {"1", "2", "3"} <= set(house.panel.asked["refill"]), "the rule acts again"
    assert house.panel.requests["balance"]
    assert house.workers.sender.pending(Kind.REFILL) == 0
    assert forgotten(house.daemon, at_rest=True) == []


@pytest.mark.parametrize("error", [StoreBusy(), StoreFull()], ids=["busy", "full"])
@pytest.mark.parametrize("method", WRITES)
async def test_a_write_that_fails_once_loses_nobody(method: str, error: Exception, tmp_path: Path):
    async with an_odd_house(tmp_path, usual, CONFIG) as house:
        await house.track("1", "2", "3", "4")
        failed = fails_once(house, method, error) if method in EARLY else []
        await house.run(120.0)
        failed = failed or fails_once(house, method, error)
        house.panel.answer = news()
        await house.run(7 * HOUR)
        assert failed == [method], "it was tried"
        await check_all_go_on(house)
        open_refills = await house.daemon.store.refills.running()
        assert {task.id for task in open_refills} == set(house.workers.refills._refills)


@pytest.mark.parametrize("action", ["status", "refill_status", "balance", "services"])
async def test_a_bug_in_asking_loses_nobody(action: str, tmp_path: Path):
    async with an_odd_house(tmp_path, usual, CONFIG) as house:
        await house.track("1", "2", "3", "4")
        await house.run(120.0)
        asked: list[str] = []

        def broken(kind: str, params: Mapping[str, str]) -> Any:
            if kind != action:
                return usual(kind, params)
            asked.append(kind)
            return ZeroDivisionError("nobody foresaw this")

        house.panel.answer = broken
        await house.run(7 * HOUR)
        assert asked
        house.panel.answer = news()
        await house.run(7 * HOUR)
        await check_all_go_on(house)


async def test_a_bug_in_acting_leaves_it_unresolved_and_sends_the_others(tmp_path: Path):
    """Whether the panel acted can't be known: it is for a person to say, nobody else waits."""

    def broken(kind: str, params: Mapping[str, str]) -> Any:
        wanted = kind == "refill" and "1" in params.get("orders", params.get("order", ""))
        return ZeroDivisionError("nobody foresaw this") if wanted else usual(kind, params)

    lone = CONFIG.replace("requests_per_minute", 'lacks = ["multi_refill"]\nrequests_per_minute')
    async with an_odd_house(tmp_path, broken, lone) as house:
        await house.track("1", "2", "3", "4")
        await house.run(120.0)
        unsettled = await house.daemon.store.actions.unsettled()
        assert [(action.order, action.state.value) for action in unsettled] == [("1", "unresolved")]
        assert {"1", "2", "3"} <= set(house.panel.asked["refill"])
        assert forgotten(house.daemon, at_rest=True) == []


@pytest.mark.parametrize("error", [StoreBusy(), StoreFull()], ids=["busy", "full"])
async def test_a_verdict_that_was_not_recorded_is_given_back(error: Exception, tmp_path: Path):
    """By the recorder itself: the commit fails, and then the order can be acted on again."""
    async with an_odd_house(tmp_path, usual, CONFIG.replace("1h", "24h")) as house:
        failed = fails_once(house, "changes.record", error)
        await house.track("1", "2", "3", "4")
        await house.run(1.0)
        assert failed == ["changes.record"]
        assert house.panel.requests["refill"] == [], "nothing is sent that is not on record"
        decided = house.daemon.rule_engine._open_actions
        assert not decided, "and nothing stays reserved for it"
        await house.run(120.0)
        assert set(house.panel.asked["refill"]) == {"1", "2", "3"}
        assert [len(times) for times in house.panel.asked["refill"].values()] == [1, 1, 1]


async def test_a_brake_that_holds_before_a_restart_holds_after_it(tmp_path: Path):
    """Each order may be refilled once an hour, all of them twice: the brake goes over a restart."""
    text = CONFIG + "per_hour = 2\n"
    async with an_odd_house(tmp_path, usual, text) as house:
        await house.track("1", "2", "3")
        await house.run(60.0)
        (rule,) = house.daemon.rule_engine.rules
        assert house.daemon.rule_engine.held_until(rule, PANEL) is not None
        sent = set(house.panel.asked["refill"])
        assert len(sent) == 2
        house.panel.forget()
        await house.restart()
        await house.run(0.5 * HOUR)
        assert house.panel.requests["refill"] == [], "two within the hour are all"
        await house.run(2 * HOUR)
        assert {"1", "2", "3"} - sent <= set(house.panel.asked["refill"]), "then the third"
