"""The daemon's process, watched from outside."""

import http.client
import os
import signal
import subprocess
import sys
import threading
import time
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager
from math import ceil
from pathlib import Path
from typing import NamedTuple
from urllib.parse import urlsplit

from benchmarks.house import KEY

ROOT = Path(__file__).parents[1]
_AT_REST = 0.1  # seconds of CPU in one second
_PROBE_EVERY = 0.05  # seconds
_LONGEST = 5  # waits whose circumstances are kept
_TICKS = os.sysconf("SC_CLK_TCK")  # a second


class Process:
    """`watcher run` of the source tree at `root`."""

    def __init__(self, config: Path, port: int, root: Path = ROOT) -> None:
        self.url = f"http://127.0.0.1:{port}"
        self.started = time.perf_counter()
        with config.with_name("daemon.log").open("ab") as log:
            self._process = subprocess.Popen(
                [sys.executable, "-m", "watcher", "run", "--config", str(config)],
                cwd=root,
                env={**environment(config.parent), "BENCH_KEY": KEY},
                stdout=log,
                stderr=log,
            )
        self.pid = self._process.pid

    def cpu(self) -> float:
        """Seconds of CPU so far, of the program and of the system for it."""
        return time.clock_gettime(~self.pid << 3 | 2)  # what clock_getcpuclockid(3) gives

    def loop_times(self) -> tuple[float, float]:
        """Seconds that the event loop's thread, the first one, ran so far, and waited for a CPU."""
        told = Path(f"/proc/{self.pid}/task/{self.pid}/schedstat").read_text().split()
        return int(told[0]) / 1e9, int(told[1]) / 1e9  # Linux: scheduler/sched-stats.rst

    def memory(self, what: str = "VmHWM") -> float:
        """MB: the most so far (VmHWM), or now (VmRSS)."""
        return _status(Path(f"/proc/{self.pid}/status"), what) / 1024

    def wakeups(self) -> int:
        """How often a thread of it began to run after it had waited."""
        threads = Path(f"/proc/{self.pid}/task").glob("*/status")
        return sum(_status(thread, "voluntary_ctxt_switches") for thread in threads)

    def get(self, path: str) -> float | None:
        """Seconds until the answer; None where there is none, or a bad one."""
        started = time.perf_counter()
        try:
            with urllib.request.urlopen(self.url + path, timeout=60) as answer:
                answer.read()
        except OSError:
            return None
        return time.perf_counter() - started

    def wait_until_at_work(self) -> None:
        """Until it answers, and asks panels: not all orders may be there yet."""
        self._wait_until("/healthz")

    def wait_until_ready(self) -> None:
        """Until /readyz says so."""
        self._wait_until("/readyz")

    def _wait_until(self, path: str) -> None:
        while self.get(path) is None:
            if self._process.poll() is not None:
                raise SystemExit("the daemon ended: see daemon.log")
            time.sleep(0.01)

    def wait_until_rest(self) -> None:
        """Until the rules have looked at every order and nothing is left to do."""
        cpu = self.cpu()
        while True:
            time.sleep(1.0)
            before, cpu = cpu, self.cpu()
            if cpu - before < _AT_REST:
                return

    def kill(self) -> None:
        """At once, and as it stands."""
        self._process.kill()
        self._process.wait()

    def stop(self) -> int:
        self._process.send_signal(signal.SIGTERM)
        return self._process.wait(60)


class Pauses:
    """How long something that came at any time had to wait. Seconds."""

    def __init__(self) -> None:
        self._waits: list[float] = []

    def note(self, wait: float) -> None:
        """One waited so long; those that would have come meanwhile waited for the rest."""
        while wait > 0.0:
            self._waits.append(wait)
            wait -= _PROBE_EVERY

    def percentile(self, percent: float) -> float:
        ordered = sorted(self._waits) or [0.0]
        return ordered[ceil(percent / 100 * len(ordered)) - 1]

    @property
    def longest(self) -> float:
        return max(self._waits, default=0.0)


