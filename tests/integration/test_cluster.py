"""Two daemons in one process that share a PostgreSQL: what goes with a panel to its next leader."""

import asyncio
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import pytest

from tests.support.clockwork import Clock
from tests.support.house import KEY, House, config_text, database_line
from tests.support.postgres import databases
from watcher.common.pauses import ManualPause, Paused
from watcher.daemon import cluster
from watcher.daemon.leadership import OUTLETS, RETENTION
from watcher.errors import Conflict, NotLed, StartError, StoreFenced
from watcher.model import ActionState, Kind
from watcher.panels.profiles import shipped
from watcher.simulator import Fate, SimulatedPanel, World
from watcher.store import orders

pytestmark = pytest.mark.engines("postgresql")

NODE = '\n[cluster]\nname = "{0}"\nurl = "http://{0}.example"\nlease = "300s"\ntoken_file = "t"\n'
RULE = """
[[rules]]
name = "refill"
action = "refill"
when = "order.status == 'completed'"
every = "24h"
"""
DONE = Fate(pending=1.0, per_minute=1e6, start_count=1)


@pytest.fixture(autouse=True)
def _clocks_that_stand(monkeypatch: pytest.MonkeyPatch) -> None:
    """The daemons' time is what tests make it, while the database's goes on."""
    monkeypatch.setattr(cluster, "CLOCKS_APART", 1e6)


class Pair:
    """Two nodes, a and b, with panels that both configure; each runs when a test says so."""

    def __init__(self, tmp_path: Path, panels: dict[str, SimulatedPanel], clock: Clock) -> None:
        self.tmp_path, self.panels, self.clock = tmp_path, panels, clock
        self.database = database_line(tmp_path)
        self.open_houses: list[House] = []

    async def node(self, name: str, **parts: str) -> House:
        directory = self.tmp_path / name
        directory.mkdir(exist_ok=True)
        (directory / "t").write_text("0123456789abcdef")
        (directory / "t").chmod(0o600)
        path = directory / "config.toml"
        rules = parts.get("rules", "") + NODE.format(name)
        path.write_text(config_text(self.panels, rules=rules, daemon=self.database))
        house = House(path, self.panels, self.clock)
        await house.open()
        self.open_houses.append(house)
        return house

    def end_lease(self, name: str) -> None:
        """As if the node had not been heard of for the time of a lease."""
        self.sql(f"UPDATE nodes SET until = 0 WHERE name = '{name}'")

    def sql(self, statement: str) -> list[tuple[object, ...]]:
        here = databases()
        return here.server.sql(statement, here.name(self.tmp_path))


@asynccontextmanager
async def a_pair(tmp_path: Path) -> AsyncIterator[Pair]:
    clock = Clock(time.time())
    panels = {
        name: SimulatedPanel(shipped()["standard"], key=KEY, clock=clock, world=World())
        for name in ("p", "q")
    }
    for panel in panels.values():
        await panel.start()
    pair = Pair(tmp_path, panels, clock)
    try:
        yield pair
    finally:
        for house in pair.open_houses:
            await house.close()
        for panel in panels.values():
            await panel.stop()


def led(house: House) -> list[str]:
    return sorted(house.daemon.panel_workers)


async def turn(house: House) -> None:
    """What a node does within a second or two of its lease."""
    await house.daemon._cluster.renew()  # type: ignore[union-attr]
    await house.schedule.run_task("claim")
    await house.schedule.run_task("settle")


