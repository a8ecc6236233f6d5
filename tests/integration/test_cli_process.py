"""The command as a process: exit codes, streams, signals, and the panel that it runs."""

import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from urllib.request import urlopen

import pytest

from tests.integration.cli_daemon import CannedDaemon, order_view
from watcher import __version__
from watcher.web.shapes import OrderList

REPOSITORY = Path(__file__).parents[2]


@pytest.fixture
def daemon() -> Iterator[CannedDaemon]:
    with CannedDaemon() as canned:
        yield canned


def start(*args: str, **env: str) -> "subprocess.Popen[str]":
    return subprocess.Popen(
        [sys.executable, "-W", "error", "-m", "watcher", *args],
        cwd=REPOSITORY,
        env={**os.environ, **env},
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )


def is_asleep(process: "subprocess.Popen[str]") -> bool:
    after_name = Path(f"/proc/{process.pid}/stat").read_text().rpartition(") ")[2]
    return after_name.startswith("S")


def run(*args: str, **env: str) -> tuple[int, str, str]:
    with start(*args, **env) as process:
        out, err = process.communicate(timeout=60)
    return process.returncode, out, err


def test_the_version() -> None:
    assert run("--version") == (0, f"watcher {__version__}\n", "")


def test_help_names_every_command() -> None:
    code, out, _ = run("--help")
    assert code == 0
    for command in (
        "demo", "run", "check-config", "panel", "track", "submit", "orders", "show", "refill",
        "cancel", "actions", "resolve", "rules", "panels", "services", "backup",
    ):  # fmt: skip
        assert f" {command} " in out


@pytest.mark.parametrize(
    ("args", "code"),
    [
        (("orders", "--url", "http://127.0.0.1:1"), 3),
        (("check-config", "/nowhere.toml"), 1),
        (("orders", "--nonsense"), 2),
        (("nonsense",), 2),
        (("panel", "--profile", "nonsense", "--port", "0"), 2),
        (("panel", "--profile", "standard", "--port", "0", "--trait", "nonsense"), 2),
    ],
)
def test_exit_codes_without_a_traceback(args: tuple[str, ...], code: int) -> None:
    returned, out, err = run(*args)
    assert (returned, out) == (code, "")
    assert err
    assert "Traceback" not in err


def test_no_colours_where_none_are_wanted(daemon: CannedDaemon) -> None:
    daemon.put("GET /v1/orders", OrderList([order_view(status="completed")], None))
    env = {"WATCHER_URL": daemon.url, "FORCE_COLOR": "1", "TERM": "xterm-256color"}
    green = "\x1b[32m"
    assert green in run("orders", **env)[1]
    assert green not in run("orders", "--no-color", **env)[1]
    assert green not in run("orders", **env, NO_COLOR="1")[1]


def test_rich_is_imported_by_what_prints_alone() -> None:
    program = (
        "import sys, watcher.cli, typer.main; typer.main.get_command(watcher.cli.app);"
        "sys.exit(any(name.partition('.')[0] == 'rich' for name in sys.modules))"
    )
    subprocess.run([sys.executable, "-c", program], cwd=REPOSITORY, check=True, timeout=60)


def test_an_encoding_without_the_letters(daemon: CannedDaemon) -> None:
    daemon.put("GET /v1/orders", OrderList([order_view(problem="ключ")], None))
    code, out, err = run("orders", WATCHER_URL=daemon.url, PYTHONIOENCODING="ascii")
    assert (code, err) == (0, "")
    assert "\\u043a" in out


def test_a_reader_that_goes_away(daemon: CannedDaemon) -> None:
    daemon.put("GET /v1/orders", OrderList([order_view("7" * 60)] * 2000, None))
    with start("orders", "--json", "--all", WATCHER_URL=daemon.url) as process:
        assert process.stdout is not None
        assert process.stderr is not None
        process.stdout.readline()
        process.stdout.close()
        assert process.stderr.read() == ""
    assert process.returncode == 1


def test_ctrl_c_is_quiet(daemon: CannedDaemon) -> None:
    daemon.put("GET /v1/orders", "stall")
    with start("orders", WATCHER_URL=daemon.url) as process:
        # A signal just before a system call is only seen after it: that has to have begun.
        while not (daemon.requests and is_asleep(process)) and process.poll() is None:
            time.sleep(0.01)
        process.send_signal(signal.SIGINT)
        assert process.communicate(timeout=30) == ("", "")
    assert process.returncode == 130


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_a_panel_runs_until_it_is_told_to_stop(number: signal.Signals) -> None:
    args = ("panel", "--profile", "smmgenie", "--port", "0", "--key", "k", "--orders", "10")
    with start(*args, "--control", "--trait", "numeric_prices") as process:
        assert process.stdout is not None
        first, seeded, example = (process.stdout.readline() for _ in range(3))
        url = first.split()[2].rstrip(",")
        assert first == f"smmgenie at {url}, key k\n"
        assert seeded == "10 orders: 23501 to 23510\n"
        assert example == f"try: curl -d key=k -d action=balance {url}\n"
        with urlopen(url, b"key=k&action=status&order=23510", timeout=10) as answer:
            assert b"charge" in answer.read()
        with urlopen(url.replace("/api/v2", "/journal"), timeout=10) as answer:
            assert b'"largest_batch":1' in answer.read()
        process.send_signal(number)
        assert process.communicate(timeout=30) == ("", "")
    assert process.returncode == 0


def test_a_port_that_is_taken(daemon: CannedDaemon) -> None:
    port = daemon.url.rpartition(":")[2]
    code, out, err = run("panel", "--profile", "standard", "--port", port)
    assert (code, out) == (1, "")
    assert len(err.splitlines()) == 1
    assert f"127.0.0.1:{port}" in err


def test_traits_are_printed() -> None:
    code, out, err = run("panel", "--list-traits")
    assert (code, err) == (0, "")
    assert "close_after  " in out
