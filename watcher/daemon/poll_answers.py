"""Records one panel's answers about orders, and schedules each order's next check.

A row is an observation, or the panel's words for refusing the id. An order that the answer leaves
out counts as refused. Untracked ids are tracked once the panel has reported them.
"""

import asyncio
from collections.abc import Collection, Iterable, Mapping, Sequence
from contextlib import suppress
from itertools import accumulate

import msgspec
import structlog

from watcher.daemon.recorder import ChangeRecorder
from watcher.daemon.untracked_ids import UntrackedIds
from watcher.errors import LifecycleError, WatcherError
from watcher.model import Observation, Order, RowError, Transition
from watcher.orders.lifecycle import observe, set_aside
from watcher.orders.panel_orders import PanelOrders
from watcher.orders.schedule import OrderGlimpse, after_problem
from watcher.orders.watchlist import Watchlist
from watcher.panels.gateway import PanelGateway
from watcher.panels.protocol import ErrorKind, StatusAnswer, error_kind

log = structlog.get_logger()

LEARNT_AT_ONCE = 100  # orders in one step: some 10 ms, while everything else waits
LEFT_OUT = "the panel's answer left this order out"
NOT_KEPT = "the panel's answer about this order can't be recorded: "
# Refusals that say nothing of the order: the panel could not look it up.
_SAYS_NOTHING = frozenset({ErrorKind.BAD_KEY, ErrorKind.RATE_LIMIT, ErrorKind.BREAKDOWN})

Row = Observation | RowError
Rows = Mapping[str, Row]


class _Answer(msgspec.Struct, frozen=True, eq=False):
    """One answer about these ids; `spoils`: one id makes a whole batch fail."""

    ids: Sequence[str]
    statuses: StatusAnswer
    spoils: bool


