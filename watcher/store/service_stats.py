"""What the panels' orders have taught: written now and then, read at a start."""

from collections import defaultdict
from collections.abc import Sequence

from sqlalchemy import select
from sqlalchemy.dialects import sqlite
from sqlalchemy.ext.asyncio import AsyncConnection

from watcher.orders.schedule import ModelRow, faded
from watcher.store.base import StorePart
from watcher.store.schema import lessons

_INSERT = sqlite.insert(lessons)
_UPSERT = _INSERT.on_conflict_do_update(
    set_={name: _INSERT.excluded[name] for name in ("changes", "exposure", "logs", "at")}
)


class ServiceStatsRows(StorePart):
    """The table `lessons`."""

    async def save_learnt(self, panel: str, rows: Sequence[ModelRow], *, now: float) -> None:
        """Write these rows, as of now, in the place of older ones of the same name."""
        if not rows:
            return
        await self._db.know_panels({panel})
        values = [
            {
                "panel": self._panel(panel),
                "service": row.service,
                "what": row.what,
                "changes": row.changes,
                "exposure": row.exposure,
                "logs": row.logs,
                "at": now,
            }
            for row in rows
        ]
        await self._db.write("save_learnt", lambda c: c.execute(_UPSERT, values))

    async def learnt(self, *, now: float) -> dict[str, list[ModelRow]]:
        """Each panel's rows, weighing as much as they do now."""
        names = self._db.panels.names

        async def fetch(connection: AsyncConnection) -> dict[str, list[ModelRow]]:
            found: dict[str, list[ModelRow]] = defaultdict(list)
            for panel, service, what, changes, exposure, logs, at in await connection.execute(
                select(lessons)
            ):
                row = ModelRow(service, what, changes, exposure, logs)
                found[names[panel]].append(faded(row, now - at))
            return found

        return await self._db.read("learnt", fetch)
