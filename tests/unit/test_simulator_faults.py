"""Faults between a client and a simulated panel: what was carried out, and what came back."""

import asyncio
import re
from collections.abc import AsyncIterator, Callable

import aiohttp
import pytest

from tests.support.clockwork import time_passes
from watcher.panels.profiles import shipped
from watcher.simulator import SimulatedPanel, Trait

ADD = {
    "key": "demo",
    "action": "add",
    "service": "1",
    "link": "https://example.com/post/1",
    "quantity": "50",
}


@pytest.fixture
async def panel() -> AsyncIterator[SimulatedPanel]:
    async with SimulatedPanel(shipped()["standard"]) as panel:
        yield panel


async def add(panel: SimulatedPanel) -> tuple[int, str, bytes]:
    async with (
        aiohttp.ClientSession(timeout=aiohttp.ClientTimeout(total=60.0)) as session,
        session.post(panel.url, data=ADD) as answer,
    ):
        return answer.status, answer.content_type, await answer.read()


async def until(holds: Callable[[], bool]) -> None:
    async with asyncio.timeout(60):
        while not holds():
            await asyncio.sleep(0.005)


def carried_out(panel: SimulatedPanel) -> int:
    return panel.journal.carried_out("add").total()


async def leave(asked: asyncio.Task[tuple[int, str, bytes]]) -> None:
    """The client gives up, which it must not have been able to do with an answer."""
    await asyncio.sleep(0.05)
    assert not asked.done()
    asked.cancel()
    await asyncio.gather(asked, return_exceptions=True)


@pytest.mark.parametrize(
    ("trait", "http", "says"),
    [
        (Trait.HTML_200, 200, b"Just a moment"),
        (Trait.HTML_BLOCKED, 403, b"blocked"),
        (Trait.HTML_503, 503, b"Maintenance"),
    ],
)
async def test_a_page_in_place_of_the_answer(
    panel: SimulatedPanel, trait: Trait, http: int, says: bytes
) -> None:
    panel.switches.on(trait, times=1)
    status, content_type, body = await add(panel)
    assert (status, content_type) == (http, "text/html")
    assert says in body
    assert carried_out(panel) == 0
    (entry,) = panel.journal.requests("add")
    assert (entry.outcome, entry.fault, entry.http) == (trait.value, trait.value, http)
    assert (await add(panel))[1] == "application/json"


async def test_a_rate_limit_carries_nothing_out(panel: SimulatedPanel) -> None:
    panel.switches.on(Trait.RATE_LIMITED, times=1)
    assert (await add(panel))[0] == 429
    assert carried_out(panel) == 0


@pytest.mark.parametrize(
    ("trait", "error", "says"),
    [
        (Trait.CLOSE_BEFORE, aiohttp.ServerDisconnectedError, None),
        (Trait.RESET, aiohttp.ClientOSError, "reset by peer"),
    ],
)
async def test_the_connection_ends_before_anything_is_done(
    panel: SimulatedPanel, trait: Trait, error: type[Exception], says: str | None
) -> None:
    panel.switches.on(trait, times=1)
    with pytest.raises(error, match=says):
        await add(panel)
    (entry,) = panel.journal.requests("add")
    assert (entry.outcome, entry.http, entry.carried_out) == (trait.value, 0, ())
    assert entry.parameters["quantity"] == "50"
    assert (await add(panel))[0] == 200


async def test_the_connection_is_closed_after_it_is_done(panel: SimulatedPanel) -> None:
    panel.switches.on(Trait.CLOSE_AFTER, times=1)
    with pytest.raises(aiohttp.ServerDisconnectedError):
        await add(panel)
    (entry,) = panel.journal.requests("add")
    assert (entry.outcome, entry.fault, entry.http) == ("answered", "close_after", 0)
    assert carried_out(panel) == 1


@pytest.mark.parametrize(
    ("trait", "http", "content_type", "says"),
    [
        (Trait.HTML_504_AFTER, 504, "text/html", b"Gateway Time-out"),
        (Trait.LIMIT_429_AFTER, 429, "application/json", b'{"order"'),
        (Trait.EMPTY_BODY, 200, "application/json", b""),
    ],
)
async def test_another_answer_after_it_is_done(
    panel: SimulatedPanel, trait: Trait, http: int, content_type: str, says: bytes
) -> None:
    panel.switches.on(trait, times=1)
    status, told, body = await add(panel)
    assert (status, told) == (http, content_type)
    assert says in body
    assert (body == b"") is (trait is Trait.EMPTY_BODY)
    assert carried_out(panel) == 1
    assert panel.journal.requests("add")[0].http == http


