"""An action that is given up while the network stands still doesn't arrive when it goes on."""

import asyncio
import socket
from collections.abc import Callable, Coroutine, Iterator
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest
import uvloop

from tests.support.still import HEADER, freeze, thaw
from tests.support.tls import SERVER, context
from watcher.errors import PanelError, RemoteFault
from watcher.panels.client import PanelClient
from watcher.panels.dialect import Dialect
from watcher.panels.profiles import shipped

_HEARD_WITHIN = 10.0  # seconds: a kernel sends again after less


class FrozenPanel:
    """What is sent to it after the connection is made does not arrive until `hears`."""

    def __init__(self, *, encrypts: bool) -> None:
        self._listener = socket.create_server(("127.0.0.1", 0))
        self._encrypts = encrypts
        self._thread = ThreadPoolExecutor(1)
        self._accepted = self._thread.submit(self._accept)
        self.is_reached = asyncio.Event()

    def _accept(self) -> tuple[socket.socket, socket.socket]:
        """The connection as it is read, and as what is beneath its encryption."""
        connection, _ = self._listener.accept()
        raw = connection.dup()
        if self._encrypts:
            connection = context(SERVER).wrap_socket(connection, server_side=True)
        return connection, raw

    def is_trusted(self) -> bool:
        """Called with the connection made and no byte written."""
        freeze(self._accepted.result(_HEARD_WITHIN)[1], larger_than=HEADER)
        self.is_reached.set()
        return True

    def client(self, timeout: float) -> PanelClient:
        scheme = "https" if self._encrypts else "http"
        return PanelClient(
            name="p",
            url=f"{scheme}://localhost:{self._listener.getsockname()[1]}/api/v2",
            key="k" * 32,
            profile=shipped()["standard"],
            timeout=timeout,
            on_request=lambda *said: None,
            dialect=Dialect(ca=SERVER.read_text()),
            trust=self,
        )

    def hears(self) -> bytes:
        """What arrives once the network goes on."""
        _, raw = self._accepted.result()
        thaw(raw)
        raw.settimeout(_HEARD_WITHIN)
        return raw.recv(65536)

    def close(self) -> None:
        for one in (*self._accepted.result(), self._listener):
            one.close()
        self._thread.shutdown()


@pytest.fixture(params=[False, True], ids=["http", "https"])
def panel(request: pytest.FixtureRequest) -> Iterator[FrozenPanel]:
    made = FrozenPanel(encrypts=request.param)
    yield made
    made.close()


async def _late(panel: FrozenPanel) -> None:
    async with panel.client(0.5) as client:
        with pytest.raises(PanelError):
            await client.refill(["1"])


async def _cancelled(panel: FrozenPanel) -> None:
    async with panel.client(60.0) as client:
        sending = asyncio.create_task(client.refill(["1"]))
        await panel.is_reached.wait()
        await asyncio.sleep(0)  # it is being written
        sending.cancel()
        with pytest.raises(asyncio.CancelledError):
            await sending


@pytest.mark.parametrize("loop", [asyncio.new_event_loop, uvloop.new_event_loop])
@pytest.mark.parametrize("given_up", [_late, _cancelled])
def test_nothing_arrives_of_what_is_given_up(
    panel: FrozenPanel,
    given_up: Callable[[FrozenPanel], Coroutine[Any, Any, None]],
    loop: Callable[[], asyncio.AbstractEventLoop],
) -> None:
    with asyncio.Runner(loop_factory=loop) as runner:
        runner.run(given_up(panel))
    with pytest.raises(ConnectionResetError):
        panel.hears()


async def test_the_kernel_gives_up_by_itself(panel: FrozenPanel) -> None:
    """Also where the process has been killed or stopped: then nobody else does."""
    async with panel.client(4.0) as client:
        with pytest.raises(RemoteFault, match="the host does not answer"):
            await client.refill(["1"])
