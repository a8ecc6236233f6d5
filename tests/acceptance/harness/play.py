"""Plays a scenario in this process, on simulated time.

1. Panels, a daemon and orders are set up.
2. Each step brings its faults about, lets people act while time passes, and takes them away.
   Where the daemon crashes, the oracle looks, then a new one starts on the same database.
3. Nothing is wrong any more: after the longest pause of a panel, and two rounds of checks, every
   order is what its panel says it is.
4. The oracle judges the journals, the database and the daemon's mind.
"""

import asyncio
import tempfile
import time
import traceback
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import structlog

from tests.acceptance.harness.crowd import Crowd
from tests.acceptance.harness.faults import Faults
from tests.acceptance.harness.fuse import Crash, Fuse, in_place
from tests.acceptance.harness.scenario import LIMITS, MINUTE, Fault, Scenario, Step, draw
from tests.acceptance.harness.stage import Stage
from tests.acceptance.harness.verdict import Verdict, peak
from tests.support.audit import fired_too_often, left_sending, violations
from tests.support.database import CURRENT
from tests.support.house import KEY
from tests.support.minds import differences
from tests.support.moments import gone_since, remember
from tests.support.outcome import late_refills, other_orders, unreported
from tests.support.postgres import databases
from tests.support.secrets import repeated
from watcher.store.sqlite import WRITING
from watcher.web import order_actions as submissions

LONGEST_PAUSE = 6 * MINUTE  # of a panel that has failed, or refused, again and again
BUGS = ("action.bug", "web.failed", "poller.transition")  # events that must not be


def play(seed: int, engine: str = "sqlite") -> Verdict:
    """Play the seed's scenario on a database of that kind."""
    with (
        tempfile.TemporaryDirectory() as directory,
        _hurried(),
        _listening() as events,
        _on(engine),
    ):
        scenario = draw(seed, server=engine == "postgresql")
        verdict = asyncio.run(_play(scenario, Path(directory)))
        verdict.violations += [f"log: {event}" for event in events]
        verdict.violations += repeated(KEY, Path(directory))
        return verdict


async def _play(scenario: Scenario, directory: Path) -> Verdict:
    asyncio.get_running_loop().set_exception_handler(_ignore_crashes)
    fuse = Fuse()
    stage = Stage(directory, scenario, fuse)
    performance = Performance(stage, scenario)
    began = time.perf_counter()
    with in_place(fuse):
        try:
            await stage.open_panels()
            await performance.run()
        except Exception as error:  # noqa: BLE001  the others are played all the same
            performance.found.append(f"the scenario ended early: {error!r} at {_where(error)}")
        finally:
            await stage.end()
    return Verdict(
        seed=scenario.seed,
        kind=scenario.kind.value,
        violations=performance.found,
        injected=dict(performance.faults.injected),
        seen=dict(performance.seen),
        seconds=time.perf_counter() - began,
        peak_mib=peak(),
    )


