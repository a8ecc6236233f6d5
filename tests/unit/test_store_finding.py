"""Orders are found by whatever is asked for, newest first, page by page, none left out."""

import asyncio
import re
import threading
from decimal import Decimal
from functools import partial
from pathlib import Path
from typing import Any
from unittest.mock import AsyncMock

import pytest

from tests.unit.store_kit import a_firing, an_order, moved, opened, sql
from watcher.errors import StoreError
from watcher.model import Balance, Order, Phase, Service, Status
from watcher.store import Store, candidates, search
from watcher.store.candidates import SearchCursor, SearchQuery
from watcher.store.search import OrderSort, SearchResult
from watcher.store.service_search import ServiceSort

pytestmark = pytest.mark.engines("sqlite", "postgresql")

STATUSES = (Status.PENDING, Status.IN_PROGRESS, Status.PARTIAL, Status.CANCELED)


async def stocked(store: Store, count: int = 60) -> list[Order]:
    """Orders of two panels and three services, in four statuses, newest first."""
    given = [
        an_order(
            str(1000 + n),
            "ab"[n % 2],
            service=str(n % 3),
            link=f"https://www.site.example/p/{n:03}" if n % 5 else None,
            status=STATUSES[n % 4],
            phase=Phase.CLOSED if n % 4 > 1 else Phase.OPEN,
            problem="no such order" if n % 20 == 0 else None,
            progressed_at=float(n),
        )
        for n in range(count)
    ]
    return (await store.orders.track(given, now=2.0))[::-1]


async def find(store: Store, **wanted: Any) -> SearchResult:
    how = {name: wanted.pop(name) for name in HOW & wanted.keys()}
    return await store.search.find(SearchQuery(**wanted), **how)


async def ids(store: Store, **wanted: Any) -> list[int]:
    """The keys of all that is found, page by page."""
    found: list[int] = []
    page = await find(store, **{"limit": 7, **wanted})
    for _ in range(200):
        found += [order.key for order in page.orders]
        if page.next is None:
            break
        page = await find(store, **{"limit": 7, **wanted}, after=page.next)
    return found


HOW = {"limit", "after", "sort", "ascending"}
CASES = {
    "all": ({}, lambda o: True),
    "panel": ({"panel": "a"}, lambda o: o.panel == "a"),
    "service": ({"service": "2"}, lambda o: o.service == "2"),
    "usual status": ({"status": Status.PENDING}, lambda o: o.status is Status.PENDING),
    "rare status": ({"status": Status.PARTIAL}, lambda o: o.status is Status.PARTIAL),
    "no such status": ({"status": Status.FAILED}, lambda o: False),
    "open": ({"phase": Phase.OPEN}, lambda o: o.phase is Phase.OPEN),
    "closed": ({"phase": Phase.CLOSED}, lambda o: o.phase is Phase.CLOSED),
    "problem": ({"problem": True}, lambda o: o.problem is not None),
    "panel and status": (
        {"panel": "b", "status": Status.IN_PROGRESS, "service": "1"},
        lambda o: o.panel == "b" and o.status is Status.IN_PROGRESS and o.service == "1",
    ),
    "id": ({"text": "1007"}, lambda o: o.id == "1007"),
    "beginning of an id": ({"text": "100"}, lambda o: o.id.startswith("100")),
    "service as text": ({"text": "2"}, lambda o: o.service == "2"),
    "link": ({"text": "https://www.site.example/p/00"}, lambda o: "p/00" in (o.link or "")),
    "bare link": ({"text": "site.example/p/01"}, lambda o: "p/01" in (o.link or "")),
    "link and panel": (
        {"text": "site.example/", "panel": "a"},
        lambda o: o.link is not None and o.panel == "a",
    ),
    "of a panel": ({"panels": ["a"]}, lambda o: o.panel == "a"),
    "id of a panel": ({"text": "100", "panels": ["b"]}, lambda o: o.id[:3] + o.panel == "100b"),
    "link of a panel": (
        {"text": "site.example/", "panels": {"a"}},
        lambda o: o.link is not None and o.panel == "a",
    ),
    "of a panel or none": ({"panels": ["a"], "panel": "b"}, lambda o: False),
    "of no panel": ({"panels": []}, lambda o: False),
    "no such text": ({"text": "9999"}, lambda o: False),
    "no such panel": ({"panel": "c"}, lambda o: False),
    "like a pattern": ({"text": "10%"}, lambda o: False),
    "within a link": ({"text": "example/P/00", "within": True}, lambda o: "p/00" in (o.link or "")),
    "the end of a link": ({"text": "7", "within": True}, lambda o: "7" in (o.link or "")),
    "within a link, like a pattern": ({"text": "p_0%", "within": True}, lambda o: False),
    "orders of services by name": (
        {"named": [("a", "2"), ("b", "0"), ("c", "1")]},
        lambda o: (o.panel, o.service) in {("a", "2"), ("b", "0")},
    ),
    "stalled": (
        {"keys": range(1, 61), "progressed_before": {"a": 20.0, "b": 0.0}},
        lambda o: o.panel == "a" and o.progressed_at < 20.0 and o.phase is Phase.OPEN,
    ),
}


