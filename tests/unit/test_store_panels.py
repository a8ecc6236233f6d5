"""What is kept of panels: price lists and their changes, balances, refill tasks, firings."""

from decimal import Decimal
from pathlib import Path
from typing import Any

import msgspec
import pytest

from tests.unit.store_kit import (
    NAME,
    a_firing,
    a_plan,
    moved,
    opened,
    outcome,
    query,
    sent,
    sql,
    tracked,
)
from watcher.errors import LifecycleError, StoreError
from watcher.model import (
    ActionState,
    Balance,
    Refill,
    RefillStatus,
    RuleAction,
    Service,
    Status,
)
from watcher.store import ServiceChange, Store

pytestmark = pytest.mark.engines("sqlite", "postgresql")

FULL = Service(
    id="7",
    name="Followers",
    type="Package",
    category="Instagram",
    rate=Decimal("0.90"),
    min=10,
    max=2**40,
    refill=True,
    cancel=False,
    dripfeed=None,
    desc="slow",
    average_time="2 h",
)


def changed(service: Service, **fields: Any) -> Service:
    return msgspec.structs.replace(service, **fields)


def told(changes: list[ServiceChange]) -> set[tuple[str, str, str | None, str | None]]:
    return {(change.service, change.field, change.old, change.new) for change in changes}


async def test_a_price_list_comes_back_as_it_was(tmp_path: Path) -> None:
    async with opened(tmp_path) as store:
        plain = Service(id="8", name="Likes")
        assert await store.services.save("p", [plain, FULL], now=5.0) == []
        listed = await store.services.of_panel("p")
        assert [stored.service for stored in listed] == [FULL, plain]
        assert {(s.panel, s.seen_at, s.gone_at) for s in listed} == {("p", 5.0, None)}
        assert await store.services.of_panel("q") == []


async def test_tells_changed_prices_and_flags(tmp_path: Path) -> None:
    async with opened(tmp_path) as store:
        await store.services.save("p", [FULL], now=5.0)
        now = changed(FULL, rate=Decimal("0.9"), refill=None, max=11, desc="fast")
        changes = await store.services.save("p", [now], now=6.0)
        assert told(changes) == {("7", "refill", "true", None), ("7", "max", str(2**40), "11")}
        now = changed(now, rate=Decimal("1.20"), dripfeed=False)
        changes = await store.services.save("p", [now], now=7.0)
        assert told(changes) == {("7", "rate", "0.9", "1.20"), ("7", "dripfeed", None, "false")}
        assert (await store.services.of_panel("p"))[0].service == now
        assert {change.at for change in changes} == {7.0}
        newest = await store.recent.price_changes(["p", "q"], 3)
        assert [named.change.field for named in newest][:2] == ["dripfeed", "rate"]
        assert len(newest) == 3
        assert await store.recent.price_changes(["q"], 3) == []


@pytest.mark.engines("sqlite")
async def test_an_unchanged_list_writes_nothing(tmp_path: Path) -> None:
    async with opened(tmp_path) as store:
        await store.services.save("p", [FULL], now=5.0)
        before = await sql(store, "SELECT total_changes()")
        assert await store.services.save("p", [FULL], now=6.0) == []
        assert await sql(store, "SELECT total_changes()") == before


async def test_services_come_go_and_come_back(tmp_path: Path) -> None:
    async with opened(tmp_path) as store:
        other, third = Service(id="8", name="Likes"), Service(id="9", name="Views")
        await store.services.save("p", [FULL, other], now=5.0)
        assert told(await store.services.save("p", [FULL, third], now=6.0)) == {
            ("8", "gone", None, None),
            ("9", "new", None, None),
        }
        gone = (await store.services.of_panel("p"))[1]
        assert (gone.service, gone.seen_at, gone.gone_at) == (other, 5.0, 6.0)
        assert await store.services.save("p", [FULL, third], now=7.0) == []
        dearer = changed(other, rate=Decimal(2))
        assert told(await store.services.save("p", [FULL, third, dearer], now=8.0)) == {
            ("8", "back", None, None),
            ("8", "rate", None, "2"),
        }
        back = (await store.services.of_panel("p"))[1]
        assert (back.service, back.seen_at, back.gone_at) == (dearer, 8.0, None)


