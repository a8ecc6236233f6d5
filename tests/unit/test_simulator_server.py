"""A simulated panel as an HTTP server: what it takes, starting and stopping."""

import asyncio
from collections.abc import AsyncIterator

import aiohttp
import pytest

from watcher.panels.profiles import shipped
from watcher.simulator import SimulatedPanel, World

STANDARD = shipped()["standard"]


@pytest.fixture
async def panel() -> AsyncIterator[SimulatedPanel]:
    async with SimulatedPanel(STANDARD) as panel:
        yield panel


async def ask(panel: SimulatedPanel, action: str, **sent: object) -> object:
    form = {"key": "demo", "action": action, **sent}
    async with aiohttp.ClientSession() as session, session.post(panel.url, data=form) as answer:
        return await answer.json()


async def test_php_clients_send_multipart_forms_and_query_parameters(
    panel: SimulatedPanel,
) -> None:
    async with aiohttp.ClientSession() as session:
        form = aiohttp.FormData({"key": "demo", "action": "balance"}, default_to_multipart=True)
        async with session.post(panel.url, data=form) as answer:
            assert "balance" in await answer.json()
        async with session.post(panel.url, params={"key": "demo", "action": "balance"}) as answer:
            assert "balance" in await answer.json()


async def test_the_form_goes_before_the_query(panel: SimulatedPanel) -> None:
    async with aiohttp.ClientSession() as session:
        query = {"key": "wrong", "action": "services"}
        form = {"key": "demo", "action": "balance"}
        async with session.post(panel.url, params=query, data=form) as answer:
            assert "balance" in await answer.json()


@pytest.mark.parametrize("method", ["GET", "PUT", "DELETE"])
async def test_only_post_is_taken(panel: SimulatedPanel, method: str) -> None:
    query = {"key": "demo", "action": "balance"}
    async with (
        aiohttp.ClientSession() as session,
        session.request(method, panel.url, params=query) as answer,
    ):
        assert answer.status == 200
        assert await answer.json() == {"error": "Incorrect request"}


@pytest.mark.parametrize(
    ("content_type", "body"),
    [
        ("application/x-www-form-urlencoded", b"key=demo&action=%FF\xff"),
        ("multipart/form-data; boundary=x", b"--y\r\n\r\n"),
        ("multipart/form-data", b"--y\r\n\r\n"),
        ("application/json", b'{"key": "demo", "action": "balance"}'),
    ],
)
async def test_unreadable_requests_get_an_error(
    panel: SimulatedPanel, content_type: str, body: bytes
) -> None:
    headers = {"Content-Type": content_type}
    async with (
        aiohttp.ClientSession() as session,
        session.post(panel.url, data=body, headers=headers) as answer,
    ):
        assert answer.status == 200
        assert "error" in await answer.json()


# Starting and stopping


async def test_a_stopped_panel_refuses_connections_and_comes_back() -> None:
    panel = SimulatedPanel(STANDARD, world=World(balance="5"))
    await panel.start()
    url = panel.url
    await panel.stop()
    with pytest.raises(aiohttp.ClientConnectorError):
        await ask(panel, "balance")
    async with panel:
        assert panel.url == url
        assert await ask(panel, "balance") == {"balance": "5", "currency": "USD"}


async def test_a_port_in_use_is_an_error(panel: SimulatedPanel) -> None:
    port = int(panel.url.split(":")[2].split("/")[0])
    with pytest.raises(OSError, match="in use"):
        await SimulatedPanel(STANDARD, port=port).start()


async def test_stopping_twice_is_harmless() -> None:
    panel = SimulatedPanel(STANDARD)
    await panel.stop()
    await panel.start()
    await panel.stop()
    await panel.stop()


async def test_many_batches_at_once(panel: SimulatedPanel) -> None:
    orders = panel.world.seed_orders(1000, panel.now())
    batches = [",".join(map(str, orders[at : at + 100])) for at in range(0, 1000, 100)]
    answers = await asyncio.gather(*(ask(panel, "status", orders=batch) for batch in batches))
    assert {int(order) for answer in answers for order in answer} == set(orders)
