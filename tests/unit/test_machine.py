"""The whole daemon but its edge, in whatever order its tasks, people, panels and crashes come.

Tasks are stopped at each request and each commit, and others go on meanwhile. The panels are in
memory and keep a record of all they were asked. After each step the panels, the database and
the daemon's memory must agree.
"""

import asyncio
import logging
import os
import sqlite3
import tempfile
from collections import Counter, defaultdict
from collections.abc import Coroutine
from pathlib import Path
from typing import Any, TypeVar

import msgspec
import pytest
import structlog
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, precondition, rule

from tests.support.audit import violations
from tests.support.clockwork import Clock
from tests.support.database import put_empty
from tests.support.liveness import forgotten
from tests.support.minds import differences
from tests.support.model_house import ModelDaemon, ModelSchedule
from tests.support.model_panel import Fate, ModelPanel
from tests.support.moments import gone_since, remember
from tests.support.stepper import Stepper
from tests.unit.machine_kit import (
    HOUR,
    ORDERS,
    PANEL,
    WELL,
    acting,
    agreed,
    configurations,
    how,
    memory,
    moves,
    orders,
    refill_moves,
    tells_of_refills,
)
from tests.unit.store_kit import NAME, loaded
from watcher.config import Config
from watcher.daemon.rule_state import load_rule_state
from watcher.errors import RequestError, StoreError
from watcher.model import ActionState, Kind, Observation, RefillStatus
from watcher.orders.lifecycle import is_running
from watcher.orders.tracking import new_order
from watcher.rules.engine import RuleEngine
from watcher.store import orders as orders_module

pytestmark = pytest.mark.long

T = TypeVar("T")
# `make` and CI play these; each night more are played, and other ones.
EXAMPLES = int(os.environ.get("WATCHER_TEST_EXAMPLES", "60"))


