"""Nodes of a cluster in the database: leases, the fence, and who leads what."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import pytest

from tests.support.postgres import databases
from tests.unit.store_kit import a_plan, an_order, location, opened, sql, tracked
from watcher.common.postgres_url import DatabaseLocation, PostgresUrl
from watcher.errors import StoreBusy, StoreError, StoreFenced, StoreOlder
from watcher.model import ActionState
from watcher.store import Member, Store, disown
from watcher.store.nodes import Candidate, ClusterView

pytestmark = pytest.mark.engines("postgresql")
LEASE = 60.0


def candidate(name: str = "a", **keys: str) -> Candidate:
    return Candidate(name=name, url=f"http://{name}.example", version="1", keys=keys or {"p": "k"})


@asynccontextmanager
async def a_node(
    path: Path, name: str = "a", *, joins: bool = True, place: DatabaseLocation | None = None
) -> AsyncIterator[Store]:
    store = await Store.open(place or location(path), now=0.0, member=Member(name, LEASE))
    try:
        if joins:
            assert await store.nodes.join(candidate(name), lease=LEASE)
        yield store
    finally:
        await store.close()


async def end_lease(store: Store, name: str) -> None:
    """As if the time of the lease had passed without a renewal."""
    await sql(store, f"UPDATE nodes SET until = 0 WHERE name = '{name}'")


async def renewed(store: Store) -> ClusterView:
    view = await store.nodes.renew(LEASE, lambda: 0.0)
    assert view is not None
    return view


async def test_nodes_share_a_database_and_number_their_changes_in_the_order_of_commits(
    tmp_path: Path,
) -> None:
    async with a_node(tmp_path, "a") as a, a_node(tmp_path, "b") as b:
        await asyncio.gather(
            *(tracked(store, 3, panel) for store in (a, b) for panel in ("p", "q"))
        )
        view = await renewed(a)
        assert [node.name for node in view.nodes] == ["a", "b"]
        assert view.nodes[0].epoch != view.nodes[1].epoch
        assert len((await b.orders.page())[0]) == 6


async def test_a_daemon_without_a_cluster_and_nodes_do_not_mix(tmp_path: Path) -> None:
    async with a_node(tmp_path):
        with pytest.raises(StoreBusy, match="in use by another watcher"):
            await Store.open(location(tmp_path), now=0.0)
    async with opened(tmp_path):
        with pytest.raises(StoreBusy, match="in use by another watcher"):
            await Store.open(location(tmp_path), now=0.0, member=Member("a", LEASE))


async def test_nodes_that_start_together_make_the_tables_once(tmp_path: Path) -> None:
    place = location(tmp_path, is_new=True)
    stores = await asyncio.gather(
        *(Store.open(place, now=0.0, member=Member(name, LEASE)) for name in "abc")
    )
    for store in stores:
        await store.close()


async def test_tables_of_another_version_are_left_to_the_nodes_that_use_them(
    tmp_path: Path,
) -> None:
    async with a_node(tmp_path) as a:
        await sql(a, "UPDATE alembic_version SET version_num = '0017'")
        with pytest.raises(StoreBusy, match="another version of watcher"):
            await Store.open(location(tmp_path), now=0.0, member=Member("b", LEASE))
        await sql(a, "UPDATE alembic_version SET version_num = '0020'")


@pytest.mark.spoils_tables
async def test_a_name_that_is_alive_is_not_given_twice(tmp_path: Path) -> None:
    async with a_node(tmp_path) as a, a_node(tmp_path, joins=False) as other:
        assert not await other.nodes.join(candidate(), lease=LEASE)
        last = await other.nodes.last_of("a")
        assert last is not None
        assert last.url == "http://a.example"
        await tracked(a)  # the one that was refused has not disturbed it
        await end_lease(other, "a")
        assert await other.nodes.join(candidate(), lease=LEASE)
        await tracked(other, panel="q")
        with pytest.raises(StoreFenced, match="lease is over"):
            await tracked(a, panel="r")
        assert await a.nodes.renew(LEASE, lambda: 0.0) is None


async def test_nothing_is_written_after_the_lease(tmp_path: Path) -> None:
    async with a_node(tmp_path, "a") as a, a_node(tmp_path, "b") as b:
        await tracked(a)
        plan = await a.actions.plan(a_plan(), now=1.0)
        await a.actions.claim([plan.id], now=2.0)
        await end_lease(b, "a")
        for write in (
            lambda: a.actions.plan(a_plan(order="2"), now=3.0),
            lambda: a.orders.track([an_order("9")], now=3.0),
            lambda: a.nodes.claim(["p"]),
            lambda: a.nodes.leave(),
        ):
            with pytest.raises(StoreFenced):
                await write()
        assert await a.nodes.renew(LEASE, lambda: 0.0) is None, "it can't be renewed"
        await renewed(b)  # it learns of the other's panels
        assert await b.actions.recover(["other"]) == 0
        assert await b.nodes.claim(["other"]) == (["other"], [])
        claimed, unresolved = await b.nodes.claim(["p", "other"])
        assert (claimed, [action.id for action in unresolved]) == (["p"], [plan.id])
        assert await b.actions.recover(["p"]) == 0
        (action,) = await b.actions.unsettled(["p"])
        assert action.state is ActionState.UNRESOLVED
        assert await b.actions.unsettled(["other"]) == []


async def test_what_a_dead_node_led_is_free_and_a_living_one_keeps_its_own(tmp_path: Path) -> None:
    async with a_node(tmp_path, "a") as a, a_node(tmp_path, "b") as b:
        assert await a.nodes.claim(["p", ":outlets"]) == ([":outlets", "p"], [])
        assert await b.nodes.claim(["p", "q"]) == (["q"], [])
        view = await renewed(b)
        assert {name: leader.node for name, leader in view.leaders.items()} == {
            "p": "a",
            ":outlets": "a",
            "q": "b",
        }
        assert [node.panels for node in view.nodes] == [("p",), ("q",)]
        await end_lease(b, "a")
        view = await renewed(b)
        assert set(view.leaders) == {"q"}
        assert [node.name for node in view.lost] == ["a"]
        assert await b.nodes.claim(["p", ":outlets"]) == ([":outlets", "p"], [])
        assert view.newest_change == 0


async def test_a_panel_is_handed_over_to_a_living_node_only(tmp_path: Path) -> None:
    async with a_node(tmp_path, "a") as a, a_node(tmp_path, "b") as b:
        await a.nodes.claim(["p", "q", "r"])
        (_, other) = (await renewed(a)).nodes
        assert await a.nodes.hand_over("p", other)
        assert not await a.nodes.hand_over("p", other), "it is not its own any more"
        assert (await renewed(b)).leaders["p"].node == "b"
        await end_lease(a, "b")
        assert not await a.nodes.hand_over("q", other)
        await a.nodes.give_up(["r"])
        assert set((await renewed(a)).leaders) == {"q"}


async def test_who_leaves_is_gone_at_once(tmp_path: Path) -> None:
    async with a_node(tmp_path, "a") as a:
        await a.nodes.claim(["p"])
        await a.nodes.leave()
        with pytest.raises(StoreFenced):
            await tracked(a)
    async with a_node(tmp_path, "a") as again:
        view = await renewed(again)
        assert (len(view.nodes), view.lost, view.leaders) == (1, [], {})


async def test_a_lost_connection_loses_neither_lease_nor_count(tmp_path: Path) -> None:
    async with a_node(tmp_path, "a") as a, a_node(tmp_path, "b") as b:
        for number in range(3):
            databases().cut(tmp_path)
            await tracked(b, panel=f"b{number}")
            await tracked(a, panel=f"a{number}")
            for store in (a, b):
                try:
                    await renewed(store)
                except (
                    StoreError
                ):  # the session of the lease was cut: the next attempt has a new one
                    await renewed(store)


@pytest.mark.spoils_tables
@pytest.mark.parametrize("counter", ["commits", "commits:a"])
async def test_a_database_that_lost_commits_is_written_no_more(
    tmp_path: Path, counter: str
) -> None:
    async with a_node(tmp_path, "a") as a, a_node(tmp_path, "b") as b:
        await tracked(a)
        databases().server.sql(
            f"UPDATE counters SET value = value - 3 WHERE name = '{counter}'",
            databases().name(tmp_path),
        )
        with pytest.raises(StoreError, match="has lost"):
            await tracked(a, panel="q")
        with pytest.raises(StoreError, match="has lost"):
            await tracked(a, panel="r")
        if counter == "commits:a":
            await tracked(b, panel="s")


@pytest.mark.spoils_tables
async def test_lost_commits_of_another_node_are_noticed(
    tmp_path: Path,
) -> None:
    async with a_node(tmp_path, "a") as a, a_node(tmp_path, "b") as b:
        await tracked(a)
        plan = await a.actions.plan(a_plan(), now=1.0)
        await a.actions.claim([plan.id], now=2.0)
        await renewed(b)
        assert int((tmp_path / "postgresql.seen").read_text()) == 1
        databases().server.sql(
            "UPDATE counters SET value = value - 1 WHERE name = 'commits'",
            databases().name(tmp_path),
        )
        with pytest.raises(StoreError, match="has lost 1 of the last commits"):
            await renewed(b)
        with pytest.raises(StoreError, match="has lost"):
            await tracked(b, panel="q")


@pytest.mark.spoils_tables
async def test_what_one_node_has_sent_and_the_database_forgot_stops_all_until_it_is_disowned(
    tmp_path: Path,
) -> None:
    """Also the node that has never heard of it, and one that is started later."""
    place = location(tmp_path)
    assert isinstance(place, PostgresUrl)
    elsewhere = tmp_path / "c"
    elsewhere.mkdir()
    async with a_node(tmp_path, "a") as a, a_node(tmp_path, "b") as b:
        await tracked(a)
        plan = await a.actions.plan(a_plan(), now=1.0)
        await a.actions.claim([plan.id], now=2.0)
        databases().server.sql(
            "UPDATE counters SET value = value - 1 WHERE name ~ '^(claims|commits|commits:a)$'",
            databases().name(tmp_path),
        )
        await renewed(b)
        with pytest.raises(StoreOlder):
            await a.nodes.renew(LEASE, lambda: 0.0)
        with pytest.raises(StoreOlder):
            await b.nodes.renew(LEASE, lambda: 0.0)
    for path in (tmp_path, elsewhere):
        there = PostgresUrl(place.text, None, path)
        for member in (None, Member("c", LEASE)):
            with pytest.raises(StoreOlder):
                await Store.open(there, now=0.0, member=member)
    disowned = await asyncio.to_thread(disown, place, (), now=3.0)
    assert disowned.claims == 2
    async with a_node(elsewhere, "c", place=PostgresUrl(place.text, None, elsewhere)) as c:
        await renewed(c)


async def test_commits_of_others_are_no_loss(tmp_path: Path) -> None:
    async with a_node(tmp_path, "a") as a, a_node(tmp_path, "b") as b:
        for number in range(5):
            await tracked(b, panel=f"b{number}")
        await tracked(a)
        await a.nodes.configure({"p": "k", "q": "l"})
        assert (await renewed(b)).nodes[0].keys == {"p": "k", "q": "l"}


async def test_each_node_keeps_the_times_of_its_own_checks(tmp_path: Path) -> None:
    from watcher.orders.columns.check_times import CheckTimes

    async with a_node(tmp_path, "a") as a, a_node(tmp_path, "b") as b:
        orders = await tracked(a, 2)
        for store, name, order, at in ((a, "a", 0, 100.0), (b, "b", 1, 200.0), (b, "b", 1, 300.0)):
            asked = CheckTimes()
            asked.note([orders[order].key], [at])
            await store.schedule.save_asked(asked, node=name)
        parts, _ = await a.orders.load(0, 100, panels=["p"])
        assert [list(rows.asked_at) for rows in parts] == [[100.0, 300.0]]
        parts, _ = await a.orders.load(0, 100, panels=["other"])
        assert list(parts) == []


async def test_a_time_of_the_database_is_told_against_this_machines(tmp_path: Path) -> None:
    async with a_node(tmp_path) as a:
        now = (await a.nodes.view(lambda: 0.0)).at
        assert (await a.nodes.view(lambda: now + 3600)).ahead > 3500
        assert (await a.nodes.view(lambda: now - 3600)).ahead < -3500
        times = iter((now - 1, now + 3600))
        assert (await a.nodes.view(lambda: next(times))).ahead == 0.0
