"""Every command of docs/terminal.md and docs/orders.md, run as it is, against a simulated panel."""

import re
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.support.shell import Session, commands

DOCS = Path(__file__).parents[2] / "docs"
TERMINAL = (DOCS / "terminal.md").read_text()
ORDERS = (DOCS / "orders.md").read_text()
DRY = "watcher track mypanel --file orders.csv --dry-run"
SENT = "watcher track mypanel --file orders.csv --rejected rejected.csv"


@pytest.fixture
def session(tmp_path: Path) -> Iterator[Session]:
    opened = Session(tmp_path)
    yield opened
    opened.close()


def follow(session: Session, page: str, lines: list[str]) -> dict[str, str]:
    """Run the lines beside the page's list of orders; what each has printed."""
    (orders,) = re.findall(r"```csv\n(.*?)```", page, re.DOTALL)
    (session.directory / "orders.csv").write_text(orders)
    for line in lines:
        session.do(line)
    said = session.said
    assert said["watcher track mypanel 23503 23504 --service 1"].startswith("2 orders tracked")
    assert said[DRY].startswith("2 orders to track; nothing was sent")
    assert said[SENT] == "2 orders tracked, 0 known already\n"
    return said


def test_every_command_does_what_it_says(session: Session) -> None:
    said = follow(session, TERMINAL, commands(TERMINAL))
    assert "https://example.com/a" in said["watcher show mypanel 23501"]
    exported = (session.directory / "orders-now.csv").read_text()
    assert exported.count("mypanel,2350") == 4
    assert (session.directory / "copy.db").read_bytes().startswith(b"SQLite")
    assert len(said) > 20


def test_orders_are_brought_along_and_acted_on(session: Session) -> None:
    start = commands(TERMINAL)
    start = start[: start.index("watcher run") + 1]
    said = follow(session, ORDERS, [*start, *commands(ORDERS)])
    assert "refill" in said["watcher actions"]
    assert said["watcher untrack mypanel 23504"] == "23504: untracked\n"
