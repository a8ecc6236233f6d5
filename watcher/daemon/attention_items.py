"""One thing that needs a person. Pure."""

from typing import Any
from urllib.parse import quote

import msgspec

from watcher.common.pauses import ManualPause
from watcher.common.wording import clock
from watcher.daemon.attention_kinds import MEANINGS, Issue, Meaning, Severity


class Attention(msgspec.Struct, frozen=True, kw_only=True):
    """One thing that needs a person. `subject` distinguishes items of one kind at one panel.

    If it is not known when it began, `since` is 0 until `listed` sets it. The sentence is `text`
    and the time `at`, if there is one, which the page shows in the reader's time zone. `snooze` is
    set while somebody has snoozed it.
    """

    kind: Issue
    severity: Severity
    since: float = 0.0
    panel: str | None
    subject: str = ""
    text: str
    at: float | None = None
    command: str | None = None
    link: str | None
    snooze: ManualPause | None = None

    @property
    def sentence(self) -> str:
        """The whole sentence, with its time in UTC."""
        return self.text if self.at is None else f"{self.text} {clock(self.at)}"

    @property
    def key(self) -> str:
        """The item's identity; it stays while the item lasts."""
        return f"{self.kind}/{self.panel or ''}/{self.subject}"

    @property
    def title(self) -> str:
        """The kind in words: "Balance low"."""
        return self.kind.replace("_", " ").capitalize()

    @property
    def meaning(self) -> Meaning:
        """What all items of the kind share."""
        return MEANINGS[self.kind]


def panel_of(key: str) -> str | None:
    """Return the panel in an item's key; None if the item concerns the whole daemon."""
    return key.partition("/")[2].partition("/")[0] or None


def item(
    kind: Issue,
    text: str,
    *,
    panel: str | None = None,
    severity: Severity | None = None,
    link: str | None = None,
    **fields: Any,
) -> Attention:
    """Return an item; its severity is the kind's, unless another is given."""
    if panel is not None and link is None:
        link = f"/panels/{quote(panel, safe='')}"
    severity = severity or MEANINGS[kind].severity
    return Attention(kind=kind, severity=severity, panel=panel, text=text, link=link, **fields)
