"""docs/recovery.md, its commands run in order as they stand there, against a real daemon."""

import asyncio
import os
import re
import shutil
import sqlite3
import sys
from collections.abc import AsyncIterator
from pathlib import Path

import msgspec
import pytest

from tests.support.house import KEY
from tests.support.process import ROOT, DaemonProcess
from watcher.panels.profiles import shipped
from watcher.simulator import Fate, SimulatedPanel

TEXT = (ROOT / "docs" / "recovery.md").read_text()
SECTIONS = {
    title: re.findall(r"```sh\n(.*?)```", body, re.DOTALL)
    for title, body in re.findall(r"(?ms)^## (.*?)\n(.*?)(?=^## |\Z)", TEXT)
}
RULES = """
[[rules]]
name = "refill"
action = "refill"
when = "order.status == 'completed'"
every = "1h"
"""
# What the document leaves to the machine: `watcher` on the path, and a systemd with one unit.
WATCHER = f"""#!/bin/sh
exec {sys.executable} -m watcher "$@"
"""
SYSTEMCTL = """#!/bin/sh
case "$1" in
stop) [ ! -f pid ] || { kill "$(cat pid)"; while kill -0 "$(cat pid)" 2>/dev/null; do sleep 0.05
  done; rm pid; } ;;
start) setsid watcher run --config watcher.toml >>daemon.log 2>&1 </dev/null & echo $! >pid
  for _ in $(seq 600); do curl -fs "$WATCHER_URL/readyz" >/dev/null && exit 0
    kill -0 "$(cat pid)" 2>/dev/null || { wait "$(cat pid)"; rm pid; exit 1; }; sleep 0.05
  done; exit 1 ;;
esac
"""


class Machine:
    """A directory with a configuration, and a shell in it."""

    def __init__(self, directory: Path, config: str, port: int) -> None:
        self.directory = directory
        self.database = directory / "watcher.db"
        programs = directory / "bin"
        programs.mkdir(parents=True)
        for name, text in {"watcher": WATCHER, "systemctl": SYSTEMCTL}.items():
            (programs / name).write_text(text)
            (programs / name).chmod(0o755)
        (directory / "watcher.toml").write_text(config)
        self.env = {
            **os.environ,
            "PATH": f"{programs}:{os.environ['PATH']}",
            "PYTHONPATH": str(ROOT),
            "TEST_KEY": KEY,
            "WATCHER_URL": f"http://127.0.0.1:{port}",
        }
        self.env.pop("STATE_DIRECTORY", None)

    async def run(self, script: str, *, fails: bool = False) -> str:
        shell = await asyncio.create_subprocess_exec(
            "bash",
            "-euo",
            "pipefail",
            "-c",
            script,
            cwd=self.directory,
            env=self.env,
            stdout=asyncio.subprocess.PIPE,
            stderr=asyncio.subprocess.STDOUT,
        )
        output = (await asyncio.wait_for(shell.communicate(), 90.0))[0].decode()
        assert (shell.returncode != 0) is fails, f"{script}\n{output}\n{self.log()}"
        return output

    def log(self) -> str:
        log = self.directory / "daemon.log"
        return log.read_text() if log.exists() else ""

    def rows(self, query: str) -> list[tuple[object, ...]]:
        connection = sqlite3.connect(f"file:{self.database}?mode=ro", uri=True)
        try:
            return connection.execute(query).fetchall()
        finally:
            connection.close()

    async def until(self, query: str, wanted: object) -> None:
        async with asyncio.timeout(30.0):
            while (found := self.rows(query)[0][0]) != wanted:
                assert "Traceback" not in self.log(), (found, self.log())
                await asyncio.sleep(0.1)


@pytest.fixture
async def panel() -> AsyncIterator[SimulatedPanel]:
    panel = SimulatedPanel(shipped()["smmxz"], key=KEY, speed=60.0)
    await panel.start()
    yield panel
    await panel.stop()


@pytest.fixture
async def machine(tmp_path: Path, panel: SimulatedPanel) -> AsyncIterator[Machine]:
    """A daemon that watches ten orders and has acted on five."""
    defaults = "requests_per_minute = 600\ncheck_within = '1s'"
    daemon = DaemonProcess(tmp_path, {"smmxz": panel}, defaults=defaults, rules=RULES)
    machine = Machine(tmp_path / "old", daemon.config.read_text(), daemon.port)
    await machine.run("systemctl start watcher")
    done = panel.world.seed_orders(5, panel.now(), services=[1], quantity=500, fate=Fate(pending=0))
    slow = panel.world.seed_orders(5, panel.now(), quantity=500, fate=Fate(pending=1e9))
    ids = " ".join(map(str, [*done, *slow]))
    await machine.run(f"watcher track smmxz {ids}")
    await machine.until("SELECT count(*) FROM actions WHERE state = 'accepted'", 5)
    yield machine
    for directory in (machine.directory, machine.directory.with_name("new")):
        if directory.exists():
            machine.directory = directory
            await machine.run("systemctl stop watcher")


