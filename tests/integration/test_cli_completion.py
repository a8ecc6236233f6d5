"""What real shells complete, of the command line and of what the daemon knows."""

import os
import shutil
import stat
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.integration.cli_daemon import CannedDaemon, panel_view
from watcher.web.panel_shapes import PanelList

REPOSITORY = Path(__file__).parents[2]

# Each prints what its shell would offer for the words of $LINE, one a line.
SHELLS = {
    "bash": """
        eval "$(watcher completion bash)"
        complete -p watcher >/dev/null || exit 9
        read -ra COMP_WORDS <<<"$LINE"; [[ $LINE == *' ' ]] && COMP_WORDS+=("")
        COMP_CWORD=$(( ${#COMP_WORDS[@]} - 1 ))
        _watcher_completion watcher
        printf '%s\\n' "${COMPREPLY[@]}"
    """,
    "zsh": """
        compdef() { [[ "$1 $2" == '_watcher_completion watcher' ]] || exit 9 }
        _arguments() { print -r -- "$@" }
        _files() { print "files" }
        eval "$(watcher completion zsh)"
        words=(${(s: :)LINE}); [[ $LINE == *' ' ]] && words+=("")
        CURRENT=${#words}
        _watcher_completion
    """,
    "fish": """
        watcher completion fish | source
        complete --do-complete "$LINE"
    """,
}


@pytest.fixture
def daemon() -> Iterator[CannedDaemon]:
    with CannedDaemon() as canned:
        canned.put("GET /v1/panels", PanelList([panel_view("genie"), panel_view("other")]))
        yield canned


@pytest.fixture
def program(tmp_path: Path) -> Path:
    """A directory with a `watcher` for $PATH."""
    program = tmp_path / "bin" / "watcher"
    program.parent.mkdir()
    program.write_text(f'#!/bin/sh\nexec {sys.executable} -W error -m watcher "$@"\n')
    program.chmod(program.stat().st_mode | stat.S_IXUSR)
    return program.parent


@pytest.fixture(params=SHELLS)
def shell(request: pytest.FixtureRequest) -> str:
    if shutil.which(request.param) is None:
        pytest.skip(f"there is no {request.param} here")
    return str(request.param)


def offered(shell: str, program: Path, line: str, url: str) -> str:
    env = {
        **os.environ,
        "PATH": f"{program}:{os.environ['PATH']}",
        "PYTHONPATH": str(REPOSITORY),
        "HOME": str(program),
        "LINE": line,
        "WATCHER_URL": url,
    }
    args = [shell, *(["-f"] if shell == "zsh" else []), "-c", SHELLS[shell]]
    done = subprocess.run(args, env=env, capture_output=True, text=True, timeout=60)
    assert (done.returncode, done.stderr) == (0, "")
    return done.stdout


def test_commands_options_words_and_panels(shell: str, program: Path, daemon: CannedDaemon) -> None:
    assert "orders" in offered(shell, program, "watcher ord", daemon.url)
    assert "--stalled" in offered(shell, program, "watcher orders --sta", daemon.url)
    words = offered(shell, program, "watcher orders --status pa", daemon.url)
    assert "partial" in words
    assert "completed" not in words
    assert not daemon.requests
    for line in ("watcher show g", "watcher orders --panel g"):
        names = offered(shell, program, line, daemon.url)
        assert "genie" in names
        assert "other" not in names


def test_no_daemon_is_no_matter(shell: str, program: Path) -> None:
    assert "genie" not in offered(shell, program, "watcher show g", "http://127.0.0.1:1")


def test_a_daemon_that_does_not_answer_is_not_waited_for(
    shell: str, program: Path, daemon: CannedDaemon
) -> None:
    daemon.put("GET /v1/panels", "stall")
    assert "genie" not in offered(shell, program, "watcher show g", daemon.url)
    assert daemon.asked("GET /v1/panels")
