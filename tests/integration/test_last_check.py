"""An action is written only as long as the node's lease can be trusted, down to its first byte."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import pytest

from watcher.errors import NotSent, PanelError
from watcher.panels.client import PanelClient
from watcher.panels.profiles import shipped

_ORDER = {"service": "1", "link": "l", "quantity": "1"}


class Lease:
    """Trusted until a test says otherwise."""

    trusted = True

    def is_trusted(self) -> bool:
        return self.trusted


class Wire:
    """A panel that keeps every byte, and answers what it is asked."""

    def __init__(self) -> None:
        self.received = b""
        self.connections = 0

    async def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.connections += 1
        while data := await reader.read(65536):
            self.received += data
            if b"key=" in self.received:
                writer.write(b'HTTP/1.1 200 OK\r\ncontent-length: 15\r\n\r\n{"refill": "1"}')
        writer.close()


@asynccontextmanager
async def a_wire(lease: Lease) -> AsyncIterator[tuple[Wire, PanelClient]]:
    wire = Wire()
    server = await asyncio.start_server(wire.serve, "127.0.0.1", 0)
    url = f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}/api/v2"
    client = PanelClient(
        name="p",
        url=url,
        key="k" * 32,
        profile=shipped()["standard"],
        timeout=5.0,
        on_request=lambda *said: None,
        trust=lease,
    )
    async with client:
        yield wire, client
    server.close()


async def test_with_a_lease_an_action_is_sent() -> None:
    async with a_wire(Lease()) as (wire, client):
        assert await client.refill(["1"]) == {"1": "1"}
        assert b"action=refill" in wire.received


@pytest.mark.parametrize("call", ["refill", "cancel", "add"])
async def test_a_lease_that_ends_while_the_connection_is_made_lets_no_byte_leave(call: str) -> None:
    lease = Lease()
    async with a_wire(lease) as (wire, client):
        lease.trusted = False  # the connection is made, and then there is no trust
        action = client.add(_ORDER) if call == "add" else getattr(client, call)(["1"])
        with pytest.raises(NotSent, match="lease is over: nothing was sent"):
            await action
        assert wire.connections == 1
        assert wire.received == b""


async def test_reads_go_on_without_a_lease() -> None:
    lease = Lease()
    lease.trusted = False
    async with a_wire(lease) as (wire, client):
        with pytest.raises(PanelError):  # it answers no balance
            await client.balance()
        assert b"action=balance" in wire.received
