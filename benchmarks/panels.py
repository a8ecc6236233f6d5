"""The panels' process (see `benchmarks.traffic`), driven from outside."""

import json
import subprocess
import sys
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from benchmarks.daemon import ROOT


class Panels:
    """`url` is the same for all of them: each knows every order."""

    def __init__(self, port: int) -> None:
        self._url = f"http://127.0.0.1:{port}"
        self.url = f"{self._url}/api/v2"

    def told(self) -> dict[str, float]:
        """What was asked in this sweep so far."""
        return self._control()

    def oldest(self) -> float:
        """Seconds for which the order that waits longest was not asked about."""
        return float(self._control("?oldest")["oldest"])

    def each(self, number: int) -> list[tuple[float, int]]:
        """Of each of so many panels how many seconds ago it was asked about orders, and how many.

        They are counted from the first call on.
        """
        return [(ago, ids) for ago, ids in self._control(f"?each={number}")["each"]]

    def hold(self) -> None:
        """Leave every question about orders open from now on."""
        self._control("?hold")

    def sweep(self, number: int, *, once: int = 0, odd: float = 0.0) -> None:
        """Begin a sweep; `odd`: the share of odd answers, from 0 to 1.

        `once`: so many panels hold again, each when all of its orders were asked about.
        """
        self._control(f"?sweep={number}&odd={odd}{f'&once={once}' if once else ''}")

    def _control(self, query: str = "") -> dict[str, Any]:
        with urllib.request.urlopen(f"{self._url}/control{query}", timeout=30) as answer:
            told: dict[str, Any] = json.load(answer)
            return told


@contextmanager
def panels(orders: int, *, latency: float = 0.0) -> Iterator[Panels]:
    """`latency`: seconds until each answer."""
    words = ["-m", "benchmarks.traffic", f"--orders={orders}", f"--latency={latency}"]
    with subprocess.Popen(
        [sys.executable, *words], cwd=ROOT, stdout=subprocess.PIPE, text=True
    ) as process:
        try:
            assert process.stdout is not None
            yield Panels(int(process.stdout.readline()))
        finally:
            process.terminate()