@pytest.mark.long
@pytest.mark.parametrize("most", [3, 20_000])
@pytest.mark.parametrize("matches", [4, 2000])
async def test_what_fits_is_found_however_little_is_looked_at(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, matches: int, most: int
):
    _look_at(monkeypatch, most)
    monkeypatch.setattr(search, "MOST_MATCHES", matches)
    async with opened(tmp_path) as store:
        known = await stocked(store)
        for case, (wanted, fits) in CASES.items():
            fitting = [o.key for o in known if fits(o)]
            assert await ids(store, **wanted) == fitting, case
            assert await ids(store, **wanted, ascending=True) == fitting[::-1], case


def _look_at(monkeypatch: pytest.MonkeyPatch, most: int) -> None:
    monkeypatch.setattr(candidates, "LOOKED_AT", most)
    monkeypatch.setattr(candidates, "LINKS_LOOKED_AT", most)


async def test_what_is_looked_at_is_bounded_and_told(tmp_path, monkeypatch):
    _look_at(monkeypatch, 10)
    monkeypatch.setattr(search, "MOST_MATCHES", 5)
    async with opened(tmp_path) as store:
        await stocked(store)
        none = await find(store, status=Status.COMPLETED)
        assert (none.orders, none.stopped, none.next) == ([], True, SearchCursor(51))
        assert (await find(store, text="9999", within=True)).next == SearchCursor(51)
        many = await find(store, text="10")
        assert (len(many.orders), many.stopped, many.next) == (10, True, SearchCursor(51))
        found = await find(store, panel="a", limit=4)
        assert (len(found.orders), found.stopped) == (4, False)


def _delivered(order: Order) -> float | None:
    whole = order.quantity
    return None if not whole or order.remains is None else (whole - order.remains) / whole


VALUES = {
    OrderSort.CHARGE: lambda o: o.charge,
    OrderSort.PROGRESSED: lambda o: o.progressed_at,
    OrderSort.DELIVERED: _delivered,
}


@pytest.mark.parametrize("ascending", [True, False])
@pytest.mark.parametrize("sort", VALUES)
async def test_sorted_pages_leave_none_out_and_show_none_twice(
    tmp_path: Path, sort: OrderSort, ascending: bool
):
    async with opened(tmp_path) as store:
        given = [
            an_order(
                str(n),
                quantity=100 if n % 7 else None,
                remains=(n * 37) % 10 * 10 if n % 5 else None,
                charge=Decimal((n * 13) % 11) / 8 if n % 3 else None,  # as text, 10 is before 9
                progressed_at=float(n * 31 % 17),
            )
            for n in range(60)
        ]
        known = await store.orders.track(given, now=2.0)
        found = await ids(store, sort=sort, ascending=ascending)
        assert sorted(found) == [order.key for order in known]
        of = {order.key: VALUES[sort](order) for order in known}
        told = [of[key] for key in found if of[key] is not None]
        assert told == sorted(told, reverse=not ascending)
        assert all(of[key] is None for key in found[len(told) :])


async def test_only_the_newest_are_sorted_where_there_are_very_many(tmp_path, monkeypatch):
    _look_at(monkeypatch, 20)
    async with opened(tmp_path) as store:
        await stocked(store)
        page = await find(store, sort=OrderSort.PROGRESSED, ascending=True, limit=5)
        assert [order.key for order in page.orders] == [41, 42, 43, 44, 45]
        assert page.partly == 20
        few = await find(store, sort=OrderSort.PROGRESSED, ascending=True, panel="a", text="103")
        assert [order.key for order in few.orders] == [31, 33, 35, 37, 39]
        assert few.partly == 0


