"""When orders were asked about last: written now and then, read as they are loaded."""

import asyncio

from sqlalchemy import delete, insert, select
from sqlalchemy.ext.asyncio import AsyncConnection

from watcher.orders.columns.check_times import CheckTimes, pages_of
from watcher.store.base import StorePart, compiled, driver_of
from watcher.store.schema import asked_pages

_PAGES = f"{compiled(select(asked_pages))} WHERE page BETWEEN ? AND ?"


class CheckTimePages(StorePart):
    """The table `asked_pages`."""

    async def save_asked(self, asked: CheckTimes) -> None:
        """Write this in the place of all that was there."""
        packed = await asyncio.to_thread(asked.packed)
        rows = [{"page": number, "seconds": seconds} for number, seconds in packed]

        async def write(connection: AsyncConnection) -> None:
            await connection.execute(delete(asked_pages))
            if rows:
                await connection.execute(insert(asked_pages), rows)

        await self._db.write("save_asked", write)


async def asked_between(connection: AsyncConnection, first: int, last: int) -> CheckTimes:
    """What is known of the orders with keys from `first` to `last`, and of some others."""
    driver = await driver_of(connection)
    rows = await driver.execute_fetchall(_PAGES, pages_of(first, last))
    return CheckTimes.unpacked((page, seconds) for page, seconds in rows)
