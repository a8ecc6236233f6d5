"""How often actions were claimed, to tell an older database by: see `watcher.store.seen`."""

from sqlalchemy import func, select, update
from sqlalchemy.dialects.sqlite import insert
from sqlalchemy.ext.asyncio import AsyncConnection

from watcher.store.schema import counters

_CLAIMS = "claims"
_MINE = counters.c.name == _CLAIMS


async def counted(connection: AsyncConnection) -> int:
    """How many claims there were."""
    return (await connection.execute(select(counters.c.value).where(_MINE))).scalar() or 0


async def count(connection: AsyncConnection) -> int:
    """Count one more; how many there are now."""
    one_more = update(counters).where(_MINE).values(value=counters.c.value + 1)
    return int((await connection.execute(one_more.returning(counters.c.value))).scalar_one())


async def reach(connection: AsyncConnection, at_least: int) -> None:
    """Go on counting from there, if the count is lower."""
    first = insert(counters).values(name=_CLAIMS, value=at_least)
    value = func.max(counters.c.value, at_least)
    await connection.execute(first.on_conflict_do_update(set_={"value": value}))
