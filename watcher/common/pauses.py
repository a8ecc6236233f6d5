"""What people have paused: by whom, why, and until when. Values only."""

from enum import StrEnum

import msgspec

from watcher.common.wording import utc

LONGEST_REASON = 200  # characters


class Paused(StrEnum):
    """What can be paused."""

    READS = "reads"  # of a panel: everything that only asks
    ACTIONS = "actions"  # of a panel: refills, cancels, submissions
    RULE = "rule"
    ATTENTION = "attention"  # one thing that needs attention: it is snoozed


class ManualPause(msgspec.Struct, frozen=True, kw_only=True):
    """A pause that somebody wanted. `name` is a panel, a rule, or the key of an attention item.

    `by` is who wanted it, `via` by which way: page, cli or api. Times are Unix seconds; without
    `until` it lasts until somebody ends it.
    """

    what: Paused
    name: str
    since: float
    until: float | None = None
    reason: str = ""
    by: str
    via: str

    def holds(self, now: float) -> bool:
        """Return whether it is not over."""
        return self.until is None or now < self.until

    @property
    def sentence(self) -> str:
        """What is paused, by whom, until when and why, in one sentence."""
        thing = {
            Paused.READS: f"reads of {self.name} are paused",
            Paused.ACTIONS: f"actions at {self.name} are paused",
            Paused.RULE: f"rule {self.name!r} is paused",
            Paused.ATTENTION: f"{self.name} is snoozed",
        }[self.what]
        until = "until somebody resumes it" if self.until is None else f"until {utc(self.until)}"
        why = f": {self.reason}" if self.reason else ""
        return f"{thing} by {self.by} since {utc(self.since)}, {until}{why}"
