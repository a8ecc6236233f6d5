"""The pace of a panel as the daemon keeps it: learnt, remembered, and several requests at once."""

import asyncio
from math import inf
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from tests.support.clockwork import all_is_read
from tests.support.house import House, a_house
from watcher.daemon import poll_answers
from watcher.daemon.poller import MOST_AT_ONCE
from watcher.orders.panel_orders import PanelOrders
from watcher.simulator import Fate, SimulatedPanel, Trait

HOUR = 3600.0
SLOW = Fate(pending=100 * HOUR)
UNSTATED = "check_within = '1m'"


def rate_of(house: House) -> float:
    return house.daemon.panel_workers["standard"].gateway.pace.rate.per_minute


@pytest.mark.parametrize("trait", [None, Trait.RATE_LIMIT_IN_200, Trait.RETRY_AFTER_SECONDS])
async def test_the_limit_is_learnt_and_remembered(tmp_path: Path, trait: Trait | None):
    traits = [trait] if trait else []
    defaults = UNSTATED + "\nbatch = 1"
    async with a_house(tmp_path, traits=traits, defaults=defaults, requests_per_minute=40) as house:
        assert rate_of(house) == 30
        await house.place(200, fate=SLOW)
        await house.run(HOUR)
        assert 30 < rate_of(house) < 46
        answers = [entry.outcome for entry in house.panel.journal.requests("status")]
        assert answers.count("answered") > 0.75 * 40 * 60
        assert len(answers) - answers.count("answered") <= 20
        shown = (await house.call("GET", "/v1/panels"))["panels"][0]
        assert shown["requests_per_minute"] == pytest.approx(rate_of(house), abs=0.01)
        interval = house.daemon.daemon_status.state().panels[0].poll_interval
        assert interval == pytest.approx(60 / rate_of(house))
        await house.run(61.0)
        before = rate_of(house)
        await house.restart()
        assert rate_of(house) == pytest.approx(before, rel=0.05)


async def test_a_rate_that_a_user_states_is_where_it_starts(tmp_path: Path):
    async with a_house(tmp_path, defaults="requests_per_minute = 50") as house:
        assert rate_of(house) == 50


async def test_a_price_list_that_is_refused_slows_no_checks(tmp_path: Path):
    async with a_house(tmp_path, defaults="requests_per_minute = 50") as house:
        await house.place(10, fate=SLOW)
        house.panel.switches.on(Trait.RATE_LIMITED, action="services")
        await house.run(2 * HOUR)
        assert rate_of(house) == 50
        assert len(house.panel.journal.requests("services")) <= 20, "10 an hour"
        assert (await house.call("GET", "/v1/panels"))["panels"][0]["up"]


class Slow:
    """A panel that keeps requests waiting until it is told to answer."""

    def __init__(self, house: House) -> None:
        self.client: Any = house.daemon.panel_workers["standard"].gateway.client
        self.plain = self.client.changed_statuses
        self.client.changed_statuses = self.news
        self.gate = asyncio.Event()
        self.under_way: list[list[str]] = []
        self.most = 0

    async def news(self, ids: list[str], marks: list[int]) -> Any:
        self.under_way.append(list(ids))
        self.most = max(self.most, len(self.under_way))
        asked = [order for batch in self.under_way for order in batch]
        assert len(asked) == len(set(asked)), "two requests for one id at once"
        try:
            await self.gate.wait()
            return await self.plain(ids, marks)
        finally:
            self.under_way.remove(list(ids))


async def asked(house: House, seconds: int) -> None:
    """The poller's task runs each second, while requests are under way."""
    poll = house.schedule.tasks["poll:standard"]
    for _ in range(seconds):
        await poll(house.clock())
        await asyncio.sleep(0)
        house.clock.advance(1.0)


async def ended(house: House) -> None:
    beside, house.schedule.beside = house.schedule.beside, []
    await asyncio.gather(*beside)


def a_slow_disk(house: House) -> asyncio.Event:
    """Nothing comes on record until it is set."""
    disk, plain = asyncio.Event(), house.daemon.store.changes.record

    async def record(*parts: Any, **more: Any) -> Any:
        await disk.wait()
        return await plain(*parts, **more)

    house.daemon.store.changes.record = record
    return disk


