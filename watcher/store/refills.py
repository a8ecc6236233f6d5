"""Refill tasks at the panels."""

from collections.abc import Mapping, Sequence
from typing import Any

from sqlalchemy import Connection, Select, bindparam, or_, select, update

from watcher.errors import LifecycleError
from watcher.model import REFILL_FINAL, Refill, RefillStatus
from watcher.store.base import StorePart, batched
from watcher.store.schema import refills

_SELECT = select(refills).order_by(refills.c.key)
# Not `in_`: SQLAlchemy doesn't run that with many rows of parameters.
_RUNNING = or_(*(refills.c.status == s.value for s in RefillStatus if s not in REFILL_FINAL))
_UPDATE = update(refills).where(
    refills.c.key == bindparam("_key"), refills.c.status == bindparam("_of")
)


class Refills(StorePart):
    """The table `refills`; its rows come from accepted actions."""

    async def running(self) -> list[Refill]:
        """Return every refill task that is not over."""
        return await self._tasks("open_refills", _SELECT.where(_RUNNING))

    async def of_order(self, panel: str, order: str) -> list[Refill]:
        """Return the order's refill tasks, oldest first."""
        statement = _SELECT.where(
            refills.c.panel == self._panel(panel), refills.c.order_id == order
        )
        return await self._tasks("refills", statement)

    async def by_id(self, panel: str, ids: Sequence[str]) -> list[Refill]:
        """Return those of the panel's refill tasks that are on record; at most a thousand ids."""
        statement = _SELECT.where(
            refills.c.panel == self._panel(panel), refills.c.refill_id.in_(ids)
        )
        return await self._tasks("refills", statement)

    async def save(self, changed: Sequence[Refill]) -> None:
        """Write the tasks' new states; one that was over raises LifecycleError at the end."""

        def work(connection: Connection) -> list[int]:
            running = _running(connection, [refill.key for refill in changed])
            rows = [_row(r, running[r.key]) for r in changed if r.key in running]
            if rows:
                connection.execute(_UPDATE, rows)
            return [refill.key for refill in changed if refill.key not in running]

        over = await self._db.write("record_refills", work)
        if over:
            raise LifecycleError(f"refills (rows {over}) are over: their states do not change")

    async def _tasks(self, operation: str, statement: Select[*tuple[Any, ...]]) -> list[Refill]:
        names = self._db.panels.names
        return await self._read(
            operation, statement, lambda rows: [to_refill(row, names) for row in rows.mappings()]
        )


def to_refill(row: Mapping[Any, Any], panels: Mapping[int, str]) -> Refill:
    """Return the task in a row of the table."""
    return Refill(
        key=row["key"],
        panel=panels[row["panel"]],
        order=row["order_id"],
        id=row["refill_id"],
        action=row["action"],
        status=RefillStatus(row["status"]),
        status_text=row["status_text"],
        requested_at=float(row["requested_at"]),
        finished_at=row["finished_at"],
        silent_since=row["silent_since"],
    )


def _running(connection: Connection, keys: Sequence[int]) -> dict[int, str]:
    """Return the states of those of the tasks that are not over."""
    found: dict[int, str] = {}
    for some in batched(keys):
        statement = select(refills.c.key, refills.c.status).where(refills.c.key.in_(some), _RUNNING)
        found.update(dict(connection.execute(statement).all()))
    return found


def _row(refill: Refill, status: str) -> dict[str, Any]:
    return {
        "_key": refill.key,
        "_of": status,
        "status": refill.status.value,
        "status_text": refill.status_text,
        "finished_at": refill.finished_at,
        "silent_since": refill.silent_since,
    }
