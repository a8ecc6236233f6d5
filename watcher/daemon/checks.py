"""Checks orders at once for somebody who waits: what was learnt of each, or why nothing yet."""

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
from watcher.panels.breaker import BreakerState

MOST_WAITING = 1000  # orders that one caller waits for

Place = tuple[str, str]  # a panel, and an order's id there

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
        self._asks: dict[str, dict[Place, _Ask]] = {}  # by caller

    async def check(self, places: Sequence[Place], caller: str, seconds: float) -> list[OrderCheck]:
        """Ask about the orders with the panels' next requests; wait so many `seconds` for answers.

        Without an answer an order stays next, and a later call tells what was learnt. Raises
        TooManyChecks if the caller waits for more than MOST_WAITING orders.
        """
        now, mine = self._clock(), self._asks.setdefault(caller, {})
        wanted = self._admit(dict.fromkeys(places), mine, now)
        for panel, order_id in wanted:
            self._watchlist.panel(panel).want(order_id, now)
        self._mailboxes.wake_pollers({panel for panel, _ in wanted})
        with suppress(TimeoutError):
            async with asyncio.timeout(seconds):
                while wanted := [place for place in wanted if not self._has_answer(place, mine)]:
                    await self._recorder.next_record()
        return [await self._told(place, mine) for place in dict.fromkeys(places)]

    async def check_one(self, panel: str, order_id: str, caller: str, seconds: float) -> OrderCheck:
        """Check one order; raise NotFound, Conflict or NotYet if it is not watched."""
        await self._refuse_unwatched(panel, order_id)
        (check,) = await self.check([(panel, order_id)], caller, seconds)
        return check

    def _admit(self, places: Collection[Place], mine: dict[Place, _Ask], now: float) -> list[Place]:
        """Note what is asked for; return those that have no answer yet."""
        for place in [place for place in mine if place not in places]:
            if self._has_answer(place, mine):  # nobody has asked for it any more
                del mine[place]
        new = [place for place in places if place not in mine and self._entry(place) is not None]
        if len(mine) + len(new) > MOST_WAITING:
            raise TooManyChecks(
                f"{len(mine):,} orders wait to be checked for you: {MOST_WAITING:,} are the most;"
                " ask again when some are answered"
            )
        for place in new:
            entry = self._entry(place)
            if entry is not None:
                mine[place] = _Ask(now, entry.order, entry.failures)
        return [p for p in places if p in mine and not self._has_answer(p, mine)]

    def _entry(self, place: Place) -> Entry | None:
        return self._watchlist.entry(*place)

    def _has_answer(self, place: Place, mine: Mapping[Place, _Ask]) -> bool:
        """Return whether the panel has answered about the order, or it is no longer watched."""
        ask, entry = mine[place], self._entry(place)
        if entry is None or entry.failures > ask.failures:
            return True
        return entry.checked_at is not None and entry.checked_at >= ask.at

    async def _told(self, place: Place, mine: dict[Place, _Ask]) -> OrderCheck:
        """Return what was learnt of the order, and forget that it was asked for."""
        panel, order_id = place
        ask = mine.get(place)
        if ask is not None and not self._has_answer(place, mine):
            return self.waits(*place)
        mine.pop(place, None)
        entry = self._entry(place)
        if ask is None:
            return await self._unwatched(place)
        try:
            order = entry.order if entry else await self._commands.order(panel, order_id)
        except RequestError as error:
            return _unwatched(place, error)
        if entry is not None and entry.failures > ask.failures:
            text = f"{panel} does not report it: {order.problem or 'no status in its answer'}"
            return _check(place, CheckOutcome.REFUSED, text, order=order)
        changes = dict(_changes(ask.before, order))
        if not changes:
            return _check(place, CheckOutcome.UNCHANGED, f"unchanged: {order.status}", order=order)
        words = ", ".join(f"{name} {old} → {new}" for name, (old, new) in changes.items())
        return _check(place, CheckOutcome.CHANGED, words, order=order, changes=changes)

    async def _unwatched(self, place: Place) -> OrderCheck:
        try:
            await self._refuse_unwatched(*place)
        except NotLed as error:
            return _check(place, CheckOutcome.WAITING, str(error))
        except RequestError as error:
            return _unwatched(place, error)
        return _check(place, CheckOutcome.WAITING, "it was tracked just now: ask again")

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
        place = panel, order_id
        now, entry = self._clock(), self._entry(place)
        why, text, until = self._obstacle(panel, now)
        if why is WaitReason.QUEUED and entry is not None:
            if entry.state is EntryState.ASKED:
                why, text = WaitReason.ASKED, f"{panel} has not answered yet"
            elif entry.state is EntryState.APPOINTED and entry.turn > now:
                why, until = WaitReason.RESTING, entry.turn
                text = "it was checked some seconds ago"
        told = text if until is None else f"{text}; tried again at {clock(until)}"
        order = None if entry is None else entry.order
        return _check(place, CheckOutcome.WAITING, told, why=why, until=until, order=order)

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
    place: Place,
    outcome: CheckOutcome,
    sentence: str,
    *,
    why: WaitReason | None = None,
    until: float | None = None,
    order: Order | None = None,
    changes: dict[str, tuple[object, object]] | None = None,
) -> OrderCheck:
    return OrderCheck(
        panel=place[0],
        order_id=place[1],
        outcome=outcome,
        sentence=sentence,
        why=why,
        until=until,
        order=order,
        changes=changes or {},
    )


def _unwatched(place: Place, error: RequestError) -> OrderCheck:
    return _check(place, CheckOutcome.NOT_WATCHED, str(error))


def _changes(before: Order, after: Order) -> Iterator[tuple[str, tuple[object, object]]]:
    for name in _TOLD:
        old, new = getattr(before, name), getattr(after, name)
        if old != new:
            yield name, (old, new)
