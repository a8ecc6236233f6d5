"""Asks one panel about its orders.

1. Take the due ids from the watchlist, filled up to a whole batch with the next-due.
2. Ask, with several requests at once if answers take longer than the pace. If a batch is refused or
   fails as a whole, `BatchBisector` decides what to ask next.
3. `PollAnswers` records the answer about each id; `PollRefusals` handles requests without one. Ids
   without a result are put back.
"""

from collections.abc import Collection, Sequence

from watcher.common.round_robin import RoundRobin
from watcher.daemon.bisection import BatchBisector, PollRequest
from watcher.daemon.poll_answers import PollAnswers
from watcher.daemon.poll_refusals import PollRefusals
from watcher.daemon.recorder import ChangeRecorder
from watcher.daemon.task_runner import TaskRunner
from watcher.daemon.untracked_ids import UntrackedIds
from watcher.errors import NotSent, PanelError, RateLimited, Refused
from watcher.metrics import Metrics
from watcher.model import RowError, Status
from watcher.orders.panel_orders import Batch, PanelOrders
from watcher.orders.watchlist import Watchlist
from watcher.panels.gateway import PanelGateway
from watcher.panels.health import STATUS
from watcher.panels.protocol import StatusAnswer, Unmatched

POLL_EVERY = 60.0  # seconds: the longest wait of the task
MOST_AT_ONCE = 20  # requests under way; also answers that wait to be recorded
_ONE_BY_ONE_FOR = 3600.0  # seconds, after an answer whose rows name no order


