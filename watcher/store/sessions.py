"""Sessions of the page that were ended by a logout."""

from sqlalchemy import delete, select
from sqlalchemy.dialects.sqlite import insert
from sqlalchemy.ext.asyncio import AsyncConnection

from watcher.store.base import StorePart
from watcher.store.schema import ended_sessions


class Sessions(StorePart):
    """The table `ended_sessions`."""

    async def end_session(self, digest: str, until: float, *, now: float) -> None:
        """Record that the session is ended; forget those that are over anyway."""
        statement = insert(ended_sessions).values(digest=digest, until=until)

        async def work(connection: AsyncConnection) -> None:
            await connection.execute(delete(ended_sessions).where(ended_sessions.c.until <= now))
            await connection.execute(statement.on_conflict_do_nothing(index_elements=["digest"]))

        await self._db.write("end_session", work)

    async def ended_sessions(self) -> set[str]:
        """Return the digests of all ended sessions."""

        async def fetch(connection: AsyncConnection) -> set[str]:
            return set(await connection.scalars(select(ended_sessions.c.digest)))

        return await self._db.read("ended_sessions", fetch)
