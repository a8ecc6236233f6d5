"""The oracle is tested: each breach that it can name is planted in a real database or journal."""

import asyncio
import copy
import shutil
import sqlite3
from collections.abc import Callable, Iterator
from contextlib import closing
from pathlib import Path
from typing import Any, NamedTuple

import msgspec
import pytest

from tests.support.audit import fired_too_often, left_sending, violations
from tests.support.house import a_house
from tests.support.minds import differences
from tests.support.moments import gone_since, remember
from tests.support.outcome import late_refills, other_orders, unreported
from tests.support.secrets import repeated
from watcher.model import Phase
from watcher.simulator import Fate, SimulatedPanel, Trait

HOUR = 3600.0
DONE = Fate(pending=30.0, per_minute=1000.0, refill_takes=HOUR)
SLOW = Fate(pending=30.0, per_minute=0.1)
RULES = """
[[rules]]
name = "once"
action = "refill"
when = "order.status == 'completed' && order.service == '1'"
every = "1h"
attempts = 1
"""
LINK = "https://example.com/one"
LIMITS = {"once": (HOUR, 1)}


class Rows:
    """A look into a database file."""

    def __init__(self, path: Path) -> None:
        self.path = path

    def rows(self, query: str) -> list[tuple[Any, ...]]:
        with closing(sqlite3.connect(self.path)) as connection:
            return connection.execute(query).fetchall()

    def plant(self, script: str) -> None:
        with closing(sqlite3.connect(self.path)) as connection:
            connection.executescript(script)


class Scene(NamedTuple):
    """What a daemon and its panel have left after two hours without a fault."""

    database: Rows
    panel: SimulatedPanel
    tracked: dict[str, set[int]]
    keys: dict[str, tuple[str, str]]
    now: float

    def found(self) -> list[str]:
        panels = {"smmxz": self.panel}
        return [
            *violations(self.database, panels, self.tracked, self.keys),
            *left_sending(self.database),
            *fired_too_often(self.database, LIMITS),
            *other_orders(self.database, "smmxz", self.panel, self.now - HOUR / 2),
            *late_refills(self.database, "smmxz", self.panel, HOUR / 2),
        ]


@pytest.fixture(scope="module")
def played(tmp_path_factory: pytest.TempPathFactory) -> Scene:
    return asyncio.run(_play(tmp_path_factory.mktemp("played")))


async def _play(directory: Path) -> Scene:
    """Two orders are done and were refilled by the rule, one goes on, one was submitted."""
    async with a_house(directory, profiles=["smmxz"], rules=RULES) as house:
        ids = await house.place(2, quantity=100, services=[1], fate=DONE)
        ids += await house.place(1, quantity=100, services=[1], fate=SLOW)
        body = {"panel": "smmxz", "service": 3, "link": LINK, "quantity": 100}
        asked = house.call("POST", "/v1/submit", json=body, headers={"Idempotency-Key": "k"})
        submitting = asyncio.create_task(asked)
        while not submitting.done():
            await house.run(10.0)
            await asyncio.sleep(0.01)
        await house.run(2 * HOUR)
        assert house.panel.journal.carried_out("refill").total() == 2
        assert differences(house.daemon, Rows(directory / "watcher.db")) == []
        tracked = {"smmxz": {int(order) for order in ids}}
        keys = {"k": ("smmxz", LINK)}
        return Scene(Rows(directory / "watcher.db"), house.panel, tracked, keys, house.clock())


@pytest.fixture
def scene(played: Scene, tmp_path: Path) -> Scene:
    """A copy of its own for each test."""
    path = tmp_path / "watcher.db"
    shutil.copy(played.database.path, path)  # it was closed: all of it is in one file
    panel = copy.copy(played.panel)
    panel.journal = copy.deepcopy(played.panel.journal)
    return played._replace(database=Rows(path), panel=panel)


def test_where_nothing_is_wrong_nothing_is_named(scene: Scene):
    assert scene.found() == []


