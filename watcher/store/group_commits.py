"""The hot path: records observations and their consequences in group commits.

1. Callers queue their parts and wait.
2. One task takes all queued parts and writes them in one transaction, with few statements.
3. After the commit every caller continues; the next group gathers meanwhile. If several callers
   write at once, the task waits a moment for more: a commit costs as much as the changes of many
   answers.
4. If a group fails because of one part's data, each part is written alone: only the bad one fails.
"""

import asyncio
from collections.abc import Sequence
from typing import Any

import msgspec
from sqlalchemy import Connection, bindparam, insert, select

from watcher.errors import StoreError
from watcher.model import Action, ActionPlan, Firing, Transition
from watcher.store.action_rows import add_plans
from watcher.store.base import StorePart
from watcher.store.changes import Mismatch, last_history_id, mismatch, write_changes
from watcher.store.database import Database
from watcher.store.errors import is_about_data
from watcher.store.schema import firings, orders

_GATHER = 0.05  # seconds to wait for more callers
_FIRING = insert(firings).values(
    key=select(orders.c.key)
    .where(orders.c.panel == bindparam("panel"), orders.c.order_id == bindparam("order_id"))
    .scalar_subquery()
)


class Piece(msgspec.Struct, eq=False):
    """One caller's part, and the future that the caller awaits."""

    transitions: Sequence[Transition]
    firings: Sequence[Firing]
    plans: Sequence[ActionPlan]
    now: float
    written: asyncio.Future[list[Action]]

    def finish(self, planned: list[Action]) -> None:
        if not self.written.done():
            self.written.set_result(planned)

    def fail(self, error: Exception) -> None:
        if not self.written.done():
            self.written.set_exception(error)


class GroupCommits(StorePart):
    """Writes transitions, firings and plans together."""

    def __init__(self, database: Database) -> None:
        super().__init__(database)
        self._waiting: list[Piece] = []
        self._writer: asyncio.Task[None] | None = None
        self._last_history_id: int | None = None

    async def record(
        self,
        transitions: Sequence[Transition],
        firings: Sequence[Firing] = (),
        plans: Sequence[ActionPlan] = (),
        *,
        now: float,
    ) -> list[Action]:
        """Write all or nothing; return the actions that were planned.

        A plan for an order that has an unsettled action of its kind is left out, together with the
        firing of its rule for that order. An order that is not in the state that a transition
        starts from raises LifecycleError. Only an order's changed fields are written, so two
        sources (a panel, a count feed) don't overwrite each other.
        """
        transitions = [transition for transition in transitions if transition.changes]
        if not (transitions or firings or plans):
            return []
        with self._db.edge("record"):
            await self._db.know_panels({f.panel for f in firings} | {p.panel for p in plans})
            written: asyncio.Future[list[Action]] = asyncio.get_running_loop().create_future()
            self._waiting.append(Piece(transitions, firings, plans, now, written))
            if self._writer is None or self._writer.done():
                self._writer = self._db.spawn(self._write_groups())
            return await written

    def know_newest(self, change: int) -> bool:
        """Note the newest change in the database, which another node may have written.

        Returns whether it was not known.
        """
        is_new = change > (self._last_history_id or 0)
        self._last_history_id = max(self._last_history_id or 0, change)
        return is_new

    def may_have_changes_after(self, change: int) -> bool:
        """Return whether there may be changes with a higher id, without reading the database."""
        return self._last_history_id is None or self._last_history_id > change

    def count_changes_after(self, change: int) -> int:
        """Return an upper bound of the known changes with a higher id."""
        return max(0, (self._last_history_id or 0) - change)

    async def _write_groups(self) -> None:
        group: list[Piece] = []
        while self._waiting:
            if len(group) > 1:
                await asyncio.sleep(_GATHER)
            async with self._db.writing:
                group, self._waiting = self._waiting, []
                try:
                    await self._write_together(group)
                except Exception as error:  # noqa: BLE001  passed on to the callers
                    await self._after_failure(group, error)
                finally:
                    for piece in group:  # so that no caller waits forever
                        piece.fail(StoreError())

    async def _write_together(self, group: Sequence[Piece]) -> None:
        transitions = [transition for piece in group for transition in piece.transitions]

        def work(connection: Connection) -> tuple[int, list[list[Action]]]:
            last_id = self._last_history_id
            if last_id is None or self._db.backend.is_shared:
                last_id = last_history_id(connection)
            write_changes(connection, transitions, last_id)
            planned = [self._write_rest(connection, piece) for piece in group]
            return last_id + len(transitions), planned

        last_id, planned = await self._db.transaction(work)
        self.know_newest(last_id)
        for piece, actions in zip(group, planned, strict=True):
            piece.finish(actions)

    async def _after_failure(self, group: Sequence[Piece], error: Exception) -> None:
        if not is_about_data(error):
            for piece in group:
                piece.fail(error)
        elif len(group) == 1:
            group[0].fail(await self._explained(group[0], error))
        else:
            for piece in group:
                try:
                    await self._write_together([piece])
                except Exception as its_own:  # noqa: BLE001  see above
                    piece.fail(await self._explained(piece, its_own))

    async def _explained(self, piece: Piece, error: Exception) -> Exception:
        """Return a LifecycleError that names the order, if the error is a mismatch."""
        if not isinstance(error, Mismatch):
            return error
        try:
            return await self._db.transaction(lambda c: mismatch(c, piece.transitions))
        except Exception:  # noqa: BLE001  the first error says more
            return error

    def _write_rest(self, connection: Connection, piece: Piece) -> list[Action]:
        if not (piece.firings or piece.plans):
            return []
        planned = add_plans(connection, self._db.panels, piece.plans, piece.now)
        kept = {_pair(action) for action in planned}
        left_out = {pair for plan in piece.plans if (pair := _pair(plan)) not in kept}
        rows = [
            self._firing_row(firing) for firing in piece.firings if _pair(firing) not in left_out
        ]
        if rows:
            connection.execute(_FIRING, rows)
        return planned

    def _firing_row(self, firing: Firing) -> dict[str, Any]:
        return {
            "rule": firing.rule,
            "action": firing.action.value,
            "panel": self._panel(firing.panel),
            "order_id": firing.order,
            "at": firing.at,
            "dry_run": firing.dry_run,
            "detail": firing.detail,
        }


def _pair(item: Action | ActionPlan | Firing) -> tuple[str | None, str, str | None]:
    """Return the values by which a plan and its firing belong together."""
    return item.rule, item.panel, item.order