class PollAnswers:
    """One panel's answers until they are recorded."""

    def __init__(
        self, *, gateway: PanelGateway, watchlist: Watchlist, recorder: ChangeRecorder
    ) -> None:
        self.untracked = UntrackedIds()
        self._gateway = gateway
        self._watchlist = watchlist
        self._recorder = recorder
        self._waiting: list[_Answer] = []
        self._met = asyncio.Event()  # an untracked id was answered or refused

    @property
    def _orders(self) -> PanelOrders:
        return self._watchlist.panel(self._gateway.name)

    @property
    def waiting(self) -> int:
        """How many answers wait to be recorded."""
        return len(self._waiting)

    async def learn(
        self, ids: Sequence[str], statuses: StatusAnswer, *, spoils: bool = False
    ) -> None:
        """Record an answer; `spoils`: one id makes a whole batch fail.

        Answers that wait for the panel's lock, as for a commit under way, are recorded together.
        """
        answer = _Answer(ids, statuses, spoils)
        self._waiting.append(answer)
        while answer in self._waiting:
            async with self._recorder.turn(self._gateway.name):
                if answer in self._waiting:
                    await self._record(self._next_answers())

    def put_back(self, ids: Collection[str]) -> None:
        """Ask about these again at once, without a result so far."""
        self._orders.put_back(ids)
        self.untracked.put_back(ids)

    async def met(self, ids: Collection[str], seconds: float) -> None:
        """Wait until the panel was asked about these untracked ids, or for so many seconds."""
        with suppress(TimeoutError):
            async with asyncio.timeout(seconds):
                while any(order_id in self.untracked for order_id in ids):
                    await self._met.wait()

    def _next_answers(self) -> list[_Answer]:
        """Take the first waiting answers: at least one, more if they are about few orders."""
        orders = accumulate(len(answer.ids) for answer in self._waiting)
        count = max(1, sum(so_far <= LEARNT_AT_ONCE for so_far in orders))
        some, self._waiting = self._waiting[:count], self._waiting[count:]
        return some

    async def _record(self, answers: Sequence[_Answer]) -> None:
        now, name = self._gateway.clock(), self._gateway.name
        ids = [order_id for answer in answers for order_id in answer.ids]
        rows = {order: row for answer in answers for order, row in answer.statuses.rows.items()}
        untracked = [i for i in ids if i in self.untracked] if self.untracked else []
        found = [order_id for order_id in untracked if isinstance(rows.get(order_id), Observation)]
        try:
            if found:
                await self._recorder.take_up(name, found, now)
            glimpses = self._orders.glimpses(ids)
            changed, bad = await self._keep(ids, rows, now)
        except BaseException:
            self.put_back(ids)
            raise
        self._plan_next(answers, glimpses, changed, bad, now)
        if untracked:
            self._meet(untracked, rows, now)

    def _plan_next(
        self,
        answers: Sequence[_Answer],
        glimpses: Mapping[str, OrderGlimpse],
        changed: Mapping[str, Order],
        bad: Collection[str],
        now: float,
    ) -> None:
        """Schedule each order's next check; after refusals of its id with growing pauses."""
        checked: list[tuple[OrderGlimpse, Order, int]] = []
        for answer in answers:
            for order_id in answer.ids:
                glimpse = glimpses.get(order_id)
                if glimpse is None:
                    continue
                is_observed = isinstance(answer.statuses.rows.get(order_id), Observation)
                if is_observed and order_id not in bad:
                    after = changed.get(order_id, glimpse.order)
                    checked.append((glimpse, after, answer.statuses.marks.get(order_id, 0)))
                else:
                    due = after_problem(glimpse.failures + 1, now)
                    alone = answer.spoils or (glimpse.alone and len(answer.ids) == 1)
                    self._orders.refused(order_id, due, alone=alone)
        if checked:
            self._orders.checked(checked, now)

    def _meet(self, ids: Sequence[str], rows: Rows, now: float) -> None:
        """Release untracked ids that were answered or refused; wake the requests that wait."""
        for order_id in ids:
            row = rows.get(order_id)
            text = row.text if isinstance(row, RowError) else LEFT_OUT
            if isinstance(row, Observation) or error_kind(text) in _SAYS_NOTHING:
                self.untracked.leave([order_id])
            else:
                self.untracked.refuse(order_id, text, now)
        self._met.set()
        self._met = asyncio.Event()

    async def _keep(
        self, ids: Sequence[str], rows: Rows, now: float
    ) -> tuple[dict[str, Order], Collection[str]]:
        """Record what changed; return the changed orders, and the ids that can't be recorded.

        An order whose change can't be recorded gets the reason as its problem.
        """
        changed, bad = await self._keep_rows(ids, rows, now)
        problems = {
            order_id: RowError(f"{NOT_KEPT}{error}")
            for order_id, error in bad.items()
            if isinstance(rows.get(order_id), Observation)
        }
        if problems:
            await self._keep_rows([*problems], problems, now)
        return changed, bad

    async def _keep_rows(
        self, ids: Iterable[str], rows: Rows, now: float
    ) -> tuple[dict[str, Order], dict[str, WatcherError]]:
        name = self._gateway.name
        transitions: dict[str, Transition] = {}
        bad: dict[str, WatcherError] = {}
        for order_id in ids:
            try:
                transition = self._transition(order_id, rows.get(order_id), now)
            except LifecycleError as error:
                bad[order_id] = error
            else:
                if transition is not None:
                    transitions[order_id] = transition
        bad |= await self._recorder.keep(name, [*transitions.values()], now)
        for order_id, cause in bad.items():
            log.error("poller.not_kept", panel=name, order=order_id, cause=str(cause))
        return {i: t.after for i, t in transitions.items() if i not in bad}, bad

    def _transition(self, order_id: str, row: Row | None, now: float) -> Transition | None:
        """Return the order's transition; raise LifecycleError if it is not allowed."""
        order = self._orders.order(order_id)
        if order is None:
            return None
        if isinstance(row, Observation):
            return observe(order, row, now)
        return set_aside(order, row.text if isinstance(row, RowError) else LEFT_OUT, now)
