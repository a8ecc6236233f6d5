"""Erases the personal data of orders: customer and note."""

import asyncio
from collections.abc import Sequence
from functools import partial

import msgspec
from sqlalchemy import Connection, bindparam, select, update

from watcher.store.action_rows import labels_of, labels_text
from watcher.store.base import StorePart
from watcher.store.schema import IS_PERSONAL, actions, orders

_SLICE = 500  # orders per transaction
_ERASE = update(orders).where(orders.c.key == bindparam("_key")).values(customer=None, note=None)
_SET_LABELS = update(actions).where(actions.c.id == bindparam("_id"))


class PersonalData(StorePart):
    """The columns `customer` and `note`. The history never has their values."""

    async def erase(self, before: float) -> int:
        """Erase them from orders submitted before then; return how many orders had some.

        The space that they had in the file is overwritten. Submissions planned before then, which
        have no order yet, lose theirs, too.
        """
        found = select(orders.c.key).where(IS_PERSONAL, orders.c.submitted_at < before)
        count = 0
        while keys := await self._read(
            "personal", found.limit(_SLICE), lambda rows: list(rows.scalars())
        ):
            await self._db.write("erase", partial(_erase, keys))
            count += len(keys)
            await asyncio.sleep(0)
        await self._db.write("erase", partial(_erase_planned, before))
        return count


def _erase(keys: Sequence[int], connection: Connection) -> None:
    connection.execute(_ERASE, [{"_key": key} for key in keys])


def _erase_planned(before: float, connection: Connection) -> None:
    found = select(actions.c.id, actions.c.labels).where(
        actions.c.labels.is_not(None), actions.c.planned_at < before
    )
    rows = []
    for number, text in connection.execute(found):
        kept = msgspec.structs.replace(labels_of(text), customer=None, note=None)
        rows.append({"_id": number, "labels": labels_text(kept)})
    if rows:
        connection.execute(_SET_LABELS, rows)
