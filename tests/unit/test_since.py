"""The edges of every "since", "after" and "until" in the store and the lanes: nothing is lost."""

import math
from datetime import UTC, datetime
from pathlib import Path

import msgspec
import pytest

from tests.unit.store_kit import (
    a_firing,
    a_plan,
    an_order,
    moved,
    opened,
    outcome,
    sent,
    sql,
    tracked,
)
from watcher.alerts import MOMENTS, AlertKind, RetryLane
from watcher.events.retry_lanes import RetryLanes
from watcher.model import ActionState, Kind, Order, RefillStatus, RuleAction
from watcher.notify.moments import alert_of
from watcher.rules.brake import BRAKE_WINDOW, Brake
from watcher.store import Store

pytestmark = pytest.mark.engines("sqlite", "postgresql")

AT = 1_800_000_000.1234567
JUST_BEFORE, JUST_AFTER = math.nextafter(AT, 0.0), math.nextafter(AT, math.inf)


async def changed(store: Store, order: Order, *times: float) -> list[int]:
    """The numbers of the changes that are made at these times."""
    numbers = []
    for n, at in enumerate(times):
        change = moved(order, at, remains=900 - n)
        await store.changes.record([change], now=at)
        order = change.after
        numbers.append(await store.history.newest_change())
    return numbers


# --- news ---


@pytest.mark.parametrize(("since", "found"), [(JUST_BEFORE, 5), (AT, 5), (JUST_AFTER, 0)])
async def test_news_of_each_kind_at_its_very_moment(
    tmp_path: Path, since: float, found: int
) -> None:
    async with opened(tmp_path) as store:
        await tracked(store, 3)
        await store.changes.record([], [a_firing("1", action=RuleAction.NOTIFY, at=AT)], now=AT)
        refused = await sent(store, a_plan("2"))
        await store.actions.settle([outcome(refused, ActionState.REJECTED)], now=AT)
        taken = await sent(store, a_plan("3"))
        await store.actions.settle([outcome(taken, ActionState.ACCEPTED, "r3")], now=AT)
        (task,) = await store.refills.running()
        over = msgspec.structs.replace(task, status=RefillStatus.REJECTED, finished_at=AT)
        await store.refills.save([over])
        for field in ("rate", "gone"):
            await sql(
                store,
                "INSERT INTO service_changes (panel, service, field, old, new, at)"
                f" VALUES (1, '7', '{field}', '1', '2', {AT!r})",
            )
        moments = await store.recent.moments(since, MOMENTS)
        assert len(moments) == found
        if found:
            assert {one.event for one in moments} == MOMENTS


async def test_refusals_of_what_a_rule_or_a_shop_asked_for_are_routine(tmp_path: Path) -> None:
    asked = {"1": "by hand", "2": "shop main", "3": "does refill: true"}
    async with opened(tmp_path) as store:
        await tracked(store, 4)
        for order, reason in asked.items():
            plan = a_plan(order, reason=reason, rule="r" if order == "3" else None)
            refused = outcome(await sent(store, plan), ActionState.REJECTED)
            await store.actions.settle([refused], now=AT)
        withdrawn = await store.actions.plan(a_plan("4"), now=AT)
        await store.actions.withdraw([withdrawn.id], "withdrawn", now=AT)
        moments = await store.recent.moments(AT, frozenset({AlertKind.REFILL_REJECTED}))
        assert {(one.order, one.is_routine) for one in moments} == {
            ("1", False),
            ("2", True),
            ("3", True),
        }
        fired = (await store.recent.latest(AT)).fired
        assert {rule: counts.refused for rule, counts in fired.items()} == {"r": 1}
        assert (await store.recent.latest(AT, panels=["q"])).fired == {}


@pytest.mark.parametrize("count", [999, 1000, 1001, 2500])
async def test_of_many_at_one_moment_none_is_left_out(tmp_path: Path, count: int) -> None:
    async with opened(tmp_path) as store:
        await tracked(store, 1)
        firings = [a_firing("1", action=RuleAction.NOTIFY, at=AT) for _ in range(count)]
        await store.changes.record([], firings, now=AT)
        await store.changes.record([], [a_firing("1", action=RuleAction.NOTIFY, at=AT + 1)], now=AT)
        found = await store.recent.moments(AT, frozenset({AlertKind.RULE_FIRED}))
        assert len({alert_of(one).key for one in found}) == len(found) == count + 1


# --- changes ---


async def test_a_replay_begins_with_the_change_of_that_very_moment(tmp_path: Path) -> None:
    async with opened(tmp_path) as store:
        (order,) = await tracked(store)
        before, first, same, later = await changed(store, order, AT - 1, AT, AT, AT + 1)
        assert await store.history.first_change_since(AT) == first
        assert await store.history.first_change_since(AT - 0.5) == first
        assert await store.history.first_change_since(AT - 1) == before
        assert await store.history.first_change_since(AT + 0.5) == later
        assert await store.history.first_change_since(AT + 2) is None
        assert first < same