async def test_slow_answers_do_not_slow_the_pace(tmp_path: Path):
    async with a_house(tmp_path, defaults="requests_per_minute = 60") as house:
        ids = await house.place(950, fate=SLOW)
        slow = Slow(house)
        await asked(house, 12)
        assert slow.most == 10, "one a second, each of others, and no more than there are"
        slow.gate.set()
        await ended(house)
        assert {house.order(order).problem for order in ids} == {None}
        assert set(house.panel.journal.sent("status").values()) == {1}


async def test_nothing_is_asked_if_the_end_of_a_standstill_puts_off_what_was_due(tmp_path: Path):
    async with a_house(tmp_path) as house:
        (order,) = await house.place(1, fate=SLOW)
        await house.run(60.0)
        orders = house.daemon.watchlist.panel("standard")
        queue, slot = orders.poll_queue, orders.records.find(order)
        still, now = queue.standstill, house.clock()
        still.since = still.moved_at = now
        queue.answered([slot], [1.0], now - queue.gap)
        still.note(0.0, 100, now + 1.0)
        assert still.since is None, "it moves again"
        queue.resume(np.array([slot]), np.zeros(1))
        house.panel.journal.clear()
        poll = house.schedule.tasks["poll:standard"]
        house.clock.advance(3.0)  # more than the pace asks for
        assert (queue.next_at(house.clock()) or inf) <= house.clock()
        await poll(house.clock())
        await ended(house)
        assert house.panel.journal.requests("status") == []


async def test_there_is_a_bound_to_what_is_under_way(tmp_path: Path):
    defaults = "requests_per_minute = 60\nbatch = 10"
    async with a_house(tmp_path, defaults=defaults) as house:
        await house.place(400, fate=SLOW)
        slow = Slow(house)
        await asked(house, 40)
        assert len(slow.under_way) == MOST_AT_ONCE
        slow.gate.set()
        await ended(house)
        assert house.schedule.due["poll:standard"] <= house.clock(), "woken for the rest"
        await house.run(30.0)
        assert len(house.panel.journal.sent("status")) == 400


async def test_a_panel_that_hangs_with_many_under_way_loses_no_order(tmp_path: Path):
    async with a_house(tmp_path, defaults="requests_per_minute = 60") as house:
        ids = await house.place(950, fate=Fate(pending=60.0, per_minute=1000.0), quantity=100)
        slow = Slow(house)
        await asked(house, 12)
        house.panel.switches.on(Trait.CLOSE_BEFORE, action="status", times=10)
        slow.gate.set()
        await ended(house)
        await house.run(HOUR)
        assert {house.order(order).status.value for order in ids} == {"completed"}
        assert {house.order(order).problem for order in ids} == {None}


async def test_what_waits_to_come_on_record_holds_no_place_but_has_a_bound(tmp_path: Path):
    defaults = "requests_per_minute = 60\nbatch = 10"
    async with a_house(tmp_path, defaults=defaults) as house:
        await house.place(600, fate=SLOW)
        disk = a_slow_disk(house)
        await asked(house, 60)
        sent = len(house.panel.journal.requests("status"))
        assert MOST_AT_ONCE < sent <= 1 + 2 * MOST_AT_ONCE, "answers that wait, and requests"
        disk.set()
        await ended(house)
        assert set(house.panel.journal.sent("status").values()) == {1}, "none twice meanwhile"
        await house.run(60.0)
        assert len(house.panel.journal.sent("status")) == 600


@pytest.mark.parametrize(("batch", "limit", "most"), [(10, 200, 12), (80, 200, 2), (100, 50, 1)])
async def test_few_orders_come_on_record_at_once_but_many_answers(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, batch: int, limit: int, most: int
):
    """So that commits are few, and none holds up everything else for long."""
    monkeypatch.setattr(poll_answers, "LEARNT_AT_ONCE", limit)
    defaults = f"requests_per_minute = 60\nbatch = {batch}"
    async with a_house(tmp_path, defaults=defaults) as house:
        await house.place(12 * batch, fate=SLOW)
        slow, plain = Slow(house), house.daemon.store.changes.record
        together: list[int] = []

        async def record(transitions: Any, *parts: Any, **more: Any) -> Any:
            together.append(len(transitions))
            return await plain(transitions, *parts, **more)

        house.daemon.store.changes.record = record
        await asked(house, 13)
        slow.gate.set()
        await ended(house)
        assert sum(together) == 12 * batch
        assert max(together) == most * batch, together


