"""Client libraries written for real panels work against a simulated one, unchanged."""

import asyncio
from collections.abc import AsyncIterator, Callable

import pytest
import safesmm
import smmpy

from watcher.panels.profiles import shipped
from watcher.simulator import Fate, SimulatedPanel

LINK = "https://example.com/post/1"
FINISHED = Fate(per_minute=1e9, refill_takes=1e9, start_count=500)
RUNNING = Fate(per_minute=0.001, start_count=500)


@pytest.fixture
async def panel() -> AsyncIterator[SimulatedPanel]:
    async with SimulatedPanel(shipped()["standard"]) as panel:
        yield panel


async def call(method: Callable[..., object], *arguments: object, **named: object) -> object:
    """Call a blocking client while the panel goes on in this thread."""
    return await asyncio.to_thread(method, *arguments, **named)


def some_orders(panel: SimulatedPanel, fate: Fate) -> list[int]:
    return list(panel.world.seed_orders(3, panel.now(), services=[1], age=60, fate=fate))


async def test_smmpy(panel: SimulatedPanel) -> None:
    client = smmpy.smm(panel.url, "demo")
    done, running = some_orders(panel, FINISHED), some_orders(panel, RUNNING)
    services = await call(client.get_services)
    assert services[0]["service"] == 1
    assert (await call(client.get_balance)) == {"balance": "1000.00000", "currency": "USD"}

    order = (await call(client.add_order, 1, LINK, 100))["order"]
    assert (await call(client.get_status, order))["status"] in ("Pending", "Processing")
    comments = await call(client.add_order, 5, LINK, 2, comments="one\ntwo")
    drip = await call(client.add_order, 1, LINK, 50, runs=2, interval=30)
    rows = await call(client.get_multi_status, [order, comments["order"], drip["order"]])
    assert len(rows) == 3

    assert await call(client.create_refill, done[0]) == {"refill": "1"}
    refills = await call(client.create_multi_refill, done[1:])
    assert [row["refill"] for row in refills] == [2, 3]
    assert await call(client.get_refill_status, 1) == {"status": "Pending"}
    words = await call(client.get_multi_refill_status, [1, 2])
    assert [row["status"] for row in words] == ["Pending", "Pending"]
    cancels = await call(client.cancel_orders, running)
    assert [row["cancel"] for row in cancels] == [1, 1, 1]


async def test_smmpy_sees_errors(panel: SimulatedPanel) -> None:
    with pytest.raises(Exception, match="Invalid API key"):
        await call(smmpy.smm(panel.url, "wrong").get_balance)
    with pytest.raises(Exception, match="Incorrect order ID"):
        await call(smmpy.smm(panel.url, "demo").get_status, 7)


async def test_safesmm(panel: SimulatedPanel) -> None:
    client = safesmm.SafeSMM("demo", api_url=panel.url)
    done, running = some_orders(panel, FINISHED), some_orders(panel, RUNNING)
    assert (await call(client.services))[0]["service"] == 1
    assert (await call(client.balance))["balance"] == "1000.00000"

    order = (await call(client.add_order, 1, LINK, 100))["order"]
    assert (await call(client.status, order))["remains"] == "100"
    assert len(await call(client.multi_status, done)) == 3
    votes = await call(client.add_order, 15, LINK, 20, answer_number=2)
    assert (await call(client.status, votes["order"]))["charge"] == "0.01320"

    assert await call(client.refill, done[0]) == {"refill": "1"}
    assert [row["cancel"] for row in await call(client.cancel, running)] == [1, 1, 1]
    # This library has methods neither for several refills nor for their status.
    ids = ",".join(map(str, done[1:]))
    rows = await call(client._request, "refill", orders=ids)
    assert [row["refill"] for row in rows] == [2, 3]
    assert await call(client._request, "refill_status", refill=1) == {"status": "Pending"}


async def test_safesmm_sees_errors(panel: SimulatedPanel) -> None:
    client = safesmm.SafeSMM("demo", api_url=panel.url)
    with pytest.raises(safesmm.SafeSMMError, match="Quantity less than minimal 50"):
        await call(client.add_order, 1, LINK, 1)
    with pytest.raises(safesmm.SafeSMMError, match="Invalid API key"):
        await call(safesmm.SafeSMM("wrong", api_url=panel.url).balance)
