"""The intent log: planned, claimed, settled, resolved; never sent twice."""

import asyncio
from pathlib import Path
from typing import Any

import msgspec
import pytest

from tests.unit.store_kit import (
    NAME,
    a_plan,
    a_submission,
    finished,
    moved,
    opened,
    outcome,
    query,
    sent,
    sql,
    tracked,
)
from watcher.errors import Conflict, NotFound, RequestError, StoreError
from watcher.model import ActionState, Kind, Status
from watcher.rules.time_correction import TimeCorrection
from watcher.store import Store

pytestmark = pytest.mark.engines("sqlite", "postgresql")

PLANNED, SENDING = ActionState.PLANNED, ActionState.SENDING
ACCEPTED, REJECTED = ActionState.ACCEPTED, ActionState.REJECTED
UNRESOLVED = ActionState.UNRESOLVED


async def unresolved(store: Store, plan: Any) -> int:
    action = await sent(store, plan)
    await store.actions.settle([outcome(action, UNRESOLVED)], now=12.0)
    return action.id


async def test_a_plan_is_on_record(tmp_path: Path) -> None:
    async with opened(tmp_path) as store:
        plan = a_plan("1", Kind.CANCEL, rule="r", reason="because")
        action = await store.actions.plan(plan, now=3.5)
        assert await store.actions.get(action.id) == action
        assert (action.kind, action.order, action.rule, action.reason, action.planned_at) == (
            Kind.CANCEL,
            "1",
            "r",
            "because",
            3.5,
        )
        assert await store.actions.unsettled() == [action]
        assert await store.actions.planned("p") == [(action.id, Kind.CANCEL)]
        assert (
            await store.actions.planned("p", after=action.id)
            == await store.actions.planned("q")
            == []
        )
        assert await store.actions.count_planned("p") == {Kind.CANCEL: 1}
        assert await store.actions.count_planned("q") == {}
        assert await store.actions.get(99) is None


async def test_a_second_unsettled_action_of_a_kind_is_a_conflict(tmp_path: Path) -> None:
    async with opened(tmp_path) as store:
        first = await store.actions.plan(a_plan(), now=3.0)
        for step in ("planned", "sending", "unresolved"):
            with pytest.raises(
                Conflict, match=f"refill of order 1 at p is {step}: action {first.id}$"
            ):
                await store.actions.plan(a_plan(), now=3.0)
            if step == "planned":
                await store.actions.claim([first.id], now=4.0)
            if step == "sending":
                await store.actions.recover()
        await store.actions.plan(a_plan("1", Kind.CANCEL), now=3.0)
        await store.actions.plan(a_plan("2"), now=3.0)
        await store.actions.plan(a_plan("1", panel="q"), now=3.0)
        await store.actions.resolve(first.id, REJECTED, result=None, now=5.0)
        await store.actions.plan(a_plan(), now=6.0)


async def test_the_file_itself_refuses_a_second_unsettled_action(tmp_path: Path) -> None:
    async with opened(tmp_path) as store:
        await store.actions.plan(a_plan(), now=3.0)
        with pytest.raises(StoreError, match=r"(?i)unique"):
            await sql(
                store,
                "INSERT INTO actions (kind, panel, order_id, state, reason, planned_at)"
                " VALUES ('refill', 1, '1', 'unresolved', '', 0)",
            )


async def test_an_idempotency_key_gives_its_action_again(tmp_path: Path) -> None:
    async with opened(tmp_path) as store:
        first = await store.actions.plan(a_submission("k"), now=3.0)
        assert await store.actions.plan(a_submission("k"), now=4.0) == first
        await store.actions.claim([first.id], now=5.0)
        again = await store.actions.plan(a_submission("k"), now=6.0)
        assert (again.id, again.state) == (first.id, SENDING)
        await store.actions.settle([outcome(again, ACCEPTED, "900")], now=7.0)
        again = await store.actions.plan(a_submission("k"), now=8.0)
        assert (again.id, again.state, again.order) == (first.id, ACCEPTED, "900")
        other_panel = msgspec.structs.replace(a_submission("k"), panel="q")
        for other in (a_submission("k", quantity="501"), other_panel, a_plan(idempotency_key="k")):
            with pytest.raises(Conflict, match=f"idempotency key.*action {first.id}"):
                await store.actions.plan(other, now=9.0)
        assert (await store.actions.plan(a_submission("l"), now=9.0)).id != first.id
        without = [await store.actions.plan(a_submission(), now=9.0) for _ in range(2)]
        assert len({action.id for action in without}) == 2


