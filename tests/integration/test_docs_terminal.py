"""Every command of docs/terminal.md, run as it stands there, against a simulated panel."""

import re
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.support.shell import Session, commands

ROOT = Path(__file__).parents[2]
PAGE = (ROOT / "docs" / "terminal.md").read_text()


@pytest.fixture
def session(tmp_path: Path) -> Iterator[Session]:
    opened = Session(tmp_path)
    yield opened
    opened.close()


def test_every_command_does_what_it_says(session: Session) -> None:
    (orders,) = re.findall(r"```csv\n(.*?)```", PAGE, re.DOTALL)
    (session.directory / "orders.csv").write_text(orders)
    for line in commands(PAGE):
        session.do(line)
    said = session.said
    assert said["watcher track mypanel 23503 23504 --service 1"].startswith("2 orders tracked")
    dry = "watcher track mypanel --file orders.csv --dry-run"
    assert said[dry].startswith("2 orders to track; nothing was sent")
    sent = "watcher track mypanel --file orders.csv --rejected rejected.csv"
    assert said[sent] == "2 orders tracked, 0 known already\n"
    assert "https://example.com/a" in said["watcher show mypanel 23501"]
    exported = (session.directory / "orders-now.csv").read_text()
    assert exported.count("mypanel,2350") == 4
    assert (session.directory / "copy.db").read_bytes().startswith(b"SQLite")
    assert len(said) > 20
