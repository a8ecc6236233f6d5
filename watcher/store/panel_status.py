"""The status of each panel, written by its leader and read by the other nodes of a cluster."""

from collections.abc import Mapping

import msgspec
from sqlalchemy import Column, Float, Text

from watcher.store.base import StorePart
from watcher.store.dialect import upsert
from watcher.store.table_parts import key_columns, needed, table

panel_status = table(
    "panel_status",
    *key_columns(Text, "panel"),
    Column("at", Float, nullable=False),
    *needed(Text, "node", "state"),
)
_KEEP = upsert(panel_status, ("at", "node", "state"))


class ToldState(msgspec.Struct, frozen=True):
    """A panel's state as JSON, as a node has told it; `at` in Unix seconds, by its clock."""

    panel: str
    at: float
    node: str
    state: str


class PanelStatuses(StorePart):
    """The table `panel_status`: one row a panel, rewritten every few seconds."""

    async def keep(self, node: str, states: Mapping[str, str], *, now: float) -> None:
        """Write the states (JSON, by panel) of the panels that the node leads."""
        rows = [
            {"panel": panel, "at": now, "node": node, "state": state}
            for panel, state in states.items()
        ]
        if rows:
            await self._db.write("keep_panel_status", lambda c: c.execute(_KEEP, rows))

    async def all(self) -> list[ToldState]:
        """Return what was told last of every panel."""
        return await self._read(
            "panel_status", panel_status.select(), lambda rows: [ToldState(*row) for row in rows]
        )
