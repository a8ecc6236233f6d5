"""`watcher top` on a real pseudo-terminal: what is on the screen, at which size, and its end."""

import fcntl
import json
import os
import pty
import re
import select
import signal
import struct
import subprocess
import sys
import termios
import time
from collections.abc import Callable, Iterator
from datetime import timedelta
from pathlib import Path

import pytest
from rich.cells import cell_len
from rich.console import Console

from tests.integration.cli_daemon import HOSTILE, CannedDaemon, now, panel_view
from watcher.cli.top import TopData, frame
from watcher.daemon.attention_kinds import Issue, Severity
from watcher.web.panel_shapes import AttentionList, AttentionView, PanelList, PanelView
from watcher.web.shapes import ChangeView, HistoryList

REPOSITORY = Path(__file__).parents[2]
_WITHIN = 30.0
# A terminal of its own, so that it hears of a new size and of Ctrl-C.
_PROGRAM = (
    "import fcntl, termios; fcntl.ioctl(0, termios.TIOCSCTTY, 0);"
    "from watcher.cli import main; main()"
)


def change(order: str) -> ChangeView:
    return ChangeView("genie", order, now() - timedelta(minutes=1), {"remains": [100, 50]})


def item(kind: Issue, title: str, sentence: str, command: str | None = None) -> AttentionView:
    return AttentionView(
        key=f"{kind}/genie/",
        kind=kind,
        severity=Severity.CRITICAL,
        since=now(),
        panel="genie",
        subject="",
        title=title,
        sentence=sentence,
        todo="Look.",
        command=command,
        link=None,
        doc="page.md",
    )


ITEMS = [
    item(Issue.PANEL_DOWN, "Panel down", f"no check has succeeded: {HOSTILE}"),
    item(Issue.ACTION_UNRESOLVED, "Actions unresolved", "2 refills", "watcher actions"),
    item(Issue.BALANCE_LOW, "Balance low", "19.99 USD left"),
]


def panels(count: int) -> list[PanelView]:
    well = [
        panel_view(f"panel{n}", orders_stalled=0, actions_unresolved=0, lag=None)
        for n in range(count)
    ]
    ill = panel_view("genie", up=False, problem=HOSTILE, balance="19.99", actions_unresolved=2)
    return [ill, *well]


@pytest.fixture
def daemon() -> Iterator[CannedDaemon]:
    with CannedDaemon() as canned:
        canned.put("GET /v1/attention", AttentionList(ITEMS))
        canned.put("GET /v1/panels", PanelList(panels(4)))
        canned.put("GET /v1/history", HistoryList([change(str(n)) for n in range(100)], "9"))
        yield canned


class Screen:
    """A program on a pseudo-terminal."""

    def __init__(self, url: str, columns: int, lines: int) -> None:
        self._master, self._slave = pty.openpty()
        self.resize(columns, lines)
        env = {key: value for key, value in os.environ.items() if key not in ("COLUMNS", "LINES")}
        self.process = subprocess.Popen(
            [sys.executable, "-c", _PROGRAM, "top", "--every", "0.2", "--url", url],
            stdin=self._slave,
            stdout=self._slave,
            stderr=self._slave,
            start_new_session=True,
            cwd=REPOSITORY,
            env={**env, "TERM": "xterm-256color"},
        )
        self._told = ""

    def resize(self, columns: int, lines: int) -> None:
        fcntl.ioctl(self._slave, termios.TIOCSWINSZ, struct.pack("HHHH", lines, columns, 0, 0))

    def press(self, keys: bytes) -> None:
        os.write(self._master, keys)

    def until(self, fits: Callable[[list[str]], bool]) -> list[str]:
        """The first whole frame that fits."""
        deadline = time.monotonic() + _WITHIN
        while time.monotonic() < deadline:
            frames = re.split(r"\x1b\[H", self._told)[1:-1]
            for text in frames:
                plain = re.sub(r"\x1b\[[0-9;?]*[A-Za-z]", "", text).replace("\r", "")
                if fits(lines := plain.split("\n")):
                    self._told = ""
                    return lines
            self._read(1.0)
        raise AssertionError(f"no such frame in {self._told[-3000:]!r}")

    def rest(self) -> str:
        """What it writes until its end."""
        deadline = time.monotonic() + _WITHIN
        while self.process.poll() is None:
            assert time.monotonic() < deadline, f"goes on: {self._told[-3000:]!r}"
            self._read(0.1)
        self._read(0.1)
        return self._told

    def close(self) -> None:
        self.process.kill()
        self.process.wait()
        os.close(self._master)
        os.close(self._slave)

    def _read(self, seconds: float) -> None:
        if select.select([self._master], [], [], seconds)[0]:
            self._told += os.read(self._master, 1 << 16).decode(errors="replace")


