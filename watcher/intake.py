"""What people and programs ask of the daemon: track, submit, refill, cancel, withdraw, resolve.

Everything is checked here; what is refused raises a RequestError that says why.
"""

import asyncio
from collections.abc import Callable, Collection, Mapping, Sequence
from contextlib import suppress

import msgspec

from watcher.book import Book
from watcher.clocks import Clock
from watcher.errors import Conflict, NotFound, NotYet, RequestError, Unsupported, no_such
from watcher.judge import Judge
from watcher.ledger import Ledger
from watcher.lifecycle import count
from watcher.metrics import Metrics
from watcher.model import (
    FINAL,
    Action,
    ActionPlan,
    ActionState,
    Kind,
    Order,
    Origin,
    Phase,
    Transition,
)
from watcher.panels.profiles import Profile
from watcher.panels.protocol import check_add, check_parameters
from watcher.store import Settled, Store, archive_name

_MOST_TOLD = 10  # problems of one order
CLOCK_SKEW = 300.0  # seconds by which another clock may differ from ours
_DAY = 86400.0
WITHDRAWN = "withdrawn by hand"
_TOO_LATE = "action {} is {}: only what is planned can be withdrawn"


class Intake:
    """One daemon's desk."""

    def __init__(
        self,
        *,
        store: Store,
        book: Book,
        judge: Judge,
        ledger: Ledger,
        metrics: Metrics,
        clock: Clock,
        profiles: Callable[[], Mapping[str, Profile]],
        on_orders: Callable[[set[str]], None],
        on_planned: Callable[[Sequence[Action]], None],
    ) -> None:
        self._store = store
        self._book = book
        self._judge = judge
        self._ledger = ledger
        self._metrics = metrics
        self._clock = clock
        self._on_orders = on_orders
        self._on_planned = on_planned
        self._profiles = profiles
        self._waiting: dict[int, list[asyncio.Future[Action]]] = {}

    async def track(self, orders: Sequence[Order]) -> list[Order]:
        """Watch orders that were submitted elsewhere; returns those not known before."""
        panels = {order.panel for order in orders}
        async with self._ledger.hold(panels):
            for panel in panels:
                self.check_panel(panel)
            now = self._clock()
            tracked = await self._store.track(orders, now=now)
            for order in tracked:
                self._book.add(order, now)
        self._on_orders({order.panel for order in tracked})
        return tracked

    async def name_services(self, orders: Sequence[Order]) -> int:
        """Take over the services of known orders that have none; how many these are.

        A service that is known does not change.
        """
        wanted = [order for order in orders if order.service is not None and self._lacks(order)]
        if not wanted:
            return 0
        async with self._ledger.hold({order.panel for order in wanted}):
            now = self._clock()
            named = await self._store.name_services(wanted)
            for order in named:
                self._name_service(order, now)
        return len(named)

    async def set_service(self, panel: str, order_id: str, service: str) -> Order:
        """Take over the order's service, where it is not known."""
        order = await self.order(panel, order_id)
        if order.service is not None and order.service != service:
            raise Conflict(f"order {order_id} is of service {order.service}: that does not change")
        listed = self._judge.services.get(panel)
        if listed and service not in listed:
            raise RequestError(f"{panel} lists no service {service!r}")
        if self._book.order(panel, order_id) is None and order.phase is not Phase.CLOSED:
            raise NotYet("orders are still being loaded: try again in some seconds")
        await self.name_services([msgspec.structs.replace(order, service=service)])
        return await self.order(panel, order_id)

    async def untrack(self, panel: str, order_id: str) -> Order:
        """Forget the order; as it was. What was sent for it stays on record."""
        order = await self.order(panel, order_id)
        async with self._ledger.hold([panel]):
            if self._book.order(panel, order_id) is None and order.phase is not Phase.CLOSED:
                raise NotYet("orders are still being loaded: try again in some seconds")
            if not await self._store.untrack(order.key):
                cause = "an action or a refill of it is not settled, or a change is not told yet"
                raise Conflict(f"order {order_id} can't be untracked now: {cause}")
            self._book.remove(panel, order_id)
            self._judge.forget(order)
        return order

    def check_panel(self, panel: str) -> Profile:
        """The panel's profile; NotFound where none of that name is configured."""
        profiles = self._profiles()
        profile = profiles.get(panel)
        if profile is None:
            raise no_such("panel", panel, profiles)
        return profile

    async def submit(self, panel: str, params: dict[str, str], idempotency_key: str) -> Action:
        """Plan the placing of an order. The same key gives the same action, however often."""
        self.check_panel(panel)
        known = self._judge.services.get(panel, {}).get(params["service"])
        problems = check_add(known.type if known else "", params)
        if problems:
            raise RequestError("; ".join(problems[:_MOST_TOLD]))
        plan = ActionPlan(
            kind=Kind.SUBMIT,
            panel=panel,
            params=params,
            reason="by hand",
            idempotency_key=idempotency_key,
        )
        action = await self._plan(plan)
        if action.state is ActionState.PLANNED:
            self._on_planned([action])
        return action

    async def submit_once(self, plan: ActionPlan, within: float) -> Action:
        """Plan the placing of an order, unless its like was planned `within` seconds.

        Its like has the same idempotency key, and is given back, as is one that is not settled.
        Which parameters there have to be, the panel says.
        """
        self.check_panel(plan.panel)
        problems = check_parameters(plan.params or {})
        if problems:
            raise RequestError("; ".join(problems[:_MOST_TOLD]))
        async with self._ledger.hold([plan.panel]):
            now = self._clock()
            past = self._judge.hindsight.past
            self._judge.hindsight.see(now)
            action, is_new = await self._store.plan_once(
                plan, since=now - within, now=now, past=past
            )
            if is_new:
                self._note_planned(action)
        if is_new:
            self._on_planned([action])
        return action

    async def withdraw(self, action: Action, why: str) -> Action:
        """Give up the action where it is not sent yet; as it is then."""
        async with self._ledger.hold([action.panel]):
            now = self._clock()
            withdrawn = await self._store.withdraw([action.id], why, now=now)
            self._ledger.enter(Settled(actions=withdrawn, orders=[], refills=[]), now)
        return await self._store.action(action.id) or action

    async def take_back(self, action_id: int) -> Action:
        """Withdraw an action by hand; Conflict where it is not planned any more."""
        planned = await self._store.action(action_id)
        if planned is None:
            raise NotFound(f"there is no action {action_id}")
        if planned.state is not ActionState.PLANNED:
            raise Conflict(_TOO_LATE.format(planned.id, planned.state))
        action = await self.withdraw(planned, WITHDRAWN)
        if action.state is not ActionState.REJECTED:
            raise Conflict(_TOO_LATE.format(action.id, action.state))
        return action

    async def act(self, kind: Kind, panel: str, order_id: str) -> Action:
        """Plan a refill or a cancel by hand."""
        action = await self._plan(await self._act_plan(kind, panel, order_id, "by hand"))
        self._on_planned([action])
        return action

    async def act_on(
        self, kind: Kind, orders: Sequence[Order], reason: str
    ) -> list[Action | RequestError]:
        """Plan a refill or a cancel of each, to be sent together; or why that can't be."""
        results: list[Action | RequestError] = []
        try:
            for order in orders:
                try:
                    plan = await self._act_plan(kind, order.panel, order.id, reason)
                    results.append(await self._plan(plan))
                except RequestError as error:
                    results.append(error)
        finally:
            self._on_planned([result for result in results if isinstance(result, Action)])
        return results

    async def _act_plan(self, kind: Kind, panel: str, order_id: str, reason: str) -> ActionPlan:
        profile = self.check_panel(panel)
        if not profile.can(kind):
            raise Unsupported(f"panel {panel!r} can't {kind} by its API")
        order = await self.order(panel, order_id)
        if kind is Kind.CANCEL and order.status in FINAL:
            raise Conflict(f"order {order_id} is {order.status}: there is nothing to cancel")
        return ActionPlan(kind=kind, panel=panel, order=order_id, reason=reason)

    async def order(self, panel: str, order_id: str) -> Order:
        """The order as it is now; NotFound where it is not tracked."""
        self.check_panel(panel)
        order = await self._store.order(panel, order_id)  # the book may not have its link
        if order is None:
            raise await self._unknown(panel, order_id)
        return order

    async def look(self, panel: str, ids: Collection[str], seconds: float) -> None:
        """Have orders checked at once that never were; back when all are, or after `seconds`."""
        now, unseen = self._clock(), self._unseen(panel, ids)
        if not unseen:
            return
        for order_id in unseen:
            self._book.hasten(panel, order_id, now, now)
        self._on_orders({panel})
        with suppress(TimeoutError):
            async with asyncio.timeout(seconds):
                while self._unseen(panel, unseen):
                    await self._ledger.next_record()

    def _unseen(self, panel: str, ids: Collection[str]) -> list[str]:
        """Those of which the panel has never said anything."""
        entries = [(order_id, self._book.entry(panel, order_id)) for order_id in ids]
        return [order_id for order_id, e in entries if e and e.is_new and e.order.problem is None]

    async def set_count(self, panel: str, order_id: str, current: int) -> Order:
        """Take over the link's current count, measured elsewhere; rules look at it at once."""
        order = await self.order(panel, order_id)
        if order.phase is Phase.CLOSED:
            raise Conflict(f"order {order_id} is closed: nothing watches its count")
        if self._book.order(panel, order_id) is None:
            raise NotYet("orders are still being loaded: try again in some seconds")
        now = self._clock()
        await self._ledger.keep(panel, now, lambda: self._counted(panel, order_id, current, now))
        return await self.order(panel, order_id)

    async def resolve(
        self, action_id: int, state: ActionState, result: str | None
    ) -> tuple[Action, Order | None]:
        """A person has looked at the panel and says what became of an unresolved action."""
        unresolved = await self._store.action(action_id)
        if unresolved is None:
            raise NotFound(f"there is no action {action_id}")
        async with self._ledger.hold([unresolved.panel]):
            now = self._clock()
            settled = await self._store.resolve(action_id, state, result=result, now=now)
            self._ledger.enter(settled, now)
        action = settled.actions[0]
        order = self._book.order(action.panel, action.order or "")
        if order is None:
            return action, None
        return action, await self._store.order(action.panel, order.id)

    def settled(self, actions: Sequence[Action]) -> None:
        """Actions that have ended; whoever waits for one hears of it."""
        for action in actions:
            for future in self._waiting.pop(action.id, ()):
                if not future.done():
                    future.set_result(action)

    async def wait_for(self, action: Action, seconds: float) -> Action:
        """The action once it has been sent and its outcome is known, or as it is by then."""
        if action.state not in (ActionState.PLANNED, ActionState.SENDING):
            return action
        future: asyncio.Future[Action] = asyncio.get_running_loop().create_future()
        self._waiting.setdefault(action.id, []).append(future)
        try:
            known = await self._store.action(action.id)
            if known is not None and known.state not in (ActionState.PLANNED, ActionState.SENDING):
                return known  # it ended before anyone waited
            return await asyncio.wait_for(future, seconds)
        except TimeoutError:
            return await self._store.action(action.id) or action
        finally:
            self._forget(action.id, future)

    def _forget(self, action_id: int, future: asyncio.Future[Action]) -> None:
        """Whoever stopped waiting is kept no longer: an action can stay planned for days."""
        waiting = self._waiting.get(action_id, [])
        if future in waiting:
            waiting.remove(future)
        if not waiting:
            self._waiting.pop(action_id, None)

    async def _plan(self, plan: ActionPlan) -> Action:
        """Under the panel's lock: nobody judges, sends or settles it before it is noted."""
        async with self._ledger.hold([plan.panel]):
            now = self._clock()
            action = await self._store.plan(plan, now=now)
            if action.planned_at == now and action.state is ActionState.PLANNED:
                self._note_planned(action)
        return action

    def _note_planned(self, action: Action) -> None:
        self._metrics.actions.labels(action.panel, action.kind).inc()
        self._judge.note_action(action)

    async def _unknown(self, panel: str, order_id: str) -> NotFound:
        archived_at = await self._store.archived_at(panel, order_id)
        if archived_at is None:
            return NotFound(f"order {order_id!r} of {panel} is not tracked: `watcher track` it")
        file = archive_name(archived_at)
        return NotFound(f"order {order_id!r} of {panel} closed long ago: it is archived in {file}")

    def _lacks(self, order: Order) -> bool:
        """Whether the order may be without a service; of closed ones the database knows."""
        known = self._book.order(order.panel, order.id)
        return known is None or known.service is None

    def _name_service(self, order: Order, now: float) -> None:
        known = self._book.order(order.panel, order.id)
        if known is not None:
            self._book.replace(msgspec.structs.replace(known, service=order.service))
            self._ledger.look_soon(order.panel, order.id, now)

    def _counted(self, panel: str, order_id: str, current: int, now: float) -> list[Transition]:
        order = self._book.order(panel, order_id)
        transition = count(order, current, now) if order else None
        return [] if transition is None else [transition]


