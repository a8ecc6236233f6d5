"""A move between a file and a server: every row is equal there, and only one of both is used."""

import asyncio
import sys
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import Connection, select

from tests.support.postgres import databases
from tests.unit.store_kit import (
    NAME,
    a_firing,
    a_plan,
    a_submission,
    an_order,
    finished,
    moved,
    outcome,
    sent,
)
from watcher.common.postgres_url import DatabaseLocation, PostgresUrl
from watcher.errors import Conflict, StoreBusy, StoreError
from watcher.model import ActionState, Balance, Service
from watcher.orders.columns.check_times import CheckTimes
from watcher.store import Move, Store, bulk, move
from watcher.store.schema import counters, metadata

MOVE = sys.modules["watcher.store.move"]  # the package has the function under this name
pytestmark = pytest.mark.engines("postgresql")
SHAPE = """
SELECT indexdef FROM pg_indexes WHERE schemaname = 'public'
UNION ALL SELECT concat(conrelid::regclass, conname, pg_get_constraintdef(oid)) FROM pg_constraint
ORDER BY 1
"""


def in_thread(source: DatabaseLocation, target: DatabaseLocation, *, at: float = 1e9) -> Move:
    """The command has a loop of its own."""

    def run() -> Move:
        return asyncio.run(move(source, target, lambda *_: None, now=at))

    with ThreadPoolExecutor() as pool:
        return pool.submit(run).result()


@pytest.fixture
def url(tmp_path: Path) -> Iterator[PostgresUrl]:
    here = databases().server
    name = here.create()
    yield here.url(name, tmp_path)
    here.sql(f"DROP DATABASE {name} WITH (FORCE)")


async def lived(path: Path) -> None:
    """A database with rows of every kind of value."""
    store = await Store.open(path, now=0.0)
    orders = await store.orders.track(
        [
            an_order("1", charge=Decimal("0.10"), start_count=3_000_000_000, link="ä✓\n'\\"),
            an_order("2", "q", currency="USD", charge=Decimal("12345678901234.000000001")),
            an_order("3"),
        ],
        now=2.0,
    )
    change = moved(orders[0], 5.0, remains=40, charge=Decimal("0.1000"))
    await store.changes.record([change], [a_firing("1")], [a_plan("1")], now=5.0)
    await store.changes.record([finished(change.after, 7.5)], now=7.5)
    action = await sent(store, a_submission("key-1"))
    await store.actions.settle([outcome(action, ActionState.ACCEPTED, "900")], now=12.0)
    action = await sent(store, a_plan("3"))
    await store.actions.settle([outcome(action, ActionState.ACCEPTED, "77")], now=13.0)
    await store.balances.save("p", Balance(Decimal("1.50"), "USD"), now=1.0)
    service = Service(id="7", name="n", rate=Decimal("0.90"), refill=True, cancel=False)
    await store.services.save("p", [service], now=1.0)
    times = CheckTimes()
    await store.schedule.save_asked(times)
    await store.outbox.know_targets(["a"], now=1.0)
    await store.events.open_lanes(["b"])
    await store.close()


def everything(location: DatabaseLocation) -> dict[str, list[Any]]:
    """All rows; the counts of commits are each database's own."""

    def work(connection: Connection) -> dict[str, list[Any]]:
        return {
            table.name: connection.execute(select(table).order_by(*table.primary_key)).all()
            for table in metadata.sorted_tables
        }

    async def read() -> dict[str, list[Any]]:
        store = await Store.open(location, now=0.0)
        rows = await store._db.read("test", work)
        await store.close()
        rows[counters.name] = [row for row in rows[counters.name] if row.name != "commits"]
        return rows

    with ThreadPoolExecutor() as pool:
        return pool.submit(lambda: asyncio.run(read())).result()


async def test_there_and_back_every_row_is_equal(tmp_path: Path, url: PostgresUrl) -> None:
    await lived(tmp_path / NAME)
    before = everything(tmp_path / NAME)
    there = in_thread(tmp_path / NAME, url)
    assert there.rows["orders"] == 4
    assert there.rows["actions"] == 3
    assert not (tmp_path / NAME).exists()
    assert Path(there.kept).exists()
    assert everything(url) == before
    charges = "SELECT charge::text FROM order_states ORDER BY key"
    name = url.text.partition("@/")[2].partition("?")[0]
    assert databases().server.sql(charges, name)[:2] == [
        ("0.10",),
        ("12345678901234.000000001",),
    ]
    back = in_thread(url, tmp_path / "back.db")
    assert back.kept == str(url)
    assert everything(tmp_path / "back.db") == before
    with pytest.raises(StoreError, match="was moved away"):
        await Store.open(url, now=0.0)


async def test_indexes_and_foreign_keys_are_as_before(tmp_path: Path, url: PostgresUrl) -> None:
    await (await Store.open(url, now=0.0)).close()
    name = url.text.partition("@/")[2].partition("?")[0]
    before = databases().server.sql(SHAPE, name)
    assert len(before) > 100
    await lived(tmp_path / NAME)
    in_thread(tmp_path / NAME, url)
    assert databases().server.sql(SHAPE, name) == before


async def test_what_comes_after_a_move_has_new_numbers(tmp_path: Path, url: PostgresUrl) -> None:
    """Also where the last rows had been removed: people and notes refer to them."""
    await lived(tmp_path / NAME)
    store = await Store.open(tmp_path / NAME, now=0.0)
    last = await store.actions.plan(a_plan("2", panel="q"), now=20.0)
    await store._db.write("test", lambda c: c.exec_driver_sql("DELETE FROM actions WHERE id = 4"))
    await store.close()
    in_thread(tmp_path / NAME, url)
    store = await Store.open(url, now=0.0)
    assert (await store.actions.plan(a_plan("2", panel="q"), now=20.0)).id == last.id + 1
    (order,) = await store.orders.track([an_order("5")], now=21.0)
    assert order.key == 5
    await store.changes.record([moved(order, remains=1)], now=22.0)
    await store.close()
    in_thread(url, tmp_path / NAME)
    store = await Store.open(tmp_path / NAME, now=0.0)
    assert (await store.actions.plan(a_plan("5"), now=30.0)).id == last.id + 2
    await store.close()


