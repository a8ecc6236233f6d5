"""How simulated panels limit the rate of requests."""

from collections.abc import AsyncIterator

import aiohttp
import pytest

from watcher.panels.profiles import shipped
from watcher.simulator import LimitKind, SimRate, SimulatedPanel
from watcher.simulator.request_limits import (
    FixedWindow,
    Punishing,
    RequestLimits,
    SlidingWindow,
    TokenBucket,
)

STANDARD = shipped()["standard"]


def passed(limit: object, times: list[float]) -> list[bool]:
    return [limit.ask(at) == 0 for at in times]


def test_a_fixed_window_starts_afresh() -> None:
    limit = FixedWindow(SimRate(2))
    assert passed(limit, [50, 51, 59, 60, 61, 62]) == [True, True, False, True, True, False]
    assert limit.ask(70) == 50


def test_a_sliding_window_looks_back() -> None:
    limit = SlidingWindow(SimRate(2))
    assert passed(limit, [50, 59, 60, 109, 110, 111]) == [True, True, False, False, True, False]
    assert limit.ask(112) == 7


def test_a_token_bucket_fills_evenly() -> None:
    limit = TokenBucket(SimRate(12))
    assert passed(limit, [0, 0, 0, 4, 5, 6, 10, 60, 60, 60]) == [
        *(True, True, False, False, True, False, True),
        *(True, True, False),
    ]
    assert limit.ask(61) == pytest.approx(4)


def test_a_punishing_limit_shuts_after_a_refusal() -> None:
    limit = Punishing(SimRate(2))
    assert passed(limit, [0, 1, 59, 100]) == [True, True, False, False]
    assert passed(limit, [159, 160]) == [False, False]
    assert limit.ask(160) == 60
    assert passed(limit, [220]) == [True]


@pytest.mark.parametrize("kind", LimitKind)
def test_no_kind_passes_more_than_it_may_in_a_long_time(kind: LimitKind) -> None:
    limits = RequestLimits(60, kind)
    passed = sum(limits.ask("status", second / 4) == 0 for second in range(4 * 600))
    assert (9 if kind is LimitKind.PUNISHING else 590) < passed <= 610


@pytest.mark.parametrize("kind", LimitKind)
def test_a_limit_of_nothing_passes_nothing(kind: LimitKind) -> None:
    limits = RequestLimits(0, kind)
    assert all(limits.ask("status", at) > 0 for at in (0.0, 30.0, 1000.0))


def test_actions_have_their_own_limits() -> None:
    limits = RequestLimits(actions={"services": SimRate(1, 3600)})
    assert limits.ask("services", 0) == 0
    assert limits.ask("services", 600) == 3000
    assert limits.ask("status", 600) == 0


class Clock:
    """A wall clock that stands still until a test moves it."""

    time = 1_700_000_000.0 // 60 * 60

    def __call__(self) -> float:
        return self.time


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
async def panel(clock: Clock) -> AsyncIterator[SimulatedPanel]:
    limited = SimulatedPanel(
        STANDARD,
        clock=clock,
        speed=1000,
        requests_per_minute=3,
        action_limits={"balance": SimRate(1)},
    )
    async with limited as panel:
        yield panel


async def ask(panel: SimulatedPanel, action: str) -> int:
    form = {"key": "demo", "action": action}
    async with aiohttp.ClientSession() as session, session.post(panel.url, data=form) as answer:
        return answer.status


async def test_a_panel_refuses_what_is_too_much(panel: SimulatedPanel, clock: Clock) -> None:
    asked = ["balance", "balance", "services", "services", "services"]
    assert [await ask(panel, action) for action in asked] == [200, 429, 200, 200, 429]
    assert [e.outcome for e in panel.journal.requests("balance")] == ["answered", "rate_limited"]
    clock.time += 59
    assert await ask(panel, "services") == 429
    clock.time += 1
    assert await ask(panel, "services") == 200


async def test_a_limit_can_be_changed(panel: SimulatedPanel) -> None:
    panel.limits.allow(1)
    assert [await ask(panel, "services") for _ in range(2)] == [200, 429]
    panel.limits.allow(None)
    assert [await ask(panel, "services") for _ in range(9)] == [200] * 9