class Rounds:
    """In which round of the event loop something happens, panel by panel."""

    def __init__(self) -> None:
        self.told: list[tuple[int, str]] = []
        self._now = 0
        self._task = asyncio.ensure_future(self._count())

    def note(self, panel: str) -> None:
        if (self._now, panel) not in self.told:
            self.told.append((self._now, panel))

    async def stop(self) -> None:
        self._task.cancel()
        await asyncio.gather(self._task, return_exceptions=True)

    async def _count(self) -> None:
        while True:
            self._now += 1
            await asyncio.sleep(0)


NAMES = ["standard", "genzsmm", "smmgenie", "smmxz"]


async def place_everywhere(house: House, count: int) -> None:
    for name in NAMES:
        panel = house.panels[name]
        await house.track(map(str, panel.world.seed_orders(count, panel.now(), fate=SLOW)), name)


async def asked_everywhere(house: House) -> None:
    for name in NAMES:
        await house.schedule.tasks[f"poll:{name}"](house.clock())
    while not all(_has_answered(house.panels[name]) for name in NAMES):
        await asyncio.sleep(0.01)
    await all_is_read()


def _has_answered(panel: SimulatedPanel) -> bool:
    return any(entry.http for entry in panel.journal.requests("status"))


async def test_answers_that_waited_are_put_on_record_in_turns(tmp_path: Path):
    async with a_house(tmp_path, profiles=NAMES) as house:
        await place_everywhere(house, 50)
        rounds = Rounds()
        plain = house.daemon.rule_engine.evaluate

        def evaluate(orders: Any, now: float) -> Any:
            some = list(orders)
            rounds.note(some[0].panel)
            return plain(some, now)

        house.daemon.rule_engine.evaluate = evaluate
        async with house.daemon.core.locks.hold(NAMES):  # all of them wait
            await asked_everywhere(house)
        await ended(house)
        await rounds.stop()
        assert sorted(panel for _, panel in rounds.told) == sorted(NAMES)
        assert len({number for number, _ in rounds.told}) == len(NAMES), rounds.told


async def test_what_one_commit_lets_go_on_takes_turns(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    async with a_house(tmp_path, profiles=NAMES) as house:
        await place_everywhere(house, 50)
        disk, rounds = a_slow_disk(house), Rounds()

        def noting(orders: PanelOrders, told: Any, now: float) -> None:
            rounds.note(orders.records.panel)
            checked(orders, told, now)

        checked = PanelOrders.checked
        monkeypatch.setattr(PanelOrders, "checked", noting)
        await asked_everywhere(house)
        disk.set()
        await ended(house)
        await rounds.stop()
        assert sorted(panel for _, panel in rounds.told) == sorted(NAMES)
        assert len({number for number, _ in rounds.told}) == len(NAMES), rounds.told


async def test_a_run_is_one_request_so_that_a_stop_does_not_wait_for_all_that_is_due(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    """Where answers take longer than the pace, everything may be sent at any time."""
    async with a_house(tmp_path) as house:
        await house.place(350, fate=SLOW)
        workers = house.daemon.panel_workers["standard"]
        monkeypatch.setattr(workers.gateway, "take", lambda now, lane=None: None)
        for number in range(3):
            params = {"service": "1", "link": f"https://example.com/{number}", "quantity": "100"}
            await house.daemon.commands.submit("standard", params, f"key-{number}")
        for sent in (1, 2):
            await house.schedule.run_task("poll:standard")
            await house.schedule.run_task("actions:standard")
            assert len(house.panel.journal.requests("status")) == sent
            assert len(house.panel.journal.requests("add")) == sent
