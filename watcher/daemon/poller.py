"""Asks one panel about its orders.

1. Take the due ids from the book, filled up to a whole batch with the next-due.
2. Ask, several requests at once where answers take longer than the pace. Of a batch that is
   refused or fails as a whole, `suspects` says what to ask next.
3. `answers` records what the panel told of each id; `refusals` says what follows where it told of
   none. Ids of which nothing was learnt are put back.
"""

from collections.abc import Collection, Sequence

from watcher.common.round_robin import RoundRobin
from watcher.daemon.bisection import BatchBisector, PollRequest
from watcher.daemon.poll_answers import PollAnswers
from watcher.daemon.poll_refusals import PollRefusals
from watcher.daemon.recorder import ChangeRecorder
from watcher.daemon.scheduler import Scheduler
from watcher.daemon.untracked_ids import UntrackedIds
from watcher.errors import NotSent, PanelError, RateLimited, Refused
from watcher.metrics import Metrics
from watcher.model import RowError, Status
from watcher.orders.panel_orders import Batch, PanelOrders
from watcher.orders.watchlist import Watchlist
from watcher.panels.gateway import PanelGateway
from watcher.panels.health import STATUS
from watcher.panels.protocol import StatusAnswer, Unmatched

POLL_EVERY = 60.0  # seconds: at the least so often a panel with nothing due is thought of
MOST_AT_ONCE = 20  # requests under way; and answers that wait to come on record
_ONE_BY_ONE_FOR = 3600.0  # seconds, after an answer whose rows name no order


class Poller:
    """Asks one panel. Requests run beside the poller's task, which is woken when one has ended.

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
        schedule: Scheduler,
    ) -> None:
        self._task = f"poll:{gateway.name}"
        self._gateway = gateway
        self._watchlist = watchlist
        self._metrics = metrics
        self._round_robin = round_robin
        self._schedule = schedule
        self._bisector = BatchBisector(gateway.client.limit("status"))
        self._answers = PollAnswers(gateway=gateway, watchlist=watchlist, recorder=recorder)
        self._refusals = PollRefusals(
            gateway=gateway, watchlist=watchlist, answers=self._answers, bisector=self._bisector
        )
        self._under_way = 0  # requests that are not answered
        self._rests_until = 0.0
        self._suspects_next = False
        self._strangers_last = False
        self._one_by_one_until = 0.0

    @property
    def untracked(self) -> UntrackedIds:
        """Ids that a shop asks about and nobody tracks."""
        return self._answers.untracked

    async def run_once(self, now: float) -> float | None:
        """Ask for what is due, as fast as the pace allows; returns when to come again."""
        while (again_at := self._wait(now)) is None:
            self._under_way += 1
            self._schedule.spawn(self._task, self._run(*self._next(now)))
            await self._round_robin.take()
            now = self._gateway.clock()
        return again_at

    async def look_up(self, ids: Collection[str], seconds: float) -> None:
        """Ask about orders that nobody tracks; return when that is done, or after `seconds`."""
        self.untracked.want(ids, self._gateway.clock())
        self._schedule.wake(self._task)
        await self._answers.met(ids, seconds)

    def begin_anew(self) -> None:
        """End the pauses after earlier refusals, and conclude nothing from them."""
        self._refusals.begin_anew()

    async def _run(self, ask: PollRequest, batch: Batch | None) -> None:
        try:
            await self._round(ask, batch)
        except Exception:
            self._refusals.crashed(self._gateway.clock())
            raise
        else:
            self._refusals.went_well()
        finally:
            self._go_on()

    def _go_on(self) -> None:
        """Wake the task if something is due: a request has ended that it may have waited for."""
        if not self._rests_until:  # the task looks by itself
            return
        due = self._next_due(self._gateway.clock())
        if due is not None and due < self._rests_until:
            self._rests_until = 0.0
            self._schedule.wake(self._task)

    # --- what to ask ---

    def _wait(self, now: float) -> float | None:
        """Return None where something is due and may be asked now, else when to come again."""
        self._rests_until = 0.0
        due = self._next_due(now)
        if self._is_busy() or due is None or due > now:
            if not self._under_way and not self._answers.waiting:
                self._nothing_due()
            self._rests_until = now + POLL_EVERY  # or sooner: when a request has ended
            if due is not None and due > now:
                self._rests_until = min(due, self._rests_until)
            return self._rests_until
        if now < self._refusals.quiet_until:
            return self._refusals.quiet_until
        return self._gateway.take(now)

    @property
    def _orders(self) -> PanelOrders:
        return self._watchlist.panel(self._gateway.name)

    def _is_busy(self) -> bool:
        return self._under_way >= MOST_AT_ONCE or self._answers.waiting >= MOST_AT_ONCE

    def _nothing_due(self) -> None:
        """A poll that has nothing to ask of a panel that answers is a success."""
        if self._gateway.health.is_up:
            self._gateway.last_success = self._gateway.clock()

    def _next_due(self, now: float) -> float | None:
        if self._bisector or self.untracked.wait:
            return now
        return self._orders.poll_queue.next_at(now)

    def _next(self, now: float) -> tuple[PollRequest, Batch | None]:
        if self._bisector and not self._asks_others(now):
            return self._bisector.take(), None
        alone = now < self._one_by_one_until or self._refusals.holds_any
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

    # --- asking ---

    async def _round(self, ask: PollRequest, batch: Batch | None) -> None:
        marks = [0] * len(ask.ids) if batch is None else batch.marks
        try:
            news = await self._ask(ask.ids, marks)
        except Unmatched as error:
            await self._unmatched([*ask.ids, *ask.rest], error)
        except (RateLimited, NotSent):
            self._refusals.not_asked(ask)
        except Refused as error:
            if self._gateway.is_undecided:
                self._refusals.in_doubt(ask, error)
            else:
                await self._refusals.refused(ask, error)
        except PanelError as error:
            await self._refusals.failed(ask, error)
        except BaseException:
            self._answers.put_back([*ask.ids, *ask.rest])
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

    async def _unmatched(self, ids: Sequence[str], error: PanelError) -> None:
        """Ask one by one; of an order that is alone already nothing was learnt."""
        self._one_by_one_until = self._gateway.clock() + _ONE_BY_ONE_FOR
        if len(ids) > 1:
            self._answers.put_back(ids)
        else:
            self.untracked.leave(ids)  # no answer is no refusal
            await self._answers.learn(ids, StatusAnswer({ids[0]: RowError(str(error))}))

    async def _answered(self, ask: PollRequest, news: StatusAnswer, batch: Batch | None) -> None:
        self._gateway.last_success = self._gateway.clock()
        self._refusals.answered(ask.ids)
        if len(ask.ids) == 1 and isinstance(news.rows.get(ask.ids[0]), RowError):
            self._answers.put_back(self._bisector.refused(ask).free)
            await self._answers.learn(ask.ids, news, spoils=self._bisector.has_found_any)
        else:
            await self._told_of(ask, news, batch)
        await self._refusals.learn_held()

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
            await self._answers.learn(ids, news)
