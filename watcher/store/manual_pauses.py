"""What people have paused, kept across restarts."""

from collections.abc import Collection, Sequence

import msgspec
from sqlalchemy import Connection, delete, select

from watcher.common.pauses import ManualPause, Paused
from watcher.store.base import StorePart
from watcher.store.control_schema import pauses
from watcher.store.dialect import upsert

_UPDATED = ("since", "until", "reason", "who", "via")


class ManualPauses(StorePart):
    """The table `pauses`."""

    async def all(self) -> list[ManualPause]:
        """Return every pause."""
        return await self._read("pauses", select(pauses), lambda rows: [_pause(r) for r in rows])

    async def keep(
        self, begun: Sequence[ManualPause], ended: Collection[tuple[Paused, str]]
    ) -> None:
        """Write the pauses that began and remove those that ended, in one transaction."""
        rows = [_row(pause) for pause in begun]

        def work(connection: Connection) -> None:
            for what, name in ended:
                gone = (pauses.c.what == what.value) & (pauses.c.name == name)
                connection.execute(delete(pauses).where(gone))
            if rows:
                connection.execute(upsert(pauses, _UPDATED), rows)

        await self._db.write("keep_pauses", work)


def _row(pause: ManualPause) -> dict[str, object]:
    row = msgspec.structs.asdict(pause)
    return {**row, "what": pause.what.value, "who": row.pop("by")}


def _pause(row: object) -> ManualPause:
    names = ("name", "since", "until", "reason", "via")
    fields = {name: getattr(row, name) for name in names}
    return ManualPause(what=Paused(row.what), by=row.who, **fields)  # type: ignore[attr-defined]
