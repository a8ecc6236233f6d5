"""Sessions of the page that were ended by a logout."""

from sqlalchemy import Connection, delete, select

from watcher.store.base import StorePart
from watcher.store.database import Database
from watcher.store.dialect import insert_or_ignore
from watcher.store.schema import ended_sessions


class Sessions(StorePart):
    """The table `ended_sessions`."""

    def __init__(self, database: Database) -> None:
        super().__init__(database)
        self._ended: set[str] = set()

    async def end(self, digest: str, until: float, *, now: float) -> None:
        """Record that the session is ended; forget sessions that have expired."""
        ended = insert_or_ignore(ended_sessions).values(digest=digest, until=until)

        def work(connection: Connection) -> None:
            connection.execute(delete(ended_sessions).where(ended_sessions.c.until <= now))
            connection.execute(ended)

        await self._db.write("end_session", work)

    async def ended(self) -> set[str]:
        """Return the digests of all ended sessions: one set, which each call brings up to date."""
        statement = select(ended_sessions.c.digest)
        self._ended |= await self._read(
            "ended_sessions", statement, lambda rows: set(rows.scalars())
        )
        return self._ended