async def test_one_key_at_the_same_time_gives_one_action(tmp_path: Path) -> None:
    async with opened(tmp_path) as store:
        plans = [store.actions.plan(a_submission("k"), now=3.0) for _ in range(5)]
        assert len({action.id for action in await asyncio.gather(*plans)}) == 1


async def test_claims_what_is_planned_and_nothing_else(tmp_path: Path) -> None:
    async with opened(tmp_path) as store:
        ids = [(await store.actions.plan(a_plan(str(n)), now=3.0)).id for n in range(4)]
        first = await store.actions.claim([*ids[:2], 99], now=4.0)
        assert [(a.id, a.state, a.sent_at) for a in first] == [
            (ids[0], SENDING, 4.0),
            (ids[1], SENDING, 4.0),
        ]
        assert query(tmp_path / NAME, "SELECT count(*) FROM actions WHERE state = 'sending'") == [
            (2,)
        ]
        second = await store.actions.claim(ids, now=5.0)
        assert [a.id for a in second] == ids[2:]
        assert await store.actions.claim(ids, now=6.0) == []
        assert await store.actions.claim([], now=6.0) == []


async def test_two_claims_at_the_same_time_share_nothing(tmp_path: Path) -> None:
    async with opened(tmp_path) as store:
        ids = [(await store.actions.plan(a_plan(str(n)), now=3.0)).id for n in range(20)]
        claims = await asyncio.gather(*(store.actions.claim(ids, now=4.0) for _ in range(5)))
        assert sorted(action.id for claimed in claims for action in claimed) == ids


async def test_recovery_leaves_nothing_sending(tmp_path: Path) -> None:
    async with opened(tmp_path) as store:
        going, waiting = (
            await sent(store, a_plan("1")),
            await store.actions.plan(a_plan("2"), now=3.0),
        )
        done = await sent(store, a_plan("3"))
        await store.actions.settle([outcome(done, REJECTED)], now=12.0)
    async with opened(tmp_path) as store:
        assert await store.actions.recover() == 1
        assert await store.actions.recover() == 0
        states = {a.id: a.state for a in (await store.actions.page())[0]}
        assert states == {going.id: UNRESOLVED, waiting.id: PLANNED, done.id: REJECTED}
        unresolved_one = await store.actions.get(going.id)
        assert unresolved_one is not None
        assert unresolved_one.sent_at == going.sent_at
        assert unresolved_one.settled_at is None
        assert await store.actions.claim([going.id], now=14.0) == []


async def test_a_person_resolves(tmp_path: Path) -> None:
    async with opened(tmp_path) as store:
        await tracked(store)
        refill = await unresolved(store, a_plan())
        settled = await store.actions.resolve(refill, ACCEPTED, result="5", now=20.0)
        assert (settled.actions[0].state, settled.actions[0].settled_at) == (ACCEPTED, 20.0)
        assert settled.actions[0].answer == "settled by hand; before: the panel: unresolved"
        assert [task.id for task in settled.refills] == ["5"]
        submission = await unresolved(store, a_submission())
        with pytest.raises(RequestError, match="order id"):
            await store.actions.resolve(submission, ACCEPTED, result=None, now=20.0)
        settled = await store.actions.resolve(submission, ACCEPTED, result="900", now=20.0)
        assert [order.id for order in settled.orders] == ["900"]
        another = await unresolved(store, a_submission())
        settled = await store.actions.resolve(another, REJECTED, result="900", now=20.0)
        assert (settled.actions[0].state, settled.actions[0].result) == (REJECTED, None)


async def test_what_can_not_be_resolved(tmp_path: Path) -> None:
    async with opened(tmp_path) as store:
        planned = await store.actions.plan(a_plan(), now=3.0)
        with pytest.raises(NotFound, match="no action 99"):
            await store.actions.resolve(99, ACCEPTED, result=None, now=4.0)
        with pytest.raises(Conflict, match=f"action {planned.id} is planned, not unresolved"):
            await store.actions.resolve(planned.id, ACCEPTED, result=None, now=4.0)
        action = await unresolved(store, a_plan("2"))
        for state in (PLANNED, SENDING, UNRESOLVED):
            with pytest.raises(Conflict, match="accepted or rejected"):
                await store.actions.resolve(action, state, result=None, now=4.0)