IN_DATABASE = {
    "an order is lost": (
        "DELETE FROM order_states WHERE key = 1; DELETE FROM orders WHERE key = 1;",
        "is lost",
    ),
    "it was sent and is not on record": (
        "UPDATE actions SET state = 'planned' WHERE kind = 'refill'",
        "arrived 1 times, 0 on record",
    ),
    "it is accepted and the panel never heard of it": (
        "UPDATE actions SET kind = 'cancel' WHERE kind = 'refill'",
        "accepted, the panel knows nothing",
    ),
    "a submission is on record as another order": (
        "UPDATE actions SET order_id = '1' WHERE kind = 'submit'",
        "submission k is accepted as 1, the panel placed",
    ),
    "a submission is rejected and was placed": (
        "UPDATE actions SET state = 'rejected' WHERE kind = 'submit'",
        "submission k is rejected, the panel placed",
    ),
    "a submission arrived and is not on record": (
        "DELETE FROM actions WHERE kind = 'submit'",
        "submission k arrived 1 times, it is not on record",
    ),
    "an action without its firing": (
        "DELETE FROM firings WHERE id = 1",
        "fired 0 times and planned 1 actions",
    ),
    "a rule fired too often": (
        "INSERT INTO firings (rule, action, key, at, dry_run, detail)"
        " SELECT rule, action, key, at + 7200, dry_run, detail FROM firings WHERE id = 1",
        "once fired 2 times, 1 is the limit",
    ),
    "a rule fired too soon": (
        "INSERT INTO firings (rule, action, key, at, dry_run, detail)"
        " SELECT rule, action, key, at + 60, dry_run, detail FROM firings WHERE id = 1",
        "once fired again after 60 s",
    ),
    "a refill that nothing follows": (
        "DELETE FROM refills WHERE key = 1",
        "was accepted, nothing follows it",
    ),
    "a refill that is not counted": (
        "UPDATE order_states SET refills = 0 WHERE key = 1",
        "0 refills are counted, 1 were accepted",
    ),
    "a refill that ended long ago": (
        "UPDATE refills SET finished_at = NULL, status = 'pending',"
        " requested_at = requested_at - 60",
        "ended long ago, here it is pending",
    ),
    "a change is missing in a history": (
        "DELETE FROM history WHERE id = (SELECT min(id) FROM history)",
        "the next change is from",
    ),
    "an order is not what its history says": (
        "UPDATE order_states SET charge = '77' WHERE key = 1",
        "its charge is 77, its history ends at",
    ),
    "a broken chain": (
        "UPDATE history SET previous = 1 WHERE id = (SELECT max(id) FROM history)",
        ", not ",
    ),
    "a wrong last change": (
        "UPDATE order_states SET last_change = 1 WHERE key = 3",
        "its last change is 1, its history ends at",
    ),
    "a reference to nothing": (
        "PRAGMA foreign_keys = OFF; UPDATE refills SET action = 999 WHERE key = 1",
        "a row of refills refers to nothing",
    ),
    "nobody sends what is being sent": (
        "UPDATE actions SET state = 'sending' WHERE id = 1",
        "is `sending`, and nothing sends it",
    ),
    "an order is not what the panel says": (
        "UPDATE order_states SET status = 'pending', phase = 'open' WHERE key = 1",
        "here, the panel said",
    ),
}


@pytest.mark.parametrize("what", IN_DATABASE)
def test_in_the_database(scene: Scene, what: str):
    script, words = IN_DATABASE[what]
    scene.database.plant(script)
    assert any(words in found for found in scene.found()), scene.found()


def _again(scene: Scene, action: str) -> None:
    """The panel gets the last request of the kind once more, and acts on it."""
    last = scene.panel.journal.requests(action)[-1]
    entry = scene.panel.journal.arrived(last.time, {"action": action, **last.parameters})
    entry.outcome, entry.http, entry.carried_out = "answered", 200, last.carried_out


def _never_asked(scene: Scene) -> None:
    for entry in scene.panel.journal.requests("status"):
        entry.action = "balance"


def _cut(scene: Scene) -> None:
    """A request that arrived, and of which its sender can't know that nothing was done."""
    last = scene.panel.journal.requests("refill")[-1]
    entry = scene.panel.journal.arrived(last.time, {"action": "refill", **last.parameters})
    entry.outcome = entry.fault = Trait.CLOSE_BEFORE.value


IN_JOURNAL: dict[str, tuple[Callable[[Scene], None], str]] = {
    "a refill arrived twice": (lambda s: _again(s, "refill"), "arrived 2 times, 1 on record"),
    "a refill was sent again after a cut": (_cut, "arrived 2 times, 1 on record"),
    "a submission was carried out twice": (
        lambda s: _again(s, "add"),
        "submission k was carried out 2 times",
    ),
    "an open order is not asked about": (_never_asked, "was last asked about"),
}


@pytest.mark.parametrize("what", IN_JOURNAL)
def test_in_the_journal(scene: Scene, what: str):
    plant, words = IN_JOURNAL[what]
    plant(scene)
    assert any(words in found for found in scene.found()), scene.found()


def test_a_rate_limit_is_proof_that_nothing_was_done(scene: Scene):
    last = scene.panel.journal.requests("refill")[-1]
    entry = scene.panel.journal.arrived(last.time, {"action": "refill", **last.parameters})
    entry.outcome, entry.http = Trait.RATE_LIMITED.value, 429
    entry.fault = Trait.WRONG_TYPES.value
    assert scene.found() == []


def test_damage(scene: Scene):
    with scene.database.path.open("r+b") as file:
        of_index = "SELECT rootpage FROM sqlite_master WHERE name = 'firings_at'"
        ((page,),) = scene.database.rows(of_index)
        ((size,),) = scene.database.rows("PRAGMA page_size")
        file.seek((page - 1) * size + 8)
        file.write(b"\xff" * 64)
    assert any("database: " in found for found in violations(scene.database, {}, {}))


