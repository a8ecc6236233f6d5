"""A machine with systemd as its first process, on a root that is thrown away.

An overlay in memory over this machine's own root, or over another Debian's, booted by
systemd-nspawn with a network of its own.
"""

import json
import os
import shutil
import subprocess
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

HERE = Path("/")
_BOOT_WITHIN = 60.0
_PATH = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"


def missing() -> str | None:
    """What keeps this machine from booting another, None: nothing does."""
    if os.geteuid() != 0:
        return "needs root"
    programs = ("systemd-nspawn", "nsenter", "mount", "umount")
    absent = [name for name in programs if shutil.which(name) is None]
    if absent:
        return f"needs {', '.join(absent)}: apt-get install systemd-container"
    return None


def missing_debian() -> str | None:
    """What keeps this machine from making another Debian's root."""
    return None if shutil.which("mmdebstrap") else "needs mmdebstrap: apt-get install mmdebstrap"


def debian(suite: str, directory: Path) -> Path:
    """A small root of that Debian, with systemd and Python."""
    packages = "systemd,systemd-sysv,dbus,python3,python3-venv,procps,iproute2"
    command = ["mmdebstrap", "--quiet", "--variant=minbase", f"--include={packages}", suite]
    subprocess.run([*command, str(directory)], check=True)
    return directory


class Machine:
    """A booted machine; commands run inside it."""

    def __init__(self, leader: int) -> None:
        self.leader = leader

    def run(
        self,
        *command: str,
        check: bool = True,
        stdin: str | None = None,
        env: Mapping[str, str] | None = None,
    ) -> subprocess.CompletedProcess[str]:
        """Run a command as root; its output is text."""
        inside = ["nsenter", "-t", str(self.leader), "-m", "-u", "-i", "-n", "-p"]
        done = subprocess.run(
            [*inside, "--", *command],
            input="" if stdin is None else stdin,
            capture_output=True,
            text=True,
            timeout=300,
            check=False,
            env={"PATH": _PATH, **(env or {})},
        )
        if check:
            assert done.returncode == 0, f"{command}: {done.stdout}{done.stderr}"
        return done

    def write(self, path: str, text: str) -> None:
        self.run("tee", path, stdin=text)

    def show(self, unit: str, *properties: str) -> dict[str, str]:
        """A unit's properties."""
        names = ",".join(properties)
        text = self.run("systemctl", "show", unit, f"--property={names}").stdout
        return dict(line.split("=", 1) for line in text.splitlines())

    def journal(self, unit: str) -> list[dict[str, Any]]:
        """What the unit has logged, as journald keeps it."""
        self.run("journalctl", "--sync")
        text = self.run("journalctl", "-u", unit, "-o", "json", "--no-pager").stdout
        return [json.loads(line) for line in text.splitlines()]


@contextmanager
def booted(directory: Path, binds: Mapping[Path, str], lower: Path = HERE) -> Iterator[Machine]:
    """A machine that sees `binds` (paths here: paths there) and is gone afterwards."""
    directory.mkdir()
    subprocess.run(["mount", "-t", "tmpfs", "tmpfs", directory], check=True)
    try:
        with _overlay(directory, lower) as root, _nspawn(root, binds) as machine:
            yield machine
    finally:
        subprocess.run(["umount", "--lazy", directory], check=True)


@contextmanager
def _overlay(directory: Path, lower: Path) -> Iterator[Path]:
    upper, work, root = (directory / name for name in ("upper", "work", "root"))
    for path in (upper, work, root):
        path.mkdir()
    options = f"lowerdir={lower},upperdir={upper},workdir={work}"
    subprocess.run(["mount", "-t", "overlay", "overlay", "-o", options, root], check=True)
    try:
        yield root
    finally:
        subprocess.run(["umount", "--lazy", root], check=True)


@contextmanager
def _nspawn(root: Path, binds: Mapping[Path, str]) -> Iterator[Machine]:
    bound = [f"--bind-ro={here}:{there}" for here, there in binds.items()]
    settings = ["--boot", "--private-network", "--register=no", "--keep-unit"]
    settings.append("--console=read-only")
    process = subprocess.Popen(
        ["systemd-nspawn", "-D", str(root), *settings, *bound, "--", "--unit=basic.target"],
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        start_new_session=True,
        # Newer ones know no other; a host with the old one gives this machine the new one, too.
        env={**os.environ, "SYSTEMD_NSPAWN_UNIFIED_HIERARCHY": "1"},
    )
    try:
        yield _wait_until_up(process)
    finally:
        process.terminate()  # nspawn tells the machine to power off
        try:
            process.communicate(timeout=30)
        except subprocess.TimeoutExpired:
            process.kill()
            process.communicate()


def _wait_until_up(process: "subprocess.Popen[bytes]") -> Machine:
    deadline = time.monotonic() + _BOOT_WITHIN
    children = Path(f"/proc/{process.pid}/task/{process.pid}/children")
    while time.monotonic() < deadline:
        assert process.poll() is None, (process.stdout and process.stdout.read()) or "it ended"
        leaders = children.read_text().split()
        if leaders:
            machine = Machine(int(leaders[0]))
            state = machine.run("systemctl", "is-system-running", check=False).stdout.strip()
            if state in ("running", "degraded"):
                return machine
        time.sleep(0.1)
    raise TimeoutError("the machine did not boot")
