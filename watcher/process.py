"""The daemon as a process: signals, event loop, garbage collector, allocator."""

import asyncio
import ctypes
import gc
import os
import shlex
import signal
import sys
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from typing import NoReturn

import structlog
import uvloop

from watcher import logs
from watcher.app import Daemon
from watcher.common.postgres_url import PostgresUrl
from watcher.config import Config, ReloadOutcome, load
from watcher.daemon.backups import recovery_advice
from watcher.daemon.stopping import Stop
from watcher.daemon.systemd import Systemd
from watcher.errors import StartError, StoreBusy, StoreCorrupt, StoreGone, StoreOlder
from watcher.store import beside

_M_MMAP_THRESHOLD = -3  # mallopt(3)
_LARGE = 128 * 1024  # bytes
_LOOK_AGAIN = 1.0  # seconds
# Set in the environment of a node that has lost its lease: it goes on trying to join.
_BEGUN_ANEW = "WATCHER_BEGUN_ANEW"
_JOIN_AGAIN = 2.0  # seconds

log = structlog.get_logger()


def run(path: Path) -> int:
    """Run the daemon until it is told to stop; return the exit code.

    Raises ConfigError, StartError or StoreError if it can't start.
    """
    config = load(path)
    logs.configure(config.daemon.log_level, config.daemon.log_format)
    # SQLite works in threads: at the default 5 ms a busy loop starves a commit for seconds.
    sys.setswitchinterval(0.0005)
    _keep_large_pieces_apart()
    try:
        return uvloop.run(_run(config, path))
    except StoreCorrupt as error:
        if isinstance(config.database, PostgresUrl):
            raise
        backups = beside(config.database, config.daemon.backup_dir)
        raise StoreCorrupt(f"{error}. {recovery_advice(config.database, backups, path)}") from error
    except StoreOlder as error:
        command = shlex.join(["watcher", *error.remedy, "--config", str(path)])
        raise StoreOlder(f"{error}. Run: {command}", *error.remedy) from error


def _keep_large_pieces_apart() -> None:
    """Keep large arrays out of the heap: saves a seventh of all memory at a million orders.

    Outside the heap, arrays grow without leaving holes. glibc raises its mmap threshold when a
    large array is freed.
    """
    mallopt = getattr(ctypes.CDLL(None), "mallopt", None)  # not every C library has it
    if mallopt is not None:
        mallopt(_M_MMAP_THRESHOLD, _LARGE)


async def _run(config: Config, path: Path) -> int:
    supervisor = Systemd(os.environ, os.getpid())
    stop = ProcessStop()
    daemon = Daemon(config, reread=lambda: load(path), supervisor=supervisor, stop=stop)
    loop = asyncio.get_running_loop()
    for number in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(number, stop.request)
    started = asyncio.Event()
    reloads: set[asyncio.Task[ReloadOutcome]] = set()

    async def reload_once_started() -> ReloadOutcome:
        await started.wait()
        return await daemon.reload()

    def reload() -> None:
        task = asyncio.ensure_future(reload_once_started())
        reloads.add(task)
        task.add_done_callback(reloads.discard)

    # Before the start: unhandled, the signal would end a daemon that still loads its orders.
    loop.add_signal_handler(signal.SIGHUP, _on_hang_up(stop.request, reload))
    gc.disable()  # a start creates millions of lasting objects, and the collector visits each
    try:
        await daemon.start()
        gc.freeze()
    except (StartError, StoreBusy, StoreGone) as error:
        if os.environ.get(_BEGUN_ANEW) is None:
            raise
        await _begin_anew(stop, error)
        return 0
    finally:
        gc.enable()
    started.set()
    try:
        await stop.wait()
    finally:
        await daemon.stop()
    return 0


class ProcessStop(Stop):
    """The end of a process; one that drops everything is replaced by a new one."""

    def abort(self, error: Exception) -> NoReturn:
        """Replace the process, or end it if it is to end; files and connections close with it."""
        sys.stdout.flush()
        sys.stderr.flush()
        if self.is_requested:
            os._exit(0)
        arguments = [sys.executable, *sys.orig_argv[1:]]
        os.execve(sys.executable, arguments, {**os.environ, _BEGUN_ANEW: "1"})  # noqa: S606


async def _begin_anew(stop: Stop, error: Exception) -> None:
    """Restart the process after _JOIN_AGAIN seconds; return early if a stop is requested."""
    log.warning("cluster.not_joined", cause=str(error), again_in=_JOIN_AGAIN)
    with suppress(TimeoutError):
        async with asyncio.timeout(_JOIN_AGAIN):
            await stop.wait()
            return
    stop.abort(error)


def _on_hang_up(stop: Callable[[], None], reload: Callable[[], None]) -> Callable[[], None]:
    """Return the SIGHUP handler: reload, or stop if the terminal is gone.

    Without its terminal nobody sees that a daemon runs. Under nohup it keeps running.
    """
    has_terminal = signal.getsignal(signal.SIGHUP) is not signal.SIG_IGN and _has_terminal()

    def stop_if_alone() -> None:
        if not _has_terminal():
            stop()

    def on_hang_up() -> None:
        if has_terminal and not _has_terminal():
            stop()
            return
        reload()
        if has_terminal:  # a dying shell may pass the signal on before its terminal is gone
            asyncio.get_running_loop().call_later(_LOOK_AGAIN, stop_if_alone)

    return on_hang_up


def _has_terminal() -> bool:
    """Return whether the process has a controlling terminal, tty(4)."""
    try:
        os.close(os.open("/dev/tty", os.O_RDWR | os.O_NOCTTY))
    except OSError:
        return False
    return True
