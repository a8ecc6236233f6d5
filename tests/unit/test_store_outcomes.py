"""What became of actions: accepted, refused, planned again, unknown; what follows from it."""

from pathlib import Path

import msgspec
import pytest

from tests.unit.store_kit import (
    a_plan,
    a_submission,
    an_order,
    loaded,
    opened,
    outcome,
    sent,
    tracked,
)
from watcher.errors import LifecycleError
from watcher.model import ActionState, RefillStatus

pytestmark = pytest.mark.engines("sqlite", "postgresql")

PLANNED, SENDING = ActionState.PLANNED, ActionState.SENDING
ACCEPTED, REJECTED = ActionState.ACCEPTED, ActionState.REJECTED
UNRESOLVED = ActionState.UNRESOLVED


async def test_an_accepted_refill_is_counted_and_followed(tmp_path: Path) -> None:
    async with opened(tmp_path) as store:
        await tracked(store, 2)
        with_task, without = await sent(store, a_plan("1")), await sent(store, a_plan("2"))
        settled = await store.actions.settle(
            [outcome(with_task, ACCEPTED, "77"), outcome(without, ACCEPTED)], now=12.0
        )
        assert [(a.id, a.state, a.settled_at, a.result, a.answer) for a in settled.actions] == [
            (with_task.id, ACCEPTED, 12.0, "77", "the panel: accepted"),
            (without.id, ACCEPTED, 12.0, None, "the panel: accepted"),
        ]
        assert settled.actions[0] == await store.actions.get(with_task.id)
        (task,) = settled.refills
        assert (task.panel, task.order, task.id, task.action, task.status, task.requested_at) == (
            "p",
            "1",
            "77",
            with_task.id,
            RefillStatus.PENDING,
            11.0,
        )
        assert await store.refills.running() == [task]
        assert [order.refills for order in await loaded(store)] == [1, 1]
        assert settled.orders == []


async def test_a_panel_that_names_every_refill_the_same(tmp_path: Path) -> None:
    async with opened(tmp_path) as store:
        await tracked(store, 2)
        actions = [await sent(store, a_plan(order)) for order in ("1", "2")]
        settled = await store.actions.settle([outcome(a, ACCEPTED, "1") for a in actions], now=12.0)
        assert [task.order for task in settled.refills] == ["1"]
        assert [order.refills for order in await loaded(store)] == [1, 1]


async def test_an_accepted_submission_is_tracked(tmp_path: Path) -> None:
    async with opened(tmp_path) as store:
        action = await sent(store, a_submission())
        settled = await store.actions.settle([outcome(action, ACCEPTED, "900")], now=12.0)
        (order,) = settled.orders
        assert order == await store.orders.get("p", "900")
        expected = an_order(
            "900",
            key=order.key,
            service="7",
            link="https://example.com/p",
            quantity=500,
            submitted_at=11.0,
            progressed_at=11.0,
        )
        assert order == msgspec.structs.replace(expected, status=order.status)
        assert settled.actions[0].order == settled.actions[0].result == "900"
        assert (await store.actions.page(panel="p", order="900"))[0] == settled.actions


async def test_a_submission_whose_order_is_tracked_already_adds_none(tmp_path: Path) -> None:
    async with opened(tmp_path) as store:
        known = await tracked(store)
        action = await sent(store, a_submission(quantity="a lot"))
        settled = await store.actions.settle([outcome(action, ACCEPTED, "1")], now=12.0)
        assert settled.orders == []
        assert await loaded(store) == known


async def test_planned_again_can_be_claimed_again(tmp_path: Path) -> None:
    async with opened(tmp_path) as store:
        action = await sent(store, a_plan())
        settled = await store.actions.settle([outcome(action, PLANNED)], now=12.0)
        assert (settled.actions[0].state, settled.actions[0].sent_at) == (PLANNED, None)
        assert [a.id for a in await store.actions.claim([action.id], now=13.0)] == [action.id]


async def test_an_outcome_of_an_earlier_sending_does_not_free_a_later_one(tmp_path: Path) -> None:
    async with opened(tmp_path) as store:
        first = await sent(store, a_plan(), now=10.0)
        await store.actions.settle([outcome(first, PLANNED)], now=12.0)
        await store.actions.claim([first.id], now=13.0)
        with pytest.raises(LifecycleError, match="sent again since"):
            await store.actions.settle([outcome(first, PLANNED)], now=14.0)
        assert await store.actions.claim([first.id], now=15.0) == []


async def test_an_outcome_that_was_written_before_changes_nothing(tmp_path: Path) -> None:
    async with opened(tmp_path) as store:
        await tracked(store)
        action = await sent(store, a_plan())
        first = await store.actions.settle([outcome(action, ACCEPTED, "77")], now=12.0)
        again = await store.actions.settle([outcome(action, ACCEPTED, "77")], now=13.0)
        assert again.actions == first.actions
        assert again.refills == []
        assert [order.refills for order in await loaded(store)] == [1]


async def test_bad_outcomes_spoil_nothing(tmp_path: Path) -> None:
    async with opened(tmp_path) as store:
        await tracked(store, 5)
        good = await sent(store, a_plan("1"))
        settled_before = await sent(store, a_plan("2"))
        await store.actions.settle([outcome(settled_before, REJECTED)], now=12.0)
        nameless = await sent(store, a_submission())
        planned = await store.actions.plan(a_plan("3"), now=12.0)
        stranger = msgspec.structs.replace(good, id=99)
        back = await sent(store, a_plan("4"))
        with pytest.raises(LifecycleError) as error:
            await store.actions.settle(
                [
                    outcome(settled_before, ACCEPTED),
                    outcome(nameless, ACCEPTED),
                    outcome(planned, ACCEPTED),
                    outcome(stranger, ACCEPTED),
                    outcome(back, SENDING, "x"),
                    outcome(good, ACCEPTED, "77"),
                    outcome(good, REJECTED),
                ],
                now=13.0,
            )
        for words in (
            f"action {settled_before.id} is rejected, not being sent",
            f"action {nameless.id} was accepted without an order id",
            f"action {planned.id} is planned, not being sent",
            "action 99 is not in the log",
            f"action {good.id} has two outcomes",
        ):
            assert words in str(error.value)
        states = {a.id: a.state for a in (await store.actions.page())[0]}
        assert states == {
            good.id: ACCEPTED,
            settled_before.id: REJECTED,
            nameless.id: SENDING,
            planned.id: PLANNED,
            back.id: SENDING,
        }
        assert len(await store.refills.running()) == 1