async def test_panels_are_shared_and_take_their_orders_along(tmp_path: Path) -> None:
    async with a_pair(tmp_path) as pair:
        a = await pair.node("a", rules=RULE)
        assert led(a) == ["p", "q"], "it leads them once it has started"
        assert a.daemon.leadership.owns(OUTLETS)
        assert a.daemon.leadership.owns(RETENTION)
        assert await a.problems() == []
        ids = await a.place(5, quantity=100, fate=DONE)
        b = await pair.node("b", rules=RULE)
        assert led(b) == []
        await a.run(60.0)
        assert a.panel.journal.sent("refill") == dict.fromkeys(map(int, ids), 1)
        await turn(a)
        assert led(a) == ["q"]
        await turn(b)
        assert led(b) == ["p"]
        assert {b.order(order, "p").id for order in ids} == set(ids)
        assert not b.daemon.leadership.owns(OUTLETS)
        asked = sum(pair.panels["p"].journal.sent("status").values())
        await a.run(60.0)
        assert sum(pair.panels["p"].journal.sent("status").values()) == asked, "a asks p no more"
        await b.run(3600.0)
        assert sum(pair.panels["p"].journal.sent("status").values()) > asked
        assert a.panel.journal.sent("refill") == dict.fromkeys(map(int, ids), 1), "once a day"
        with pytest.raises(NotLed, match="p is led by b"):
            await a.daemon.commands.act(Kind.REFILL, "p", ids[0])
        with pytest.raises(NotLed):
            await a.daemon.commands.details.label("p", ids[0], {"note": "rules would decide anew"})
        await turn(a)
        await turn(b)
        assert (led(a), led(b)) == (["q"], ["p"]), "that is even"


async def test_a_panel_that_wants_fewer_requests_is_left_alone_by_its_next_leader(
    tmp_path: Path,
) -> None:
    async with a_pair(tmp_path) as pair:
        a, b = await pair.node("a"), await pair.node("b")
        await a.place(5, quantity=100)
        now = pair.clock()
        a.daemon.panel_workers["p"].gateway.pace.refused(now, 300.0, sent_at=now)
        await a.schedule.run_task("exchange")
        await turn(a)
        await turn(b)
        assert led(b) == ["p"]
        await b.run(299.0)
        assert pair.panels["p"].journal.requests() == []
        await b.run(10.0)
        assert pair.panels["p"].journal.requests() != []


