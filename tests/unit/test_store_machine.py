"""No action can be sent twice, in whatever order plans, claims, outcomes, people and crashes come.

A model of the intent log is kept beside the store; after every step both must say the same. A
crash is a copy of the files taken while the store is open: what a killed process leaves behind.
"""

import asyncio
import shutil
import tempfile
from collections import Counter
from collections.abc import Coroutine
from pathlib import Path
from typing import Any, TypeVar

import msgspec
import pytest
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import Bundle, RuleBasedStateMachine, invariant, multiple, rule

from tests.support.database import put_empty
from tests.support.postgres import databases, why_not
from tests.unit.store_kit import NAME, a_firing, a_plan, a_submission, loaded, outcome, tracked
from watcher.common.postgres_url import DatabaseLocation
from watcher.errors import Conflict, LifecycleError, RequestError
from watcher.model import UNSETTLED, Action, ActionState, Kind
from watcher.store import Store

pytestmark = pytest.mark.long

T = TypeVar("T")
ORDERS = ("1", "2", "3")
ENDS = (
    ActionState.ACCEPTED,
    ActionState.REJECTED,
    ActionState.UNRESOLVED,
    ActionState.PLANNED,
)
kinds = st.sampled_from([Kind.REFILL, Kind.CANCEL])
orders = st.sampled_from(ORDERS)


