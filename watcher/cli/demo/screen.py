"""The demo's screen: addresses and recent events, redrawn in place without scrolling."""

import asyncio
from collections import deque
from collections.abc import Sequence
from datetime import datetime
from typing import TYPE_CHECKING

from watcher.cli.output import output
from watcher.common.wording import clean

if TYPE_CHECKING:  # imported late, as in output.py
    from rich.console import Console
    from rich.text import Text

REFRESH_EVERY = 1.0  # seconds
_NEWS = 100  # lines that a tall window shows at most

_LOOK_AT = (
    ("/", "what needs attention, the panels and their money, the rules"),
    ("/orders", "every order; each with its course and what comes next"),
    ("/actions", "what was sent; an unresolved one waits for you to settle it"),
    ("/services", "what each service costs, how fast it is, how its orders end"),
)


class Screen:
    """The screen's contents."""

    def __init__(self, url: str, command: str, log: str, began: datetime) -> None:
        self._url, self._command, self._log, self._began = url, command, log, began
        self._news: deque[tuple[datetime, str]] = deque(maxlen=_NEWS)

    def tell(self, line: str, at: datetime) -> None:
        """Add an event of that time."""
        self._news.appendleft((at, line))

    def lines(self, width: int, height: int) -> list["Text"]:
        """Return as many of the screen's lines as fit; the newest event comes first."""
        from rich.text import Text

        told = [
            Text.assemble((f"{at:%H:%M:%S}  ", "dim"), clean(line)) for at, line in self._news
        ] or [Text("the first order comes in a moment", style="dim")]
        room = max(1, height - len(self._fixed()) - 2)
        shown = [*self._fixed(), *told[:room], Text(""), self._end()]
        for line in shown:
            line.truncate(width, overflow="ellipsis")
        return shown[:height]

    def _fixed(self) -> Sequence["Text"]:
        from rich.text import Text

        return [
            Text.assemble(("watcher demo", "bold"), (f"   since {self._began:%H:%M}", "dim")),
            Text(""),
            Text.assemble("  Open in a browser  ", (f"{self._url}/", "bold underline")),
            Text(""),
            *(Text.assemble(f"    {path:<10}", (about, "dim")) for path, about in _LOOK_AT),
            Text(""),
            Text.assemble("  In another terminal ", (f"export WATCHER_URL={self._url}", "bold")),
            Text.assemble("    ", (f"{self._command} top", "bold"), ", orders, actions, rules"),
            Text(""),
            Text("Just now", style="bold"),
        ]

    def _end(self) -> "Text":
        from rich.text import Text

        return Text(f"Ctrl-C ends it. The log: {self._log}", style="dim")


async def show(screen: Screen, console: "Console | None" = None) -> None:
    """Draw the screen when it changes, until cancelled; then restore the terminal."""
    from rich.console import Group
    from rich.live import Live

    console = console or output()
    drawn: object = None
    with Live(console=console, screen=True, auto_refresh=False) as live:
        while True:
            size = console.size
            # The last line stays free: a full one would scroll the screen.
            lines = screen.lines(size.width, size.height - 1)
            if (size, lines) != drawn:
                live.update(Group(*lines), refresh=True)
                drawn = size, lines
            await asyncio.sleep(REFRESH_EVERY)
