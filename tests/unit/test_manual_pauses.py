"""Pauses that people want, where requests and alerts pass."""

import asyncio
from random import Random

import pytest

from tests.unit.factories import HOUR
from watcher.alerts import Alert, AlertKind, AlertStage
from watcher.common.pauses import ManualPause, Paused
from watcher.errors import NotSent
from watcher.notify.alert_state import AlertState
from watcher.panels.breaker import Breaker
from watcher.panels.gateway import PanelGateway
from watcher.panels.health import STATUS
from watcher.panels.pacing import Pace, RequestLane
from watcher.panels.rate import Rate, RememberedRate

NOW = 1_800_000_000.0
Pauses = dict[tuple[Paused, str], ManualPause]


class Client:
    """A client that can do everything, with requests that end when they are told to."""

    def __init__(self) -> None:
        self.sent = 0
        self.may_end = asyncio.Event()

    def limit(self, call: str) -> int:
        return 100

    async def ask(self) -> str:
        self.sent += 1
        await self.may_end.wait()
        return "answer"


def a_pause(what: Paused, until: float | None = None) -> ManualPause:
    return ManualPause(what=what, name="p", since=NOW, until=until, by="token", via="api")


def a_gateway(pauses: Pauses, now: list[float]) -> tuple[PanelGateway, Client]:
    client = Client()
    pace = Pace(Rate(60.0, RememberedRate(rate=60.0)))
    gateway = PanelGateway("p", client, pace, Breaker(Random(1).random), lambda: now[0], pauses)  # type: ignore[arg-type]
    return gateway, client


@pytest.mark.parametrize(
    ("what", "waits"),
    [
        (Paused.READS, {RequestLane.READ, RequestLane.PROBE}),
        (Paused.ACTIONS, {RequestLane.ACT}),
        (Paused.RULE, set()),
    ],
)
async def test_nothing_of_the_paused_kind_is_granted(what: Paused, waits: set[RequestLane]):
    for lane in RequestLane:
        gateway, _ = a_gateway({(what, "p"): a_pause(what)}, [NOW])
        assert (gateway.take(NOW, lane) is not None) is (lane in waits)


async def test_a_pause_of_another_panel_is_none():
    gateway, _ = a_gateway({(Paused.READS, "q"): a_pause(Paused.READS)}, [NOW])
    assert gateway.take(NOW) is None


async def test_a_request_is_tried_again_when_the_pause_ends():
    pauses = {(Paused.READS, "p"): a_pause(Paused.READS, NOW + 10.0)}
    now = [NOW]
    gateway, _ = a_gateway(pauses, now)
    assert gateway.take(NOW) == NOW + 10.0
    now[0] += 10.0
    assert gateway.take(now[0]) is None


async def test_a_request_that_was_granted_before_the_pause_is_not_sent():
    pauses: Pauses = {}
    gateway, client = a_gateway(pauses, [NOW])
    client.may_end.set()
    assert gateway.take(NOW, RequestLane.ACT) is None
    pauses[Paused.ACTIONS, "p"] = a_pause(Paused.ACTIONS)
    with pytest.raises(NotSent, match="actions at p are paused by token"):
        await gateway.ask("refill", client.ask())
    assert client.sent == 0
    assert gateway.breaker.failures == 0
    assert await gateway.ask(STATUS, client.ask()) == "answer", "reads go on"


async def test_a_pause_waits_for_what_is_under_way():
    gateway, client = a_gateway({}, [NOW])
    asking = asyncio.ensure_future(gateway.ask("refill", client.ask()))
    await asyncio.sleep(0)
    await gateway.wait_idle(Paused.READS)
    waiting = asyncio.ensure_future(gateway.wait_idle(Paused.ACTIONS))
    await asyncio.sleep(0)
    assert not waiting.done()
    client.may_end.set()
    await asking
    await waiting


STALLED = Alert(AlertKind.ORDER_STALLED, "p", "1 order makes no progress", "")


def stages(
    state: AlertState, now: float, *, there: bool = True, snoozed: bool = False
) -> list[str]:
    found = state.look([STALLED] if there else [], now, {STALLED.key} if snoozed else ())
    return [notice.stage for notice in found]


def test_what_is_snoozed_before_it_was_told_is_not_told():
    state = AlertState(repeat_every=HOUR)
    assert stages(state, NOW, snoozed=True) == []
    assert stages(state, NOW + HOUR, snoozed=True) == []
    assert stages(state, NOW + 2 * HOUR) == []  # it has to last
    assert stages(state, NOW + 3 * HOUR) == [AlertStage.BEGUN]


def test_what_is_snoozed_after_it_was_told_is_neither_repeated_nor_over():
    state = AlertState(repeat_every=HOUR)
    stages(state, NOW)
    assert stages(state, NOW + 100.0) == [AlertStage.BEGUN]
    assert stages(state, NOW + 5 * HOUR, snoozed=True) == []
    assert stages(state, NOW + 6 * HOUR) == [AlertStage.LASTS]
    assert stages(state, NOW + 7 * HOUR, there=False, snoozed=True) == []
    assert stages(state, NOW + 8 * HOUR, there=False, snoozed=True) == [AlertStage.OVER]