@pytest.fixture
def screen(daemon: CannedDaemon) -> Iterator[Screen]:
    shown = Screen(daemon.url, 80, 24)
    yield shown
    shown.close()


def test_it_fills_the_window_and_follows_its_size(screen: Screen) -> None:
    small = screen.until(lambda lines: "open orders" in lines[0])
    assert len(small) == 24
    assert all(cell_len(line) <= 80 for line in small)
    text = "\n".join(small)
    for part in ("Panel down at genie", "2 refills", "19.99 USD left", "remains 100 → 50"):
        assert part in text
    assert "panel3" in text
    assert not {"\x1b", "\x07", "\u202e"} & set(text)
    screen.resize(140, 40)
    large = screen.until(lambda lines: len(lines) == 40 and "guarded" in "".join(lines))
    assert all(cell_len(line) <= 140 for line in large)
    assert sum("remains 100" in line for line in large) > sum(
        "remains 100" in line for line in small
    )


@pytest.mark.parametrize(("keys", "code"), [(b"q", 0), (b"Q", 0), (b"\x03", 130)])
def test_keys_end_it_and_the_terminal_is_as_before(screen: Screen, keys: bytes, code: int) -> None:
    before = termios.tcgetattr(screen._slave)
    screen.until(lambda lines: "open orders" in lines[0])
    assert termios.tcgetattr(screen._slave) != before
    screen.press(b"x")  # means nothing
    screen.until(lambda lines: "open orders" in lines[0])
    screen.press(keys)
    rest = screen.rest()
    assert screen.process.returncode == code
    assert "\x1b[?1049l" in rest
    assert "Traceback" not in rest
    assert termios.tcgetattr(screen._slave) == before


def test_it_goes_on_when_the_daemon_goes_away_and_comes_back(
    screen: Screen, daemon: CannedDaemon
) -> None:
    screen.until(lambda lines: "open orders" in lines[0])
    answer = daemon.answers["GET /v1/panels"]
    daemon.put("GET /v1/panels", "cut")
    gone = screen.until(lambda lines: "does not answer" in lines[1])
    assert "panel3" in "\n".join(gone)
    daemon.answers["GET /v1/panels"] = answer
    screen.until(lambda lines: "does not answer" not in "\n".join(lines))
    screen.process.send_signal(signal.SIGINT)
    screen.rest()
    assert screen.process.returncode == 130


def piped(daemon: CannedDaemon, *args: str) -> "subprocess.CompletedProcess[str]":
    return subprocess.run(
        [sys.executable, "-m", "watcher", "top", "--url", daemon.url, *args],
        cwd=REPOSITORY,
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        timeout=60,
    )


def test_piped_it_is_one_look(daemon: CannedDaemon) -> None:
    done = piped(daemon)
    assert (done.returncode, done.stderr) == (0, "")
    assert "Panel down at genie" in done.stdout
    assert "\x1b" not in done.stdout
    assert "\t" not in done.stdout
    assert len(daemon.asked("GET /v1/panels")) == 1


def test_as_json(daemon: CannedDaemon) -> None:
    told = json.loads(piped(daemon, "--json").stdout)
    assert [panel["panel"] for panel in told["panels"]][:2] == ["genie", "panel0"]
    assert told["attention"][1] == "Actions unresolved at genie: 2 refills (`watcher actions`)"


def test_no_daemon_at_the_start(daemon: CannedDaemon) -> None:
    done = piped(daemon, "--url", "http://127.0.0.1:1")
    assert (done.returncode, done.stdout) == (3, "")


@pytest.mark.parametrize("height", [3, 8, 24, 60])
@pytest.mark.parametrize("width", [20, 80, 200])
def test_any_window_has_room_for_what_matters(width: int, height: int) -> None:
    console = Console(width=width, height=height)
    data = TopData(ITEMS, panels(30), [change(str(n)) for n in range(100)], now())
    lines = frame(console, data, height)
    assert len(lines) <= height
    assert all(line.cell_len <= width for line in lines)
    assert lines[0].plain.startswith("watcher")
    if height >= 8:
        assert any("Panel down at genie"[: width - 1] in line.plain for line in lines)


def test_nothing_to_care_for() -> None:
    well = [panel_view(orders_stalled=0, actions_unresolved=0, lag=None)]
    lines = frame(Console(width=80), TopData([], well, [], now()), 24)
    assert "nothing needs attention" in [line.plain for line in lines]
