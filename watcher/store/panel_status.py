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


class ReportedState(msgspec.Struct, frozen=True):
    """A panel's state as JSON, reported by a node; `at` in Unix seconds, by its clock."""

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

    async def of(self, panel: str) -> ReportedState | None:
        """Return the last reported state of the panel."""
        statement = panel_status.select().where(panel_status.c.panel == panel)
        row = await self._read("panel_status", statement, lambda rows: rows.first())
        return None if row is None else ReportedState(*row)

    async def all(self) -> list[ReportedState]:
        """Return the last reported state of every panel."""
        every = panel_status.select()
        return await self._read(
            "panel_status", every, lambda rows: [ReportedState(*row) for row in rows]
        )