async def test_a_list_with_a_service_twice_keeps_the_last(tmp_path: Path) -> None:
    async with opened(tmp_path) as store:
        await store.services.save("p", [FULL, changed(FULL, name="again")], now=5.0)
        assert [stored.service.name for stored in await store.services.of_panel("p")] == ["again"]


async def test_panels_lists_are_apart(tmp_path: Path) -> None:
    async with opened(tmp_path) as store:
        await store.services.save("p", [FULL], now=5.0)
        await store.services.save("q", [changed(FULL, name="other")], now=5.0)
        assert await store.services.save("q", [], now=6.0) != []
        assert [(s.panel, s.gone_at) for s in await store.services.all()] == [
            ("p", None),
            ("q", 6.0),
        ]


async def test_remembers_a_refusal_of_refills_until_the_flag_changes(tmp_path: Path) -> None:
    async with opened(tmp_path) as store:
        await store.services.save("p", [FULL], now=5.0)
        await store.services.refill_disabled("p", "7", "Refill is disabled", now=6.0)
        (stored,) = await store.services.of_panel("p")
        assert (stored.refill_disabled_at, stored.refill_disabled_text) == (
            6.0,
            "Refill is disabled",
        )
        await store.services.save("p", [changed(FULL, rate=Decimal(9))], now=7.0)
        assert (await store.services.of_panel("p"))[0].refill_disabled_text == "Refill is disabled"
        await store.services.save("p", [changed(FULL, refill=False)], now=8.0)
        assert (await store.services.of_panel("p"))[0].refill_disabled_text is None
        await store.services.refill_disabled("p", "7", "no", now=9.0)
        await store.services.refill_disabled("p", "7", None, now=10.0)
        (stored,) = await store.services.of_panel("p")
        assert (stored.refill_disabled_at, stored.refill_disabled_text) == (None, None)


async def test_remembers_it_for_a_service_that_was_never_listed(tmp_path: Path) -> None:
    async with opened(tmp_path) as store:
        await store.services.refill_disabled("p", "7", "Refill is disabled", now=6.0)
        (stored,) = await store.services.of_panel("p")
        assert (stored.service.name, stored.gone_at) == ("", 6.0)
        assert told(await store.services.save("p", [FULL], now=7.0)) == {("7", "back", None, None)}
        (stored,) = await store.services.of_panel("p")
        assert stored.service == FULL
        assert stored.refill_disabled_text == "Refill is disabled"


async def test_a_balance_is_kept_when_it_changes(tmp_path: Path) -> None:
    async with opened(tmp_path) as store:
        amounts = [("1.50", "USD"), ("1.5", "USD"), ("1.5", "EUR"), ("-2", "EUR")]
        for number, (amount, currency) in enumerate(amounts):
            balance = Balance(Decimal(amount), currency)
            written = await store.balances.save("p", balance, now=float(number))
            assert written is (number != 1)
        await store.balances.save("q", Balance(Decimal(7), "USD"), now=9.0)
        assert await store.balances.since("p", since=1.0) == [
            (2.0, Balance(Decimal("1.5"), "EUR")),
            (3.0, Balance(Decimal(-2), "EUR")),
        ]
        assert await store.balances.latest() == {
            "p": (3.0, Balance(Decimal(-2), "EUR")),
            "q": (9.0, Balance(Decimal(7), "USD")),
        }
        assert await store.balances.since("nowhere", since=0.0) == []
        with pytest.raises(StoreError, match="not an amount"):
            await store.balances.save("q", Balance(Decimal("NaN"), "USD"), now=9.0)


