"""Lets a simulated panel say what a test wants in place of its answer."""

from collections.abc import Callable, Mapping
from typing import Any

import msgspec

from watcher.simulator import SimulatedPanel
from watcher.simulator.delivery import Reply

Saying = Callable[[Mapping[str, str]], object]


class Sayings:
    """`say` gives the answer to a request's fields, None where the panel answers as usual."""

    def __init__(self, panel: SimulatedPanel) -> None:
        self.say: Saying | None = None
        self.asked: list[str] = []  # the actions, in order
        usual = panel._desk.reply

        def reply(sent: Any, entry: Any, *more: Any) -> Reply:
            self.asked.append(entry.action)
            said = None if self.say is None else self.say(sent)
            if said is None:
                return usual(sent, entry, *more)
            entry.outcome = "said"
            return Reply(msgspec.json.encode(said))

        panel._desk.reply = reply  # type: ignore[method-assign]

    def refuse(self, words: str, *calls: str) -> None:
        """Refuse these calls, or all, in these words."""
        self.say = lambda sent: (
            {"error": words} if not calls or sent.get("action") in calls else None
        )

    def answer(self, call: str, body: object) -> None:
        """Answer the call by this."""
        self.say = lambda sent: body if sent.get("action") == call else None

    def as_usual(self) -> None:
        """Answer as the panel does."""
        self.say = None