@pytest.mark.parametrize("fraction", [0.0, 0.1234564, 0.1234565, 0.1234567, 0.9999996, 0.5000005])
async def test_a_time_that_was_told_finds_its_own_row(tmp_path: Path, fraction: float) -> None:
    at = 1_800_000_000 + fraction
    told = datetime.fromisoformat(datetime.fromtimestamp(at, UTC).isoformat()).timestamp()
    async with opened(tmp_path) as store:
        (order,) = await store.orders.track([an_order("1", submitted_at=at)], now=2.0)
        (number,) = await changed(store, order, at)
        assert await store.history.first_change_since(told) == number
        assert [row.id for row in (await store.history.changes(since=told))[0]] == [number]
        found, _ = await store.orders.page(submitted_since=told)
        assert [one.id for one in found] == ["1"]


@pytest.mark.parametrize("limit", [1, 2, 3, 4, 5])
@pytest.mark.parametrize("newest", [False, True])
async def test_pages_of_one_moment_neither_lose_nor_double(
    tmp_path: Path, limit: int, newest: bool
) -> None:
    async with opened(tmp_path) as store:
        (order,) = await tracked(store)
        numbers = await changed(store, order, AT - 5000, AT, AT, AT, AT)
        found: list[int] = []
        after: int | None = 0
        while after is not None:
            page, after = await store.history.changes(
                since=AT, newest=newest, limit=limit, after=after
            )
            found += [row.id for row in page]
        assert found == sorted(numbers[1:], reverse=newest)


async def test_changes_after_a_cursor_and_of_an_order(tmp_path: Path) -> None:
    async with opened(tmp_path) as store:
        (order,) = await tracked(store)
        first, second, third = await changed(store, order, AT, AT, AT)
        assert [e.id for e in await store.history.changes_after(first, 9)] == [second, third]
        assert [e.id for e in await store.history.changes_after(first - 1, 1)] == [first]
        assert await store.history.changes_after(third, 9) == []
        edges = [(first, third), (second, third), (second, second), (third, second)]
        found = [
            [e.id for e in await store.history.changes_of(order.key, a, b, 9)] for a, b in edges
        ]
        assert found == [[first, second, third], [second, third], [second], []]
        assert [e.id for e in await store.history.changes_of(order.key, 0, third, 2)] == [
            first,
            second,
        ]


async def test_balances_and_firings_of_that_very_moment(tmp_path: Path) -> None:
    async with opened(tmp_path) as store:
        await tracked(store, 1)
        await store.changes.record([], [a_firing("1", at=AT)], now=AT)
        await sql(store, f"INSERT INTO balances VALUES (1, 1, {AT!r}, '5', 'USD')")
        for since, count in ((JUST_BEFORE, 1), (AT, 1), (JUST_AFTER, 0)):
            assert len(await store.firings.since(since)) == count
            assert len(await store.balances.since("p", since)) == count


def test_the_brake_forgets_at_the_hour_and_not_before() -> None:
    brake = Brake()
    brake.count(AT)
    assert brake.is_full(1, AT + BRAKE_WINDOW - 0.001)
    assert not brake.is_full(1, AT + BRAKE_WINDOW)


# --- lanes ---


@pytest.mark.parametrize(("to", "cursor"), [(4, 4), (5, 5), (6, 5)])
def test_a_rewind_never_goes_on(to: int, cursor: int) -> None:
    lanes = RetryLanes(5)
    lanes.rewind(to)
    assert lanes.cursor == cursor


@pytest.mark.parametrize(("first", "kept"), [(2, True), (3, True), (4, False), (5, False)])
def test_what_waits_is_left_to_the_reading_only_if_that_begins_before_it(
    first: int, kept: bool
) -> None:
    """After a rewind to 3 the changes from 4 on are read again; the lane's from `first` on."""
    lanes = RetryLanes(9, [RetryLane(1, first, attempts=2, next_at=50.0)])
    lanes.rewind(3)
    assert (1 in lanes.held) is kept
    assert (1 in lanes.changed) is not kept


@pytest.mark.parametrize(("first", "wanted"), [(4, 4), (5, 5), (6, 5)])
def test_a_lane_is_moved_back_and_never_on_by_holding(first: int, wanted: int) -> None:
    lanes = RetryLanes(9, [RetryLane(1, 5, attempts=2, next_at=50.0, error="HTTP 500")])
    lanes.hold(1, first, 7.0)
    assert lanes.held[1].first == wanted
    assert lanes.held[1].attempts == (0 if first < 5 else 2)


def test_a_lane_is_due_at_its_moment() -> None:
    lanes = RetryLanes(9, [RetryLane(1, 5, next_at=AT)])
    assert lanes.due(JUST_BEFORE) == []
    assert [lane.key for lane in lanes.due(AT)] == [1]


def test_a_pause_ends_at_its_moment() -> None:
    lanes = RetryLanes(9)
    lanes.failed(1, 1, "HTTP 429", AT, wait=100.0)
    assert lanes.room(math.nextafter(AT + 100.0, 0.0)) == 0
    assert lanes.room(AT + 100.0) == 1


@pytest.mark.parametrize("kind", [Kind.REFILL, Kind.CANCEL])
async def test_what_was_sent_goes_on_record_once(tmp_path: Path, kind: Kind) -> None:
    """A claim of what is claimed already gives nothing."""
    async with opened(tmp_path) as store:
        await tracked(store, 1)
        action = await store.actions.plan(a_plan("1", kind), now=1.0)
        assert len(await store.actions.claim([action.id], now=AT)) == 1
        assert await store.actions.claim([action.id], now=AT) == []
