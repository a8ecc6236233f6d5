"""The journal of a simulated panel, and its control over HTTP."""

from collections.abc import AsyncIterator
from decimal import Decimal

import aiohttp
import pytest

from watcher.panels.profiles import shipped
from watcher.simulator import Fate, Journal, SimulatedPanel, Trait

STANDARD = shipped()["standard"]
LINK = "https://example.com/post/1"
FINISHED = Fate(per_minute=1e9, refill_takes=1e9)


@pytest.fixture
async def panel() -> AsyncIterator[SimulatedPanel]:
    async with SimulatedPanel(STANDARD, control=True) as panel:
        yield panel


async def ask(panel: SimulatedPanel, action: str, **sent: object) -> None:
    form = {"key": "demo", "action": action, **sent}
    async with aiohttp.ClientSession() as session, session.post(panel.url, data=form) as answer:
        await answer.read()


async def control(panel: SimulatedPanel, command: object) -> tuple[int, dict]:
    url = panel.url.replace("/api/v2", "/control")
    async with aiohttp.ClientSession() as session, session.post(url, json=command) as answer:
        return answer.status, await answer.json()


async def journal(panel: SimulatedPanel, **query: str) -> dict:
    url = panel.url.replace("/api/v2", "/journal")
    async with aiohttp.ClientSession() as session, session.get(url, params=query) as answer:
        return await answer.json()


async def test_every_request_is_written_down(panel: SimulatedPanel) -> None:
    first, second, third = panel.world.seed_orders(
        3, panel.now(), services=[1], age=9, fate=FINISHED
    )
    await ask(panel, "refill", order=first)
    await ask(panel, "refill", orders=f"{first}, {second},x,7")
    await ask(panel, "status", orders=f"{first},{second},{third}")
    await ask(panel, "balance")
    await ask(panel, "add", service=1, link=LINK, quantity=1)
    await ask(panel, "add", service=1, link=LINK, quantity=50)

    assert len(panel.journal) == 6
    assert panel.journal.sent("refill") == {first: 2, second: 1, 7: 1}
    assert panel.journal.carried_out("refill") == {first: 1, second: 1}
    assert panel.journal.carried_out("add") == {third + 1: 1}
    assert panel.journal.links() == {LINK: 2}
    assert panel.journal.links(carried_out=True) == {LINK: 1}
    assert panel.journal.largest_batch() == 4
    single, several = panel.journal.requests("refill")
    assert (single.ids, single.outcome, single.http) == (1, "answered", 200)
    assert several.parameters == {"orders": f"{first}, {second},x,7"}
    refused = panel.journal.requests("add")[0]
    assert refused.outcome == "Quantity less than minimal 50"


async def test_the_key_is_never_kept(panel: SimulatedPanel) -> None:
    await ask(panel, "balance", key="very-secret")
    assert panel.journal.requests()[0].outcome == "Invalid API key"
    assert "very-secret" not in str(panel.journal.requests())
    assert "very-secret" not in str(await journal(panel))


def test_a_journal_may_keep_only_the_last() -> None:
    kept = Journal(limit=2)
    for number in range(5):
        kept.arrived(float(number), {"action": "status", "order": str(number)})
    assert kept.sent("status") == {3: 1, 4: 1}
    kept.clear()
    assert len(kept) == 0
    assert kept.largest_batch() == 0


async def test_requests_that_are_none_are_written_down_too(panel: SimulatedPanel) -> None:
    async with (
        aiohttp.ClientSession() as session,
        session.get(panel.url, params={"action": "balance"}) as answer,
    ):
        await answer.read()
    assert panel.journal.requests()[0].outcome == "Incorrect request"


async def test_the_journal_is_served(panel: SimulatedPanel) -> None:
    await ask(panel, "balance")
    await ask(panel, "status", orders="7,8")
    told = await journal(panel, action="status")
    assert told["largest_batch"] == 2
    (entry,) = told["requests"]
    assert entry["action"] == "status"
    assert entry["parameters"] == {"orders": "7,8"}
    assert (entry["ids"], entry["outcome"], entry["http"]) == (2, "answered", 200)
    assert len((await journal(panel))["requests"]) == 2


async def test_traits_are_switched_by_command(panel: SimulatedPanel) -> None:
    on = [{"trait": "html_503", "action": "status", "times": 2}, {"trait": "string_ids"}]
    assert (await control(panel, {"on": on}))[0] == 200
    assert set(panel.switches.show("status")) == {Trait.HTML_503, Trait.STRING_IDS}
    await control(panel, {"off": ["string_ids"]})
    assert set(panel.switches.show("status")) == {Trait.HTML_503}
    await control(panel, {"off": []})
    assert panel.switches.show("status") == {}


async def test_the_world_is_changed_by_command(panel: SimulatedPanel) -> None:
    before = panel.now()
    command = {"balance": "12.50", "seed_orders": 3, "advance": 3600, "requests_per_minute": 0}
    status, told = await control(panel, command)
    assert (status, told["balance"]) == (200, "12.50")
    assert told["now"] >= before + 3600
    first, stop = told["seeded"]
    assert stop - first == 3
    force = {"orders": [first], "fields": {"status": "Awaiting", "remains": None}}
    await control(panel, {"force": [force], "rates": {"1": "1.05"}, "unlist": [2]})
    assert panel.world.price_list()[0].rate == Decimal("1.05")
    assert 2 not in {service.service for service in panel.world.price_list()}
    await control(panel, {"unlist": []})
    assert 2 in {service.service for service in panel.world.price_list()}
    assert panel.world.row(first, panel.now())["status"] == "Awaiting"
    await ask(panel, "balance")
    assert panel.journal.requests("balance")[0].http == 429
    await control(panel, {"requests_per_minute": None})
    await ask(panel, "balance")
    assert panel.journal.requests("balance")[1].http == 200


@pytest.mark.parametrize(
    "command",
    [
        [],
        {"unknown": 1},
        {"on": [{"trait": "no such"}]},
        {"on": [{"trait": "stall", "every": 0}]},
        {"balance": "much"},
        {"rates": {"999": "1.05"}},
        {"force": [{"orders": [7], "fields": {}}]},
    ],
)
async def test_a_wrong_command_is_refused(panel: SimulatedPanel, command: object) -> None:
    status, told = await control(panel, command)
    assert status == 400
    assert told["error"]


async def test_without_control_there_is_none() -> None:
    async with SimulatedPanel(STANDARD) as panel, aiohttp.ClientSession() as session:
        for path in ("/journal", "/control"):
            async with session.get(panel.url.replace("/api/v2", path)) as answer:
                assert answer.status == 404