async def test_reading_ends_with_the_store(tmp_path: Path):
    """What was begun ends before the close; what comes later is refused."""
    store = await Store.open(tmp_path / "watcher.db", now=0.0)
    await stocked(store)
    begun, go_on = threading.Event(), threading.Event()

    def slow(connection: Any) -> int:
        begun.set()
        go_on.wait(30.0)
        return connection.exec_driver_sql("SELECT count(*) FROM orders").scalar()

    reading = asyncio.create_task(store._db.read("test", slow))
    await asyncio.to_thread(begun.wait)
    closing = asyncio.create_task(store.close())
    go_on.set()
    await closing
    assert await reading == 60
    with pytest.raises(StoreError):
        await find(store)
    assert not [t for t in threading.enumerate() if t.name.startswith("watcher-")]


async def test_a_changed_status_is_found_anew(tmp_path: Path):
    async with opened(tmp_path) as store:
        (order,) = await store.orders.track([an_order()], now=2.0)
        await store.changes.record(
            [moved(order, status=Status.CANCELED, status_text="Canceled")], now=5.0
        )
        assert [o.key for o in (await find(store, status=Status.CANCELED)).orders] == [1]
        assert (await find(store, status=Status.PENDING)).orders == []


@pytest.mark.engines("sqlite")
@pytest.mark.parametrize(
    ("wanted", "index"),
    [
        ({"problem": True}, "order_states_problem"),
        ({"status": Status.PARTIAL}, "order_states_rare"),
        ({"service": "1"}, "orders_by_service"),
        ({"panel": "a"}, "orders_by_panel"),
        ({"phase": Phase.GUARDED}, "order_states_not_closed"),
    ],
)
async def test_each_search_goes_by_its_index(tmp_path: Path, wanted, index):
    async with opened(tmp_path) as store:
        await stocked(store)
        walk = candidates.walk_of(SearchQuery(**wanted), store.search._panel("a"))
        told = str(walk.compile(compile_kwargs={"literal_binds": True}))
        plan = await store._db.read(
            "test",
            lambda c: _plan(c, told),
        )
        assert index in plan
        assert "TEMP B-TREE" not in plan


@pytest.mark.engines("sqlite")
@pytest.mark.parametrize("wanted", [{}, {"status": Status.PENDING}, {"phase": Phase.OPEN}])
async def test_a_page_of_a_panels_orders_reads_no_more_than_the_page(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, wanted: dict[str, Any]
):
    async with opened(tmp_path) as store:
        await stocked(store)
        monkeypatch.setattr(store.orders, "_found", found := AsyncMock(return_value=[]))
        await store.orders.page(panel="a", after=3, **wanted)
        statement = found.await_args.args[1]
        given = {"literal_binds": True}
        plan = await store._db.read(
            "test", lambda c: _plan(c, str(statement.compile(c, compile_kwargs=given)))
        )
        assert "orders_by_panel (panel=? AND rowid>?)" in plan
        assert "TEMP B-TREE" not in plan


@pytest.mark.engines("sqlite")
@pytest.mark.parametrize("matches", [1, 2000])
async def test_what_a_page_looks_at_is_the_outermost_loop(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, matches: int
):
    """Else a page would not begin with the newest, or would read all there are."""
    monkeypatch.setattr(search, "MOST_MATCHES", matches)

    def loops(connection: Any, sought: SearchQuery) -> list[str]:
        keys, conditions = store.search._narrowed(connection, sought)
        walk = candidates.Walk(sought, keys, store.search._panel(sought.panel or ""))
        told = search._joined(walk.looked(), conditions).limit(51)
        made = told.compile(connection.engine).construct_expanded_state({"keys": "[1]"})
        values = tuple(made.positional_parameters)
        rows = connection.exec_driver_sql(f"EXPLAIN QUERY PLAN {made.statement}", values)
        return re.findall(r"(?:SCAN|SEARCH) (orders|order_states|looked)\b", str(rows.all()))

    async with opened(tmp_path) as store:
        await stocked(store)
        for case, (wanted, _) in CASES.items():
            plan = await store._db.read("test", partial(loops, sought=SearchQuery(**wanted)))
            outer = plan[plan.index("looked") :]
            assert sorted(outer) == ["looked", "order_states", "orders"], (case, plan)


def _plan(connection: Any, statement: str) -> str:
    rows = connection.exec_driver_sql(f"EXPLAIN QUERY PLAN {statement}")
    return " ".join(row[3] for row in rows)


# --- at a glance ---------------------------------------------------------------------------------


