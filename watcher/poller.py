"""Asks one panel about its orders.

1. Take the due ids from the book, filled up to a whole batch with the next-due.
2. Ask, several requests at once where answers take longer than the pace. Of a batch that is
   refused or fails as a whole, `suspects` says what to ask next.
3. `answers` records what the panel told of each id; `refusals` says what follows where it told of
   none. Ids of which nothing was learnt are put back.
"""

from collections.abc import Collection, Sequence

from watcher.answers import Answers
from watcher.book import Book
from watcher.errors import NotSent, PanelError, RateLimited, Refused
from watcher.ledger import Ledger
from watcher.metrics import Metrics
from watcher.model import RowError, Status
from watcher.panels.health import STATUS
from watcher.panels.line import Line
from watcher.panels.protocol import News, Unmatched
from watcher.refusals import Refusals
from watcher.schedule import Schedule
from watcher.shelf import Batch
from watcher.strangers import Strangers
from watcher.suspects import Ask, Suspects
from watcher.turns import Turns

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
        line: Line,
        book: Book,
        ledger: Ledger,
        metrics: Metrics,
        turns: Turns,
        schedule: Schedule,
    ) -> None:
        self._task = f"poll:{line.name}"
        self._line = line
        self._book = book
        self._metrics = metrics
        self._turns = turns
        self._schedule = schedule
        self._suspects = Suspects(line.client.limit("status"))
        self._answers = Answers(line=line, book=book, ledger=ledger)
        self._refusals = Refusals(
            line=line, book=book, answers=self._answers, suspects=self._suspects
        )
        self._under_way = 0  # requests that are not answered
        self._rests_until = 0.0
        self._suspects_next = False
        self._strangers_last = False
        self._one_by_one_until = 0.0

    @property
    def strangers(self) -> Strangers:
        """Ids that a shop asks about and nobody tracks."""
        return self._answers.strangers

    async def run_once(self, now: float) -> float | None:
        """Ask for what is due, as fast as the pace allows; returns when to come again."""
        while (again_at := self._wait(now)) is None:
            self._under_way += 1
            self._schedule.spawn(self._task, self._run(*self._next(now)))
            await self._turns.take()
            now = self._line.clock()
        return again_at

    async def look_up(self, ids: Collection[str], seconds: float) -> None:
        """Ask about orders that nobody tracks; return when that is done, or after `seconds`."""
        self.strangers.want(ids, self._line.clock())
        self._schedule.wake(self._task)
        await self._answers.met(ids, seconds)

    def begin_anew(self) -> None:
        """End the pauses after earlier refusals, and conclude nothing from them."""
        self._refusals.begin_anew()

    async def _run(self, ask: Ask, batch: Batch | None) -> None:
        try:
            await self._round(ask, batch)
        except Exception:
            self._refusals.crashed(self._line.clock())
            raise
        else:
            self._refusals.went_well()
        finally:
            self._go_on()

    def _go_on(self) -> None:
        """Wake the task if something is due: a request has ended that it may have waited for."""
        if not self._rests_until:  # the task looks by itself
            return
        due = self._next_due(self._line.clock())
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
        return self._line.take(now)

    def _is_busy(self) -> bool:
        return self._under_way >= MOST_AT_ONCE or self._answers.waiting >= MOST_AT_ONCE

    def _nothing_due(self) -> None:
        """A poll that has nothing to ask of a panel that answers is a success."""
        if self._line.health.is_up:
            self._line.last_success = self._line.clock()

    def _next_due(self, now: float) -> float | None:
        if self._suspects or self.strangers.wait:
            return now
        return self._book.next_due(self._line.name, now)

    def _next(self, now: float) -> tuple[Ask, Batch | None]:
        if self._suspects and not self._asks_others(now):
            return self._suspects.take(), None
        alone = now < self._one_by_one_until or self._refusals.holds_any
        limit = 1 if alone else self._suspects.size
        if self._asks_strangers(now):
            return Ask(ids=self.strangers.take(limit)), None
        self._book.note_budget(self._line.name, limit * self._line.pace.rate.per_minute)
        batch = self._book.take(self._line.name, limit, now)
        self._metrics.batch_orders.labels(self._line.name).observe(len(batch.ids))
        # Once a batch, for the order that is latest: a million orders are too many.
        self._metrics.lag.labels(self._line.name).observe(batch.late)
        return Ask(ids=batch.ids), batch

    def _asks_others(self, now: float) -> bool:
        """While a panel fails, suspicious and other orders take turns: others may be answered."""
        due = self._book.next_due(self._line.name, now)
        if not self._line.breaker.failures or due is None or due > now:
            return False
        self._suspects_next = not self._suspects_next
        return self._suspects_next

    def _asks_strangers(self, now: float) -> bool:
        """They and the book's orders take turns: no shop keeps those from being checked."""
        due = self._book.next_due(self._line.name, now)
        is_other_due = due is not None and due <= now
        self._strangers_last = self.strangers.wait and not (self._strangers_last and is_other_due)
        return self._strangers_last

    # --- asking ---

    async def _round(self, ask: Ask, batch: Batch | None) -> None:
        marks = [0] * len(ask.ids) if batch is None else batch.marks
        try:
            news = await self._ask(ask.ids, marks)
        except Unmatched as error:
            await self._unmatched([*ask.ids, *ask.rest], error)
        except (RateLimited, NotSent):
            self._refusals.not_asked(ask)
        except Refused as error:
            if self._line.is_undecided:
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

    async def _ask(self, ids: Sequence[str], marks: Sequence[int]) -> News:
        order = ids[0] if len(ids) == 1 else None
        try:
            return await self._line.ask(
                STATUS,
                self._line.client.news(ids, marks),
                order=order,
                was_known=order is not None and self._is_known(order),
            )
        finally:  # what it told is put on record while the next one is under way
            self._under_way -= 1
            self._go_on()

    def _is_known(self, order_id: str) -> bool:
        """Whether the panel has told of the order before."""
        order = self._book.order(self._line.name, order_id)
        return order is not None and order.status is not Status.UNKNOWN

    async def _unmatched(self, ids: Sequence[str], error: PanelError) -> None:
        """Ask one by one; of an order that is alone already nothing was learnt."""
        self._one_by_one_until = self._line.clock() + _ONE_BY_ONE_FOR
        if len(ids) > 1:
            self._answers.put_back(ids)
        else:
            self.strangers.leave(ids)  # no answer is no refusal
            await self._answers.learn(ids, News({ids[0]: RowError(str(error))}))

    async def _answered(self, ask: Ask, news: News, batch: Batch | None) -> None:
        self._line.last_success = self._line.clock()
        self._refusals.answered(ask.ids)
        if len(ask.ids) == 1 and isinstance(news.rows.get(ask.ids[0]), RowError):
            self._answers.put_back(self._suspects.refused(ask).free)
            await self._answers.learn(ask.ids, news, spoils=self._suspects.has_found_any)
        else:
            await self._told_of(ask, news, batch)
        await self._refusals.learn_held()

    async def _told_of(self, ask: Ask, news: News, batch: Batch | None) -> None:
        self._suspects.answered(ask)
        ids = ask.ids
        if batch is not None:
            name = self._line.name
            same = self._book.same(name, batch, news.old, news.rows, news.marks)
            if same:
                self._book.unchanged(name, batch, same, self._line.clock())
            known = set(same)
            ids = [order_id for at, order_id in enumerate(ids) if at not in known]
        if ids:
            await self._answers.learn(ids, news)
