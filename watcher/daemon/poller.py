"""Checks one panel's orders: one observation per id, however the panel answers.

1. Take the due ids from the book, filled up to a whole batch with the next-due.
2. Ask, several requests at once where answers take longer than the pace. Of a batch that is
   refused or fails as a whole, `suspects` says what to ask next.
3. Each id's observation, or the panel's refusal of it, goes to the ledger; the rest is put back.
4. A refusal that may be the panel's tells nothing of the ids: they are asked again once `line`
   knows. One id that is refused alone, while no other is answered, is held until another was asked.
"""

import asyncio
from collections.abc import Callable, Collection, Coroutine, Iterable, Iterator, Mapping, Sequence
from contextlib import suppress
from itertools import accumulate
from typing import Any

import msgspec
import structlog

from watcher.common.round_robin import RoundRobin
from watcher.daemon.bisection import BatchBisector, PollRequest
from watcher.daemon.recorder import ChangeRecorder
from watcher.daemon.untracked_ids import UntrackedIds
from watcher.errors import (
    LifecycleError,
    NotSent,
    PanelError,
    RateLimited,
    Refused,
    StoreRefused,
    Unreadable,
)
from watcher.metrics import Metrics
from watcher.model import Observation, Order, RowError, Status, Transition
from watcher.orders.lifecycle import observe, set_aside
from watcher.orders.panel_orders import Batch, PanelOrders
from watcher.orders.schedule import OrderGlimpse, RetryDelay, after_problem
from watcher.orders.watchlist import Watchlist
from watcher.panels.breaker import BreakerState
from watcher.panels.gateway import PanelGateway
from watcher.panels.health import STATUS
from watcher.panels.protocol import ErrorKind, StatusAnswer, Unmatched, error_kind, is_about_an_id

log = structlog.get_logger()

POLL_EVERY = 60.0  # seconds: at the least so often a panel with nothing due is thought of
MOST_AT_ONCE = 20  # requests under way; and answers that wait to come on record
LEARNT_AT_ONCE = 100  # orders with news: some 10 ms, while everything else waits
LEFT_OUT = "the panel's answer left this order out"
NOT_KEPT = "what the panel told of this order can't be recorded: "
_ONE_BY_ONE_FOR = 3600.0  # seconds, after an answer whose rows name no order
# Refusals that say nothing of the order: the panel could not tell.
_COULD_NOT_TELL = frozenset({ErrorKind.BAD_KEY, ErrorKind.RATE_LIMIT, ErrorKind.BREAKDOWN})
_AFTER_CRASH = (5.0, 60.0)  # seconds: the first and the longest
_FAILS_ALL_PAUSE = (5.0, 60.0)
_MAY_FAIL = 4  # requests in a row, until there are pauses: halving a batch needs some
_UNPROVEN_PAUSE = (5.0, 60.0)
_OTHERS_TRIED = 5  # orders among which one is sought that may be answered

Row = Observation | RowError


class _Lesson(msgspec.Struct, frozen=True, eq=False):
    """What one answer told of these ids."""

    ids: Sequence[str]
    news: StatusAnswer
    spoils: bool


