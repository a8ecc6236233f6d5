"""The daemon under a supervisor that listens, as systemd does."""

import asyncio
import signal
import socket
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.support.house import KEY, a_house
from tests.support.process import DaemonProcess
from watcher.daemon.health import DaemonHealth
from watcher.daemon.systemd import Systemd
from watcher.panels.profiles import shipped
from watcher.simulator import SimulatedPanel


class Listener:
    """The socket that the daemon is given, and what arrives there."""

    def __init__(self, path: Path) -> None:
        self.address = str(path)
        self._socket = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
        self._socket.bind(self.address)
        self._socket.setblocking(False)

    async def next(self, *, but: str = "") -> list[str]:
        """The next message's lines; those that begin with `but` are left out."""
        loop = asyncio.get_running_loop()
        async with asyncio.timeout(30):
            while True:
                lines = (await loop.sock_recv(self._socket, 4096)).decode().split("\n")
                if lines[0] != but:
                    return lines

    def waiting(self) -> list[str]:
        """The first line of each message that has arrived."""
        found = []
        while True:
            try:
                found.append(self._socket.recv(4096).decode().split("\n")[0])
            except BlockingIOError:
                return found

    def close(self) -> None:
        self._socket.close()


@pytest.fixture
def listener(tmp_path: Path) -> Iterator[Listener]:
    listener = Listener(tmp_path / "notify")
    yield listener
    listener.close()


async def test_a_life_as_systemd_hears_of_it(
    tmp_path: Path, listener: Listener, monkeypatch: pytest.MonkeyPatch
):
    monkeypatch.setenv("NOTIFY_SOCKET", listener.address)
    async with SimulatedPanel(shipped()["standard"], key=KEY) as panel:
        daemon = DaemonProcess(tmp_path, {"p": panel})
        await daemon.start(ready=False)
        first = await listener.next()
        assert first == ["READY=1", "STATUS=1 panel, 0 orders"]
        # Ready means ready: migrated, and the configuration in force.
        assert daemon.rows("SELECT count(*) FROM alembic_version") == [(1,)]
        assert [p["panel"] for p in (await daemon.call("GET", "/v1/panels"))["panels"]] == ["p"]

        daemon.config.write_text(daemon.config.read_text() + "[panels.q]\nprofile = 'none'\n")
        daemon.send(signal.SIGHUP)
        begins, at = await listener.next()
        assert begins == "RELOADING=1"
        assert 0 <= time.monotonic() - int(at.removeprefix("MONOTONIC_USEC=")) / 1e6 < 60
        refused = await listener.next()
        assert refused[0] == "READY=1"
        assert refused[1].endswith("the configuration on disk was refused")

        assert await daemon.stop() == 0
        assert (await listener.next())[0] == "STOPPING=1"


async def test_the_watchdog_is_fed(
    tmp_path: Path, listener: Listener, monkeypatch: pytest.MonkeyPatch
):
    monkeypatch.setenv("NOTIFY_SOCKET", listener.address)
    monkeypatch.setenv("WATCHDOG_USEC", "400000")
    monkeypatch.delenv("WATCHDOG_PID", raising=False)
    async with SimulatedPanel(shipped()["standard"], key=KEY) as panel:
        daemon = DaemonProcess(tmp_path, {"p": panel})
        await daemon.start(ready=False)
        assert (await listener.next(but="WATCHDOG=1"))[0] == "READY=1"
        for _ in range(3):
            assert await listener.next() == ["WATCHDOG=1", "STATUS=1 panel, 0 orders"]
        await daemon.stop()


async def test_a_poll_loop_that_hangs_starves_the_watchdog(
    tmp_path: Path, listener: Listener, monkeypatch: pytest.MonkeyPatch
):
    env = {"NOTIFY_SOCKET": listener.address, "WATCHDOG_USEC": "20000000"}
    stuck: list[str] = []
    async with a_house(tmp_path) as house:
        monkeypatch.setattr(house.schedule, "stuck", lambda now, limit: stuck)
        loaded = asyncio.Event()
        loaded.set()
        DaemonHealth(
            shared=house.daemon.core.shared,
            panel_workers=house.daemon.panel_workers,
            supervisor=Systemd(env, 1),
            loaded=loaded,
        ).watch()
        await house.run(30.0)
        assert set(listener.waiting()) == {"WATCHDOG=1"}
        stuck.append("poll:standard")
        await house.run(30.0)
        assert set(listener.waiting()) == {"STATUS=no progress: poll:standard"}
        stuck[:] = ["review", "backup"]  # other work may take its time
        await house.run(30.0)
        assert set(listener.waiting()) == {"WATCHDOG=1"}