@pytest.mark.parametrize(
    ("trait", "says"),
    [(Trait.BROKEN_JSON, rb'\{"orde'), (Trait.WRONG_TYPES, rb'\{"order":\[\d+\]\}')],
)
async def test_an_answer_that_is_not_what_it_should_be(
    panel: SimulatedPanel, trait: Trait, says: bytes
) -> None:
    panel.switches.on(trait, times=1)
    status, content_type, body = await add(panel)
    assert (status, content_type) == (200, "application/json")
    assert re.match(says, body)
    assert carried_out(panel) == 1


async def test_an_answer_is_cut_short(panel: SimulatedPanel) -> None:
    panel.switches.on(Trait.CUT_ANSWER, times=1)
    with pytest.raises(aiohttp.ClientPayloadError):
        await add(panel)
    assert carried_out(panel) == 1
    assert panel.journal.requests("add")[0].http == 200


async def test_an_answer_of_many_bytes(panel: SimulatedPanel) -> None:
    panel.switches.on(Trait.HUGE_ANSWER, times=1, amount=5_000_000)
    _, _, body = await add(panel)
    assert len(body) > 4_900_000
    assert body.strip().startswith(b'{"order":')


async def test_a_huge_answer_to_a_client_that_has_gone(panel: SimulatedPanel) -> None:
    panel.switches.on(Trait.HUGE_ANSWER, times=1)
    async with aiohttp.ClientSession() as session, session.post(panel.url, data=ADD) as answer:
        assert len(await answer.content.read(1000)) > 0
        answer.close()
    assert (await add(panel))[0] == 200


async def test_an_answer_without_end(panel: SimulatedPanel) -> None:
    panel.switches.on(Trait.ENDLESS_ANSWER, times=1)
    asked = asyncio.create_task(add(panel))
    await until(lambda: carried_out(panel) == 1)
    await leave(asked)


async def test_a_stalled_answer(panel: SimulatedPanel) -> None:
    panel.switches.on(Trait.STALL, times=1)
    asked = asyncio.create_task(add(panel))
    await until(lambda: carried_out(panel) == 1)
    await leave(asked)
    panel.switches.on(Trait.STALL, times=1, amount=0.01)
    assert (await add(panel))[0] == 200


async def test_what_stalls_first_is_carried_out_though_the_client_has_gone(
    panel: SimulatedPanel,
) -> None:
    panel.switches.on(Trait.STALL_BEFORE, times=1, amount=100.0)
    asked = asyncio.create_task(add(panel))
    await until(lambda: panel.journal.requests("add") != [])
    await leave(asked)
    assert carried_out(panel) == 0
    await time_passes(100.0)
    await until(lambda: carried_out(panel) == 1)


@pytest.mark.parametrize(
    ("trait", "done"),
    [(Trait.STALL_BEFORE, 0), (Trait.STALL, 1), (Trait.ENDLESS_ANSWER, 1)],
)
async def test_a_panel_stops_at_once_amid_a_fault(trait: Trait, done: int) -> None:
    async with asyncio.timeout(5):
        async with SimulatedPanel(shipped()["standard"], traits=[trait]) as panel:
            asked = asyncio.create_task(add(panel))
            await until(lambda: panel.journal.requests("add") != [])
        with pytest.raises(aiohttp.ClientError):
            await asked
    assert carried_out(panel) == done


async def test_faults_leave_other_actions_alone(panel: SimulatedPanel) -> None:
    panel.switches.on(Trait.CLOSE_AFTER, action="refill")
    assert (await add(panel))[0] == 200


async def test_nothing_is_logged_for_faults(
    panel: SimulatedPanel, caplog: pytest.LogCaptureFixture
) -> None:
    for trait in (Trait.CLOSE_BEFORE, Trait.CLOSE_AFTER, Trait.CUT_ANSWER):
        panel.switches.on(trait, times=1)
        with pytest.raises(aiohttp.ClientError):
            await add(panel)
    assert caplog.records == []
