"""Checks orders at once for a waiting caller: the result of each, or why there is none yet."""

import asyncio
from collections.abc import Collection, Iterator, Mapping, Sequence
from contextlib import suppress

import msgspec

from watcher.common.pauses import Paused
from watcher.common.wording import clock
from watcher.daemon.check_outcomes import CheckOutcome, OrderCheck, WaitReason
from watcher.daemon.commands import OrderCommands
from watcher.daemon.panel_workers import PanelWorkers
from watcher.daemon.recorder import ChangeRecorder
from watcher.daemon.shared import Shared
from watcher.errors import Conflict, NotLed, NotYet, RequestError
from watcher.model import Order, Phase
from watcher.orders.fields import FieldSource, names_of
from watcher.orders.schedule import Entry, EntryState
from watcher.orders.tracking import OrderRef
from watcher.panels.breaker import BreakerState

MOST_WAITING = 1000  # orders that one caller waits for


_TOLD = (*names_of(source=FieldSource.PANEL), "problem")


class TooManyChecks(RequestError):
    """A caller waits for too many orders already."""

    status = 429
    code = "too_many"


class _Ask(msgspec.Struct, frozen=True):
    """An order as it was when somebody asked for its check."""

    at: float
    before: Order
    failures: int


class Checks:
    """The checks that people and programs wait for. They are in memory only."""

    def __init__(
        self,
        shared: Shared,
        commands: OrderCommands,
        recorder: ChangeRecorder,
        panel_workers: Mapping[str, PanelWorkers],
    ) -> None:
        self._watchlist, self._mailboxes = shared.watchlist, shared.mailboxes
        self._clock = shared.clock
        self._commands = commands
        self._recorder = recorder
        self._panel_workers = panel_workers
        self._asks: dict[str, dict[OrderRef, _Ask]] = {}  # by caller

    async def check(
        self, refs: Sequence[OrderRef], caller: str, seconds: float
    ) -> list[OrderCheck]:
        """Ask about the orders with the panels' next requests; wait so many `seconds` for answers.

        An order without an answer stays next in the queue; a later call returns its result. Raises
        TooManyChecks if the caller waits for more than MOST_WAITING orders.
        """
        now, mine = self._clock(), self._asks.setdefault(caller, {})
        wanted = self._admit(dict.fromkeys(refs), mine, now)
        for panel, order_id in wanted:
            self._watchlist.panel(panel).want(order_id, now)
        self._mailboxes.wake_pollers({panel for panel, _ in wanted})
        with suppress(TimeoutError):
            async with asyncio.timeout(seconds):
                while wanted := [ref for ref in wanted if not self._has_answer(ref, mine)]:
                    await self._recorder.next_record()
        return [await self._result(ref, mine) for ref in dict.fromkeys(refs)]

    async def check_one(self, panel: str, order_id: str, caller: str, seconds: float) -> OrderCheck:
        """Check one order; raise NotFound, Conflict or NotYet if it is not watched."""
        await self._refuse_unwatched(panel, order_id)
        (check,) = await self.check([(panel, order_id)], caller, seconds)
        return check

    def _admit(
        self, refs: Collection[OrderRef], mine: dict[OrderRef, _Ask], now: float
    ) -> list[OrderRef]:
        """Note what is asked for; return those that have no answer yet."""
        for ref in [ref for ref in mine if ref not in refs]:
            if self._has_answer(ref, mine):  # nobody has asked for it any more
                del mine[ref]
        new = [ref for ref in refs if ref not in mine and self._entry(ref) is not None]
        if len(mine) + len(new) > MOST_WAITING:
            raise TooManyChecks(
                f"{len(mine):,} orders wait to be checked for you: {MOST_WAITING:,} are the most;"
                " ask again when some are answered"
            )
        for ref in new:
            entry = self._entry(ref)
            if entry is not None:
                mine[ref] = _Ask(now, entry.order, entry.failures)
        return [p for p in refs if p in mine and not self._has_answer(p, mine)]

    def _entry(self, ref: OrderRef) -> Entry | None:
        return self._watchlist.entry(*ref)

    def _has_answer(self, ref: OrderRef, mine: Mapping[OrderRef, _Ask]) -> bool:
        """Return whether the panel has answered about the order, or it is no longer watched."""
        ask, entry = mine[ref], self._entry(ref)
        if entry is None or entry.failures > ask.failures:
            return True
        return entry.checked_at is not None and entry.checked_at >= ask.at

    async def _result(self, ref: OrderRef, mine: dict[OrderRef, _Ask]) -> OrderCheck:
        """Return the order's result, and forget the request."""
        panel, order_id = ref
        ask = mine.get(ref)
        if ask is not None and not self._has_answer(ref, mine):
            return self.waits(*ref)
        mine.pop(ref, None)
        entry = self._entry(ref)
        if ask is None:
            return await self._unwatched(ref)
        try:
            order = entry.order if entry else await self._commands.order(panel, order_id)
        except RequestError as error:
            return _unwatched(ref, error)
        if entry is not None and entry.failures > ask.failures:
            text = f"{panel} does not report it: {order.problem or 'no status in its answer'}"
            return _check(ref, CheckOutcome.REFUSED, text)
        changes = dict(_changes(ask.before, order))
        if not changes:
            return _check(ref, CheckOutcome.UNCHANGED, f"unchanged: {order.status}")
        words = ", ".join(f"{name} {old} → {new}" for name, (old, new) in changes.items())
        return _check(ref, CheckOutcome.CHANGED, words, changes=changes)

    async def _unwatched(self, ref: OrderRef) -> OrderCheck:
        try:
            await self._refuse_unwatched(*ref)
        except NotLed as error:
            return _check(ref, CheckOutcome.WAITING, str(error))
        except RequestError as error:
            return _unwatched(ref, error)
        return _check(ref, CheckOutcome.WAITING, "it was tracked just now: ask again")

    async def _refuse_unwatched(self, panel: str, order_id: str) -> None:
        """Raise why the order can't be checked, if it is not watched."""
        self._commands.check_panel(panel)
        self._commands.check_led(panel)
        if self._watchlist.entry(panel, order_id) is not None:
            return
        order = await self._commands.order(panel, order_id)
        if order.phase is Phase.CLOSED:
            raise Conflict(f"order {order_id} of {panel} is closed: it is {order.status} for good")
        raise NotYet("orders are still being loaded: try again in some seconds")

    # --- why there is no answer yet ---

    def waits(self, panel: str, order_id: str) -> OrderCheck:
        """Return why the order was not checked yet."""
        self._commands.check_led(panel)
        ref = panel, order_id
        now, entry = self._clock(), self._entry(ref)
        why, text, until = self._obstacle(panel, now)
        if why is WaitReason.QUEUED and entry is not None:
            if entry.state is EntryState.ASKED:
                why, text = WaitReason.ASKED, f"{panel} has not answered yet"
            elif entry.state is EntryState.APPOINTED and entry.turn > now:
                why, until = WaitReason.RESTING, entry.turn
                text = "it was checked some seconds ago"
        told = text if until is None else f"{text}; tried again at {clock(until)}"
        return _check(ref, CheckOutcome.WAITING, told, why=why, until=until)

    def _obstacle(self, panel: str, now: float) -> tuple[WaitReason, str, float | None]:
        """Return why the panel is not asked at once, and when it is asked next."""
        gateway = self._panel_workers[panel].gateway
        paused = gateway.paused(Paused.READS)
        if paused is not None:
            return WaitReason.PAUSED, paused.sentence, paused.until
        until, problem = gateway.paused_until(now), gateway.problem or "no answer"
        if gateway.health.refuses:
            return WaitReason.REFUSING, f"{panel} refuses everything ({problem})", until
        if gateway.breaker.state is not BreakerState.CLOSED:
            return WaitReason.DOWN, f"{panel} does not answer ({problem})", until
        if gateway.pace.pause_until > now:
            return WaitReason.LIMITED, f"{panel} wants fewer requests", until
        return WaitReason.QUEUED, f"it goes with the next request to {panel}", None


def _check(
    ref: OrderRef,
    outcome: CheckOutcome,
    sentence: str,
    *,
    why: WaitReason | None = None,
    until: float | None = None,
    changes: dict[str, tuple[object, object]] | None = None,
) -> OrderCheck:
    return OrderCheck(
        panel=ref[0],
        order_id=ref[1],
        outcome=outcome,
        sentence=sentence,
        why=why,
        until=until,
        changes=changes or {},
    )


def _unwatched(ref: OrderRef, error: RequestError) -> OrderCheck:
    return _check(ref, CheckOutcome.NOT_WATCHED, str(error))


def _changes(before: Order, after: Order) -> Iterator[tuple[str, tuple[object, object]]]:
    for name in _TOLD:
        old, new = getattr(before, name), getattr(after, name)
        if old != new:
            yield name, (old, new)
