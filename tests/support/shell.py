"""A user's shell: commands of documents are run in it, and somebody answers what they ask."""

import os
import pty
import re
import select
import shlex
import socket
import subprocess
import sys
import termios
import time
from pathlib import Path

from tests.support.ports import free_port
from tests.support.process import ROOT

LASTING = ("watcher panel ", "watcher run")


def commands(text: str) -> list[str]:
    """The lines of a document's blocks for the shell."""
    blocks = re.findall(r"```sh\n(.*?)```", text, re.DOTALL)
    return [line for block in blocks for line in block.splitlines() if line]


class Session:
    """Commands as documents have them: a directory, an environment, and what runs beside."""

    def __init__(self, directory: Path) -> None:
        self.directory = directory
        self.ports = {"8080": str(free_port()), "9466": str(free_port())}
        bin_ = directory / "bin"
        bin_.mkdir()
        (bin_ / "watcher").write_text(f'#!/bin/sh\nexec {sys.executable} -m watcher "$@"\n')
        (bin_ / "watcher").chmod(0o755)
        self.env = {
            **{name: value for name, value in os.environ.items() if name != "STATE_DIRECTORY"},
            "PATH": f"{bin_}:{os.environ['PATH']}",
            "COLUMNS": "200",  # no table wraps what is looked for
            "PYTHONPATH": str(ROOT),
            "WATCHER_URL": f"http://127.0.0.1:{self.ports['9466']}",
        }
        self.beside: list[subprocess.Popen[bytes]] = []
        self.said: dict[str, str] = {}

    def do(self, line: str) -> None:
        for port, free in self.ports.items():
            line = line.replace(port, free)
        if line.startswith("export "):
            name, _, value = line.removeprefix("export ").partition("=")
            self.env[name] = value
        elif line.startswith(LASTING):
            self.begin(line)
        else:
            self.run(line)

    def begin(self, line: str) -> None:
        """What runs until it is told to stop: it is up when it listens."""
        if "run" in line:
            file = self.directory / "watcher.toml"
            ours = f'listen = "127.0.0.1:{self.ports["9466"]}"'
            file.write_text(file.read_text().replace('# listen = "127.0.0.1:9466"', ours))
        port = self.ports["8080" if "panel" in line.split() else "9466"]
        process = subprocess.Popen(shlex.split(line), cwd=self.directory, env=self.env)
        self.beside.append(process)
        deadline = time.monotonic() + 60
        while not listens(int(port)):
            assert process.poll() is None, line
            assert time.monotonic() < deadline, line
            time.sleep(0.05)

    def run(self, line: str) -> None:
        done = subprocess.run(
            ["bash", "-c", line],
            cwd=self.directory,
            env=self.env,
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            timeout=120,
        )
        assert done.returncode == 0, f"{line}\n{done.stdout}{done.stderr}"
        self.said[line] = done.stdout

    def close(self) -> None:
        for process in reversed(self.beside):
            process.terminate()
            process.wait(60)


def listens(port: int) -> bool:
    with socket.socket() as probe:
        return probe.connect_ex(("127.0.0.1", port)) == 0


class Terminal:
    """`watcher init` with somebody at the keyboard."""

    def __init__(self, directory: Path, *args: str) -> None:
        self._master, slave = pty.openpty()
        self.process = subprocess.Popen(
            [sys.executable, "-m", "watcher", "init", *args],
            stdin=slave, stdout=slave, stderr=slave, cwd=directory, start_new_session=True,
            env={**os.environ, "PYTHONPATH": str(ROOT), "NO_COLOR": "1"},
        )  # fmt: skip
        os.close(slave)
        self.told = ""

    def answer(self, question: str, text: str, *, hidden: bool = False) -> None:
        deadline = time.monotonic() + 60
        while question not in self.told or (hidden and self.echoes()):
            assert time.monotonic() < deadline, self.told
            self.read()
        os.write(self._master, f"{text}\n".encode())

    def echoes(self) -> bool:
        return bool(termios.tcgetattr(self._master)[3] & termios.ECHO)

    def read(self) -> None:
        if select.select([self._master], [], [], 0.2)[0]:
            try:
                self.told += os.read(self._master, 1 << 16).decode(errors="replace")
            except OSError:  # the other end is closed
                return

    def end(self) -> int:
        while self.process.poll() is None:
            self.read()
        self.read()
        os.close(self._master)
        return self.process.returncode