async def accepted(store: Store, order: str, task: str) -> Refill:
    action = await sent(store, a_plan(order))
    settled = await store.actions.settle([outcome(action, ActionState.ACCEPTED, task)], now=12.0)
    return settled.refills[0]


async def test_follows_refill_tasks_until_they_are_over(tmp_path: Path) -> None:
    async with opened(tmp_path) as store:
        await tracked(store, 2)
        first, second = await accepted(store, "1", "a"), await accepted(store, "2", "b")
        going = msgspec.structs.replace(
            first, status=RefillStatus.IN_PROGRESS, status_text="In progess"
        )
        over = msgspec.structs.replace(second, status=RefillStatus.REJECTED, finished_at=20.0)
        await store.refills.save([going, over])
        assert await store.refills.running() == [going]
        assert await store.refills.of_order("p", "1") == [going]
        assert await store.refills.of_order("p", "2") == [over]
        assert await store.refills.of_order("q", "2") == []
        unknown = msgspec.structs.replace(going, status=RefillStatus.UNKNOWN)
        await store.refills.save([unknown])
        assert await store.refills.running() == [unknown]


async def test_a_refill_that_is_over_stays_so_and_spoils_nothing(tmp_path: Path) -> None:
    async with opened(tmp_path) as store:
        await tracked(store, 2)
        first, second = await accepted(store, "1", "a"), await accepted(store, "2", "b")
        over = msgspec.structs.replace(first, status=RefillStatus.COMPLETED, finished_at=20.0)
        await store.refills.save([over])
        undone = msgspec.structs.replace(first, status=RefillStatus.PENDING)
        going = msgspec.structs.replace(second, status=RefillStatus.IN_PROGRESS)
        with pytest.raises(LifecycleError, match="over"):
            await store.refills.save([undone, going])
        assert await store.refills.of_order("p", "1") == [over]
        assert await store.refills.running() == [going]
        await store.refills.save([])


async def test_counts_firings_of_orders_that_are_not_closed(tmp_path: Path) -> None:
    async with opened(tmp_path) as store:
        orders = await tracked(store, 3)
        firings = [
            a_firing("1", at=5.0, action=RuleAction.NOTIFY),
            a_firing("1", at=7.0, dry_run=True),
            a_firing("1", "other", at=6.0),
            a_firing("2", at=8.0),
            a_firing("3", at=9.0),
        ]
        await store.changes.record([], firings, now=9.0)
        await store.changes.record([moved(orders[2], status=Status.REFUNDED)], now=10.0)
        assert await store.firings.counts() == {
            ("r", False, "p", "1"): (1, 5.0),
            ("r", True, "p", "1"): (1, 7.0),
            ("other", False, "p", "1"): (1, 6.0),
            ("r", False, "p", "2"): (1, 8.0),
        }
        assert await store.firings.since(7.0) == [firings[1], firings[3], firings[4]]
        assert await store.firings.of_order("p", "1") == firings[:3]
        assert await store.firings.of_order("p", "9") == []


async def test_a_panels_name_is_kept_once_whoever_comes_first(tmp_path: Path) -> None:
    async with opened(tmp_path) as store:
        await tracked(store, 2, "p")
        await store.balances.save("q", Balance(Decimal(1), "USD"), now=1.0)
        await tracked(store, 3, "p")
    assert query(tmp_path / NAME, "SELECT id, name FROM panels") == [(1, "p"), (2, "q")]


async def test_the_last_firing_is_the_newest_row_whatever_a_clock_said(tmp_path: Path) -> None:
    async with opened(tmp_path) as store:
        await tracked(store, 1)
        await store.changes.record([], [a_firing("1", at=9e9)], now=9e9)
        await store.changes.record([], [a_firing("1", at=7.0)], now=7.0)
        assert await store.firings.counts() == {("r", False, "p", "1"): (2, 7.0)}
