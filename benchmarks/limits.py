"""How much of what a panel allows is used, and how often it has to refuse: `make bench-limits`.

Simulated time: nothing is sent. Every client always has something to ask. A server of each kind
allows 60 requests a minute for an hour, then 20, then 120. The clients:

  watcher     panels/limits and panels/rate, as the daemon uses them
  aimd        a request a minute more each minute, 0.7 times the rate after a refusal
  cubic       AWS's adaptive retry mode: CUBIC (beta 0.7, scale 0.4) over the rate in seconds
  fixed 60    as a user would set it by the panel's page
  fixed 20    as a user would set it to be safe
"""

import argparse
import random
import sys
from collections import deque
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Protocol

from benchmarks.report import median, table, write
from watcher.panels.pacing import Pace
from watcher.panels.rate import START, Rate, RememberedRate
from watcher.simulator.request_limits import LimitKind, RequestLimits

HOUR = 3600.0
PHASES = (60, 20, 120)  # requests a minute, an hour each
MOST = 600.0  # the ceiling that a user would set who does not know the limit
LATENCY = (0.1, 0.6)  # seconds
PAUSE = 5.0  # seconds after a refusal, where a client has no rule of its own

Figures = dict[str, float]


class Client(Protocol):
    """Who asks. Times are in seconds."""

    def take(self, now: float) -> float | None:
        """None where a request goes out now, else when to come again."""
        ...

    def ended(self, now: float, sent_at: float, refused: bool) -> None:
        """A request got its answer."""
        ...


class Watcher:
    """The daemon's own."""

    def __init__(self) -> None:
        self.pace = Pace(Rate(MOST, RememberedRate(rate=START)))

    def take(self, now: float) -> float | None:
        return self.pace.take(now)

    def ended(self, now: float, sent_at: float, refused: bool) -> None:
        if refused:
            self.pace.refused(now, None, sent_at=sent_at)
        else:
            self.pace.succeeded(now)


class Spaced:
    """Evenly spaced requests; a kind of client says what the rate is."""

    def __init__(self, per_minute: float) -> None:
        self.per_minute = per_minute
        self._next = 0.0
        self._pause_until = 0.0

    def take(self, now: float) -> float | None:
        at = max(self._next, self._pause_until)
        if now < at:
            return at
        self._next = now + 60.0 / self.per_minute
        return None

    def ended(self, now: float, sent_at: float, refused: bool) -> None:
        self.learn(now, refused)

    def pause(self, now: float) -> None:
        self._pause_until = now + PAUSE

    def learn(self, now: float, refused: bool) -> None:
        """A fixed rate learns nothing."""


class Aimd(Spaced):
    """Additive increase, multiplicative decrease."""

    def learn(self, now: float, refused: bool) -> None:
        if refused:
            self.per_minute = max(1.0, self.per_minute * 0.7)
            self.pause(now)
        else:
            self.per_minute = min(MOST, self.per_minute + 1.0 / self.per_minute)


class Cubic(Spaced):
    """botocore's ClientRateLimiter."""

    def __init__(self, per_minute: float) -> None:
        super().__init__(per_minute)
        self._highest = per_minute / 60.0
        self._since = 0.0
        self._window: deque[float] = deque()

    def learn(self, now: float, refused: bool) -> None:
        self._window.append(now)
        while self._window[0] <= now - 60.0:
            self._window.popleft()
        if refused:
            self._highest = self.per_minute / 60.0
            self._since = now
            self.per_minute = max(1.0, 0.7 * self.per_minute)
            self.pause(now)
            return
        scale, beta = 0.4, 0.7
        way = (self._highest * (1 - beta) / scale) ** (1 / 3)
        minutes = (now - self._since) / 60.0
        rate = (scale * (minutes - way) ** 3 + self._highest) * 60.0
        measured = max(len(self._window), 1.0)
        self.per_minute = max(1.0, min(rate, 2 * measured, MOST))


CLIENTS: Mapping[str, Callable[[], Client]] = {
    "watcher": Watcher,
    "aimd": lambda: Aimd(START),
    "cubic": lambda: Cubic(START),
    "fixed 60": lambda: Spaced(60.0),
    "fixed 20": lambda: Spaced(20.0),
}


def run(client: Client, kind: LimitKind, seed: int, hours_each: float = 1.0) -> Figures:
    """One client against one server."""
    chance = random.Random(seed)
    limits = RequestLimits(kind=kind)
    now = start = chance.uniform(0.0, 60.0)
    passed = refused = 0
    allowed = 0.0
    for phase in PHASES:
        limits.allow(phase)
        ends = start + hours_each * HOUR
        allowed += phase * hours_each * 60.0
        while True:
            again_at = client.take(now)
            if again_at is not None and again_at >= ends:
                break
            if again_at is not None:
                now = again_at
                continue
            is_refused = limits.ask("status", now) > 0.0
            refused += is_refused
            passed += not is_refused
            sent_at, now = now, now + chance.uniform(*LATENCY)
            client.ended(now, sent_at, is_refused)
        start = now = ends
    return {
        "share of the allowed rate": passed / allowed,
        "refusals an hour": refused / (len(PHASES) * hours_each),
    }


def compare(seeds: range, hours_each: float = 1.0) -> dict[str, dict[str, Figures]]:
    """Every client against every kind of server: the median over the seeds."""
    return {
        kind.value: {
            name: median([run(make(), kind, seed, hours_each) for seed in seeds])
            for name, make in CLIENTS.items()
        }
        for kind in LimitKind
    }


def main(arguments: Sequence[str] | None = None) -> None:
    parser = argparse.ArgumentParser(description=__doc__, allow_abbrev=False)
    parser.add_argument("--seeds", type=int, default=5)
    parser.add_argument("--json", type=Path, help="write the figures there")
    options = parser.parse_args(arguments)
    figures = compare(range(options.seeds))
    for kind, rows in figures.items():
        phases = " -> ".join(map(str, PHASES))
        sys.stdout.write(f"\n{kind}, limit {phases} a minute, an hour each\n{table(rows)}\n")
    if options.json:
        write(options.json, "limits", {"seeds": options.seeds, "servers": figures})


if __name__ == "__main__":
    main()
