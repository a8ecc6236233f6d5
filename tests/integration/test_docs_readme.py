"""A new user, with nothing but the README: from nothing to an alert on one's phone."""

import asyncio
import re
from pathlib import Path

from tests.support.receiver import Receiver, a_receiver
from tests.support.shell import Session, Terminal
from watcher.panels.profiles import shipped
from watcher.simulator import SimulatedPanel, World

ROOT = Path(__file__).parents[2]
README = (ROOT / "README.md").read_text()
KEY = "0123456789abcdef0123456789abcdef"
MINUTES, A_MINUTE = 10, 150  # characters that somebody types who is not used to it


def first_panel() -> list[tuple[str, str]]:
    """The blocks of the first steps, and the language of each."""
    _, section = README.split("## Your first panel, in ten minutes\n")
    section, _ = section.split("\n## ", 1)
    return re.findall(r"```(\w+)\n(.*?)```", section, re.DOTALL)


def follow(session: Session, panel: str, phone: str) -> int:
    """Do all of it; how many characters that are."""
    answers = (panel, KEY, "y")
    file = session.directory / "watcher.toml"
    (session.directory / "orders.csv").write_text("id\n23503\n")
    for language, block in first_panel():
        if language == "toml":
            file.write_text(f"{file.read_text()}\n{block}")
            continue
        for line in block.splitlines():
            if "pip install" in line or line.startswith("export PATH="):
                continue  # it is installed where the tests are
            if line.startswith("watcher init"):
                answer(Terminal(session.directory, *line.split()[2:]), *answers)
            else:
                session.do(re.sub(r"https://ntfy\.sh/\S+", phone, line))
    return sum(len(block) for _, block in first_panel()) + sum(map(len, answers))


def answer(terminal: Terminal, panel: str, key: str, may_try: str) -> None:
    terminal.answer("API URL", panel)
    terminal.answer("API key", key, hidden=True)
    terminal.answer("can cancel", may_try)
    assert terminal.end() == 0, terminal.told


async def rings(phone: Receiver, words: str) -> None:
    async with asyncio.timeout(60):
        while not any(words in delivery.body.decode() for delivery in phone.deliveries):
            await asyncio.sleep(0.1)


async def test_from_nothing_to_an_alert(tmp_path: Path) -> None:
    panel = SimulatedPanel(shipped()["standard"], key=KEY, world=World(balance="4.50"))
    await panel.start()
    assert panel.world.seed_orders(3, panel.now(), services=[1], quantity=100)[0] == 23501
    session = Session(tmp_path)
    try:
        async with a_receiver() as phone:
            typed = await asyncio.to_thread(follow, session, panel.url, phone.url)
            await rings(phone, "test")
            await rings(phone, "balance low at mypanel: 4.5 USD left")
    finally:
        await asyncio.to_thread(session.close)
        await panel.stop()
    assert session.said["watcher orders"].count("2350") == 3
    assert typed < MINUTES * A_MINUTE