def new_order(
    panel: str,
    order_id: str,
    now: float,
    *,
    service: str | None = None,
    link: str | None = None,
    quantity: int | None = None,
    submitted_at: float | None = None,
    finished_at: float | None = None,
) -> Order:
    """An order to be tracked from `now` on; RequestError where it can't be.

    `finished_at` counts only if the panel says at the first check that the order is final.
    """
    printable = order_id.isprintable() and " " not in order_id and "," not in order_id
    if not order_id or len(order_id) > 64 or not printable:
        raise RequestError(f"{order_id[:64]!r} is no order id")
    for name, at in (("submitted_at", submitted_at), ("finished_at", finished_at)):
        if at is not None and at > now + CLOCK_SKEW:
            raise RequestError(f"{name} lies in the future")
    submitted, finished = _times(submitted_at, finished_at, now)
    return Order(
        panel=panel,
        id=order_id,
        service=service,
        link=link,
        quantity=quantity,
        submitted_at=submitted,
        progressed_at=now,  # what it did before it was tracked is not known
        finished_at=finished,
        origin=_origin(submitted_at, finished, now),
    )


def _times(
    submitted_at: float | None, finished_at: float | None, now: float
) -> tuple[float, float | None]:
    """When an order was submitted, at the latest, and when it finished, if that is known."""
    submitted = now if submitted_at is None else min(submitted_at, now)
    if finished_at is None:
        return submitted, None
    finished = min(finished_at, now)
    if submitted_at is None:
        return finished, finished
    if finished < submitted - _DAY:
        raise RequestError("finished_at lies before submitted_at")
    return submitted, max(finished, submitted)  # a list may name the day alone


def _origin(submitted_at: float | None, finished_at: float | None, now: float) -> Origin:
    if submitted_at is None:
        return Origin.UNDATED
    is_new = finished_at is None and submitted_at >= now - CLOCK_SKEW
    return Origin.WHOLE if is_new else Origin.DATED
