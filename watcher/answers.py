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

from watcher.book import Book
from watcher.cadence import after_problem
from watcher.errors import LifecycleError, WatcherError
from watcher.ledger import Ledger
from watcher.lifecycle import observe, set_aside
from watcher.model import Observation, Order, RowError, Transition
from watcher.panels.line import Line
from watcher.panels.protocol import ErrorKind, News, error_kind
from watcher.shelf import Sight
from watcher.strangers import Strangers

log = structlog.get_logger()

LEARNT_AT_ONCE = 100  # orders with news: some 10 ms, while everything else waits
LEFT_OUT = "the panel's answer left this order out"
NOT_KEPT = "what the panel told of this order can't be recorded: "
# Refusals that say nothing of the order: the panel could not tell.
_COULD_NOT_TELL = frozenset({ErrorKind.BAD_KEY, ErrorKind.RATE_LIMIT, ErrorKind.BREAKDOWN})

Row = Observation | RowError
Rows = Mapping[str, Row]


class _Lesson(msgspec.Struct, frozen=True, eq=False):
    """What one answer told of these ids; it `spoils` where one id makes a whole batch fail."""

    ids: Sequence[str]
    news: News
    spoils: bool


class Answers:
    """One panel's answers until they are on record. `strangers` are ids that nobody tracks."""

    def __init__(self, *, line: Line, book: Book, ledger: Ledger) -> None:
        self.strangers = Strangers()
        self._line = line
        self._book = book
        self._ledger = ledger
        self._lessons: list[_Lesson] = []
        self._met = asyncio.Event()  # something was learnt of a stranger

    @property
    def waiting(self) -> int:
        """How many answers wait to come on record."""
        return len(self._lessons)

    async def learn(self, ids: Sequence[str], news: News, *, spoils: bool = False) -> None:
        """Record what the panel told; `spoils` where one id makes a whole batch fail.

        Answers that wait for the panel's lock, as for a commit under way, are recorded together.
        """
        lesson = _Lesson(ids, news, spoils)
        self._lessons.append(lesson)
        while lesson in self._lessons:
            async with self._ledger.turn(self._line.name):
                if lesson in self._lessons:
                    await self._record(self._next_lessons())

    def put_back(self, ids: Collection[str]) -> None:
        """Ask about these again at once: nothing was learnt of them."""
        self._book.put_back(self._line.name, ids)
        self.strangers.put_back(ids)

    async def met(self, ids: Collection[str], seconds: float) -> None:
        """Wait until the panel was asked about these strangers, or for so many seconds."""
        with suppress(TimeoutError):
            async with asyncio.timeout(seconds):
                while any(order_id in self.strangers for order_id in ids):
                    await self._met.wait()

    def _next_lessons(self) -> list[_Lesson]:
        """Take the first that wait: one at least, more while they are about few orders."""
        orders = accumulate(len(lesson.ids) for lesson in self._lessons)
        count = max(1, sum(so_far <= LEARNT_AT_ONCE for so_far in orders))
        some, self._lessons = self._lessons[:count], self._lessons[count:]
        return some

    async def _record(self, lessons: Sequence[_Lesson]) -> None:
        now, name = self._line.clock(), self._line.name
        ids = [order_id for lesson in lessons for order_id in lesson.ids]
        rows = {order: row for lesson in lessons for order, row in lesson.news.rows.items()}
        strange = [i for i in ids if i in self.strangers] if self.strangers else []
        told = [order_id for order_id in strange if isinstance(rows.get(order_id), Observation)]
        try:
            if told:
                await self._ledger.take_up(name, told, now)
            sights = self._book.sights(name, ids)
            changed, bad = await self._keep(ids, rows, now)
        except BaseException:
            self.put_back(ids)
            raise
        for lesson in lessons:
            for order_id in lesson.ids:
                if order_id in sights:
                    sight, after = sights[order_id], changed.get(order_id)
                    self._plan_next(lesson, order_id, sight, after, now, is_bad=order_id in bad)
        if strange:
            self._meet(strange, rows, now)

    def _plan_next(
        self,
        lesson: _Lesson,
        order_id: str,
        sight: Sight,
        after: Order | None,
        now: float,
        *,
        is_bad: bool,
    ) -> None:
        """Plan the order's next check: soon where it was refused, but ever later."""
        news = lesson.news
        if isinstance(news.rows.get(order_id), Observation) and not is_bad:
            self._book.checked(sight, after or sight.order, now, news.marks.get(order_id, 0))
        else:
            due = after_problem(sight.failures + 1, now)
            alone = lesson.spoils or (sight.alone and len(lesson.ids) == 1)
            self._book.refused(self._line.name, order_id, due, alone=alone)

    def _meet(self, ids: Sequence[str], rows: Rows, now: float) -> None:
        """Whoever waits for these strangers can go on."""
        for order_id in ids:
            row = rows.get(order_id)
            text = row.text if isinstance(row, RowError) else LEFT_OUT
            if isinstance(row, Observation) or error_kind(text) in _COULD_NOT_TELL:
                self.strangers.leave([order_id])
            else:
                self.strangers.refuse(order_id, text, now)
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
        name = self._line.name
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
        bad |= await self._ledger.keep(name, [*transitions.values()], now)
        for order_id, cause in bad.items():
            log.error("poller.not_kept", panel=name, order=order_id, cause=str(cause))
        return {i: t.after for i, t in transitions.items() if i not in bad}, bad

    def _transition(self, order_id: str, row: Row | None, now: float) -> Transition | None:
        """Return the order's change; raise LifecycleError where the table has no such one."""
        order = self._book.order(self._line.name, order_id)
        if order is None:
            return None
        if isinstance(row, Observation):
            return observe(order, row, now)
        return set_aside(order, row.text if isinstance(row, RowError) else LEFT_OUT, now)