GONE = {
    "an order": ("DELETE FROM order_states WHERE key = 1", "order 1 is gone"),
    "a refill": ("DELETE FROM refills WHERE key = 1", "refill task 1 is gone"),
    "a change": ("UPDATE history SET at = at + 1 WHERE id = 2", "is not what it was"),
    "a firing": ("DELETE FROM firings WHERE id = 1", "are not what they were"),
    "an action": ("DELETE FROM actions WHERE id = 1", "action 1 is gone"),
    "its plan": ("UPDATE actions SET rule = 'x' WHERE id = 1", "action 1 was"),
    "its outcome": (
        "UPDATE actions SET state = 'planned' WHERE id = 1",
        "was accepted, it is plan",
    ),
}


@pytest.mark.parametrize("what", GONE)
def test_what_was_on_record_and_is_gone(scene: Scene, what: str):
    before = remember(scene.database)
    assert gone_since(before, scene.database) == []
    script, words = GONE[what]
    scene.database.plant(script)
    assert any(words in found for found in gone_since(before, scene.database))


def test_unresolved_stays_until_a_person_settles_it(scene: Scene):
    scene.database.plant("UPDATE actions SET state = 'unresolved' WHERE id = 1")
    before = remember(scene.database)
    scene.database.plant("UPDATE actions SET state = 'accepted' WHERE id = 1")
    assert gone_since(before, scene.database) == ["action 1 was unresolved, it is accepted"]
    assert gone_since(before, scene.database, settled=[1]) == []


def _in_mind() -> Iterator[tuple[str, Callable[[Any], object], str]]:
    key = ("smmxz", "23501")
    yield (
        "order",
        lambda d: d.watchlist.replace(
            msgspec.structs.replace(next(d.watchlist.orders()), phase=Phase.CLOSED)
        ),
        "the watchlist lacks order",
    )
    yield "count", lambda d: d.watchlist.counts.update({("smmxz", "x"): 1}), "the watchlist counts"
    yield (
        "queue",
        lambda d: d.panel_workers["smmxz"].sender._pending.update(refill=9),
        "counted are",
    )
    yield "outcome", lambda d: d.core.outcomes._waiting.append(None), "1 outcomes are not on record"
    knows = "the rule engine knows"
    yield "unresolved", lambda d: d.rule_engine.unresolved.update({9: key}), knows
    yield "open", lambda d: d.rule_engine._open_actions.update({key: {"cancel"}}), knows
    yield (
        "refill",
        lambda d: d.panel_workers["smmxz"].refills._refills.clear(),
        "nothing follows refill",
    )
    yield "running", lambda d: d.rule_engine._refills_running.clear(), "the rule engine differs"


IN_MIND = {name: (plant, words) for name, plant, words in _in_mind()}


@pytest.mark.parametrize("what", IN_MIND)
async def test_what_the_daemon_has_in_mind_and_not_on_record(tmp_path: Path, what: str):
    plant, words = IN_MIND[what]
    async with a_house(tmp_path, profiles=["smmxz"], rules=RULES) as house:
        database = Rows(tmp_path / "watcher.db")
        await house.place(2, quantity=100, services=[1], fate=DONE)
        await house.run(HOUR)
        assert differences(house.daemon, database) == []
        plant(house.daemon)
        assert any(words in found for found in differences(house.daemon, database))
        house.daemon.core.outcomes._waiting.clear()


async def test_an_accepted_cancel_that_the_judge_forgot(tmp_path: Path):
    async with a_house(tmp_path, profiles=["smmxz"]) as house:
        database = Rows(tmp_path / "watcher.db")
        (order,) = await house.place(1, quantity=100, services=[14], fate=SLOW)
        await house.run(120.0)
        await house.call("POST", f"/v1/orders/smmxz/{order}/cancel")
        await house.run(60.0)
        assert differences(house.daemon, database) == []
        house.daemon.rule_engine._cancels_accepted.clear()
        (found,) = differences(house.daemon, database)
        assert "accepted cancel" in found


async def test_an_unresolved_action_that_no_metric_tells_of(tmp_path: Path):
    async with a_house(tmp_path, profiles=["smmxz"], rules=RULES) as house:
        database = Rows(tmp_path / "watcher.db")
        house.panel.switches.on(Trait.CLOSE_AFTER, action="refill")
        await house.place(1, quantity=100, services=[1], fate=DONE)
        await house.run(HOUR)
        assert list(unreported(house.daemon, database)) == []
        house.daemon.rule_engine.unresolved.clear()
        (found,) = unreported(house.daemon, database)
        assert "1 unresolved refills, which the metric does not tell" in found


def test_a_key_in_a_file(tmp_path: Path):
    (tmp_path / "below").mkdir()
    (tmp_path / "below" / "daemon.log").write_text("it is key-of-the-tests, you know")
    assert list(repeated("key-of-the-tests", tmp_path)) == ["the key is in daemon.log"]
    assert list(repeated("another-key", tmp_path)) == []
