"""The panels' names; other tables refer to a panel by its number."""

from collections.abc import Iterable

from sqlalchemy import Connection, select

from watcher.store.dialect import insert_or_ignore
from watcher.store.schema import panels


class PanelNames:
    """The table's rows in memory."""

    def __init__(self) -> None:
        self.ids: dict[str, int] = {}
        self.names: dict[int, str] = {}

    def load(self, connection: Connection) -> None:
        """Load every panel."""
        for key, name in connection.execute(select(panels.c.id, panels.c.name)):
            self.names[key] = name
            self.ids[name] = key

    def add(self, connection: Connection, names: Iterable[str]) -> None:
        """Write panels that may be new; call `load` after the commit."""
        rows = [{"name": name} for name in sorted(names)]
        connection.execute(insert_or_ignore(panels), rows)