async def test_what_was_spent_is_what_left_the_account(tmp_path: Path):
    day = 86400.0
    async with opened(tmp_path) as store:
        now = 10 * day
        for at, amount in (
            (now - 3 * day, "100.00"),
            (now - 0.9 * day, "90.00"),  # ten, from a balance that was known long before
            (now - 0.5 * day, "150.00"),  # paid in
            (now - 0.1 * day, "145.50"),
        ):
            await store.balances.save("p", Balance(Decimal(amount), "USD"), now=at)
        await store.balances.save("q", Balance(Decimal("5"), "USD"), now=now - day / 2)
        spent = await store.balances.spendings(now)
        assert spent["p"].amount == pytest.approx(14.5)
        assert spent["p"].lasts(29.0) == pytest.approx(2 * day)
        assert (spent["q"].amount, spent["q"].seconds) == (0.0, day / 2)
        assert spent["q"].lasts(5.0) is None


async def services(store: Store, words: str = "", **wanted: Any) -> list[str]:
    asked = {"panels": ["p"], "limit": 99, **wanted}
    return [one.service.id for one in await store.service_search.find(words, **asked)]


async def test_a_price_list_is_searched_by_words(tmp_path: Path):
    async with opened(tmp_path) as store:
        listed = [
            Service(
                id=str(n), name=f"Followers {n} real" if n % 2 else f"Likes {n}%", category="Insta"
            )
            for n in range(1, 31)
        ]
        await store.services.save("p", listed, now=1.0)
        await store.services.save("p", listed[1:], now=2.0)
        assert await services(store, "REAL followers", limit=5) == ["3", "5", "7", "9", "11"]
        (*_, last) = await store.service_search.find("real insta", panels=["p"], limit=99, skip=5)
        assert (last.service.id, last.gone_at) == ("1", 2.0)
        assert len(await services(store, "0%")) == 3
        assert await services(store, "nothing") == await services(store, panels=["q"]) == []
        keys = [("p", "3"), ("p", "77"), ("q", "3"), ("p", "4")]
        assert set(await store.service_search.among(keys, "real")) == {("p", "3")}
        latest = await store.recent.latest(5.0)
        assert [(n.change.field, n.name) for n in latest.changes] == [("gone", "Followers 1 real")]


@pytest.mark.parametrize("words", ["ПОДПИСЧИКИ быстро", "подписчики", "Şişli", "şişli 1"])
async def test_words_of_any_script_are_found_in_any_case(tmp_path: Path, words: str):
    async with opened(tmp_path) as store:
        names = ["Подписчики БЫСТРО Şişli 1", "Лайки"]
        given = [Service(id=str(n), name=name) for n, name in enumerate(names, 1)]
        await store.services.save("p", given, now=1.0)
        assert await services(store, words) == ["1"]


async def test_services_are_sorted_with_what_is_not_known_last(tmp_path: Path):
    async with opened(tmp_path) as store:
        given = [
            Service(id="10", name="b", rate=Decimal("9.5"), refill=True),
            Service(id="2", name="C", rate=Decimal("10"), refill=False),
            Service(id="1", name="a"),
            Service(id="3", name="gone", rate=Decimal("0.001"), refill=True),
        ]
        await store.services.save("p", given, now=1.0)
        await store.services.save("p", given[:3], now=2.0)
        sort = ServiceSort
        assert await services(store) == ["1", "2", "10", "3"]
        assert await services(store, sort=sort.SERVICE, descending=True) == ["10", "2", "1", "3"]
        assert await services(store, sort=sort.NAME) == ["1", "10", "2", "3"]
        assert await services(store, sort=sort.PRICE) == ["10", "2", "1", "3"]
        assert await services(store, sort=sort.PRICE, descending=True) == ["2", "10", "1", "3"]
        assert await services(store, sort=sort.REFILL, descending=True) == ["10", "2", "1", "3"]


async def test_what_rules_did_and_would_have_done(tmp_path: Path):
    async with opened(tmp_path) as store:
        (order,) = await store.orders.track([an_order()], now=2.0)
        assert order.key == 1
        firings = [
            a_firing(at=100_000.0),
            a_firing(at=100_001.0, dry_run=True),
            a_firing(at=100_002.0, dry_run=True),
            a_firing(at=5.0),
            a_firing(rule="other", at=100_000.0),
        ]
        await store.changes.record([], firings=firings, now=5.0)
        fired = (await store.recent.latest(100_003.0)).fired
        assert (fired["r"].did, fired["r"].would, fired["r"].last_at) == (1, 2, 100_002.0)
        assert (fired["other"].did, fired["other"].would) == (1, 0)
        assert (fired["r"].refused, fired["other"].refused) == (0, 0)
        assert (await store.recent.latest(100_003.0, panels=["p"])).fired == fired
        assert (await store.recent.latest(100_003.0, panels=["q"])).fired == {}
        assert await sql(store, "SELECT count(*) FROM firings") == 5