class Poller:
    """Asks one panel. `spawn` runs a request beside the poller's task, `wake` runs that again.

    No id is in two requests at once: the book and the suspects give out each only once.
    """

    def __init__(
        self,
        *,
        gateway: PanelGateway,
        watchlist: Watchlist,
        recorder: ChangeRecorder,
        metrics: Metrics,
        round_robin: RoundRobin,
        spawn: Callable[[Coroutine[Any, Any, None]], None],
        wake: Callable[[], None],
    ) -> None:
        self._gateway = gateway
        self._watchlist = watchlist
        self._recorder = recorder
        self._metrics = metrics
        self._round_robin = round_robin
        self._spawn = spawn
        self._wake = wake
        self._lessons: list[_Lesson] = []
        self._recording = asyncio.Lock()
        self._under_way = 0  # requests that are not answered
        self._rests_until = 0.0
        self._bisector = BatchBisector(gateway.client.limit("status"))
        self._suspects_next = False
        self._one_by_one_until = 0.0
        self.untracked = UntrackedIds()
        self._strangers_last = False
        self._met = asyncio.Event()  # something was learnt of a stranger
        self._failed_in_a_row = 0
        self._crashes: RetryDelay[None] = RetryDelay(_AFTER_CRASH)
        self._unproven = 0  # requests in a row that the panel answered and told of no order
        self._quiet_until = 0.0
        self._held: dict[str, RowError] = {}  # refused alone, while no other was answered
        self._doubted: set[str] = set()  # refused, maybe for the pace
        self._doubt_text = ""

    async def run_once(self, now: float) -> float | None:
        """Ask for what is due, as fast as the pace allows; returns when to come again."""
        while (again_at := self._wait(now)) is None:
            self._under_way += 1
            self._spawn(self._run(*self._next(now)))
            await self._round_robin.take()
            now = self._gateway.clock()
        return again_at

    async def look_up(self, ids: Collection[str], seconds: float) -> None:
        """Ask about orders that nobody tracks; return when that is done, or after `seconds`."""
        self.untracked.want(ids, self._gateway.clock())
        self._wake()
        with suppress(TimeoutError):
            async with asyncio.timeout(seconds):
                while any(order_id in self.untracked for order_id in ids):
                    await self._met.wait()

    def begin_anew(self) -> None:
        """Wait for nothing because of earlier refusals, and conclude nothing from them."""
        self._quiet_until = 0.0
        self._unproven = self._failed_in_a_row = 0
        self._doubted.clear()
        self._release()

    async def _run(self, ask: PollRequest, batch: Batch | None) -> None:
        try:
            await self._round(ask, batch)
        except Exception:
            self._crashed(self._gateway.clock())
            raise
        else:
            self._crashes.forget(None)
        finally:
            self._go_on()

    def _crashed(self, now: float) -> None:
        """Nothing came on record: the pause grows, once for all that were under way together."""
        if now >= self._quiet_until or not self._crashes.count(None):
            self._quiet_until = max(self._quiet_until, self._crashes.learnt_nothing(None, now))

    def _go_on(self) -> None:
        """Something has ended that the next request may have waited for."""
        if not self._rests_until:  # the task looks by itself
            return
        due = self._next_due(self._gateway.clock())
        if due is not None and due < self._rests_until:
            self._rests_until = 0.0
            self._wake()

    def _wait(self, now: float) -> float | None:
        """None where there is something to ask and it may be sent, else when to come again."""
        self._rests_until = 0.0
        due = self._next_due(now)
        if self._is_busy() or due is None or due > now:
            if not self._under_way and not self._lessons:
                self._nothing_due()
            self._rests_until = now + POLL_EVERY  # or sooner: when a request has ended
            if due is not None and due > now:
                self._rests_until = min(due, self._rests_until)
            return self._rests_until
        if now < self._quiet_until:
            return self._quiet_until
        return self._gateway.take(now)

    @property
    def _orders(self) -> PanelOrders:
        return self._watchlist.panel(self._gateway.name)

    def _is_busy(self) -> bool:
        return self._under_way >= MOST_AT_ONCE or len(self._lessons) >= MOST_AT_ONCE

    def _next_due(self, now: float) -> float | None:
        if self._bisector or self.untracked.wait:
            return now
        return self._orders.poll_queue.next_at(now)

    def _next(self, now: float) -> tuple[PollRequest, Batch | None]:
        if self._bisector and not self._asks_others(now):
            return self._bisector.take(), None
        alone = now < self._one_by_one_until or bool(self._held)
        limit = 1 if alone else self._bisector.size
        if self._asks_strangers(now):
            return PollRequest(ids=self.untracked.take(limit)), None
        self._orders.poll_queue.allow(limit * self._gateway.pace.rate.per_minute)
        batch = self._orders.take(limit, now)
        self._metrics.batch_orders.labels(self._gateway.name).observe(len(batch.ids))
        # Once a batch, for the order that is latest: a million orders are too many.
        self._metrics.lag.labels(self._gateway.name).observe(batch.late)
        return PollRequest(ids=batch.ids), batch

    def _asks_others(self, now: float) -> bool:
        """While a panel fails, suspicious and other orders take turns: others may be answered."""
        due = self._orders.poll_queue.next_at(now)
        if not self._gateway.breaker.failures or due is None or due > now:
            return False
        self._suspects_next = not self._suspects_next
        return self._suspects_next

    def _asks_strangers(self, now: float) -> bool:
        """They and the book's orders take turns: no shop keeps those from being checked."""
        due = self._orders.poll_queue.next_at(now)
        is_other_due = due is not None and due <= now
        self._strangers_last = self.untracked.wait and not (self._strangers_last and is_other_due)
        return self._strangers_last

    async def _round(self, ask: PollRequest, batch: Batch | None) -> None:
        marks = [0] * len(ask.ids) if batch is None else batch.marks
        try:
            news = await self._ask(ask.ids, marks)
        except Unmatched as error:
            await self._unmatched([*ask.ids, *ask.rest], error)
        except (RateLimited, NotSent):
            self._not_asked(ask)
        except Refused as error:
            await (self._in_doubt if self._gateway.is_undecided else self._refused)(ask, error)
        except PanelError as error:
            await self._failed(ask, error)
        except BaseException:
            self._put_back([*ask.ids, *ask.rest])
            raise
        else:
            await self._answered(ask, news, batch)

    async def _ask(self, ids: Sequence[str], marks: Sequence[int]) -> StatusAnswer:
        order = ids[0] if len(ids) == 1 else None
        try:
            return await self._gateway.ask(
                STATUS,
                self._gateway.client.news(ids, marks),
                order=order,
                was_known=order is not None and self._is_known(order),
            )
        finally:  # what it told is put on record while the next one is under way
            self._under_way -= 1
            self._go_on()

    def _is_known(self, order_id: str) -> bool:
        """Whether the panel has told of the order before."""
        order = self._orders.order(order_id)
        return order is not None and order.status is not Status.UNKNOWN

    async def _in_doubt(self, ask: PollRequest, error: Refused) -> None:
        """It may be about the panel: nothing is learnt of the ids."""
        if not self._gateway.health.refuses and not self._doubted:
            self._doubted, self._doubt_text = {*ask.ids}, str(error)
        self._not_asked(ask)

    def _release(self) -> None:
        """Whatever is held goes back: the panel refuses everything."""
        held, self._held = self._held, {}
        self._put_back(held)

    def _not_asked(self, ask: PollRequest) -> None:
        if ask.is_fresh:
            self._put_back(ask.ids)
        else:
            self._bisector.again(ask)

    async def _unmatched(self, ids: Sequence[str], error: PanelError) -> None:
        """Ask one by one; of an order that is alone already nothing was learnt."""
        self._one_by_one_until = self._gateway.clock() + _ONE_BY_ONE_FOR
        if len(ids) > 1:
            self._put_back(ids)
        else:
            self.untracked.leave(ids)  # no answer is no refusal
            await self._learn(ids, StatusAnswer({ids[0]: RowError(str(error))}))

    async def _answered(self, ask: PollRequest, news: StatusAnswer, batch: Batch | None) -> None:
        self._gateway.last_success = self._gateway.clock()
        self._note_answered(ask.ids)
        if len(ask.ids) == 1 and isinstance(news.rows.get(ask.ids[0]), RowError):
            self._put_back(self._bisector.refused(ask).free)
            await self._learn(ask.ids, news, spoils=self._bisector.has_found_any)
        else:
            await self._told_of(ask, news, batch)
        if self._held:  # it is about these orders: others are answered
            await self._learn_held()

    async def _told_of(self, ask: PollRequest, news: StatusAnswer, batch: Batch | None) -> None:
        self._bisector.answered(ask)
        ids = ask.ids
        if batch is not None:
            same = self._orders.same(batch, news.old, news.rows, news.marks)
            if same:
                self._orders.unchanged(batch, same, self._gateway.clock())
            known = set(same)
            ids = [order_id for at, order_id in enumerate(ids) if at not in known]
        if ids:
            await self._learn(ids, news)

    def _note_answered(self, ids: Sequence[str]) -> None:
        """The panel told of these; what it refused before was about its pace if all are told of."""
        self._unproven = self._failed_in_a_row = 0
        if self._doubted:
            self._doubted.difference_update(ids)
            if not self._doubted:
                self._gateway.was_pace(self._doubt_text)

    async def _learn_held(self) -> None:
        held, self._held = self._held, {}
        await self._learn([*held], StatusAnswer({**held}))

    async def _refused(self, ask: PollRequest, error: Refused) -> None:
        proven = self._bisector.is_proven(ask)
        is_odd = not is_about_an_id(str(error))
        finding = self._bisector.refused(ask)
        self._put_back(finding.free)
        if is_odd and not proven:
            self._rest_unproven()
        if finding.bad is None:
            return
        row = RowError(str(error))
        self._doubted.discard(finding.bad)
        if is_odd and proven:
            self._gateway.health.clear(str(error), self._gateway.clock(), long=True)
        if proven or not is_odd:
            spoils = proven and self._bisector.has_found_any
            await self._learn(ask.ids, StatusAnswer({finding.bad: row}), spoils=spoils)
            return
        self._held[finding.bad] = row
        if len(self._held) > 1 or not (self._bisector or self._hasten_other()):
            await self._learn_held()

    def _rest_unproven(self) -> None:
        """Nothing that was asked is answered: it may be about the pace, so ask ever more seldom."""
        self._unproven += 1
        if self._unproven == 1:
            return
        first, longest = _UNPROVEN_PAUSE
        pause = min(longest, first * 2.0 ** min(self._unproven - 2, 30))
        self._quiet_until = self._gateway.clock() + pause
        if self._unproven == 2:
            log.warning("poller.all_refused", panel=self._gateway.name)

    def _hasten_other(self) -> bool:
        """Have an order asked about next that is not known to be bad; False if there is none."""
        orders, now = self._orders, self._gateway.clock()
        for _, order_id in orders.upcoming(_OTHERS_TRIED, now):
            order = orders.order(order_id)
            if order is not None and order.problem is None and order_id not in self._held:
                orders.hasten(order_id, now, now)
                return True
        return False

    def _pause_after_failures(self) -> None:
        """Where every answer is nonsense, asking the same again tells nothing new.

        A panel that is down is left alone by its breaker.
        """
        self._failed_in_a_row += 1
        if self._failed_in_a_row > _MAY_FAIL and self._gateway.breaker.state is BreakerState.CLOSED:
            now, count = self._gateway.clock(), self._failed_in_a_row - _MAY_FAIL
            until = after_problem(count, now, _FAILS_ALL_PAUSE)
            self._quiet_until = max(self._quiet_until, until)

    async def _failed(self, ask: PollRequest, error: PanelError) -> None:
        if isinstance(error, Unreadable):
            self._rest_unproven()
        else:
            self._pause_after_failures()
        is_down = self._gateway.breaker.state is not BreakerState.CLOSED
        if ask.is_fresh and is_down and self._bisector:
            self._put_back(ask.ids)
            return
        finding = self._bisector.failed(ask)
        self._put_back(finding.free)
        if finding.bad is not None:
            self.untracked.leave([finding.bad])  # no answer is no refusal
            news = StatusAnswer({finding.bad: RowError(str(error))})
            await self._learn(ask.ids, news, spoils=True)

    async def _learn(self, ids: Sequence[str], news: StatusAnswer, *, spoils: bool = False) -> None:
        """Put on record what the panel told; `spoils` where one id makes a whole batch fail.

        What is learnt while a commit is under way waits for the next one, together.
        """
        lesson = _Lesson(ids, news, spoils)
        self._lessons.append(lesson)
        async with self._recording:
            while lesson in self._lessons:
                await self._record(self._next_lessons())

    def _next_lessons(self) -> list[_Lesson]:
        """The first that wait: one at the least, more while they are about few orders."""
        orders = accumulate(len(lesson.ids) for lesson in self._lessons)
        count = max(1, sum(so_far <= LEARNT_AT_ONCE for so_far in orders))
        some, self._lessons = self._lessons[:count], self._lessons[count:]
        return some

    async def _record(self, lessons: Sequence[_Lesson]) -> None:
        now = self._gateway.clock()
        ids = [order_id for lesson in lessons for order_id in lesson.ids]
        rows = {order: row for lesson in lessons for order, row in lesson.news.rows.items()}
        strange = [i for i in ids if i in self.untracked] if self.untracked else []
        changed: dict[str, Order] = {}
        try:
            if strange:
                await self._take_up(strange, rows, now)
            sights = self._orders.sights(ids)
            kept = await self._keep(ids, rows, now, changed)
        except BaseException:
            self._put_back(ids)
            raise
        told: list[tuple[OrderGlimpse, Order, int]] = []
        for lesson in lessons:
            seen = {order: sights[order] for order in lesson.ids if order in sights}
            for order_id, sight in seen.items():
                if order_id in kept and isinstance(rows.get(order_id), Observation):
                    after, mark = changed.get(order_id, sight.order), lesson.news.marks
                    told.append((sight, after, mark.get(order_id, 0)))
                else:
                    due = after_problem(sight.failures + 1, now)
                    alone = lesson.spoils or (sight.alone and len(lesson.ids) == 1)
                    self._orders.refused(order_id, due, alone=alone)
        if told:
            self._orders.checked(told, now)
        if strange:
            self._meet(strange, rows, now)

    async def _take_up(self, ids: Sequence[str], rows: Mapping[str, Row], now: float) -> None:
        """Track those of the strangers that the panel has told of."""
        told = [order_id for order_id in ids if isinstance(rows.get(order_id), Observation)]
        if told:
            await self._recorder.take_up(self._gateway.name, told, now)

    def _meet(self, ids: Sequence[str], rows: Mapping[str, Row], now: float) -> None:
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
        self, ids: Sequence[str], rows: Mapping[str, Row], now: float, changed: dict[str, Order]
    ) -> set[str]:
        """Record what `changed`; the ids for which that went well: a bad one spoils no other."""
        name = self._gateway.name

        def transitions() -> Iterator[Transition]:
            for transition in self._transitions(ids, rows, now):
                changed[transition.after.id] = transition.after
                yield transition

        try:
            await self._recorder.keep(name, now, transitions)
        except (LifecycleError, StoreRefused) as error:
            for order_id in ids:
                changed.pop(order_id, None)
            if len(ids) > 1:
                middle = len(ids) // 2
                first = await self._keep(ids[:middle], rows, now, changed)
                return first | await self._keep(ids[middle:], rows, now, changed)
            log.error("poller.not_kept", panel=name, order=ids[0], cause=str(error))
            if isinstance(rows.get(ids[0]), Observation):
                await self._keep(ids, {ids[0]: RowError(f"{NOT_KEPT}{error}")}, now, changed)
            return set()
        return set(ids)

    def _transitions(
        self, ids: Iterable[str], rows: Mapping[str, Row], now: float
    ) -> Iterator[Transition]:
        for order_id in ids:
            order = self._orders.order(order_id)
            if order is None:
                continue
            transition = _transition(order, rows.get(order_id), now)
            if transition is not None:
                yield transition

    def _put_back(self, ids: Collection[str]) -> None:
        self._orders.put_back(ids)
        self.untracked.put_back(ids)

    def _nothing_due(self) -> None:
        """A poll that has nothing to ask of a panel that answers is a success."""
        if self._gateway.health.is_up:
            self._gateway.last_success = self._gateway.clock()


def _transition(order: Order, row: Row | None, now: float) -> Transition | None:
    """Raises LifecycleError where the table has no such transition."""
    if isinstance(row, Observation):
        return observe(order, row, now)
    return set_aside(order, row.text if isinstance(row, RowError) else LEFT_OUT, now)
