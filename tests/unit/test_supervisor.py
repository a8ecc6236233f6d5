"""What systemd is told, over real datagram sockets."""

import socket
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
from structlog.testing import capture_logs

from watcher.daemon.systemd import Systemd


@contextmanager
def listening(address: str | bytes) -> Iterator[socket.socket]:
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as receiver:
        receiver.bind(address)
        receiver.settimeout(5)
        yield receiver


def lines(receiver: socket.socket) -> list[str]:
    return receiver.recv(4096).decode().split("\n")


def test_every_message(tmp_path: Path):
    path = str(tmp_path / "notify")
    with listening(path) as receiver:
        supervisor = Systemd({"NOTIFY_SOCKET": path}, 1)
        supervisor.ready("3 panels")
        assert lines(receiver) == ["READY=1", "STATUS=3 panels"]
        before = time.monotonic_ns() // 1000
        supervisor.reloading()
        first, second = lines(receiver)
        assert first == "RELOADING=1"
        name, _, at = second.partition("=")
        assert name == "MONOTONIC_USEC"
        assert before <= int(at) <= time.monotonic_ns() // 1000
        supervisor.alive("fine")
        assert lines(receiver) == ["WATCHDOG=1", "STATUS=fine"]
        supervisor.troubled("no progress")
        assert lines(receiver) == ["STATUS=no progress"]
        supervisor.stopping()
        assert lines(receiver)[0] == "STOPPING=1"


def test_an_abstract_socket():
    name = f"watcher-test-{time.monotonic_ns()}"
    with listening(b"\0" + name.encode()) as receiver:
        Systemd({"NOTIFY_SOCKET": f"@{name}"}, 1).ready("up")
        assert lines(receiver)[0] == "READY=1"


def test_a_status_adds_no_line(tmp_path: Path):
    path = str(tmp_path / "notify")
    with listening(path) as receiver:
        Systemd({"NOTIFY_SOCKET": path}, 1).troubled("bad\nREADY=1")
        assert lines(receiver) == ["STATUS=bad READY=1"]


def test_without_a_socket_nothing_is_told():
    with capture_logs() as logs:
        supervisor = Systemd({"WATCHDOG_USEC": "1000000"}, 1)
        supervisor.ready("up")
    assert supervisor.watchdog_every is None
    assert not logs


def test_a_socket_that_is_gone_is_logged_and_no_more(tmp_path: Path):
    supervisor = Systemd({"NOTIFY_SOCKET": str(tmp_path / "gone")}, 1)
    with capture_logs() as logs:
        supervisor.ready("up")
    assert [entry["event"] for entry in logs] == ["supervisor.unreachable"]


@pytest.mark.parametrize(
    ("env", "every"),
    [
        ({"WATCHDOG_USEC": "60000000"}, 30.0),
        ({"WATCHDOG_USEC": "60000000", "WATCHDOG_PID": "7"}, 30.0),
        ({"WATCHDOG_USEC": "60000000", "WATCHDOG_PID": "8"}, None),
        ({"WATCHDOG_USEC": "0"}, None),
        ({"WATCHDOG_USEC": "soon"}, None),
        ({}, None),
    ],
)
def test_how_often_the_watchdog_is_fed(env: dict[str, str], every: float | None):
    assert Systemd({"NOTIFY_SOCKET": "/run/notify", **env}, 7).watchdog_every == every