async def test_it_goes_to_an_empty_database_only(tmp_path: Path, url: PostgresUrl) -> None:
    await lived(tmp_path / NAME)
    store = await Store.open(url, now=0.0)
    await store.orders.track([an_order("8")], now=1.0)
    await store.close()
    before = everything(url)
    with pytest.raises(Conflict, match="name an empty database"):
        in_thread(tmp_path / NAME, url)
    assert everything(url) == before
    assert (tmp_path / NAME).exists()


async def test_it_is_whole_or_not_at_all(
    tmp_path: Path, url: PostgresUrl, monkeypatch: pytest.MonkeyPatch
) -> None:
    await lived(tmp_path / NAME)
    before = everything(tmp_path / NAME)
    with monkeypatch.context() as broken:
        broken.setattr(bulk, "_highest", None)  # one of the last that it does with a table
        with pytest.raises(TypeError):
            in_thread(tmp_path / NAME, url)
    assert everything(tmp_path / NAME) == before
    assert not any(rows for name, rows in everything(url).items() if name != "counters")
    in_thread(tmp_path / NAME, url)
    assert everything(url) == before


async def test_nothing_moves_while_a_daemon_runs(tmp_path: Path, url: PostgresUrl) -> None:
    await lived(tmp_path / NAME)
    store = await Store.open(tmp_path / NAME, now=0.0)
    with pytest.raises(StoreBusy, match="in use by another watcher"):
        in_thread(tmp_path / NAME, url)
    await store.close()
    with pytest.raises(StoreError, match="no such file"):
        in_thread(tmp_path / "missing.db", url)


class Cut(BaseException):
    """The process is killed."""


def cut(*_: object) -> None:
    raise Cut


def starts(location: DatabaseLocation) -> bool:
    """Whether a daemon would start on it, with records in it."""
    if isinstance(location, Path) and not location.exists():
        return False
    try:
        return bool(everything(location)["orders"])
    except StoreError:
        return False


def both_ways(tmp_path: Path, url: PostgresUrl, *, there: bool) -> list[DatabaseLocation]:
    """Where the records are, and where they are to go."""
    asyncio.run(lived(tmp_path / NAME))
    if there:
        return [tmp_path / NAME, url]
    in_thread(tmp_path / NAME, url)
    return [url, tmp_path / "back.db"]


@pytest.mark.long
@pytest.mark.parametrize("there", [True, False])
def test_a_move_that_is_killed_after_the_copy_is_made_anew(
    tmp_path: Path, url: PostgresUrl, monkeypatch: pytest.MonkeyPatch, there: bool
) -> None:
    """Meanwhile the daemon may have gone on with the source, and never starts on the target."""
    source, target = both_ways(tmp_path, url, there=there)
    with monkeypatch.context() as killed:
        if there:
            killed.setattr(MOVE, "_put_aside", cut)
        else:
            marked = MOVE.mark
            killed.setattr(MOVE, "mark", lambda c, *m: cut() if "moved" in m else marked(c, *m))
        with pytest.raises(Cut):
            in_thread(source, target)
    assert (starts(source), starts(target)) == (True, False)

    async def go_on() -> None:
        store = await Store.open(source, now=0.0)
        await store.orders.track([an_order("late")], now=30.0)
        await store._db.write("test", lambda c: c.exec_driver_sql("DELETE FROM balances"))
        await store.close()

    asyncio.run(go_on())
    before = everything(source)
    assert in_thread(source, target).rows["orders"] == 5
    assert everything(target) == before
    assert (starts(source), starts(target)) == (False, True)


@pytest.mark.long
@pytest.mark.parametrize("there", [True, False])
def test_a_move_that_is_killed_at_its_end_is_finished(
    tmp_path: Path, url: PostgresUrl, monkeypatch: pytest.MonkeyPatch, there: bool
) -> None:
    source, target = both_ways(tmp_path, url, there=there)
    before = everything(source)
    with monkeypatch.context() as killed:
        killed.setattr(MOVE, "_released", cut)
        with pytest.raises(Cut):
            in_thread(source, target)
    assert (starts(source), starts(target)) == (False, False)
    done = in_thread(source, target)
    assert done.rows["orders"] == 4
    assert done.kept == str(url) or Path(done.kept).exists()
    assert everything(target) == before
    with pytest.raises(StoreError, match="was moved away"):
        in_thread(source, target)


def test_what_was_left_of_another_move_is_not_taken_for_this_one(
    tmp_path: Path, url: PostgresUrl, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It is older than what the daemon did with the source since."""
    source, other = both_ways(tmp_path, url, there=True)[0], tmp_path / "other.db"
    with monkeypatch.context() as killed:
        killed.setattr(MOVE, "_put_aside", cut)
        with pytest.raises(Cut):
            in_thread(source, other, at=1e9 - 60)
    in_thread(source, url)
    with pytest.raises(StoreError, match="does not wait for it"):
        in_thread(source, other)
    assert (starts(other), starts(url)) == (False, True)
    with pytest.raises(StoreError, match="was cut short: run it again"):
        in_thread(other, tmp_path / "third.db")
    with pytest.raises(Conflict, match="is the database already"):
        in_thread(url, url)
