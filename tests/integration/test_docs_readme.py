"""A new user, with nothing but the README: from nothing to an alert, and to a rule that fires."""

import asyncio
import re
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from tests.support.receiver import Receiver, a_receiver
from tests.support.shell import Session, Terminal
from watcher.panels.profiles import shipped
from watcher.simulator import SimulatedPanel, World

ROOT = Path(__file__).parents[2]
README = (ROOT / "README.md").read_text()
KEY = "0123456789abcdef0123456789abcdef"
MINUTES, A_MINUTE = 10, 150  # characters that somebody types who is not used to it
WORDS = 900
REFILLED = re.compile(r"refill .* (?:23501|23503) .* accepted")
EXPLAIN, SHOW = "watcher rules --explain mypanel 23501", "watcher show mypanel 23501"


@pytest.fixture
def session(tmp_path: Path) -> Iterator[Session]:
    opened = Session(tmp_path)
    yield opened
    opened.close()


def walkthrough() -> list[tuple[str, str]]:
    """Return the blocks of the first steps, each with its language."""
    _, section = README.split("## Your first panel, in ten minutes\n")
    section, _ = section.split("\n## ", 1)
    return re.findall(r"```(\w+)\n(.*?)```", section, re.DOTALL)


def typed() -> int:
    return sum(len(block) for _, block in walkthrough())


class Newcomer:
    """Follow the README, with one's own panel at `panel`, else with the simulated one."""

    def __init__(self, session: Session, phone: str, panel: str | None = None) -> None:
        self.session, self.phone, self.panel = session, phone, panel

    def follow(self) -> None:
        """Do everything up to the reload, which comes last."""
        for language, block in walkthrough():
            if language == "toml":
                self._append("watcher.toml", block)
            elif language == "csv":
                self._append("orders.csv", block)
            else:
                for line in block.splitlines():
                    self._do(line)

    def _append(self, name: str, block: str) -> None:
        file = self.session.directory / name
        before = f"{file.read_text()}\n" if file.exists() else ""
        file.write_text(before + block)

    def _do(self, line: str) -> None:
        if "pip install" in line or line.startswith("export PATH="):
            return  # it is installed where the tests are
        if line.startswith("watcher panel") and self.panel:
            return
        if line.startswith("watcher init"):
            self._connect(line)
        elif line == "watcher reload":
            self._drop_dry_run()
            self.session.do(line)
        elif line == "watcher rules":
            self._until_checked()
            self.session.do(line)
        elif line == EXPLAIN:  # once the price list has been read, too
            self._until(line, lambda said: "value_unknown" not in said)
        else:
            self.session.do(re.sub(r"https://ntfy\.sh/\S+", self.phone, line))

    def _connect(self, line: str) -> None:
        here = f"http://127.0.0.1:{self.session.ports['8080']}/api/v2"
        terminal = Terminal(self.session.directory, *line.split()[2:])
        terminal.answer("API URL", self.panel or here)
        terminal.answer("API key", KEY if self.panel else "demo", hidden=True)
        terminal.answer("can cancel", "y")
        assert terminal.end() == 0, terminal.told

    def _until_checked(self) -> None:
        self._until("watcher orders", lambda said: "unknown" not in said)

    def _drop_dry_run(self) -> None:
        file = self.session.directory / "watcher.toml"
        file.write_text(file.read_text().replace("dry_run = true\n", ""))

    def until_refilled(self) -> None:
        self._until("watcher actions", lambda said: len(REFILLED.findall(said)) == 2)

    def _until(self, command: str, good: Callable[[str], bool]) -> None:
        deadline = time.monotonic() + 60
        while True:
            self.session.do(command)
            if good(said := self.session.said[command]):
                return
            assert time.monotonic() < deadline, said
            time.sleep(0.5)


async def rings(phone: Receiver, words: str) -> None:
    async with asyncio.timeout(60):
        while not any(words in delivery.body.decode() for delivery in phone.deliveries):
            await asyncio.sleep(0.1)


def test_it_is_read_in_a_few_minutes() -> None:
    assert len(README.split()) <= WORDS


async def test_from_nothing_to_an_alert(session: Session) -> None:
    panel = SimulatedPanel(shipped()["standard"], key=KEY, world=World(balance="4.50"))
    await panel.start()
    assert panel.world.seed_orders(3, panel.now(), services=[1], quantity=100)[0] == 23501
    try:
        async with a_receiver() as phone:
            await asyncio.to_thread(Newcomer(session, phone.url, panel.url).follow)
            await rings(phone, "test")
            await rings(phone, "balance low at mypanel: 4.5 USD left")
    finally:
        await asyncio.to_thread(session.close)
        await panel.stop()
    assert session.said["watcher orders"].count("2350") == 3
    assert typed() < MINUTES * A_MINUTE


async def test_the_rule_fires_on_the_orders_of_the_walkthrough(session: Session) -> None:
    async with a_receiver() as phone:
        newcomer = Newcomer(session, phone.url)
        await asyncio.to_thread(newcomer.follow)
        await asyncio.to_thread(newcomer.until_refilled)  # once it is dry no more
    said = session.said
    assert said["watcher track mypanel --file orders.csv"].startswith("3 orders tracked")
    assert "refill (dry run)" in said["watcher rules"]
    assert "it would have acted on this order" in said[EXPLAIN]
    assert "refill (dry run)" in said[SHOW]
    assert said["watcher reload"] == ("reloaded\nrule 'refill daily for a month': dry_run\n")