class IntentLog(RuleBasedStateMachine):
    """Drives the store as workers, rules, people and crashes would."""

    ids = Bundle("ids")
    claimed = Bundle("claimed")

    def __init__(self) -> None:
        super().__init__()
        self.runner = asyncio.Runner()
        self.directory = tempfile.TemporaryDirectory()
        self.path = Path(self.directory.name) / NAME
        self.copies = 0
        self.now = 100.0
        self.states: dict[int, Action] = {}
        self.may_have_arrived: set[int] = set()
        self.refills = 0
        self.firings = 0
        self.store = self.run(Store.open(self.place(), now=0.0))
        self.run(tracked(self.store, len(ORDERS)))

    def place(self) -> DatabaseLocation:
        """Where the store is opened."""
        put_empty(self.path)
        return self.path

    def run(self, work: Coroutine[Any, Any, T]) -> T:
        self.now += 1
        return self.runner.run(work)

    def teardown(self) -> None:
        self.run(self.store.close())
        self.runner.close()
        self.directory.cleanup()

    # --- planning ---

    @rule(target=ids, kind=kinds, order=orders)
    def plan(self, kind: Kind, order: str) -> Any:
        hindrance = self.unsettled(kind, order)
        plan = a_plan(order, kind)
        if hindrance is None:
            return self.note_new(self.run(self.store.actions.plan(plan, now=self.now)))
        with pytest.raises(Conflict, match=f"action {hindrance.id}$"):
            self.run(self.store.actions.plan(plan, now=self.now))
        return multiple()

    @rule(target=ids, kind=kinds, order=orders)
    def plan_by_rule(self, kind: Kind, order: str) -> Any:
        work = self.store.changes.record(
            [], [a_firing(order)], [a_plan(order, kind, rule="r")], now=self.now
        )
        planned = self.run(work)
        assert len(planned) == (self.unsettled(kind, order) is None)
        self.firings += len(planned)
        return multiple(*(self.note_new(action) for action in planned))

    @rule(target=ids, key=st.sampled_from([None, "a", "b"]), quantity=st.sampled_from(["1", "2"]))
    def submit(self, key: str | None, quantity: str) -> Any:
        plan = a_submission(key, quantity=quantity)
        earlier = [a for a in self.states.values() if key and a.idempotency_key == key]
        try:
            action = self.run(self.store.actions.plan(plan, now=self.now))
        except Conflict:
            assert earlier[0].params != plan.params
            return multiple()
        if earlier:
            assert action == earlier[0]
            return multiple()
        return self.note_new(action)

    # --- the worker ---

    @rule(target=claimed, chosen=st.lists(ids, max_size=4))
    def claim(self, chosen: list[int]) -> Any:
        could = {i for i in chosen if self.states[i].state is ActionState.PLANNED}
        claimed = self.run(self.store.actions.claim(chosen, now=self.now))
        assert {action.id for action in claimed} == could
        assert not could & self.may_have_arrived, "sent twice"
        self.may_have_arrived |= could
        self.note(claimed)
        return multiple(*claimed)

    @rule(chosen=st.lists(st.tuples(claimed, st.sampled_from(ENDS)), max_size=4))
    def settle(self, chosen: list[tuple[Action, ActionState]]) -> None:
        """Outcomes of any earlier sending: late, repeated and contradicting ones too."""
        outcomes = [outcome(action, state, self.result(action, state)) for action, state in chosen]
        fits = {o.action.id: o for o in reversed(outcomes) if self.states[o.action.id] == o.action}
        try:
            self.run(self.store.actions.settle(outcomes, now=self.now))
        except LifecycleError:
            assert len(fits) < len(outcomes)
        for action_id, fit in fits.items():
            if fit.state is ActionState.PLANNED:
                self.may_have_arrived.discard(action_id)
            self.refills += self.is_refill(fit.action, fit.state)
            action = self.stored(action_id)
            assert action.state is fit.state
            self.note([action])

    @rule(chosen=st.lists(ids, max_size=2))
    def withdraw(self, chosen: list[int]) -> None:
        could = {i for i in chosen if self.states[i].state is ActionState.PLANNED}
        withdrawn = self.run(self.store.actions.withdraw(chosen, "no longer wanted", now=self.now))
        assert {action.id for action in withdrawn} == could
        self.note(withdrawn)

    # --- people ---

    @rule(action_id=ids, state=st.sampled_from(list(ActionState)), named=st.booleans())
    def resolve(self, action_id: int, state: ActionState, named: bool) -> None:
        before = self.states[action_id]
        result = self.result(before, state) if named else None
        possible = before.state is ActionState.UNRESOLVED and state in ENDS[:2]
        nameless = before.kind is Kind.SUBMIT and state is ActionState.ACCEPTED and not result
        try:
            settled = self.run(
                self.store.actions.resolve(action_id, state, result=result, now=self.now)
            )
        except RequestError:
            assert not possible or nameless
            return
        assert possible
        assert not nameless
        self.refills += self.is_refill(before, state)
        self.note(settled.actions)

    # --- ends of the process ---

    @rule()
    def restart(self) -> None:
        self.run(self.store.close())
        self.start()

    @rule()
    def crash(self) -> None:
        self.end_at_once()
        self.start()

    def end_at_once(self) -> None:
        self.copies += 1
        copy = self.path.with_name(f"{self.copies}.db")
        for suffix in ("", "-wal"):
            shutil.copy(f"{self.path}{suffix}", f"{copy}{suffix}")
        self.run(self.store.close())
        self.path = copy

    def start(self) -> None:
        self.store = self.run(Store.open(self.place(), now=self.now))
        sending = [a for a in self.states.values() if a.state is ActionState.SENDING]
        assert self.run(self.store.actions.recover()) == len(sending)
        self.note([self.stored(action.id) for action in sending])
        assert all(self.states[a.id].state is ActionState.UNRESOLVED for a in sending)

    # --- what must always hold ---

    @invariant()
    def the_log_is_as_the_model_says(self) -> None:
        found, _ = self.run(self.store.actions.page(limit=1000))
        assert {action.id: action for action in found} == self.states
        waiting = [a for a in found if a.state is ActionState.PLANNED]
        assert self.run(self.store.actions.planned("p", limit=1000)) == [
            (action.id, action.kind) for action in waiting[::-1]
        ]
        assert self.run(self.store.actions.count_planned("p")) == Counter(a.kind for a in waiting)
        unsettled = [a for a in found if a.state in UNSETTLED]
        assert self.run(self.store.actions.unsettled()) == unsettled[::-1]
        pairs = [(a.kind, a.order) for a in unsettled if a.order is not None]
        assert len(pairs) == len(set(pairs))

    @invariant()
    def consequences_are_counted_once(self) -> None:
        known = {order.id: order for order in self.run(loaded(self.store))}
        placed = {a.result for a in self.states.values() if a.kind is Kind.SUBMIT and a.result}
        assert known.keys() == set(ORDERS) | placed
        assert sum(order.refills for order in known.values()) == self.refills
        assert len(self.run(self.store.firings.since(0.0))) == self.firings

    # --- the model ---

    def unsettled(self, kind: Kind, order: str) -> Action | None:
        same = (a for a in self.states.values() if (a.kind, a.order) == (kind, order))
        return next((action for action in same if action.state in UNSETTLED), None)

    def note_new(self, action: Action) -> int:
        assert action.id not in self.states
        assert action.state is ActionState.PLANNED
        self.note([action])
        return action.id

    def note(self, actions: list[Action]) -> None:
        self.states.update({action.id: action for action in actions})

    def stored(self, action_id: int) -> Action:
        action = self.run(self.store.actions.get(action_id))
        assert action is not None
        before = self.states[action_id]
        changeable = ("state", "order", "sent_at", "settled_at", "result", "answer")
        same = {name: getattr(before, name) for name in changeable}
        assert msgspec.structs.replace(action, **same) == before
        return action

    def result(self, action: Action, state: ActionState) -> str | None:
        if state is not ActionState.ACCEPTED or action.kind is Kind.CANCEL:
            return None
        return f"{action.kind}-{action.id}"

    def is_refill(self, action: Action, state: ActionState) -> bool:
        return action.kind is Kind.REFILL and state is ActionState.ACCEPTED


class ServedIntentLog(IntentLog):
    """A store on a server that also ends its sessions, at which nobody is to notice anything."""

    def place(self) -> DatabaseLocation:
        return databases().url(self.path.parent)

    @rule()
    def lose_connections(self) -> None:
        databases().cut(self.path.parent)

    def end_at_once(self) -> None:
        self.lose_connections()
        self.run(self.store.close())


@pytest.mark.skipif(why_not() is not None, reason=str(why_not()))
class TestServedIntentLog(ServedIntentLog.TestCase):  # type: ignore[name-defined,misc]
    settings = settings(max_examples=5, stateful_step_count=20, deadline=None)


TestIntentLog = IntentLog.TestCase
TestIntentLog.settings = settings(max_examples=20, stateful_step_count=25, deadline=None)
