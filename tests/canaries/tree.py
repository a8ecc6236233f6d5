"""A copy of the tree in which faults are planted, and the tests that are run there."""

import os
import re
import shutil
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from importlib.util import cache_from_source
from pathlib import Path
from typing import NamedTuple

ROOT = Path(__file__).parents[2]
WITHIN = 60.0  # seconds for the tests of one fault: on a machine that is busy, give it more
_LEFT_OUT = (".*", "__pycache__", "node_modules", "build", "dist")
_FAILED = re.compile(r"^(?:FAILED|ERROR) (\S+?::[^\s\[]+)", re.MULTILINE)


class Outcome(NamedTuple):
    """What the tests said: `killer` is the test that failed, None where all passed."""

    killer: str | None
    seconds: float
    said: str


class Tree:
    """One copy. The working tree itself is never changed."""

    def __init__(self, directory: Path) -> None:
        self.root = directory
        shutil.copytree(ROOT, directory, ignore=shutil.ignore_patterns(*_LEFT_OUT))
        shutil.copytree(ROOT / ".ci", directory / ".ci")

    @contextmanager
    def changed(self, path: Path, text: str) -> Iterator[None]:
        """Have another text in a file of the copy meanwhile."""
        before = path.read_text()
        self._write(path, text)
        try:
            yield
        finally:
            self._write(path, before)

    def run_tests(self, tests: str, *more: str, within: float) -> Outcome:
        """Run them up to the first that fails."""
        names = [f"tests/{name}" for name in tests.split()]
        command = [sys.executable, "-m", "pytest", "-x", "-q", "-p", "no:cacheprovider"]
        command.append("--hypothesis-profile=canaries")
        began = time.perf_counter()
        try:
            done = subprocess.run(
                [*command, *more, *names],
                cwd=self.root,
                env=os.environ | {"PYTHONPATH": str(self.root), "WATCHER_TEST_NO_SKIPS": "1"},
                capture_output=True,
                text=True,
                timeout=within,
            )
        except subprocess.TimeoutExpired:
            return Outcome(None, within, "the tests take too long")
        seconds, said = time.perf_counter() - began, done.stdout + done.stderr
        if done.returncode == 0:
            return Outcome(None, seconds, "NO TEST FINDS IT")
        failed = _FAILED.search(said)
        if done.returncode != 1 or failed is None:
            return Outcome(None, seconds, f"THE TESTS CAN'T BE RUN:\n{said[-3000:]}")
        return Outcome(failed[1], seconds, said)

    def _write(self, path: Path, text: str) -> None:
        path.write_text(text)
        # A compiled file of the same second and size would be taken for this one's.
        Path(cache_from_source(str(path))).unlink(missing_ok=True)