class Wait(NamedTuple):
    """One answer that was waited for, and what happened meanwhile. Seconds."""

    at: float  # since the asking began
    waited: float
    ran: float  # the loop's thread
    queued: float  # the loop's thread could have run, and others had the CPU
    others: float  # the daemon's other threads ran
    stolen: float  # given by the host to its other guests, of the CPU it took most of


class Probe:
    """What asking the daemon all the time told."""

    def __init__(self) -> None:
        self.pauses = Pauses()  # until it answered
        self.own = Pauses()  # of these, without what other guests of the host took
        self.longest: list[Wait] = []

    def note(self, wait: Wait) -> None:
        self.pauses.note(wait.waited)
        self.own.note(wait.waited - wait.stolen)
        self.longest = sorted([*self.longest, wait], key=lambda one: -one.waited)[:_LONGEST]


@contextmanager
def probed(process: Process) -> Iterator[Probe]:
    """Ask the daemon for /healthz twenty times a second, over one connection."""
    probe, done = Probe(), threading.Event()
    connection = http.client.HTTPConnection(urlsplit(process.url).netloc, timeout=60)

    def ask() -> None:
        began = time.perf_counter()
        while not done.wait(_PROBE_EVERY):
            before = _Moment.of(process)
            connection.request("GET", "/healthz")
            connection.getresponse().read()
            probe.note(before.until(_Moment.of(process), began))

    thread = threading.Thread(target=ask)
    thread.start()
    try:
        yield probe
    finally:
        done.set()
        thread.join()
        connection.close()


class _Moment(NamedTuple):
    """What has been counted so far. Seconds."""

    at: float
    ran: float
    queued: float
    cpu: float
    stolen: list[float]

    @classmethod
    def of(cls, process: Process) -> "_Moment":
        ran, queued = process.loop_times()
        return cls(time.perf_counter(), ran, queued, process.cpu(), stolen())

    def until(self, later: "_Moment", began: float) -> Wait:
        ran = later.ran - self.ran
        return Wait(
            at=self.at - began,
            waited=later.at - self.at,
            ran=ran,
            queued=later.queued - self.queued,
            others=max(0.0, round(later.cpu - self.cpu - ran, 6)),  # not quite the same clock
            stolen=max(new - old for new, old in zip(later.stolen, self.stolen, strict=True)),
        )


def stolen() -> list[float]:
    """Seconds that the host gave to other guests so far, of each CPU of this machine."""
    told = Path("/proc/stat").read_text().splitlines()
    cpus = [line.split() for line in told if line.startswith("cpu")][1:]
    return [int(cpu[8]) / _TICKS for cpu in cpus]  # proc(5): the eighth figure is steal


def imports(cache: Path, root: Path = ROOT) -> float:
    """CPU seconds of a process that does nothing but import what the daemon needs.

    Where nothing is in the cache yet, it is filled.
    """
    program = "import watcher.cli, watcher.process, time; print(time.process_time())"
    done = subprocess.run(
        [sys.executable, "-c", program],
        cwd=root,
        env=environment(cache),
        check=True,
        capture_output=True,
        text=True,
    )
    return float(done.stdout)


def environment(cache: Path) -> dict[str, str]:
    """As after an installation: compiled modules are kept, wherever the sources are."""
    kept = {k: v for k, v in os.environ.items() if k != "PYTHONDONTWRITEBYTECODE"}
    return {"PYTHONPYCACHEPREFIX": str(cache / "compiled"), **kept}


def peak_memory() -> float:
    """MB: the most that this process had so far. (What rusage tells includes its parent's.)"""
    return _status(Path("/proc/self/status"), "VmHWM") / 1024


def _status(path: Path, what: str) -> int:
    for line in path.read_text().splitlines():
        if line.startswith(what):
            return int(line.split()[1])
    return 0
