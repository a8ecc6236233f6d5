"""What people and keys did. Rows are only added; only `Purge` removes them, once they are old."""

from collections.abc import Sequence

import msgspec
from sqlalchemy import Connection, insert, select

from watcher.store.base import StorePart, from_then_on
from watcher.store.control_schema import audit

LONGEST_DETAIL = 500  # characters


class AuditEntry(msgspec.Struct, frozen=True, kw_only=True):
    """One thing that somebody did. `subject` is an order, an action, a rule or a target."""

    at: float
    by: str
    via: str
    did: str
    panel: str | None = None
    subject: str | None = None
    detail: str | None = None
    id: int = 0


class AuditLog(StorePart):
    """The table `audit`."""

    async def add(self, entry: AuditEntry) -> None:
        """Write one row."""
        row = {**msgspec.structs.asdict(entry), "who": entry.by}
        del row["id"], row["by"]
        row["detail"] = entry.detail and entry.detail[:LONGEST_DETAIL]

        def work(connection: Connection) -> None:
            connection.execute(insert(audit).values(row))

        await self._db.write("audit", work)

    async def page(
        self,
        *,
        limit: int,
        before: int | None = None,
        by: str | None = None,
        did: str | None = None,
        panel: str | None = None,
        since: float | None = None,
    ) -> tuple[Sequence[AuditEntry], int | None]:
        """Return a page, the newest first, and the cursor of the next one."""
        found = select(audit).order_by(audit.c.id.desc()).limit(limit + 1)
        given = {audit.c.who: by, audit.c.did: did, audit.c.panel: panel}
        found = found.where(*(column == value for column, value in given.items() if value))
        if before is not None:
            found = found.where(audit.c.id < before)
        if since is not None:
            found = found.where(from_then_on(audit.c.at, since))
        entries = await self._read("audit_page", found, lambda rows: [_entry(row) for row in rows])
        return entries[:limit], entries[limit - 1].id if len(entries) > limit else None


def _entry(row: object) -> AuditEntry:
    names = ("id", "at", "via", "did", "panel", "subject", "detail")
    return AuditEntry(by=row.who, **{name: getattr(row, name) for name in names})  # type: ignore[attr-defined]
