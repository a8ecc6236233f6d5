"""What the schedule of orders has learnt: saved now and then, loaded at a start."""

import asyncio
from collections import defaultdict
from collections.abc import Sequence

from sqlalchemy import Connection, delete, insert, select

from watcher.orders.columns.check_times import CheckTimes, pages_of
from watcher.orders.schedule import ModelRow, faded
from watcher.panels.rate import RememberedRate
from watcher.store.base import Rows, StorePart
from watcher.store.dialect import upsert
from watcher.store.schema import asked_pages, lessons, rates

_FACTS = ("changes", "exposure", "logs", "squares")
_UPSERT = upsert(lessons, (*_FACTS, "at"))


class ScheduleState(StorePart):
    """The tables `rates`, `lessons` and `asked_pages`."""

    async def save_rate(self, panel: str, learnt: RememberedRate, *, now: float) -> None:
        """Replace the panel's learnt request rate."""
        await self._db.know_panels({panel})
        values = {
            "at": now,
            "rate": learnt.rate,
            "ceiling": learnt.ceiling,
            "punishes_until": learnt.punishes_until,
        }
        statement = upsert(rates, values).values(panel=self._panel(panel), **values)
        await self._db.write("save_rate", lambda c: c.execute(statement))

    async def rate(self, panel: str) -> RememberedRate | None:
        """Return the panel's learnt request rate; None if there is none."""
        statement = select(rates.c.rate, rates.c.ceiling, rates.c.punishes_until).where(
            rates.c.panel == self._panel(panel)
        )
        row = await self._read("rate", statement, lambda found: found.first())
        if row is None:
            return None
        return RememberedRate(rate=row.rate, ceiling=row.ceiling, punishes_until=row.punishes_until)

    async def save_learnt(self, panel: str, rows: Sequence[ModelRow], *, now: float) -> None:
        """Write statistics of services as of now; replace older ones of the same name."""
        if not rows:
            return
        await self._db.know_panels({panel})
        values = [
            {"panel": self._panel(panel), "service": row.service, "what": row.what, "at": now}
            | {name: getattr(row, name) for name in _FACTS}
            for row in rows
        ]
        await self._db.write("save_learnt", lambda c: c.execute(_UPSERT, values))

    async def learnt(self, *, now: float) -> dict[str, list[ModelRow]]:
        """Return the statistics of each panel's services, with their weights decayed until now."""
        names = self._db.panels.names

        def made(rows: Rows) -> dict[str, list[ModelRow]]:
            found: dict[str, list[ModelRow]] = defaultdict(list)
            for panel, service, what, changes, exposure, logs, at, squares in rows:
                row = ModelRow(service, what, changes, exposure, logs, squares)
                found[names[panel]].append(faded(row, now - at))
            return found

        return await self._read("learnt", select(lessons), made)

    async def save_asked(self, asked: CheckTimes, *, node: str = "") -> None:
        """Replace all check times of orders that the node has saved."""
        packed = await asyncio.to_thread(asked.packed)
        rows = [{"node": node, "page": number, "seconds": seconds} for number, seconds in packed]

        def write(connection: Connection) -> None:
            connection.execute(delete(asked_pages).where(asked_pages.c.node == node))
            if rows:
                connection.execute(insert(asked_pages), rows)

        await self._db.write("save_asked", write)


def asked_between(connection: Connection, first: int, last: int) -> CheckTimes:
    """Return the check times of orders with keys from `first` to `last`, and of some others."""
    statement = select(asked_pages.c.page, asked_pages.c.seconds).where(
        asked_pages.c.page.between(*pages_of(first, last))
    )
    return CheckTimes.unpacked((page, seconds) for page, seconds in connection.execute(statement))
