"""Records what one panel's answers say of its orders, and when to ask about each again.

A row is an observation, or the panel's words for refusing the id. An order that the answer leaves
out counts as refused. Ids that nobody tracks are tracked once the panel has told of them.
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

LEARNT_AT_ONCE = 100  # orders with news: some 10 ms, while everything else waits
LEFT_OUT = "the panel's answer left this order out"
NOT_KEPT = "what the panel told of this order can't be recorded: "
# Refusals that say nothing of the order: the panel could not tell.
_COULD_NOT_TELL = frozenset({ErrorKind.BAD_KEY, ErrorKind.RATE_LIMIT, ErrorKind.BREAKDOWN})

Row = Observation | RowError
Rows = Mapping[str, Row]


class _Answer(msgspec.Struct, frozen=True, eq=False):
    """What one answer told of these ids; it `spoils` where one id makes a whole batch fail."""

    ids: Sequence[str]
    news: StatusAnswer
    spoils: bool


class PollAnswers:
    """One panel's answers until they are on record. `strangers` are ids that nobody tracks."""

    def __init__(
        self, *, gateway: PanelGateway, watchlist: Watchlist, recorder: ChangeRecorder
    ) -> None:
        self.untracked = UntrackedIds()
        self._gateway = gateway
        self._watchlist = watchlist
        self._recorder = recorder
        self._lessons: list[_Answer] = []
        self._met = asyncio.Event()  # something was learnt of a stranger

    @property
    def _orders(self) -> PanelOrders:
        return self._watchlist.panel(self._gateway.name)

    @property
    def waiting(self) -> int:
        """How many answers wait to come on record."""
        return len(self._lessons)

    async def learn(self, ids: Sequence[str], news: StatusAnswer, *, spoils: bool = False) -> None:
        """Record what the panel told; `spoils` where one id makes a whole batch fail.

        Answers that wait for the panel's lock, as for a commit under way, are recorded together.
        """
        lesson = _Answer(ids, news, spoils)
        self._lessons.append(lesson)
        while lesson in self._lessons:
            async with self._recorder.turn(self._gateway.name):
                if lesson in self._lessons:
                    await self._record(self._next_lessons())

    def put_back(self, ids: Collection[str]) -> None:
        """Ask about these again at once: nothing was learnt of them."""
        self._orders.put_back(ids)
        self.untracked.put_back(ids)

    async def met(self, ids: Collection[str], seconds: float) -> None:
        """Wait until the panel was asked about these strangers, or for so many seconds."""
        with suppress(TimeoutError):
            async with asyncio.timeout(seconds):
                while any(order_id in self.untracked for order_id in ids):
                    await self._met.wait()

    def _next_lessons(self) -> list[_Answer]:
        """Take the first that wait: one at least, more while they are about few orders."""
        orders = accumulate(len(lesson.ids) for lesson in self._lessons)
        count = max(1, sum(so_far <= LEARNT_AT_ONCE for so_far in orders))
        some, self._lessons = self._lessons[:count], self._lessons[count:]
        return some

    async def _record(self, lessons: Sequence[_Answer]) -> None:
        now, name = self._gateway.clock(), self._gateway.name
        ids = [order_id for lesson in lessons for order_id in lesson.ids]
        rows = {order: row for lesson in lessons for order, row in lesson.news.rows.items()}
        strange = [i for i in ids if i in self.untracked] if self.untracked else []
        told = [order_id for order_id in strange if isinstance(rows.get(order_id), Observation)]
        try:
            if told:
                await self._recorder.take_up(name, told, now)
            sights = self._orders.sights(ids)
            changed, bad = await self._keep(ids, rows, now)
        except BaseException:
            self.put_back(ids)
            raise
        self._plan_next(lessons, sights, changed, bad, now)
        if strange:
            self._meet(strange, rows, now)

    def _plan_next(
        self,
        lessons: Sequence[_Answer],
        sights: Mapping[str, OrderGlimpse],
        changed: Mapping[str, Order],
        bad: Collection[str],
        now: float,
    ) -> None:
        """Plan each order's next check: soon where it was refused, but ever later."""
        told: list[tuple[OrderGlimpse, Order, int]] = []
        for lesson in lessons:
            for order_id in lesson.ids:
                sight = sights.get(order_id)
                if sight is None:
                    continue
                is_told = isinstance(lesson.news.rows.get(order_id), Observation)
                if is_told and order_id not in bad:
                    after = changed.get(order_id, sight.order)
                    told.append((sight, after, lesson.news.marks.get(order_id, 0)))
                else:
                    due = after_problem(sight.failures + 1, now)
                    alone = lesson.spoils or (sight.alone and len(lesson.ids) == 1)
                    self._orders.refused(order_id, due, alone=alone)
        if told:
            self._orders.checked(told, now)

    def _meet(self, ids: Sequence[str], rows: Rows, now: float) -> None:
        """Whoever waits for these strangers can go on."""
        for order_id in ids:
            row = rows.get(order_id)
            text = row.text if isinstance(row, RowError) else LEFT_OUT
            if isinstance(row, Observation) or error_kind(text) in _COULD_NOT_TELL:
                self.untracked.leave([order_id])
            else:
                self.untracked.refuse(order_id, text, now)
        self._met.set()
        self._met = asyncio.Event()

    async def _keep(
        self, ids: Sequence[str], rows: Rows, now: float
    ) -> tuple[dict[str, Order], Collection[str]]:
        """Record what changed; return those orders as they are then, and ids that can't be.

        An order whose news can't be recorded is set aside with the reason.
        """
        changed, bad = await self._keep_rows(ids, rows, now)
        aside = {
            order_id: RowError(f"{NOT_KEPT}{error}")
            for order_id, error in bad.items()
            if isinstance(rows.get(order_id), Observation)
        }
        if aside:
            await self._keep_rows([*aside], aside, now)
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
        """Return the order's change; raise LifecycleError where the table has no such one."""
        order = self._orders.order(order_id)
        if order is None:
            return None
        if isinstance(row, Observation):
            return observe(order, row, now)
        return set_aside(order, row.text if isinstance(row, RowError) else LEFT_OUT, now)
