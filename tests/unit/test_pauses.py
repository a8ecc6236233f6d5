"""Nothing is asked again at once: an answer that tells nothing is followed by a pause."""

import asyncio
from collections.abc import Mapping
from itertools import pairwise
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.support.odd_answers import ODD, usual
from tests.support.odd_house import PANEL, OddHouse, an_odd_house
from watcher.errors import StoreFull
from watcher.model import Kind
from watcher.orders.schedule import MIN_GAP, RetryDelay

pytestmark = pytest.mark.long

HOUR = 3600.0
ACTIONS = ("status", "refill_status", "refill", "cancel", "balance", "services")
CONFIG = """
[panels.p]
url = "https://p.example/api/v2"
requests_per_minute = 60000
"""
# In an hour: three orders and three refills every 20 s at the most, and what halving costs.
MOST = {
    "status": 400,
    "refill_status": 400,
    "refill": 60,
    "cancel": 60,
    "balance": 60,
    "services": 12,
}


async def odd_hour(house: OddHouse, odd: Mapping[str, Any]) -> None:
    """Three orders with a refill each; then, for an hour, the panel answers that."""
    await house.track("1", "2", "3", "4")
    await house.run(60.0)
    for order in "123":
        await house.daemon.commands.act(Kind.REFILL, PANEL, order)
    await house.run(60.0)
    assert set(house.workers.refills._refills) == {"901", "902", "903"}
    house.panel.forget()
    house.panel.answer = lambda action, params: odd.get(action, usual(action, params))
    await house.daemon.commands.act(Kind.CANCEL, PANEL, "4") if "cancel" in odd else None
    await house.daemon.commands.act(Kind.REFILL, PANEL, "2") if "refill" in odd else None
    await house.run(HOUR)


def check_pauses(house: OddHouse) -> None:
    for refill, times in house.panel.asked["refill_status"].items():
        gaps = [later - sooner for sooner, later in pairwise(times)]
        assert not gaps or min(gaps) >= MIN_GAP, f"refill {refill} is asked about at {times[:9]}"
    for action, times in house.panel.requests.items():
        assert len(times) <= MOST[action], f"{len(times)} requests for {action} in an hour"


@pytest.mark.parametrize("odd", ODD)
async def test_a_panel_that_answers_everything_so_is_left_in_peace(odd: str, tmp_path: Path):
    async with an_odd_house(tmp_path, usual, CONFIG) as house:
        await odd_hour(house, dict.fromkeys(ACTIONS, ODD[odd]))
        check_pauses(house)


@pytest.mark.parametrize("odd", ODD)
async def test_a_panel_that_answers_so_about_refills_only(odd: str, tmp_path: Path):
    async with an_odd_house(tmp_path, usual, CONFIG) as house:
        await odd_hour(house, {"refill_status": ODD[odd]})
        check_pauses(house)
        asked = house.panel.asked["refill_status"]
        assert {"901", "902", "903"} <= set(asked), "each is asked about all the same"
        assert len(house.panel.requests["status"]) > 30, "and orders are checked meanwhile"


@settings(max_examples=10)
@given(st.dictionaries(st.sampled_from(ACTIONS), st.sampled_from(sorted(ODD)), min_size=1))
def test_whatever_a_panel_answers_to_whichever_call(odd: dict[str, str]):
    async def play() -> None:
        with TemporaryDirectory() as directory:
            async with an_odd_house(Path(directory), usual, CONFIG) as house:
                await odd_hour(house, {action: ODD[name] for action, name in odd.items()})
                check_pauses(house)

    asyncio.run(play())


async def test_a_batch_that_can_not_be_matched_goes_one_by_one(tmp_path: Path):
    def answer(action: str, params: Mapping[str, str]) -> Any:
        many = "refills" in params or "orders" in params
        if many and action in ("status", "refill_status"):
            return [{"status": "Completed"}, {"status": "Pending"}]
        return usual(action, params)

    async with an_odd_house(tmp_path, usual, CONFIG) as house:
        await house.track("1", "2", "3", "4")
        await house.run(60.0)
        for order in "123":
            await house.daemon.commands.act(Kind.REFILL, PANEL, order)
        await house.run(60.0)
        house.panel.answer = answer
        house.panel.forget()
        await house.run(0.9 * HOUR)
        check_pauses(house)
        for refill in ("901", "902", "903"):
            assert house.panel.asked["refill_status"][refill]
        alone = [name for name in house.workers.refills._refills.values() if name.silent_since]
        assert not alone, "each was told of, once it was asked about alone"


@pytest.mark.parametrize(
    "method", ["balances.save", "services.save", "refills.save", "changes.record"]
)
async def test_a_database_that_can_not_write_does_not_make_it_ask_more(
    method: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    async def full(*args: Any, **more: Any) -> None:
        raise StoreFull

    async with an_odd_house(tmp_path, usual, CONFIG) as house:
        part, _, name = method.partition(".")
        monkeypatch.setattr(getattr(house.daemon.store, part), name, full)
        for _ in range(3):
            await house.track("1", "2", "3", "4")
        await house.run(HOUR)
        assert len(house.panel.requests["balance"]) <= MOST["balance"]
        assert len(house.panel.requests["services"]) <= MOST["services"]
        assert 0 < len(house.panel.requests["status"]) <= MOST["status"]


def test_patience_grows_up_to_its_longest_and_forgets():
    patience: RetryDelay[str] = RetryDelay((10.0, 60.0))
    assert patience.until("a", 5.0) == 5.0
    pauses = [patience.failed("a", 100.0) - 100.0 for _ in range(6)]
    assert pauses == [10.0, 20.0, 40.0, 60.0, 60.0, 60.0]
    assert patience.until("a", 100.0) == 160.0
    assert patience.until("b", 100.0) == 100.0, "others are not concerned"
    assert patience.until("a", 500.0) == 500.0
    assert patience.until("a", -1000.0) == -940.0, "a clock set back makes no pause longer"
    patience.forget("a")
    assert (patience.count("a"), patience.until("a", 100.0)) == (0, 100.0)