async def test_a_panel_with_many_orders_is_asked_about_before_all_are_read(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    async with a_pair(tmp_path) as pair:
        a, b = await pair.node("a"), await pair.node("b")
        ids = await a.place(20, quantity=100, fate=DONE)
        await turn(a)
        monkeypatch.setattr(orders, "_PART", 6)
        await turn(b)
        assert led(b) == ["p"]
        assert "6 so far" in (await b.problems())[0]
        await b.schedule.run_task("poll:p")
        assert len(pair.panels["p"].journal.sent("status")) == 6
        while not b.daemon.core.registry.loaded.is_set():
            await b.schedule.run_task("load")
        assert await b.problems() == []
        assert {b.order(order, "p").id for order in ids} == set(ids)


async def test_nothing_is_handed_over_before_all_orders_are_read(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    async with a_pair(tmp_path) as pair:
        a = await pair.node("a")
        await a.place(20, quantity=100, fate=DONE)
        monkeypatch.setattr(orders, "_PART", 6)
        pair.open_houses.remove(a)
        await a.close()
        b = await pair.node("b")
        await pair.node("c")
        await turn(b)
        assert led(b) == ["p", "q"], "what is claimed now would be opened at once"
        while not b.daemon.core.registry.loaded.is_set():
            await b.schedule.run_task("load")
        await turn(b)
        assert led(b) == ["q"]


async def test_a_takeover_leaves_what_was_under_way_to_a_person_and_does_the_rest(
    tmp_path: Path,
) -> None:
    async with a_pair(tmp_path) as pair:
        a = await pair.node("a")
        b = await pair.node("b")
        ids = await a.place(3, quantity=100, fate=DONE)
        pair.clock.advance(600.0)
        pause = ManualPause(
            what=Paused.RULE, name="r", since=pair.clock(), until=None, reason="", by="me", via="x"
        )
        await a.daemon.core.pauses.pause([pause])
        under_way, waiting = [
            await a.daemon.commands.act(Kind.REFILL, "p", order) for order in ids[:2]
        ]
        now = pair.clock()
        await a.daemon.store.actions.claim([under_way.id], now=now)
        pair.end_lease("a")
        await turn(b)
        await turn(b)
        assert led(b) == ["p", "q"]
        assert b.daemon.leadership.owns(OUTLETS)
        assert [one.name for one in b.daemon.leadership.lost_nodes()] == ["a"]
        assert b.daemon.core.pauses.get(Paused.RULE, "r") is not None
        await b.run(5.0)
        states = {one.id: one.state for one in await b.daemon.store.actions.by_id([1, 2])}
        assert states[under_way.id] is ActionState.UNRESOLVED
        assert states[waiting.id] in (ActionState.ACCEPTED, ActionState.REJECTED), "it is sent"
        assert pair.panels["p"].journal.sent("refill") == {int(ids[1]): 1}
        with pytest.raises(Conflict, match="a node that was stopped may still send it"):
            await b.daemon.commands.resolve(under_way.id, ActionState.REJECTED, None)
        await b.run(300 * 1.1 + 20.0)
        settled, _ = await b.daemon.commands.resolve(under_way.id, ActionState.REJECTED, None)
        assert settled.state is ActionState.REJECTED
        # The one that was thought dead wakes up: it can do nothing, and drops everything.
        with pytest.raises(StoreFenced):
            await a.daemon.commands.act(Kind.REFILL, "p", ids[2])
        await a.daemon._cluster.renew()  # type: ignore[union-attr]
        assert not a.daemon.leadership.is_trusted()
        assert await a.problems() != []


async def test_a_stop_in_order_gives_everything_back_at_once(tmp_path: Path) -> None:
    async with a_pair(tmp_path) as pair:
        a = await pair.node("a")
        b = await pair.node("b")
        pair.open_houses.remove(a)
        await a.close()
        assert pair.sql("SELECT name FROM nodes") == [("b",)]
        await turn(b)
        assert led(b) == ["p", "q"]
        again = await pair.node("a")
        assert led(again) == []
        await turn(b)
        await turn(again)
        assert led(again) == ["p"]


async def test_another_key_for_a_panel_is_refused_at_a_start_and_at_a_reload(
    tmp_path: Path,
) -> None:
    async with a_pair(tmp_path) as pair:
        a, b = await pair.node("a"), await pair.node("b")
        b.env["OTHER"] = "another-key"
        text = b.path.read_text().replace("[panels.p]\n", '[panels.p]\nkey_env = "OTHER"\n')
        b.path.write_text(text)
        outcome = await b.daemon.reload()
        assert outcome.problems
        assert outcome.problems[0].startswith("node a has another key for p: a panel is one")
        pair.open_houses.remove(b)
        await b.close()
        with pytest.raises(StartError, match="node a has another key for p"):
            await b.crashed()
        await turn(a)
        assert [node.name for node in a.daemon.leadership.nodes()] == ["a"]


async def test_clocks_that_differ_are_refused(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(cluster, "CLOCKS_APART", 60.0)
    async with a_pair(tmp_path) as pair:
        pair.clock.advance(3600.0)
        with pytest.raises(StartError, match=r"clock is 3\d\d\d\.\d seconds ahead of"):
            await pair.node("a")


async def test_a_panel_that_is_configured_later_finds_its_leader(tmp_path: Path) -> None:
    async with a_pair(tmp_path) as pair:
        a = await pair.node("a")
        text = a.path.read_text()
        only_p = text[: text.index("[panels.q]")] + text[text.index("\n[cluster]") :]
        a.path.write_text(only_p)
        outcome = await a.daemon.reload()
        assert not outcome.problems
        assert led(a) == ["p"]
        await turn(a)
        b = await pair.node("b")
        assert led(b) == ["q"], "only b has it"
        a.path.write_text(text)
        assert not (await a.daemon.reload()).problems
        await turn(a)
        assert (led(a), led(b)) == (["p"], ["q"])


async def test_who_has_lost_its_lease_ends_at_once(tmp_path: Path) -> None:
    async with a_pair(tmp_path) as pair:
        a = await pair.node("a")
        pair.end_lease("a")
        node = a.daemon._cluster
        assert node is not None
        await node.renew()
        await asyncio.wait_for(node._keep(), 5.0)
        with pytest.raises(StoreFenced):
            await asyncio.wait_for(a.daemon._stop.wait(), 5.0)