async def a_new_backup(machine: Machine) -> None:
    """What a day would bring."""
    await machine.run("systemctl stop watcher; rm -f backups/*; systemctl start watcher")
    async with asyncio.timeout(30.0):
        while not list(machine.directory.glob("backups/watcher-*.db")):
            await asyncio.sleep(0.05)


def test_every_section_with_commands_is_tried():
    assert {title for title, blocks in SECTIONS.items() if blocks} == {
        "A backup by hand",
        "Automatic backups",
        "Restore",
        "A damaged database",
        "A full disk",
        "Old orders: the archive",
        "Another machine",
    }


async def test_backups_and_restore(machine: Machine, panel: SimulatedPanel):
    await a_new_backup(machine)
    (by_hand,), (automatic,) = SECTIONS["A backup by hand"], SECTIONS["Automatic backups"]
    assert "bytes" in await machine.run(by_hand)
    assert "watcher-" in await machine.run(automatic)
    sent = dict(panel.journal.sent("refill"))
    extra = panel.world.seed_orders(1, panel.now(), quantity=500)
    await machine.run(f"watcher track smmxz {extra[0]}")
    (restore,) = SECTIONS["Restore"]
    output = await machine.run(restore)
    assert "the database as it was is kept" in output
    assert "1 rule may have acted since" in output
    assert machine.rows("SELECT count(*) FROM orders") == [(10,)]
    await asyncio.sleep(3.0)
    assert dict(panel.journal.sent("refill")) == sent, "no rule has fired again"
    assert len(list(machine.directory.glob("watcher.db.before-restore-*"))) == 1
    await machine.run("watcher restore by-hand.db --config watcher.toml", fails=True)


async def test_a_damaged_database(machine: Machine):
    await a_new_backup(machine)
    await machine.run("systemctl stop watcher")
    data = bytearray(machine.database.read_bytes())
    data[4096:] = os.urandom(len(data) - 4096)
    machine.database.write_bytes(data)
    await machine.run("systemctl start watcher", fails=True)
    assert machine.database.read_bytes() == data
    (advice,) = re.findall(r"watcher restore (\S+) --config (\S+)", machine.log())
    assert Path(advice[0]).name.startswith("watcher-")
    assert advice[1] == "watcher.toml"
    (commands,) = SECTIONS["A damaged database"]
    assert "smmxz" in await machine.run(commands)
    assert machine.rows("SELECT count(*) FROM orders") == [(10,)]
    (kept,) = (machine.directory / "damaged").iterdir()
    assert kept.read_bytes()[4096:] == data[4096:]


async def test_a_full_disk_and_the_archive(machine: Machine):
    await machine.run("systemctl stop watcher")
    connection = sqlite3.connect(machine.database)
    connection.execute(
        "UPDATE order_states SET phase = 'closed', changed_at = 1.0"
        " WHERE phase = 'open' AND key NOT IN (SELECT key FROM firings)"
    )
    connection.commit()
    connection.close()
    await machine.run("systemctl start watcher")
    await machine.until("SELECT count(*) FROM archived_orders", 5)
    (read,) = SECTIONS["Old orders: the archive"]
    order = msgspec.json.decode(await machine.run(read))
    assert order["panel"] == "smmxz"
    shown = await machine.run(f"watcher show smmxz {order['order_id']}", fails=True)
    assert "archived in orders-" in shown
    look, clear = SECTIONS["A full disk"]
    assert "watcher.db" in await machine.run(look)
    assert (await machine.run(clear)).endswith("ok\n")
    names = {path.suffix for path in (machine.directory / "elsewhere").iterdir()}
    assert ".gz" in names
    assert len(list(machine.directory.glob("backups/watcher-*.db"))) == 1


async def test_another_machine(machine: Machine, panel: SimulatedPanel):
    pack, unpack = SECTIONS["Another machine"]
    await machine.run(pack)
    sent = dict(panel.journal.sent("refill"))
    new = machine.directory.with_name("new")
    new.mkdir()
    for name in ("bin", "move.tar.gz"):
        (machine.directory / name).rename(new / name)
    shutil.rmtree(machine.directory)
    machine.directory, machine.database = new, new / "watcher.db"
    machine.env["PATH"] = f"{new / 'bin'}:{os.environ['PATH']}"
    assert "smmxz" in await machine.run(unpack)
    assert machine.rows("SELECT count(*) FROM orders") == [(10,)]
    await asyncio.sleep(2.0)
    assert dict(panel.journal.sent("refill")) == sent
