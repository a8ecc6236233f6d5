"""Orders: tracked once, found again as they were, listed page by page."""

import asyncio
import tempfile
from decimal import Decimal
from math import isnan
from pathlib import Path
from typing import Any

import msgspec
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from sqlalchemy import cast, select
from sqlalchemy.engine import make_url

from tests.unit.store_kit import NAME, an_order, finished, loaded, moved, opened, query, tracked
from watcher.errors import StoreError
from watcher.model import Order, Phase, Status
from watcher.orders.columns.check_times import CheckTimes
from watcher.store import Store
from watcher.store import orders as orders_module
from watcher.store.dialect import Money, money_text

pytestmark = pytest.mark.engines("sqlite", "postgresql")

FULL: dict[str, Any] = {
    "service": "7",
    "link": "https://example.com/ünï",
    "quantity": 10,
    "reference": "Ö-1042",
    "customer": "ann@example.com",
    "tags": ("vip", "ünï"),
    "note": "two\nlines",
    "submitted_at": 1700000000.123457,
    "status": Status.PARTIAL,
    "status_text": "Parcial",
    "charge": Decimal("0.0012345678901234567890"),
    "currency": "USD",
    "start_count": -5,
    "remains": 1 - 2**63,
    "count": 2**63 - 1,
    "phase": Phase.GUARDED,
    "progressed_at": 1700000001.1,
    "finished_at": 1700000002.2,
    "checked_at": 1700000003.3,
    "problem": "Incorrect order ID",
    "refills": 3,
}


async def test_an_order_comes_back_as_it_was(tmp_path: Path) -> None:
    given_order = an_order("A-1", **FULL)
    async with opened(tmp_path) as store:
        (added,) = await store.orders.track([given_order], now=3.0)
        assert added == msgspec.structs.replace(given_order, key=added.key)
        assert await store.orders.get("p", "A-1") == added
        assert await loaded(store) == [added]
        assert (await store.orders.page())[0] == [added]


async def test_when_orders_were_asked_about_is_loaded_with_them(tmp_path: Path) -> None:
    async def times(store: Store) -> list[float]:
        parts, _ = await store.orders.load(0, 100)
        return [at for rows in parts for at in rows.asked_at]

    async with opened(tmp_path) as store:
        added = await store.orders.track(
            [an_order("1"), an_order("2"), an_order("3", "q")], now=2.0
        )
        assert all(map(isnan, await times(store)))
        first, second = CheckTimes(), CheckTimes()
        first.note([order.key for order in added], [5.9, 6.0, 7.0])
        await store.schedule.save_asked(first)
        assert await times(store) == [5.0, 6.0, 7.0]
        second.note([added[1].key], [9.0])
        await store.schedule.save_asked(second)
    async with opened(tmp_path) as store:
        assert [0.0 if isnan(at) else at for at in await times(store)] == [0.0, 9.0, 0.0]
        await store.schedule.save_asked(CheckTimes())
        assert all(map(isnan, await times(store)))


async def test_known_orders_are_not_added_again(tmp_path: Path) -> None:
    async with opened(tmp_path) as store:
        first = await store.orders.track([an_order("1"), an_order("2", link="a")], now=2.0)
        again = [an_order("2", link="b"), an_order("3"), an_order("3", link="c")]
        added = await store.orders.track([*again, an_order("1", "q")], now=3.0)
        assert [(order.panel, order.id, order.link) for order in added] == [
            ("p", "3", None),
            ("q", "1", None),
        ]
        assert await store.orders.get("p", "2") == first[1]
        assert len({order.key for order in first + added}) == 4
        assert await store.orders.track([], now=4.0) == []


async def test_ten_thousand_in_a_call(tmp_path: Path) -> None:
    async with opened(tmp_path) as store:
        assert len(await tracked(store, 10_000)) == 10_000
        assert await tracked(store, 10_000) == []
        assert len(await tracked(store, 10_001)) == 1


async def test_an_unknown_order_is_none(tmp_path: Path) -> None:
    async with opened(tmp_path) as store:
        await tracked(store)
        assert await store.orders.get("p", "2") is None
        assert await store.orders.get("nowhere", "1") is None
        assert await store.orders.history("nowhere", "1") == []
        assert await store.orders.page(panel="nowhere") == ([], None)


async def test_what_a_row_can_not_hold_is_refused_whole(tmp_path: Path) -> None:
    async with opened(tmp_path) as store:
        for bad in (an_order("2", quantity=2**63), an_order("\ud800")):
            with pytest.raises(StoreError, match="can't hold"):
                await store.orders.track([an_order("1"), bad], now=1.0)
        assert await loaded(store) == []


@pytest.mark.parametrize("chunk", [1, 7, 21, 22, 1000])
async def test_loads_what_is_not_closed(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, chunk: int
) -> None:
    monkeypatch.setattr(orders_module, "_PART", chunk)
    async with opened(tmp_path) as store:
        orders = await tracked(store, 25)
        closed = [moved(order, status=Status.CANCELED) for order in orders[:4]]
        guarded = [finished(order) for order in orders[4:8]]
        await store.changes.record(closed + guarded, now=5.0)
        assert await loaded(store) == [t.after for t in guarded] + orders[8:]