async def test_withdraws_what_is_still_planned(tmp_path: Path) -> None:
    async with opened(tmp_path) as store:
        planned, going = (
            await store.actions.plan(a_plan("1"), now=3.0),
            await sent(store, a_plan("2")),
        )
        withdrawn = await store.actions.withdraw(
            [planned.id, going.id], "the order is dead", now=4.0
        )
        assert [(a.id, a.state, a.answer, a.settled_at) for a in withdrawn] == [
            (planned.id, REJECTED, "the order is dead", 4.0)
        ]
        assert await store.actions.claim([planned.id], now=5.0) == []


async def test_lists_actions_newest_first(tmp_path: Path) -> None:
    async with opened(tmp_path) as store:
        made = [await store.actions.plan(a_plan(str(n)), now=3.0) for n in range(5)]
        cancel = await store.actions.plan(a_plan("1", Kind.CANCEL, panel="q"), now=3.0)
        await store.actions.claim([made[0].id], now=4.0)

        async def ids(**filters: Any) -> list[int]:
            return [action.id for action in (await store.actions.page(**filters))[0]]

        everything = [cancel.id, *(action.id for action in reversed(made))]
        assert await ids() == everything
        assert await ids(state=SENDING) == [made[0].id]
        assert await ids(panel="q") == await ids(kind=Kind.CANCEL) == [cancel.id]
        assert await ids(panel="p", order="1") == [made[1].id]
        assert await ids(panel="nowhere") == []
        paged, after = await store.actions.page(limit=4)
        rest, end = await store.actions.page(limit=4, after=after)
        assert [action.id for action in paged + rest] == everything
        assert end is None
        assert (await store.actions.page(limit=6))[1] is None


async def test_ids_are_never_used_again(tmp_path: Path) -> None:
    async with opened(tmp_path) as store:
        first = await store.actions.plan(a_plan(), now=3.0)
        await sql(store, "DELETE FROM actions")
        assert (await store.actions.plan(a_plan(), now=3.0)).id > first.id


async def test_tells_when_an_action_was_last_accepted(tmp_path: Path) -> None:
    async with opened(tmp_path) as store:
        orders = await tracked(store, 3)
        for now in (10.0, 20.0):
            action = await sent(store, a_plan("1"), now=now)
            await store.actions.settle([outcome(action, ACCEPTED)], now=now + 2)
        cancels = [await sent(store, a_plan(n, Kind.CANCEL)) for n in ("2", "3")]
        await store.actions.settle([outcome(action, ACCEPTED) for action in cancels], now=13.0)
        await store.actions.settle([outcome(await sent(store, a_plan("2")), REJECTED)], now=13.0)
        submission = await sent(store, a_submission())
        await store.actions.settle([outcome(submission, ACCEPTED, "9")], now=13.0)
        await store.changes.record([moved(orders[2], status=Status.CANCELED)], now=14.0)
        refilled = (await store.orders.get("p", "1")) or orders[0]
        assert refilled.refills == 2
        await store.changes.record([finished(refilled)], now=14.0)
        assert await store.actions.last_accepted() == {
            (Kind.REFILL, "p", "1"): 22.0,
            (Kind.CANCEL, "p", "2"): 13.0,
        }


async def test_a_repeated_submission_is_known_for_its_time_whatever_a_clock_said(
    tmp_path: Path,
) -> None:
    day, start = 86400.0, 1e6
    async with opened(tmp_path) as store:

        async def placed(now: float, time_correction: TimeCorrection) -> bool:
            times = {"since": now - day, "now": now, "past": time_correction.past}
            action, is_new = await store.actions.plan_once(a_submission("shop"), **times)
            if is_new:
                (taken,) = await store.actions.claim([action.id], now=now)
                order = f"{now:.0f}"
                await store.actions.settle([outcome(taken, ACCEPTED, result=order)], now=now)
            return is_new

        assert await placed(start + 30 * day, TimeCorrection(start + 30 * day))
        right = TimeCorrection(start)  # a start, after the clock was set right
        assert not await placed(start, right), "it may have been a moment ago"
        assert not await placed(start + 0.9 * day, right)
        assert await placed(start + 1.1 * day, right), "and not a month later"
        assert not await placed(start + 1.2 * day, right)
