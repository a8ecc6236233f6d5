"""The service as docs/install.md puts it up, on a booted systemd."""

import json
import platform
import re
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.support.machine import HERE, Machine, booted, debian, missing, missing_debian

ROOT = Path(__file__).parents[2]
UNIT = ROOT / "systemd" / "watcher.service"
PYTHON = "/usr/bin/python3"  # one that a user without a home can run
WHEELS = "/srv/wheels"
CONFIG = """
[defaults]
requests_per_minute = 600
timeout = "5s"
[panels.trial]
profile = "standard"
url = "http://127.0.0.1:8080/api/v2"
"""
HANGS = "import signal; signal.signal(signal.SIGUSR1, lambda *_: __import__('time').sleep(600))"

pytestmark = pytest.mark.skipif(bool(missing()), reason=str(missing()))


@pytest.fixture(
    scope="module",
    params=[
        "this-machine",
        pytest.param(
            "trixie", marks=pytest.mark.skipif(bool(missing_debian()), reason=str(missing_debian()))
        ),
    ],
)
def lower(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The root on which a machine is built: this one's, or a Debian 13."""
    if request.param == "this-machine":
        return HERE
    return debian(request.param, tmp_path_factory.mktemp("debian") / request.param)


@pytest.fixture(scope="module")
def wheels(lower: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The project's wheel and those that it needs, for the Python of that root."""
    directory = tmp_path_factory.mktemp("wheels")
    pip = [sys.executable, "-m", "pip", "--quiet", "--disable-pip-version-check"]
    lock = ["--require-hashes", "-r", ROOT / "requirements.lock"]
    python = (lower / "usr/bin/python3").readlink().name
    target = ["--only-binary=:all:", f"--python-version={python.removeprefix('python')}"]
    target += [f"--platform=manylinux_2_{libc}_{platform.machine()}" for libc in (17, 28, 34, 36)]
    subprocess.run([*pip, "download", *lock, *target, "--dest", directory], check=True)
    own = ["wheel", "--no-deps", "--no-build-isolation", "--wheel-dir", directory, ROOT]
    subprocess.run([*pip, *own], check=True)
    return directory


@pytest.fixture(scope="module")
def machine(
    tmp_path_factory: pytest.TempPathFactory, wheels: Path, lower: Path
) -> Iterator[Machine]:
    """A machine on which the guide was followed, to the letter, and a panel is simulated."""
    directory = tmp_path_factory.mktemp("machine") / "root"
    with booted(directory, {wheels: WHEELS}, lower) as machine:
        for command in guide("Install"):
            follow(machine, command)
        for command in guide("Configure"):
            follow(machine, command)
        machine.write("/etc/watcher/watcher.toml", CONFIG)
        panel = "/opt/watcher/bin/watcher panel --profile standard --port 8080 --control"
        machine.run("systemd-run", "--unit=panel", *panel.split(), "--orders", "50")
        until(lambda: not online(machine).returncode, lambda: online(machine).stderr)
        for command in guide("Run"):
            follow(machine, command)
        yield machine


def guide(section: str) -> list[str]:
    """The commands of a section of the install guide."""
    text = (ROOT / "docs" / "install.md").read_text().split(f"\n## {section}\n")[1]
    blocks = re.findall(r"^```sh\n(.*?)^```", text.split("\n## ")[0], re.MULTILINE | re.DOTALL)
    lines = "".join(blocks).replace("\\\n", "").splitlines()
    assert lines
    return lines


def follow(machine: Machine, command: str) -> None:
    """Run one line of the guide, as who reads it would."""
    if command.startswith("apt-get"):  # the machine has no network, and has what this one has
        return
    if "notify-reload.conf" in command and version(machine) < 253:
        return
    if "check-config" in command:
        command = command.replace(" --online", "")  # the panel is not simulated yet
        machine.write("/etc/watcher/watcher.toml", CONFIG)
    typed = "demo\n" if "/dev/stdin" in command else None
    command = command.replace("smmgenie.key", "trial.key")
    env = {"PIP_NO_INDEX": "1", "PIP_FIND_LINKS": WHEELS}
    machine.run("bash", "-c", f"cd {WHEELS} && {command}", stdin=typed, env=env)


def version(machine: Machine) -> int:
    return int(machine.run("systemctl", "--version").stdout.split()[1])


def online(machine: Machine) -> "subprocess.CompletedProcess[str]":
    env = {"CREDENTIALS_DIRECTORY": "/etc/watcher/credentials"}
    check = ("watcher", "check-config", "/etc/watcher/watcher.toml", "--online")
    return machine.run(*check, check=False, env=env)


def until(true: Callable[[], bool], told: Callable[[], object], seconds: float = 60.0) -> None:
    deadline = time.monotonic() + seconds
    while not true():
        assert time.monotonic() < deadline, told()
        time.sleep(0.1)


def fetch(machine: Machine, path: str) -> str:
    return read(machine, f"http://127.0.0.1:9466{path}")


def read(machine: Machine, url: str, body: object = None) -> str:
    """What the URL gives inside; a body is posted to it."""
    code = (
        "import sys, urllib.request as r; body = sys.stdin.buffer.read() or None;"
        "print(r.urlopen(sys.argv[1], body).read().decode())"
    )
    typed = None if body is None else json.dumps(body)
    return machine.run(PYTHON, "-c", code, url, stdin=typed).stdout


def state(machine: Machine, *more: str) -> dict[str, str]:
    return machine.show("watcher", "ActiveState", "MainPID", "NRestarts", "Result", *more)


def status_text(machine: Machine) -> str:
    return machine.show("watcher", "StatusText")["StatusText"]


def events(machine: Machine) -> list[tuple[int, dict[str, object]]]:
    """Priority and content of all that the daemon itself logged."""
    entries = machine.journal("watcher")
    own = [entry for entry in entries if str(entry["MESSAGE"]).startswith("{")]
    return [(int(entry["PRIORITY"]), json.loads(entry["MESSAGE"])) for entry in own]


def watched(machine: Machine) -> dict[str, str]:
    """The orders that the daemon knows, and their statuses."""
    listed = json.loads(machine.run("watcher", "orders", "--json", "--limit", "500").stdout)
    return {order["order"]: order["status"] for order in listed["orders"]}


def restarted(machine: Machine, before: dict[str, str]) -> bool:
    now = state(machine)
    return now["ActiveState"] == "active" and now["MainPID"] not in ("0", before["MainPID"])


def test_the_unit_is_clean():
    verify = ["systemd-analyze", "verify", "--man=no", "--recursive-errors=no", str(UNIT)]
    done = subprocess.run(verify, capture_output=True, text=True, check=False)
    told = [line for line in done.stderr.splitlines() if "is not executable" not in line]
    assert not told
    security = ["systemd-analyze", "security", "--offline=true", "--threshold=12", str(UNIT)]
    assert subprocess.run(security, capture_output=True, check=False).returncode == 0


def test_a_start_is_over_when_the_daemon_is_ready(machine: Machine):
    machine.run("systemctl", "restart", "watcher")
    assert fetch(machine, "/readyz").strip() == "ok"
    assert state(machine)["ActiveState"] == "active"
    assert status_text(machine).startswith("1 panel, ")
    database = machine.run("stat", "-L", "-c", "%a", "/var/lib/watcher").stdout.strip()
    assert database == "700"


def test_the_key_is_in_no_environment_and_no_argument(machine: Machine):
    pid = state(machine)["MainPID"]
    for name in ("environ", "cmdline"):
        text = machine.run("cat", f"/proc/{pid}/{name}").stdout
        assert "watcher" in text
        assert "demo" not in text


def test_the_process_tells_when_it_started(machine: Machine):
    """WatcherCrashLooping needs it, and little of /proc is left to the daemon."""
    (line,) = (
        line
        for line in fetch(machine, "/metrics").splitlines()
        if line.startswith("process_start_time_seconds ")
    )
    assert abs(float(line.split()[1]) - time.time()) < 3600


def test_the_journal_has_json_with_priorities(machine: Machine):
    machine.run("systemctl", "restart", "watcher")
    told = {event["event"]: priority for priority, event in events(machine)}
    assert told["daemon.started"] == 6
    assert told["daemon.stopped"] == 6


def test_orders_survive_a_kill(machine: Machine):
    ids = [str(number) for number in range(*command(machine, {"seed_orders": 20})["seeded"])]
    machine.run("watcher", "track", "trial", *ids)
    until(lambda: "unknown" not in watched(machine).values(), lambda: watched(machine))
    before, orders = state(machine), watched(machine)
    assert len(orders) == len(ids)
    machine.run("systemctl", "kill", "--signal=SIGKILL", "watcher")
    until(lambda: restarted(machine, before), lambda: state(machine))
    assert int(state(machine)["NRestarts"]) > int(before["NRestarts"])
    assert watched(machine).keys() == orders.keys()
    assert "unknown" not in watched(machine).values()


def command(machine: Machine, body: dict[str, object]) -> dict[str, Any]:
    """Have the simulated panel do something."""
    return json.loads(read(machine, "http://127.0.0.1:8080/control", body))


def test_reloads_good_and_refused(machine: Machine):
    machine.write("/etc/watcher/watcher.toml", CONFIG.replace("600", "500"))
    machine.run("systemctl", "reload", "watcher")
    until(lambda: "config.reloaded" in logged(machine), lambda: events(machine)[-3:])
    machine.write("/etc/watcher/watcher.toml", CONFIG + "[panels.more]\nprofile = 'none'\n")
    machine.run("systemctl", "reload", "watcher")
    if version(machine) >= 253:  # it has waited for the reload to be over
        assert "refused" in status_text(machine)
    until(lambda: "refused" in status_text(machine), lambda: status_text(machine))
    assert state(machine)["ActiveState"] == "active"
    assert "config.refused" in logged(machine)
    machine.write("/etc/watcher/watcher.toml", CONFIG)
    machine.run("systemctl", "reload", "watcher")
    until(lambda: "refused" not in status_text(machine), lambda: status_text(machine))


def logged(machine: Machine) -> set[object]:
    return {event["event"] for _, event in events(machine)}


def test_a_hung_loop_is_ended_and_started_anew(machine: Machine):
    site = machine.run(
        "/opt/watcher/bin/python", "-c", "import site; print(site.getsitepackages()[0])"
    )
    machine.write(f"{site.stdout.strip()}/hangs.pth", HANGS)
    machine.run("mkdir", "-p", "/run/systemd/system/watcher.service.d")
    drop_in = "/run/systemd/system/watcher.service.d/soon.conf"
    machine.write(drop_in, "[Service]\nWatchdogSec=4s\nRestartSec=1s\n")
    machine.run("systemctl", "daemon-reload")
    machine.run("systemctl", "restart", "watcher")
    before = state(machine)
    time.sleep(6)  # more than the watchdog waits: it is fed
    assert state(machine)["MainPID"] == before["MainPID"]
    machine.run("systemctl", "kill", "--kill-who=main", "--signal=SIGUSR1", "watcher")
    until(lambda: restarted(machine, before), lambda: state(machine))
    assert fetch(machine, "/readyz").strip() == "ok"
    told = [str(entry["MESSAGE"]) for entry in machine.journal("watcher")]
    assert any("Watchdog timeout" in line for line in told)
    machine.run("rm", drop_in, f"{site.stdout.strip()}/hangs.pth")
    machine.run("systemctl", "daemon-reload")


def test_a_stop_lets_requests_under_way_end(machine: Machine):
    machine.run("systemctl", "restart", "watcher")
    command(machine, {"on": [{"trait": "stall", "action": "balance", "amount": 3}]})
    machine.write("/etc/watcher/watcher.toml", CONFIG.replace("600", "590"))
    machine.run("systemctl", "reload", "watcher")  # what is new asks at once
    until(lambda: last_balance(machine)["http"] == 0, lambda: last_balance(machine))
    machine.run("systemctl", "stop", "watcher")
    assert last_balance(machine)["http"] == 200
    after = state(machine)
    assert (after["ActiveState"], after["Result"]) == ("inactive", "success")
    stopped = [event for _, event in events(machine) if event["event"] == "daemon.stopped"]
    assert stopped[-1]["drained"] is True
    machine.run("systemctl", "start", "watcher")


def last_balance(machine: Machine) -> dict[str, Any]:
    """The last request for a balance, as the panel saw it; `http` is 0 while it is under way."""
    entries = json.loads(read(machine, "http://127.0.0.1:8080/journal"))["requests"]
    return [entry for entry in entries if entry["action"] == "balance"][-1]


def test_a_missing_key_is_told(machine: Machine):
    machine.run("systemctl", "stop", "watcher")
    machine.run("mv", "/etc/watcher/credentials/trial.key", "/etc/watcher/trial.key")
    try:
        assert machine.run("systemctl", "start", "watcher", check=False).returncode != 0
        told = " ".join(str(entry["MESSAGE"]) for entry in machine.journal("watcher"))
        assert "panels.trial.key_env: no key: " in told
        assert "credential trial.key" in told
    finally:
        machine.run("systemctl", "stop", "watcher")
        machine.run("mv", "/etc/watcher/trial.key", "/etc/watcher/credentials/trial.key")
        machine.run("systemctl", "start", "watcher")


def test_a_missing_directory_of_credentials_is_told(machine: Machine):
    machine.run("systemctl", "stop", "watcher")
    machine.run("mv", "/etc/watcher/credentials", "/etc/watcher/elsewhere")
    try:
        assert machine.run("systemctl", "start", "watcher", check=False).returncode != 0
        assert state(machine, "ExecMainStatus")["ExecMainStatus"] == "243"
    finally:
        machine.run("systemctl", "stop", "watcher")
        machine.run("mv", "/etc/watcher/elsewhere", "/etc/watcher/credentials")
        machine.run("systemctl", "start", "watcher")
