"""The panels' names, each kept once and called by its number."""

from collections.abc import Iterable

from sqlalchemy import select
from sqlalchemy.dialects.sqlite import insert
from sqlalchemy.ext.asyncio import AsyncConnection

from watcher.store.schema import panels


class PanelNames:
    """What is in the table, in memory."""

    def __init__(self) -> None:
        self.ids: dict[str, int] = {}
        self.names: dict[int, str] = {}

    async def load(self, connection: AsyncConnection) -> None:
        """Learn every panel."""
        for key, name in await connection.execute(select(panels.c.id, panels.c.name)):
            self.ids[name] = key
            self.names[key] = name

    async def add(self, connection: AsyncConnection, names: Iterable[str]) -> None:
        """Write panels that may be new; they are known once that is committed and loaded."""
        rows = [{"name": name} for name in sorted(names)]
        await connection.execute(insert(panels).on_conflict_do_nothing(), rows)