class Performance:
    """One scenario being played."""

    def __init__(self, stage: Stage, scenario: Scenario) -> None:
        self.stage = stage
        self.scenario = scenario
        self.faults = Faults(stage, scenario)
        self.crowd = Crowd(stage, scenario)
        self.found: list[str] = []
        self.seen: Counter[str] = Counter()
        self._downtime = 0.0
        self._last_round = 0.0  # seconds

    async def run(self) -> None:
        await self.stage.rise()
        for plan in self.scenario.panels:
            await self.crowd.fill(plan.name, plan.orders)
        for step in self.scenario.steps:
            await self._step(step)
        await self._quiet()
        self._judge_the_end()
        self._count()

    async def _step(self, step: Step) -> None:
        try:
            for fault in step.faults:
                self._note(fault)
                await self.faults.begin(fault)
            await self.stage.unless_blown(self._pass_time(step.seconds, step.acts))
        except Crash:
            await self._rise_again()
        self.stage.fuse.unset()
        if not step.stays:
            await self._end_faults()

    async def _pass_time(self, seconds: float, acts: tuple[str, ...]) -> None:
        """Time passes in as many parts as there are acts, each at the beginning of one."""
        part = seconds / (len(acts) + 1)
        for act in acts:
            await asyncio.gather(self.crowd.act(act), self.stage.schedule.run(part))
        await self.stage.schedule.run(part)

    async def _end_faults(self) -> None:
        try:
            await self.faults.end()
        except Crash:
            await self._rise_again()
            await self._end_faults()

    async def _rise_again(self) -> None:
        """The oracle looks at what a crash has left, then a new daemon starts."""
        stage = self.stage
        while not stage.up or stage.fuse.blown.is_set():
            await stage.fall()
            await self.faults.before_start()
            before = remember(stage)
            self.found += self._breaches("after a crash")
            stage.true.advance(self._downtime)
            try:
                await stage.rise()
            except Crash:
                continue
            self.found += gone_since(before, stage, self.crowd.settled)
            self.found += left_sending(stage)
            self.found += differences(stage.daemon, stage)

    async def _quiet(self) -> None:
        await self._end_faults()
        self.stage.fuse.unset()
        self._last_round = self._round()
        await self.stage.run(LONGEST_PAUSE + 2 * self._last_round)

    def _round(self) -> float:
        """The time in which every open order is asked about, at the rate that was learnt.

        No more than a fifth of the requests goes to orders for having waited long alone.
        """
        longest = 0.0
        for name, workers in self.stage.daemon.panel_workers.items():
            orders = sum(1 for _ in self.stage.daemon.watchlist.panel(name).orders())
            requests = orders / workers.gateway.client.limit("status")
            longest = max(longest, MINUTE * requests / workers.gateway.pace.rate.per_minute)
        return self.scenario.check_within + MINUTE + 5 * longest

    def _judge_the_end(self) -> None:
        stage = self.stage
        self.found += self._breaches("at the end")
        self.found += left_sending(stage)
        self.found += differences(stage.daemon, stage)
        self.found += unreported(stage.daemon, stage)
        since = stage.true() - self._last_round
        for name, panel in stage.all_panels.items():
            self.found += other_orders(stage, name, panel, since)
            alone = not panel.profile.can("multi_refill_status")
            each = MINUTE / self.scenario.requests_per_minute if alone else 0.0
            within = self.scenario.check_within
            self.found += late_refills(stage, name, panel, within, each)
        self.found += [*self.crowd.complaints, *stage.bugs, *stage.schedule.bugs]

    def _breaches(self, when: str) -> list[str]:
        stage, crowd = self.stage, self.crowd
        found = violations(stage, stage.all_panels, crowd.tracked, crowd.keys)
        found += fired_too_often(stage, LIMITS, stage.set_back)
        known = {number for (number,) in stage.rows("SELECT id FROM actions")}
        found += [f"action {n} was confirmed and is lost" for n in crowd.confirmed - known]
        return [f"{when}: {breach}" for breach in found]

    def _note(self, fault: Fault) -> None:
        if fault.kind == "crash":
            self._downtime = fault.amount

    def _count(self) -> None:
        stage = self.stage
        self.seen["orders"] += int(stage.rows("SELECT count(*) FROM orders")[0][0])
        self.seen["changes on record"] += int(stage.rows("SELECT count(*) FROM history")[0][0])
        self.seen["crashes"] += stage.crashes
        for panel in stage.all_panels.values():
            self.seen["requests at panels"] += len(panel.journal)
        for kind, state, count in stage.rows(
            "SELECT kind, state, count(*) FROM actions GROUP BY 1, 2"
        ):
            self.seen[f"{kind} {state}"] += int(count)
        self.seen.update({f"people: {what}": count for what, count in self.crowd.acts.items()})


@contextmanager
def _on(engine: str) -> Iterator[None]:
    """Every database is of that kind meanwhile."""
    before, CURRENT.engine = CURRENT.engine, engine
    try:
        yield
    finally:
        CURRENT.engine = before
        if engine == "postgresql":
            if databases().server.process is None:
                databases().server.start()
            databases().give_back(spoilt=True)


@contextmanager
def _hurried() -> Iterator[None]:
    """What takes real time is short: time is simulated, and the machine itself does not crash."""
    wait, synchronous = submissions.SUBMIT_WAIT, WRITING["synchronous"]
    submissions.SUBMIT_WAIT, WRITING["synchronous"] = 0.1, "OFF"
    try:
        yield
    finally:
        submissions.SUBMIT_WAIT, WRITING["synchronous"] = wait, synchronous


@contextmanager
def _listening() -> Iterator[list[str]]:
    """The log's events that tell of a bug, or of a key; and no log."""
    events: list[str] = []

    def keep(logger: object, method: str, event: structlog.typing.EventDict) -> str:
        if event.get("event") in BUGS or KEY in str(event):
            events.append(str(event))
        raise structlog.DropEvent

    structlog.configure(processors=[structlog.processors.format_exc_info, keep])
    try:
        yield events
    finally:
        structlog.reset_defaults()


def _where(error: Exception) -> str:
    frame = traceback.extract_tb(error.__traceback__)[-1]
    return f"{frame.filename}:{frame.lineno}"


def _ignore_crashes(loop: asyncio.AbstractEventLoop, context: dict[str, object]) -> None:
    if not isinstance(context.get("exception"), Crash | ConnectionError):
        loop.default_exception_handler(context)
