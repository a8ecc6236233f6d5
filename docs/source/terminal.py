"""`python -m docs.source.terminal` draws docs/pictures/terminal.svg: `watcher top` as it is now.

A daemon has to run, for example by `make demo` in another terminal.
"""

import io
import os
import re
import subprocess
import sys
from pathlib import Path

from rich.console import Console
from rich.terminal_theme import MONOKAI
from rich.text import Text

PATH = Path(__file__).parents[1] / "pictures" / "terminal.svg"
WIDTH, HEIGHT = 100, 26
_FONTS = re.compile(r"@font-face \{.*?\}\s*", re.DOTALL)  # a picture loads nothing from elsewhere


def screen() -> str:
    """Return what `watcher top` prints, with its colours."""
    return subprocess.run(
        [sys.executable, "-m", "watcher", "top"],
        env={**os.environ, "FORCE_COLOR": "1", "COLUMNS": str(WIDTH), "TERM": "xterm-256color"},
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        text=True,
        check=True,
    ).stdout


def draw(text: str) -> str:
    """Return the first lines of a terminal's output as SVG."""
    console = Console(
        record=True, width=WIDTH, file=io.StringIO(), force_terminal=True, color_system="truecolor"
    )
    console.print(Text.from_ansi("\n".join(text.splitlines()[:HEIGHT])))
    drawn = console.export_svg(title="watcher top", theme=MONOKAI, unique_id="top")
    return _FONTS.sub("", drawn)


if __name__ == "__main__":
    PATH.write_text(draw(screen()))