async def test_lists_by_each_filter(tmp_path: Path) -> None:
    async with opened(tmp_path) as store:
        orders = await tracked(store, 6)
        other = await store.orders.track([an_order("1", "q", problem="gone?")], now=2.0)
        done, cancelled = finished(orders[0]), moved(orders[1], status=Status.CANCELED)
        await store.changes.record([done, cancelled, moved(orders[2], at=50.0, remains=9)], now=5.0)

        async def ids(**filters: Any) -> list[str]:
            found, following = await store.orders.page(**filters)
            assert following is None
            return [f"{order.panel}{order.id}" for order in found]

        assert await ids(panel="q") == ["q1"]
        assert await ids(status=Status.COMPLETED) == ["p1"]
        assert await ids(phase=Phase.CLOSED) == ["p2"]
        assert await ids(problem=True) == ["q1"]
        assert await ids(problem=False, panel="q") == []
        assert await ids(progressed_before={"p": 1.5}) == ["p4", "p5", "p6"]
        assert await ids(progressed_before={"p": 1.0, "q": 1.5}) == ["q1"]
        assert await ids(progressed_before={"p": 99.0}, panel="q") == []
        assert await ids(progressed_before={}) == []
        assert await ids(progressed_before={"nowhere": 99.0}) == []
        assert other[0].problem == "gone?"


async def test_pages_are_complete_and_end(tmp_path: Path) -> None:
    async with opened(tmp_path) as store:
        orders = await tracked(store, 10)
        for limit in (1, 3, 5, 10, 11):
            found: list[Order] = []
            after: int | None = 0
            pages = 0
            while after is not None:
                page, after = await store.orders.page(limit=limit, after=after)
                assert len(page) <= limit
                found += page
                pages += 1
            assert found == orders
            assert pages == -(-len(orders) // limit)


@given(st.decimals(allow_nan=False, allow_infinity=False))
def test_money_is_exact_to_the_last_digit(amount: Decimal) -> None:
    assert Decimal(money_text(amount)).as_tuple() == amount.as_tuple()


def test_another_database_keeps_money_as_a_number() -> None:
    postgresql = make_url("postgresql://").get_dialect()()
    assert "NUMERIC" in str(select(cast(None, Money)).compile(dialect=postgresql))


@pytest.mark.long
@settings(max_examples=10)
@given(st.lists(st.decimals(allow_nan=False, allow_infinity=False), min_size=20))
def test_money_is_exact_in_the_file(amounts: list[Decimal]) -> None:
    async def round_trip() -> None:
        with tempfile.TemporaryDirectory() as directory:
            async with opened(Path(directory)) as store:
                given_orders = [an_order(str(i), charge=a) for i, a in enumerate(amounts)]
                await store.orders.track(given_orders, now=0.0)
                charges = [order.charge for order in await loaded(store)]
                assert [str(charge) for charge in charges] == [str(a) for a in amounts]

    asyncio.run(round_trip())


_STORABLE = st.characters(exclude_characters="\0", exclude_categories=["Cs"])
TEXTS = st.none() | st.text(_STORABLE, max_size=5)
TIMES = st.none() | st.floats(0, 2e9)
WHOLE = st.none() | st.integers(1 - 2**63, 2**63 - 1)
LOADED = st.fixed_dictionaries(
    {
        "panel": st.sampled_from("pqr"),
        "service": TEXTS,
        "link": TEXTS,
        "quantity": WHOLE,
        "submitted_at": st.floats(0, 2e9),
        "status_text": TEXTS,
        "charge": st.none() | st.decimals(0, 9, places=4),
        "currency": TEXTS,
        "start_count": WHOLE,
        "remains": WHOLE,
        "count": WHOLE,
        "phase": st.sampled_from([Phase.OPEN, Phase.GUARDED]),
        "finished_at": TIMES,
        "checked_at": TIMES,
        "problem": TEXTS,
        "refills": st.integers(0, 2**31),
    }
)


@pytest.mark.long
@settings(max_examples=30, deadline=None)
@given(st.lists(LOADED, min_size=1), st.integers(1, 5), st.integers(1, 5))
def test_all_are_loaded_as_they_were_tracked(
    fields: list[dict[str, Any]], size: int, part: int
) -> None:
    async def round_trip() -> None:
        with tempfile.TemporaryDirectory() as directory, pytest.MonkeyPatch.context() as patch:
            patch.setattr(orders_module, "_SLICE", size)
            patch.setattr(orders_module, "_PART", part)
            async with opened(Path(directory)) as store:
                given_orders = [an_order(str(i), **given) for i, given in enumerate(fields)]
                added = await store.orders.track(given_orders, now=0.0)
                assert await loaded(store) == added

    asyncio.run(round_trip())


@pytest.mark.parametrize("text", ["NaN", "Infinity", "-Infinity", "sNaN"])
def test_what_is_no_amount_is_refused(text: str) -> None:
    with pytest.raises(ArithmeticError, match="not an amount"):
        money_text(Decimal(text))


@pytest.mark.engines("sqlite")
async def test_money_is_text_in_the_file(tmp_path: Path) -> None:
    async with opened(tmp_path) as store:
        await store.orders.track([an_order("1", charge=Decimal("1.10"))], now=0.0)
    assert query(tmp_path / NAME, "SELECT charge, typeof(charge) FROM order_states") == [
        ("1.10", "text")
    ]


async def test_a_stalled_order_is_listed_from_the_file_alone(tmp_path: Path) -> None:
    async with opened(tmp_path) as store:
        await tracked(store, 2)
    async with opened(tmp_path) as again:
        found, _ = await again.orders.page(progressed_before={"p": 2.0})
        assert [order.id for order in found] == ["1", "2"]


async def test_orders_can_be_loaded_without_their_links(tmp_path: Path) -> None:
    async with opened(tmp_path) as store:
        (added,) = await store.orders.track([an_order("A-1", **FULL)], now=3.0)
        assert added.link is not None
        orders = await loaded(store, keeps=frozenset(["tags"]))
        gone = {"link": None, "reference": None, "customer": None, "note": None}
        assert orders == [msgspec.structs.replace(added, **gone)]
