"""What the process does before anything else runs in it."""

import asyncio
import configparser
import ctypes
import os
import signal
import subprocess
import sys
from pathlib import Path
from typing import cast

import pytest

from watcher import process
from watcher.config import Config
from watcher.daemon.stopping import Stop
from watcher.errors import StoreFenced, StoreGone

# A large piece that is given back lets glibc raise the threshold, unless that was set.
_PROGRAM = """
import ctypes
from watcher import process
libc = ctypes.CDLL(None)
class Told(ctypes.Structure):
    _fields_ = [(name, ctypes.c_int) for name in "arena ordblks smblks hblks hblkhd".split()]
    _fields_ += [("others", ctypes.c_int * 5)]
libc.mallinfo.restype = Told
process._keep_large_pieces_apart()
large = bytes(16 * 1024 * 1024)
del large
before = libc.mallinfo().hblks
column = bytes(1024 * 1024)
print(libc.mallinfo().hblks - before)
"""


@pytest.mark.long
@pytest.mark.skipif(not hasattr(ctypes.CDLL(None), "mallopt"), reason="a C library like glibc")
def test_a_column_has_memory_of_its_own_also_after_a_larger_piece_was_given_back():
    done = subprocess.run(
        [sys.executable, "-c", _PROGRAM], check=True, capture_output=True, text=True
    )
    assert done.stdout.strip() == "1"


def test_a_c_library_that_has_no_such_option_is_as_well(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(ctypes, "CDLL", lambda name: object())
    process._keep_large_pieces_apart()


def test_the_unit_leaves_no_core_dump_with_keys_in_it():
    unit = configparser.RawConfigParser(strict=False)
    unit.read(Path(__file__).parents[2] / "systemd" / "watcher.service")
    assert unit["Service"]["LimitCORE"] == "0"
    assert unit["Service"]["UMask"] == "0077"


async def test_a_hang_up_while_the_daemon_starts_reloads_once_it_has_started(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    seen: list[str] = []

    class Starting:
        def __init__(self, config: object, *, stop: Stop, **_: object) -> None:
            self.ended = stop

        async def start(self) -> None:
            os.kill(os.getpid(), signal.SIGHUP)
            await asyncio.sleep(0)
            await asyncio.sleep(0)
            seen.append("started")

        async def reload(self) -> None:
            seen.append("reloaded")
            self.ended.request()

        async def stop(self) -> None:
            seen.append("stopped")

    monkeypatch.setattr(process, "Daemon", Starting)
    await asyncio.wait_for(process._run(cast("Config", None), Path("config.toml")), 10)
    assert seen == ["started", "reloaded", "stopped"]


class Ended(BaseException):
    """In a test, instead of the process's end."""


@pytest.fixture
def ends(monkeypatch: pytest.MonkeyPatch) -> list[tuple[object, ...]]:
    """How the process was replaced, or ended."""
    found: list[tuple[object, ...]] = []

    def end(*arguments: object) -> None:
        found.append(arguments)
        raise Ended

    monkeypatch.setattr(os, "execve", end)
    monkeypatch.setattr(os, "_exit", end)
    return found


def test_a_node_without_a_lease_is_replaced_by_the_same_command(
    ends: list[tuple[object, ...]],
) -> None:
    with pytest.raises(Ended):
        process.ProcessStop().abort(StoreFenced())
    ((program, arguments, environment),) = ends
    assert program == sys.executable
    assert cast(list[str], arguments)[1:] == sys.orig_argv[1:]
    assert cast(dict[str, str], environment)["WATCHER_BEGUN_ANEW"] == "1"


def test_a_node_that_is_to_end_is_not_replaced(ends: list[tuple[object, ...]]) -> None:
    stop = process.ProcessStop()
    stop.request()
    with pytest.raises(Ended):
        stop.abort(StoreFenced())
    assert ends == [(0,)]


async def test_a_node_that_can_not_join_yet_tries_again_until_it_is_told_to_end(
    ends: list[tuple[object, ...]], monkeypatch: pytest.MonkeyPatch
) -> None:
    stop = process.ProcessStop()
    monkeypatch.setattr(process, "_JOIN_AGAIN", 0.01)
    with pytest.raises(Ended):
        await process._begin_anew(stop, StoreGone("away"))
    assert len(ends) == 1
    monkeypatch.setattr(process, "_JOIN_AGAIN", 60.0)
    stop.request()
    await process._begin_anew(stop, StoreGone("away"))
    assert len(ends) == 1
