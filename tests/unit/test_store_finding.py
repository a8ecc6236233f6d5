"""Orders are found by whatever is asked for, newest first, page by page, none left out."""

import asyncio
import threading
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest

from tests.unit.store_kit import a_firing, an_order, moved, opened, sql
from watcher.errors import StoreError
from watcher.model import Balance, Order, Phase, Service, Status
from watcher.store import Store, search
from watcher.store.search import SearchQuery

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


async def find(
    store: Store, *, limit: int = 50, before: int | None = None, **wanted: Any
) -> search.SearchResult:
    return await store.search.find(SearchQuery(**wanted), limit=limit, before=before)


async def ids(store: Store, limit: int = 7, **wanted: Any) -> list[str]:
    """All that is found, page by page."""
    found, before = [], None
    for _ in range(200):
        page = await find(store, limit=limit, before=before, **wanted)
        found += [order.key for order in page.orders]
        if page.next is None:
            break
        assert before is None or page.next < before
        before = page.next
    assert found == sorted(found, reverse=True)
    return found


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
    "no such text": ({"text": "9999"}, lambda o: False),
    "no such panel": ({"panel": "c"}, lambda o: False),
    "like a pattern": ({"text": "10%"}, lambda o: False),
    "stalled": (
        {"keys": range(1, 61), "progressed_before": {"a": 20.0, "b": 0.0}},
        lambda o: o.panel == "a" and o.progressed_at < 20.0 and o.phase is Phase.OPEN,
    ),
}


@pytest.mark.parametrize("looked_at", [3, 20_000])
@pytest.mark.parametrize("case", CASES)
async def test_what_fits_is_found_however_little_is_looked_at(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, case: str, looked_at: int
):
    monkeypatch.setattr(search, "_LOOKED_AT", looked_at)
    wanted, fits = CASES[case]
    async with opened(tmp_path) as store:
        known = await stocked(store)
        assert await ids(store, **wanted) == [o.key for o in known if fits(o)]


async def test_what_is_looked_at_is_bounded_and_told(tmp_path, monkeypatch):
    monkeypatch.setattr(search, "_LOOKED_AT", 10)
    monkeypatch.setattr(search, "MOST_MATCHES", 5)
    async with opened(tmp_path) as store:
        await stocked(store)
        none = await find(store, status=Status.COMPLETED)
        assert (none.orders, none.stopped, none.next) == ([], True, 51)
        many = await find(store, text="10")
        assert (len(many.orders), many.cut) == (5, True)
        found = await find(store, panel="a", limit=4)
        assert (len(found.orders), found.stopped) == (4, False)


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
        walk = search._walk(SearchQuery(**wanted), store.search._panel("a"))
        told = str(walk.compile(compile_kwargs={"literal_binds": True}))
        plan = await store._db.read(
            "test",
            lambda c: _plan(c, told),
        )
        assert index in plan
        assert "TEMP B-TREE" not in plan


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
        found, count = await store.services.search("p", "REAL followers", limit=5, skip=0)
        assert (count, [p.service.id for p in found]) == (15, ["3", "5", "7", "9", "11"])
        rest, _ = await store.services.search("p", "real followers", limit=99, skip=5)
        assert [p.service.id for p in rest][-1] == "1"
        assert rest[-1].gone_at == 2.0
        assert (await store.services.search("p", "0%", limit=9, skip=0))[1] == 3
        assert await store.services.search("p", "nothing", limit=9, skip=0) == ([], 0)
        assert await store.services.names("p", ["3", "77"]) == {"3": "Followers 3 real"}
        glimpse = await store.recent.latest(5.0)
        assert [(n.change.field, n.name) for n in glimpse.changes] == [("gone", "Followers 1 real")]


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
        assert await sql(store, "SELECT count(*) FROM firings") == 5