class House(RuleBasedStateMachine):
    """Drives one daemon, one life after the other, on one database."""

    def __init__(self) -> None:
        super().__init__()
        structlog.configure(wrapper_class=structlog.make_filtering_bound_logger(logging.CRITICAL))
        self.runner = asyncio.Runner()
        self.directory = tempfile.TemporaryDirectory()
        self.patched = pytest.MonkeyPatch()
        self.patched.setattr(orders_module, "_PART", 2)  # most starts go on while all else does
        self.path = Path(self.directory.name) / NAME
        put_empty(self.path)
        self.log = sqlite3.connect(self.path, isolation_level=None)
        self.clock = Clock()
        self.config = self.configured(0)
        self.in_force = [self.config]  # since anything is under way
        self.panel = ModelPanel(PANEL, ORDERS, self)
        self.stepper = Stepper(Fate.WELL, lambda: self.daemon.store._db._tasks)
        self.serial = 0
        self.tracked: set[str] = set()
        self.resolved: set[int] = set()
        self.keys: dict[str, int] = {}
        self.firings: defaultdict[tuple[str, bool, int], list[float]] = defaultdict(list)
        self.checked: Any = None
        self.run(self.start())
        self.moment = remember(self)
        self.track([0, 1, 2], ([], None))

    def teardown(self) -> None:
        self.run(self.stop())
        self.log.close()
        self.runner.close()
        self.directory.cleanup()
        self.patched.undo()

    def run(self, work: Coroutine[Any, Any, T]) -> T:
        return self.runner.run(work)

    def rows(self, query: str) -> list[tuple[Any, ...]]:
        return self.log.execute(query).fetchall()

    def configured(self, number: int) -> Config:
        return msgspec.structs.replace(configurations()[number], database=self.path)

    # --- lives of the daemon ---

    async def start(self) -> None:
        self.daemon = self.made()
        await self.daemon.start()

    def made(self) -> ModelDaemon:
        return ModelDaemon(
            self.config,
            {PANEL: self.panel},
            self.stepper.point,
            reread=lambda: self.config,
            clock=self.clock,
            schedule=ModelSchedule(self.clock, self.stepper.tasks),
        )

    async def stop(self) -> None:
        await self.stepper.drop()
        await self.daemon.crash()

    # --- tasks ---

    def begin(self, name: str, work: Coroutine[Any, Any, Any], *how: Any) -> None:
        self.stepper.start(name, work)
        self.go_on(name, *how)

    def begin_call(self, name: str, work: Coroutine[Any, Any, Any], *how: Any) -> None:
        self.serial += 1
        self.begin(f"{name} {self.serial}", work, *how)

    def go_on(self, name: str, words: list[Fate], count: int | None) -> None:
        self.run(self.stepper.go_on(name, words, count))
        for ended, error in self.stepper.ended().items():
            if isinstance(error, StoreError) or (isinstance(error, RequestError) and " " in ended):
                continue
            if error is not None:
                raise error

    def work(self, name: str, how: Any, due: float | None = None) -> None:
        """Run the schedule's task once it is due, unless it runs already."""
        schedule = self.daemon._schedule
        if name not in self.stepper.tasks and name in schedule.tasks:
            self.clock.now = max(self.clock.now, due or 0.0)
            self.begin(name, schedule.tasks[name](self.clock()), *how)

    def at_panel(self, name: str, how: Any, due: float | None = None) -> None:
        """The same for a task that asks the panel: not before the panel's pause is over."""
        if PANEL not in self.daemon.panel_workers:  # it is being built anew
            return
        line = self.daemon.panel_workers[PANEL].gateway
        paused = line.paused_until(self.clock()) or line.pace._next
        self.work(f"{name}:{PANEL}", how, max(paused, due or 0.0))

    @rule(
        seconds=st.lists(st.sampled_from([HOUR + 1, 6 * HOUR, 25 * HOUR]), min_size=1, max_size=3),
        moves=moves,
        refills=refill_moves,
    )
    def go_well(self, seconds: list[float], moves: Any, refills: Any) -> None:
        """Some hours in which nothing goes wrong."""
        self.load(WELL)
        for some in seconds:
            self.clock.advance(some)
            self.poll(moves, WELL)
            self.look(False, WELL)
            self.send(WELL)
            self.follow_refills(refills, WELL)

    @rule(how=how)
    def load(self, how: Any) -> None:
        """The next orders of a start."""
        self.work("load", how)

    def load_all(self) -> None:
        """Up to where it waits for another task."""
        while not self.daemon.core.registry.loaded.is_set():
            self.load(WELL)
            if "load" in self.stepper.tasks:
                self.go_on("load", [], None)
            if "load" in self.stepper.tasks:
                return

    @rule(moves=moves, how=how)
    def poll(self, moves: dict[int, Observation], how: Any) -> None:
        known = list(self.panel.orders)
        for number, now in moves.items():
            self.panel.orders[known[number % len(known)]] = now
        self.at_panel(
            "poll", how, self.daemon.watchlist.panel(PANEL).poll_queue.next_at(self.clock())
        )

    @rule(how=acting)
    def send(self, how: Any) -> None:
        self.work("outcomes", how)
        self.at_panel("actions", how)

    @rule(moves=refill_moves, how=how)
    def follow_refills(self, moves: dict[int, RefillStatus], how: Any) -> None:
        known = list(self.panel.refills)
        for number, status in moves.items():
            for name in known[-1 - number : len(known) - number]:
                self.panel.refills[name] = self.panel.refills[name][0], status
        self.at_panel("refills", how, self.clock() + HOUR)

    @rule(wait=st.booleans(), how=how)
    def look(self, wait: bool, how: Any) -> None:
        self.work("look", how, self.daemon.watchlist.next_review() if wait else None)

    @rule(how=how)
    def review(self, how: Any) -> None:
        """After a start, a reload, and when the clock was set back."""
        self.work("start_over", how)
        self.work("review", how)

    @precondition(lambda self: self.stepper.tasks)
    @rule(number=st.integers(0, 5), how=how)
    def step(self, number: int, how: Any) -> None:
        names = list(self.stepper.tasks)
        name, (words, count) = names[number % len(names)], how
        self.go_on(name, _without_refusal(words) if name.startswith("reload") else words, count)

    @precondition(lambda self: self.stepper.tasks)
    @rule()
    def finish(self) -> None:
        while self.stepper.tasks:
            before, passed = len(self.stepper.tasks), self.stepper.passed
            self.load_all()  # a reload waits for that
            for name in list(self.stepper.tasks):
                if name in self.stepper.tasks:
                    self.go_on(name, [], None)
            # One that another waited for may have to wait for that one now: they take turns.
            moved = len(self.stepper.tasks) < before or self.stepper.passed > passed
            assert not self.stepper.tasks or moved, f"{list(self.stepper.tasks)} stand still"

    @precondition(lambda self: not self.stepper.tasks)
    @rule()
    def nothing_is_forgotten(self) -> None:
        """Once the rules have looked where they wanted to, to the second, none wants to act."""
        self.load_all()
        self.review(WELL)
        self.clock.advance(1.0)
        while (due := self.daemon.watchlist.next_review()) is not None and due <= self.clock():
            self.look(False, WELL)
        for order in self.daemon.watchlist.orders():
            for decision in self.daemon.rule_engine.decisions(order, self.clock() - 1.0):
                assert not decision.fires, f"nobody looks at {order}: {decision}"

    # --- people ---

    @rule(chosen=st.lists(st.integers(0, 4), max_size=3), how=how)
    def track(self, chosen: list[int], how: Any) -> None:
        known = list(self.panel.orders)
        found = [
            new_order(
                panel=PANEL,
                order_id=known[number % len(known)],
                now=self.clock(),
                service="7" if number == 2 else None,
                link=None,
                quantity=100,
                submitted_at=None,
            )
            for number in chosen
        ]

        async def track() -> None:
            await self.daemon.commands.track(found)
            self.tracked.update(order.id for order in found)

        self.begin_call("track", track(), *how)

    @rule(kind=st.sampled_from([Kind.REFILL, Kind.CANCEL]), order=orders, how=how)
    def act(self, kind: Kind, order: str, how: Any) -> None:
        self.begin_call(kind, self.daemon.commands.act(kind, PANEL, order), *how)

    @rule(key=st.sampled_from("abc"), how=how)
    def submit(self, key: str, how: Any) -> None:
        params = {"service": "7", "link": f"https://example.com/{key}", "quantity": "100"}

        async def submit() -> None:
            action = await self.daemon.commands.submit(PANEL, params, key)
            assert self.keys.setdefault(key, action.id) == action.id

        self.begin_call("submit", submit(), *how)

    @rule(order=orders, current=st.sampled_from([0, 50, 110]), how=how)
    def count(self, order: str, current: int, how: Any) -> None:
        self.begin_call("count", self.daemon.commands.set_count(PANEL, order, current), *how)

    @rule(number=st.integers(0, 3), named=st.booleans(), how=how)
    def resolve(self, number: int, named: bool, how: Any) -> None:
        """A person looks at the panel, and says what is there."""
        found = self.rows("SELECT id, kind FROM actions WHERE state = 'unresolved' ORDER BY id")
        if not found:
            return
        action, kind = found[number % len(found)]
        result = self.panel.done.get(action)
        state = ActionState.REJECTED if result is None else ActionState.ACCEPTED
        named_result = result if named or kind == "submit" else None
        self.resolved.add(action)
        self.panel.told.pop(action, None)
        self.begin_call("resolve", self.daemon.commands.resolve(action, state, named_result), *how)

    @rule(number=st.integers(0, len(configurations()) - 1), how=how)
    def reload(self, number: int, how: Any) -> None:
        if any(name.startswith("reload") for name in self.stepper.tasks):
            return
        self.config = self.configured(number)
        self.in_force.append(self.config)
        self.panel.tells_of_refills &= tells_of_refills(self.config)
        words, count = how
        self.begin_call("reload", self.daemon.reload(), _without_refusal(words), count)

    # --- the world ---

    @rule(seconds=st.sampled_from([60.0, HOUR + 1, 2 * HOUR, 24 * HOUR + 1, -30.0]))
    def time(self, seconds: float) -> None:
        self.daemon._schedule.set_clock(seconds)

    @rule(really=st.integers(0, 3), cut=st.one_of(st.none(), st.integers(0, 12)))
    def crash(self, really: int, cut: int | None) -> None:
        """`cut`: the next start is cut short as well."""
        if really != 0:  # a start costs as much as ten other steps
            return
        self.run(self.stop())
        for action, *_ in self.rows("SELECT id FROM actions WHERE state = 'sending'"):
            self.panel.told[action] = ActionState.UNRESOLVED
        if cut is not None:
            self.run(self.cut_short(cut))
        self.run(self.start())

    async def cut_short(self, cut: int) -> None:
        self.daemon = self.made()
        self.stepper.start("start", self.daemon.start())
        await self.daemon.opened.wait()
        await self.stepper.go_on("start", (), cut)
        await self.stop()

    # --- what must always hold ---

    @invariant()
    def no_breach(self) -> None:
        agreed(self.panel.breaches)
        agreed(violations(self, {}, {}))
        before, self.moment = self.moment, remember(self)
        agreed(gone_since(before, self, self.resolved))
        new = self.rows(
            f"SELECT rule, dry_run, key, at FROM firings WHERE id > {before.last_firing}"
        )
        for name, is_dry, order, at in new:
            self.fired(name, bool(is_dry), order, at)
        unsettled = Counter(
            self.rows(
                "SELECT kind, order_id FROM actions WHERE order_id IS NOT NULL"
                " AND state IN ('planned', 'sending', 'unresolved')"
            )
        )
        assert not [pair for pair, count in unsettled.items() if count > 1]
        if not self.stepper.tasks:
            self.in_force = [self.config]
        known = {order for (order,) in self.rows("SELECT order_id FROM orders")}
        assert self.tracked <= known

    def fired(self, name: str, is_dry: bool, order: int, at: float) -> None:
        """`every` and `attempts`, by the mildest of the configurations that it may have gone by."""
        earlier = self.firings[name, is_dry, order]  # what was tried leaves what is done alone
        rules = [rule for config in self.in_force for rule in config.rules if rule.name == name]
        every = min(rule.every for rule in rules)
        attempts = max(rule.attempts or 1000 for rule in rules)
        assert len(earlier) < attempts, f"{name} fired {len(earlier) + 1} times for order {order}"
        assert not earlier or at >= max(earlier) + every, f"{name} fired at {at} after {earlier}"
        earlier.append(at)

    @precondition(lambda self: not self.stepper.tasks)
    @invariant()
    def memory_is_as_the_database(self) -> None:
        agreed(forgotten(self.daemon, at_rest=True))
        if self.daemon.core.outcomes._waiting:
            return
        agreed(differences(self.daemon, self))
        self.run(self.same_memory())
        states = {a: ActionState(s) for a, s in self.rows("SELECT id, state FROM actions")}
        told = self.panel.told
        for action, state in told.items():
            assert states[action] is state, f"{action} is {states[action]}, its answer was {state}"

    async def same_memory(self) -> None:
        daemon = self.daemon
        in_watchlist = {order.key: order for order in daemon.watchlist.orders()}
        watched = {(order.panel, order.id) for order in in_watchlist.values()}
        state = self.rows("PRAGMA data_version"), in_watchlist, memory(daemon.rule_engine, watched)
        if state == self.checked:  # reading all of it costs more than a step
            return
        on_record = {
            order.key: order
            for order in await loaded(daemon.store, keeps=daemon.watchlist.keeps)
            if order.panel in daemon.panel_workers
        }
        if not daemon.core.registry.loaded.is_set():
            assert in_watchlist.items() <= on_record.items()
        else:
            assert in_watchlist == on_record
        fresh = RuleEngine(daemon.rule_engine.rules)
        await load_rule_state(daemon.store, fresh, self.clock())
        for refill in await daemon.store.refills.running():
            running = is_running(refill, tells=tells_of_refills(self.config))
            fresh.note_refill(refill.panel, refill.order, refill.id, running=running)
        assert memory(daemon.rule_engine, watched) == memory(fresh, watched)
        self.checked = state


def _without_refusal(words: list[Fate]) -> list[Fate]:
    """A database that fails while a configuration is taken over leaves the old one in force."""
    return [word for word in words if word is not Fate.STORE_FAILS]


TestHouse = House.TestCase
TestHouse.settings = settings(max_examples=EXAMPLES, stateful_step_count=40, deadline=None)
