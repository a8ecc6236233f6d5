"""One thing that needs a person. Pure."""

from urllib.parse import quote

import msgspec

from watcher.common.pauses import ManualPause
from watcher.daemon.attention_kinds import MEANINGS, Issue, Meaning, Severity


class Attention(msgspec.Struct, frozen=True, kw_only=True):
    """One thing that needs a person. `subject` distinguishes items of one kind at one panel.

    If the daemon does not know when it began, `since` is 0 until `listed` sets it. `snooze` is set
    while somebody has snoozed it.
    """

    kind: Issue
    severity: Severity
    since: float
    panel: str | None
    subject: str
    sentence: str
    command: str | None
    link: str | None
    snooze: ManualPause | None = None

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


def item(
    kind: Issue,
    sentence: str,
    *,
    panel: str | None = None,
    subject: str = "",
    since: float = 0.0,
    severity: Severity | None = None,
    command: str | None = None,
    link: str | None = None,
) -> Attention:
    """Return an item; its severity is the kind's, unless another is given."""
    if panel is not None and link is None:
        link = f"/panels/{quote(panel, safe='')}"
    return Attention(
        kind=kind,
        severity=severity or MEANINGS[kind].severity,
        since=since,
        panel=panel,
        subject=subject,
        sentence=sentence,
        command=command,
        link=link,
    )
