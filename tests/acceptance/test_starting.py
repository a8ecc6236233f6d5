"""What keeps the daemon from starting is one clear line; what happens to it while it runs too."""

import asyncio
import os
import resource
import signal
import socket
import sqlite3
from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from tests.support.audit import violations
from tests.support.house import KEY
from tests.support.process import DaemonProcess
from watcher.panels.profiles import shipped
from watcher.simulator import Fate, SimulatedPanel


@pytest.fixture
async def panel() -> AsyncIterator[SimulatedPanel]:
    panel = SimulatedPanel(shipped()["smmxz"], key=KEY, speed=60.0)
    await panel.start()
    yield panel
    await panel.stop()


@pytest.fixture
async def daemon(tmp_path: Path, panel: SimulatedPanel) -> AsyncIterator[DaemonProcess]:
    defaults = "requests_per_minute = 600\ncheck_within = '1s'"
    daemon = DaemonProcess(tmp_path, {"smmxz": panel}, defaults=defaults)
    yield daemon
    await daemon.stop()


async def refusal(daemon: DaemonProcess) -> str:
    """Start what can't start: its one line on stderr."""
    await daemon.start(ready=False)
    assert await daemon.wait() == 1
    text = daemon.text()
    assert "Traceback" not in text
    lines = [line for line in text.splitlines() if not line.startswith("{")]
    assert len(lines) == 1, text
    return lines[0]


async def test_a_port_in_use(daemon: DaemonProcess):
    with socket.socket() as other:
        other.bind(("127.0.0.1", daemon.port))
        other.listen()
        assert f"127.0.0.1:{daemon.port}" in await refusal(daemon)
        assert "in use" in daemon.text()


async def test_a_wrong_configuration(daemon: DaemonProcess):
    daemon.config.write_text(daemon.config.read_text() + "[[rules]]\nname = 'x'\n")
    await daemon.start(ready=False)
    assert await daemon.wait() == 1
    assert "rules[1].when: is missing" in daemon.text()
    assert "Traceback" not in daemon.text()


async def test_a_file_that_is_no_database(daemon: DaemonProcess):
    daemon.database.write_bytes(b"This is no database at all. " * 500)
    before = daemon.database.read_bytes()
    assert "watcher.db" in await refusal(daemon)
    assert daemon.database.read_bytes() == before, "the file is kept as it was"


async def test_a_corrupt_database(daemon: DaemonProcess):
    await daemon.start()
    await daemon.stop()
    daemon.log.write_text("")
    data = bytearray(daemon.database.read_bytes())
    data[4096:] = os.urandom(len(data) - 4096)
    daemon.database.write_bytes(data)
    assert "watcher.db" in await refusal(daemon)


async def test_a_database_of_a_newer_version(daemon: DaemonProcess):
    await daemon.start()
    await daemon.stop()
    daemon.log.write_text("")
    connection = sqlite3.connect(daemon.database)
    connection.execute("UPDATE alembic_version SET version_num = '9999'")
    connection.commit()
    connection.close()
    assert "newer" in await refusal(daemon)


async def test_a_second_daemon_on_the_same_database(daemon: DaemonProcess, tmp_path: Path, panel):
    await daemon.start()
    second = DaemonProcess(tmp_path, {"smmxz": panel})
    second.log = tmp_path / "second.log"
    second.config = tmp_path / "second.toml"
    second.config.write_text(daemon.config.read_text().replace(str(daemon.port), str(second.port)))
    assert "watcher.db" in await refusal(second)


async def test_a_database_locked_by_another_program(daemon: DaemonProcess, panel: SimulatedPanel):
    """While it runs: nothing is lost, it says so once, and it goes on when the lock is gone."""
    await daemon.start()
    orders = panel.world.seed_orders(100, panel.now(), quantity=500, fate=Fate(pending=60.0))
    await daemon.track("smmxz", orders, quantity=500)
    other = sqlite3.connect(daemon.database, isolation_level=None)
    other.execute("BEGIN IMMEDIATE")
    await asyncio.sleep(8.0)
    other.execute("ROLLBACK")
    other.close()
    await finished(daemon, 100)
    assert violations(daemon, {"smmxz": panel}, {"smmxz": set(orders)}) == []
    assert "Traceback" not in daemon.text()


async def test_a_full_disk(daemon: DaemonProcess, panel: SimulatedPanel):
    """While it runs: nothing is lost, it says so, and it goes on when there is room."""
    await daemon.start()
    orders = panel.world.seed_orders(500, panel.now(), quantity=500, fate=Fate(pending=600.0))
    await daemon.track("smmxz", orders, quantity=500)
    assert daemon.process is not None
    # No file of the daemon may grow: what a full disk looks like to SQLite.
    pid = daemon.process.pid
    before = resource.prlimit(pid, resource.RLIMIT_FSIZE)
    resource.prlimit(pid, resource.RLIMIT_FSIZE, (16384, before[1]))
    await asyncio.sleep(5.0)
    assert daemon.process.returncode is None, daemon.text()
    resource.prlimit(pid, resource.RLIMIT_FSIZE, before)
    await finished(daemon, 500)
    assert violations(daemon, {"smmxz": panel}, {"smmxz": set(orders)}) == []
    assert "Traceback" not in daemon.text()


async def test_sighup_takes_over_or_refuses_and_says_so(daemon: DaemonProcess):
    await daemon.start()
    good = daemon.config.read_text()
    daemon.config.write_text(good.replace("check_within = '1s'", "check_within = '1 s'"))
    daemon.send(signal.SIGHUP)
    await logged(daemon, "config.refused")
    daemon.config.write_text(good.replace("check_within = '1s'", "check_within = '5s'"))
    daemon.send(signal.SIGHUP)
    await logged(daemon, "config.reloaded")
    refused = next(event for event in daemon.events() if event["event"] == "config.refused")
    assert "check_within" in refused["problems"][0]


async def test_the_key_is_nowhere(daemon: DaemonProcess, panel: SimulatedPanel, tmp_path: Path):
    await daemon.start()
    orders = panel.world.seed_orders(10, panel.now(), quantity=500)
    await daemon.track("smmxz", orders, quantity=500)
    panel.change_key("another")
    await asyncio.sleep(2.0)
    assert daemon.process is not None
    cmdline = Path(f"/proc/{daemon.process.pid}/cmdline").read_bytes()
    metrics = str(await daemon.call("GET", "/v1/panels"))
    await daemon.stop()
    assert KEY.encode() not in cmdline
    assert KEY not in metrics
    files = [path for path in tmp_path.rglob("*") if path.is_file()]
    assert any(path.name == "watcher.db" for path in files)
    for path in files:
        assert KEY.encode() not in path.read_bytes(), path.name


async def test_the_database_is_for_its_owner_alone(daemon: DaemonProcess):
    await daemon.start()
    files = list(daemon.directory.glob("watcher.db*"))
    assert "watcher.db" in [path.name for path in files]
    for path in files:
        assert path.stat().st_mode & 0o077 == 0, path.name


async def finished(daemon: DaemonProcess, count: int) -> None:
    """Wait until so many orders have ended, by the database."""
    query = "SELECT count(*) FROM order_states WHERE phase <> 'open'"
    async with asyncio.timeout(60.0):
        while daemon.rows(query)[0][0] < count:
            await asyncio.sleep(0.2)


async def logged(daemon: DaemonProcess, event: str) -> None:
    async with asyncio.timeout(60.0):
        while event not in daemon.text():
            await asyncio.sleep(0.02)
