"""Commands of people and programs: track, submit, refill, cancel, withdraw, resolve.

Everything is checked here; a refused command raises a RequestError that says why.
"""

import asyncio
from collections.abc import AsyncIterator, Collection, Mapping, Sequence
from contextlib import asynccontextmanager, suppress
from typing import Any

import msgspec

from watcher.daemon.action_outcomes import OutcomeWriter
from watcher.daemon.order_details import OrderDetails
from watcher.daemon.recorder import ChangeRecorder
from watcher.daemon.reviews import Reviews
from watcher.daemon.shared import Shared
from watcher.errors import Conflict, NotFound, NotYet, RequestError, Unsupported, no_such
from watcher.model import (
    FINAL,
    Action,
    ActionPlan,
    ActionState,
    Kind,
    Labels,
    Order,
    Phase,
)
from watcher.orders.lifecycle import count
from watcher.panels.profiles import Profile
from watcher.panels.protocol import check_add, check_parameters
from watcher.store import archive_name

_MOST_LISTED = 10  # problems of one order in an error
WITHDRAWN = "withdrawn by hand"
_TOO_LATE = "action {} is {}: only a planned action can be withdrawn"


class OrderCommands:
    """Checks and carries out commands; a refused one raises a RequestError."""

    def __init__(
        self, shared: Shared, recorder: ChangeRecorder, reviews: Reviews, outcomes: OutcomeWriter
    ) -> None:
        self._store, self._watchlist = shared.store, shared.watchlist
        self._rule_engine, self._config = shared.rule_engine, shared.config
        self.check_led, self._locks = shared.check_led, shared.locks
        self._mailboxes, self._clock = shared.mailboxes, shared.clock
        self._recorder = recorder
        self._outcomes = outcomes
        self.details = OrderDetails(shared, recorder, reviews)

    async def track(self, orders: Sequence[Order]) -> list[Order]:
        """Track orders that were submitted elsewhere; return those not known before."""
        panels = {order.panel for order in orders}
        async with self._turn(panels):
            for panel in panels:
                self.check_panel(panel)
            now = self._clock()
            tracked = await self._store.orders.track(orders, now=now)
            for order in tracked:
                self._watchlist.add(order, now)
        self._mailboxes.wake_pollers({order.panel for order in tracked})
        return tracked

    async def label(self, panel: str, order_id: str, values: Mapping[str, Any]) -> Order:
        """Set labels of the order, by their fields' names; return the order."""
        self.check_led(panel)
        await self.order(panel, order_id)
        await self.details.label(panel, order_id, values)
        return await self.order(panel, order_id)

    async def set_service(self, panel: str, order_id: str, service: str) -> Order:
        """Set the order's service if it is not known; return the order."""
        self.check_led(panel)
        order = await self.order(panel, order_id)
        if order.service is not None and order.service != service:
            raise Conflict(f"order {order_id} is of service {order.service}: that does not change")
        listed = self._rule_engine.services.get(panel)
        if listed and service not in listed:
            raise RequestError(f"{panel} lists no service {service!r}")
        if self._watchlist.order(panel, order_id) is None and order.phase is not Phase.CLOSED:
            raise NotYet("orders are still being loaded: try again in some seconds")
        await self.details.name_services([msgspec.structs.replace(order, service=service)])
        return await self.order(panel, order_id)

    async def untrack(self, panel: str, order_id: str) -> Order:
        """Forget the order; return its last state. Actions that were sent are kept."""
        self.check_led(panel)
        order = await self.order(panel, order_id)
        async with self._turn([panel]):
            if self._watchlist.order(panel, order_id) is None and order.phase is not Phase.CLOSED:
                raise NotYet("orders are still being loaded: try again in some seconds")
            if not await self._store.archive.untrack(order.key):
                cause = "an action or a refill of it is not settled, or a change is not sent yet"
                raise Conflict(f"order {order_id} can't be untracked now: {cause}")
            self._watchlist.remove(panel, order_id)
            self._rule_engine.forget(order)
        return order

    def check_panel(self, panel: str) -> Profile:
        """Return the panel's profile; raise NotFound if no panel has that name."""
        found = self._config.panel(panel)
        if found is None:
            raise no_such("panel", panel, self._config.current.panels)
        return found.profile

    async def submit(
        self, panel: str, params: dict[str, str], idempotency_key: str, labels: Labels | None = None
    ) -> Action:
        """Plan to place an order; a repeated idempotency key returns the first action."""
        self.check_panel(panel)
        self.check_led(panel)
        known = self._rule_engine.services.get(panel, {}).get(params["service"])
        problems = check_add(known.type if known else "", params)
        if problems:
            raise RequestError("; ".join(problems[:_MOST_LISTED]))
        plan = ActionPlan(
            kind=Kind.SUBMIT,
            panel=panel,
            params=params,
            reason="by hand",
            labels=labels,
            idempotency_key=idempotency_key,
        )
        return await self._plan_one(plan)

    async def submit_once(self, plan: ActionPlan, within: float) -> Action:
        """Plan to place an order; return an equal one of the last `within` seconds instead.

        Orders are equal if they have the same idempotency key. One that is not settled is returned
        however old it is. The panel checks which parameters are missing.
        """
        self.check_panel(plan.panel)
        problems = check_parameters(plan.params or {})
        if problems:
            raise RequestError("; ".join(problems[:_MOST_LISTED]))
        async with self._turn([plan.panel]):
            now = self._clock()
            past = self._rule_engine.time_correction.past
            self._rule_engine.time_correction.see(now)
            action, is_new = await self._store.actions.plan_once(
                plan, since=now - within, now=now, past=past
            )
            if is_new:
                self._recorder.note_planned([action])
        if is_new:
            self._mailboxes.note_planned([action])
        return action

    async def withdraw(self, action: Action, why: str) -> Action:
        """Withdraw the action if it is not sent yet; return its state."""
        return await self._outcomes.withdraw(action, why)

    async def take_back(self, action_id: int) -> Action:
        """Withdraw an action for a person; raise Conflict if it is not planned any more."""
        planned = await self._store.actions.get(action_id)
        if planned is None:
            raise NotFound(f"there is no action {action_id}")
        self.check_led(planned.panel)
        if planned.state is not ActionState.PLANNED:
            raise Conflict(_TOO_LATE.format(planned.id, planned.state))
        action = await self.withdraw(planned, WITHDRAWN)
        if action.state is not ActionState.REJECTED:
            raise Conflict(_TOO_LATE.format(action.id, action.state))
        return action

    async def act(self, kind: Kind, panel: str, order_id: str) -> Action:
        """Plan a refill or a cancel for a person."""
        return await self._plan_one(await self._act_plan(kind, panel, order_id, "by hand"))

    async def act_on(
        self, kind: Kind, orders: Sequence[Order], reason: str
    ) -> list[Action | RequestError]:
        """Plan a refill or cancel of each order, to be sent together; return actions or errors."""
        results: list[Action | RequestError] = []
        try:
            for order in orders:
                try:
                    plan = await self._act_plan(kind, order.panel, order.id, reason)
                    results.append(await self._plan(plan))
                except RequestError as error:
                    results.append(error)
        finally:
            self._mailboxes.note_planned(r for r in results if isinstance(r, Action))
        return results

    async def _act_plan(self, kind: Kind, panel: str, order_id: str, reason: str) -> ActionPlan:
        profile = self.check_panel(panel)
        self.check_led(panel)
        if not profile.can(kind):
            raise Unsupported(f"panel {panel!r} can't {kind} by its API")
        order = await self.order(panel, order_id)
        if kind is Kind.CANCEL and order.status in FINAL:
            raise Conflict(f"order {order_id} is {order.status}: there is nothing to cancel")
        return ActionPlan(kind=kind, panel=panel, order=order_id, reason=reason)

    async def order(self, panel: str, order_id: str) -> Order:
        """Return the order's present state; raise NotFound if it is not tracked."""
        self.check_panel(panel)
        order = await self._store.orders.get(panel, order_id)  # the watchlist may not have its link
        if order is None:
            raise await self._unknown(panel, order_id)
        return order

    async def look(self, panel: str, ids: Collection[str], seconds: float) -> None:
        """Check orders at once that were never checked; return then, or after `seconds`."""
        now, unseen = self._clock(), self._unseen(panel, ids)
        if not unseen:
            return
        for order_id in unseen:
            self._watchlist.panel(panel).hasten(order_id, now, now)
        self._mailboxes.wake_pollers({panel})
        with suppress(TimeoutError):
            async with asyncio.timeout(seconds):
                while self._unseen(panel, unseen):
                    await self._recorder.next_record()

    async def next_change(self, after: int, seconds: float) -> bool:
        """Wait for a change with an id above `after`; return whether one came within `seconds`."""
        if self._store.changes.count_changes_after(after):
            return True
        with suppress(TimeoutError):
            async with asyncio.timeout(seconds):
                await self._recorder.next_record()
                return True
        return False

    def _unseen(self, panel: str, ids: Collection[str]) -> list[str]:
        """Return the ids that the panel has never answered about."""
        entries = [(order_id, self._watchlist.entry(panel, order_id)) for order_id in ids]
        return [order_id for order_id, e in entries if e and e.is_new and e.order.problem is None]

    async def set_count(self, panel: str, order_id: str, current: int) -> Order:
        """Record the link's current count, measured elsewhere; rules evaluate it at once."""
        self.check_led(panel)
        order = await self.order(panel, order_id)
        if order.phase is Phase.CLOSED:
            raise Conflict(f"order {order_id} is closed: its count has no use")
        if self._watchlist.order(panel, order_id) is None:
            raise NotYet("orders are still being loaded: try again in some seconds")
        async with self._recorder.turn(panel):
            now, known = self._clock(), self._watchlist.order(panel, order_id)
            counted = count(known, current, now) if known else None
            bad = await self._recorder.keep(panel, [counted] if counted else [], now)
        for error in bad.values():
            raise error
        return await self.order(panel, order_id)

    async def resolve(
        self, action_id: int, state: ActionState, result: str | None
    ) -> tuple[Action, Order | None]:
        """Record the outcome of an unresolved action, as found by a person."""
        unresolved = await self._store.actions.get(action_id)
        if unresolved is None:
            raise NotFound(f"there is no action {action_id}")
        self.check_led(unresolved.panel)
        action = await self._outcomes.resolve(unresolved, state, result)
        return action, await self._store.orders.get(action.panel, action.order or "")

    async def wait_for(self, action: Action, seconds: float) -> Action:
        """Return the action once its outcome is recorded, or its state after so many seconds."""
        return await self._outcomes.wait_for(action, seconds)

    async def _plan_one(self, plan: ActionPlan) -> Action:
        action = await self._plan(plan)
        self._mailboxes.note_planned([action])
        return action

    async def _plan(self, plan: ActionPlan) -> Action:
        """Plan under the panel's lock: memory knows the action before anyone handles it."""
        async with self._turn([plan.panel]):
            now = self._clock()
            action = await self._store.actions.plan(plan, now=now)
            if action.planned_at == now and action.state is ActionState.PLANNED:
                self._recorder.note_planned([action])
        return action

    @asynccontextmanager
    async def _turn(self, panels: Collection[str]) -> AsyncIterator[None]:
        """Hold the panels' locks, as their leader: that may have changed meanwhile."""
        async with self._locks.hold(panels):
            for panel in panels:
                self.check_led(panel)
            yield

    async def _unknown(self, panel: str, order_id: str) -> NotFound:
        archived_at = await self._store.archive.archived_at(panel, order_id)
        if archived_at is None:
            return NotFound(f"order {order_id!r} of {panel} is not tracked: `watcher track` it")
        file = archive_name(archived_at)
        return NotFound(f"order {order_id!r} of {panel} closed long ago: it is archived in {file}")