class Poller:
    """Asks one panel. Requests run beside the poller's task, which is woken when one has ended.

    No id is in two requests at once: watchlist and bisector give out each id only once.
    """

    def __init__(
        self,
        *,
        gateway: PanelGateway,
        watchlist: Watchlist,
        recorder: ChangeRecorder,
        metrics: Metrics,
        round_robin: RoundRobin,
        schedule: TaskRunner,
    ) -> None:
        self._task = f"poll:{gateway.name}"
        self._gateway = gateway
        self._watchlist = watchlist
        self._recorder = recorder
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
        self._untracked_last = False
        self._one_by_one_until = 0.0

    @property
    def untracked(self) -> UntrackedIds:
        """The untracked ids that shops ask about."""
        return self._answers.untracked

    async def run_once(self, now: float) -> float | None:
        """Ask about due orders if the pace allows it; return when to run next.

        One request a run: whoever retires the task waits for its run, and where answers take
        longer than the pace something may be due for ever.
        """
        again_at = self._wait(now)
        if again_at is not None:
            return again_at
        ask, batch = self._next(now)
        if ask.ids:  # none if the panel has just begun to move: what was due is due later now
            self._under_way += 1
            self._schedule.spawn(self._task, self._run(ask, batch))
        await self._round_robin.take()
        return self._gateway.clock()

    async def look_up(self, ids: Collection[str], seconds: float) -> None:
        """Ask about untracked ids; return when that is done, or after `seconds`."""
        self.untracked.want(ids, self._gateway.clock())
        self._schedule.wake(self._task)
        await self._answers.met(ids, seconds)

    def begin_anew(self) -> None:
        """End the pauses after earlier refusals, and forget what they suggested."""
        self._refusals.begin_anew()

    async def _run(self, ask: PollRequest, batch: Batch | None) -> None:
        try:
            await self._round(ask, batch)
        except Exception:
            self._refusals.crashed(self._gateway.clock())
            raise
        else:
            self._refusals.succeeded()
        finally:
            self._recorder.note_handled()
            self._wake_if_due()

    def _wake_if_due(self) -> None:
        """Wake the task if something is due, after a request has ended."""
        if not self._rests_until:  # the task runs by itself
            return
        due = self._next_due(self._gateway.clock())
        if due is not None and due < self._rests_until:
            self._rests_until = 0.0
            self._schedule.wake(self._task)

    # --- what to ask ---

    def _wait(self, now: float) -> float | None:
        """Return None if something is due and may be asked now, else when to run next."""
        self._rests_until = 0.0
        due = self._next_due(now)
        if self._is_busy() or due is None or due > now:
            if not self._under_way and not self._answers.waiting:
                self._nothing_due()
            self._rests_until = now + POLL_EVERY  # or sooner, when a request ends
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
        """Count a poll with nothing to ask as a success if the panel is up."""
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
        if self._asks_untracked(now):
            return PollRequest(ids=self.untracked.take(limit)), None
        self._orders.poll_queue.allow(limit * self._gateway.pace.rate.per_minute)
        batch = self._orders.take(limit, now)
        if batch.ids:
            self._metrics.batch_orders.labels(self._gateway.name).observe(len(batch.ids))
            # Once a batch, for its most overdue order: once an order would cost too much.
            self._metrics.lag.labels(self._gateway.name).observe(batch.late)
        return PollRequest(ids=batch.ids), batch

    def _asks_others(self, now: float) -> bool:
        """Return whether other orders go before suspicious ones: they alternate while it fails."""
        due = self._orders.poll_queue.next_at(now)
        if not self._gateway.breaker.failures or due is None or due > now:
            return False
        self._suspects_next = not self._suspects_next
        return self._suspects_next

    def _asks_untracked(self, now: float) -> bool:
        """Return whether untracked ids go now: they alternate with due orders."""
        due = self._orders.poll_queue.next_at(now)
        is_other_due = due is not None and due <= now
        self._untracked_last = self.untracked.wait and not (self._untracked_last and is_other_due)
        return self._untracked_last

    # --- asking ---

    async def _round(self, ask: PollRequest, batch: Batch | None) -> None:
        marks = [0] * len(ask.ids) if batch is None else batch.marks
        try:
            answer = await self._ask(ask.ids, marks)
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
            await self._answered(ask, answer, batch)

    async def _ask(self, ids: Sequence[str], marks: Sequence[int]) -> StatusAnswer:
        order = ids[0] if len(ids) == 1 else None
        try:
            return await self._gateway.ask(
                STATUS,
                self._gateway.client.changed_statuses(ids, marks),
                order=order,
                was_known=order is not None and self._is_known(order),
            )
        finally:  # recording overlaps with the next request
            self._under_way -= 1
            self._wake_if_due()

    def _is_known(self, order_id: str) -> bool:
        """Return whether the panel has answered about the order before."""
        order = self._orders.order(order_id)
        return order is not None and order.status is not Status.UNKNOWN

    async def _unmatched(self, ids: Sequence[str], error: PanelError) -> None:
        """Ask one by one; an order that was asked alone stays without a result."""
        self._one_by_one_until = self._gateway.clock() + _ONE_BY_ONE_FOR
        if len(ids) > 1:
            self._answers.put_back(ids)
        else:
            self.untracked.leave(ids)  # a missing answer is not a refusal
            await self._answers.learn(ids, StatusAnswer({ids[0]: RowError(str(error))}))

    async def _answered(self, ask: PollRequest, answer: StatusAnswer, batch: Batch | None) -> None:
        self._gateway.last_success = self._gateway.clock()
        self._refusals.answered(ask.ids)
        if len(ask.ids) == 1 and isinstance(answer.rows.get(ask.ids[0]), RowError):
            self._answers.put_back(self._bisector.refused(ask).free)
            await self._answers.learn(ask.ids, answer, spoils=self._bisector.has_found_any)
        else:
            await self._record(ask, answer, batch)
        await self._refusals.learn_held()

    async def _record(self, ask: PollRequest, answer: StatusAnswer, batch: Batch | None) -> None:
        self._bisector.answered(ask)
        ids = ask.ids
        if batch is not None:
            same = self._orders.same(batch, answer.old, answer.rows, answer.marks)
            if same:
                self._orders.unchanged(batch, same, self._gateway.clock())
            known = set(same)
            ids = [order_id for at, order_id in enumerate(ids) if at not in known]
        if ids:
            await self._answers.learn(ids, answer)
