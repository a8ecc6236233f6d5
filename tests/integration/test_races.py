"""What happens when two things come at the same moment: the order of neither may be counted on.

Each was found, or foreseen, by the fault harness; the second is let in where the first awaits.
"""

import asyncio
import sqlite3
from collections.abc import Callable, Coroutine
from contextlib import closing, suppress
from pathlib import Path
from typing import Any

from tests.support.house import House, a_house
from watcher.errors import Conflict
from watcher.model import ActionState, Kind
from watcher.rules.rule import Reason
from watcher.simulator import Fate, Trait

HOUR = 3600.0
DONE = Fate(pending=30.0, per_minute=1000.0, refill_takes=2 * HOUR)
ONCE = """
[[rules]]
name = "once"
action = "refill"
when = "order.status == 'completed' && order.finished_ago > duration('2h')"
every = "1m"
attempts = 1
"""


def in_between(
    owner: Any, name: str, event: Callable[[], Coroutine[Any, Any, Any]], *, before: bool = False
) -> asyncio.Future[Any]:
    """Once, let the event happen just before, or just after, the owner's method does its work.

    Where the event has to wait for the owner, it goes on as soon as it may; the future tells.
    """
    plain = getattr(owner, name)
    over: asyncio.Future[Any] = asyncio.get_running_loop().create_future()

    async def happen() -> None:
        task = asyncio.create_task(event())
        task.add_done_callback(lambda done: over.set_result(done.result()))
        await asyncio.wait({task}, timeout=0.5)

    async def interrupted(*args: Any, **more: Any) -> Any:
        setattr(owner, name, plain)
        if before:
            await happen()
        result = await plain(*args, **more)
        if not before:
            await happen()
        return result

    setattr(owner, name, interrupted)
    return over


def change(house: House) -> None:
    """Write another configuration for all panels."""
    config = house.path.read_text()
    house.path.write_text(config.replace("[defaults]", "[defaults]\nstalled_after = '2h'"))


async def done(house: House, count: int = 1) -> list[str]:
    ids = await house.place(count, quantity=100, services=[1], fate=DONE)
    await house.run(HOUR)
    return ids


async def firings(house: House, order: str) -> int:
    shown = await house.call("GET", f"/v1/orders/standard/{order}")
    return len(shown["firings"])


async def test_a_firing_during_a_reload_is_not_forgotten(tmp_path: Path):
    async with a_house(tmp_path, rules=ONCE) as house:
        (order,) = await done(house)
        change(house)
        fired = in_between(house.daemon.store.orders, "load", lambda: house.run(2 * HOUR))
        await house.daemon.reload()
        await fired
        assert await firings(house, order) == 1
        await house.run(30 * HOUR)
        assert await firings(house, order) == 1, "attempts = 1"


async def test_a_count_told_during_a_reload_is_kept_or_refused(tmp_path: Path):
    async with a_house(tmp_path) as house:
        (order,) = await done(house)
        change(house)
        path = f"/v1/orders/standard/{order}/count"
        told = in_between(
            house.daemon.store.orders, "load", lambda: house.call("PUT", path, json={"count": 7})
        )
        await house.daemon.reload()
        await told
        shown = await house.call("GET", f"/v1/orders/standard/{order}")
        assert shown["state"]["count"] == 7


async def test_an_order_untracked_during_a_reload_is_gone_or_that_is_refused(tmp_path: Path):
    async with a_house(tmp_path) as house:
        (order,) = await done(house)
        change(house)
        path = f"/v1/orders/standard/{order}"
        untracked = in_between(
            house.daemon.store.orders, "load", lambda: house.call("DELETE", path)
        )
        await house.daemon.reload()
        gone = await untracked
        assert gone["order"] == order
        assert house.daemon.watchlist.order("standard", order) is None
        assert house.daemon.watchlist.counts["standard", "completed"] == 0


async def test_an_order_tracked_during_a_reload_is_counted_once(tmp_path: Path):
    async with a_house(tmp_path) as house:
        await done(house)
        change(house)
        tracked = in_between(
            house.daemon.store.orders, "load", lambda: house.track(["77"]), before=True
        )
        await house.daemon.reload()
        await tracked
        assert house.daemon.watchlist.counts["standard", "unknown"] == 1


async def test_a_refill_is_known_to_run_before_it_is_known_to_be_sent(tmp_path: Path):
    """Else a rule that looks between the two asks for a second one."""
    async with a_house(tmp_path, rules=ONCE) as house:
        (order,) = await done(house)
        await house.call("POST", f"/v1/orders/standard/{order}/refill")
        reviews = house.daemon.core.reviews

        async def look() -> None:
            await reviews.review(house.daemon.watchlist.orders(), house.clock() + 2 * HOUR)

        looked = in_between(house.daemon.store.actions, "settle", look)
        await house.run(60.0)
        await looked
        assert await firings(house, order) == 0, "a refill runs"


async def test_an_accepted_refill_is_counted_while_a_change_is_recorded(tmp_path: Path):
    """Else the order is put back as it was before the refill."""
    async with a_house(tmp_path) as house:
        (order,) = await done(house)
        await house.call("POST", f"/v1/orders/standard/{order}/refill")
        sent = in_between(
            house.daemon.store.changes,
            "record",
            lambda: house.schedule.run_task("actions:standard"),
            before=True,
        )
        await house.call("PUT", f"/v1/orders/standard/{order}/count", json={"count": 7})
        await sent
        assert (house.order(order).refills, house.order(order).count) == (1, 7)


async def test_what_was_learnt_outlives_the_reload_of_its_panel(tmp_path: Path):
    """The outcome could not be written yet when the panel's settings changed."""
    async with a_house(tmp_path) as house:
        (order,) = await done(house)
        await house.call("POST", f"/v1/orders/standard/{order}/refill")

        other = sqlite3.connect(tmp_path / "watcher.db", isolation_level=None)

        async def lock() -> None:
            await pragma(house, "busy_timeout = 1")
            other.execute("BEGIN IMMEDIATE")

        in_between(house.daemon.panel_workers["standard"].gateway.client, "refill", lock)
        await asyncio.gather(house.schedule.run_task("actions:standard"), return_exceptions=True)
        change(house)
        reload = asyncio.ensure_future(house.daemon.reload())
        await asyncio.sleep(0.2)
        assert house.daemon.core.outcomes._waiting, (
            "the outcome is not on record while it is locked"
        )
        other.execute("ROLLBACK")
        other.close()
        await reload
        await house.run(60.0)
        assert not house.daemon.core.outcomes._waiting
        (action,) = (await house.call("GET", "/v1/actions"))["actions"]
        assert action["state"] == "accepted"


async def test_an_action_of_a_removed_panel_can_be_resolved(tmp_path: Path):
    async with a_house(tmp_path, profiles=["standard", "smmxz"]) as house:
        (order,) = await done(house)
        house.panel.switches.on(Trait.CLOSE_AFTER, action="refill")
        await house.call("POST", f"/v1/orders/standard/{order}/refill")
        await house.run(60.0)
        before, _, after = house.path.read_text().partition("[panels.standard]")
        _, section, rest = after.partition("[panels.smmxz]")
        house.path.write_text(before + section + rest)
        await house.daemon.reload()
        body = {"state": "accepted", "result": "1"}
        settled = await house.call("POST", "/v1/actions/1/resolve", json=body)
        assert settled["action"]["state"] == "accepted"


async def test_a_refill_by_hand_while_a_rule_wants_one_stays_known(tmp_path: Path):
    """The rule's is left out; what is then released must not be the other's reservation."""
    async with a_house(tmp_path, rules=ONCE) as house:
        (order,) = await done(house)
        daemon = house.daemon

        async def ask() -> None:
            with suppress(Conflict):  # the rule's came first
                await daemon.commands.act(Kind.REFILL, "standard", order)

        asked = in_between(daemon.store.changes, "record", ask, before=True)
        await daemon.core.reviews.review(daemon.watchlist.orders(), house.clock() + 2 * HOUR)
        await asked
        (decision,) = daemon.rule_engine.decisions(house.order(order), house.clock() + 2 * HOUR)
        assert decision.reason is Reason.ACTION_OPEN


async def test_a_refill_by_hand_that_ends_before_it_is_noted_is_not_open_for_ever(tmp_path: Path):
    """The new station finds the planned action on record before who planned it goes on."""
    async with a_house(tmp_path, rules=ONCE) as house:
        (order,) = await done(house)
        change(house)

        async def reload_and_send() -> None:
            await house.daemon.reload()
            await house.schedule.run_task("actions:standard")

        sent = in_between(house.daemon.store.actions, "plan", reload_and_send)
        await house.call("POST", f"/v1/orders/standard/{order}/refill")
        await sent
        (action,) = (await house.call("GET", "/v1/actions"))["actions"]
        assert action["state"] == "accepted"
        await house.run(26 * HOUR)  # the refill ends, and the order has been finished for long
        assert await firings(house, order) == 1


async def pragma(house: House, text: str) -> None:
    database: Any = house.daemon.store._db
    async with database.writing:
        database._writer.connection.driver_connection.execute(f"PRAGMA {text}").fetchall()


async def test_an_action_is_committed_as_being_sent_before_its_request(tmp_path: Path):
    """Else a crash between the two sends it a second time."""
    async with a_house(tmp_path) as house:
        (order,) = await done(house)
        await house.call("POST", f"/v1/orders/standard/{order}/refill")
        states: list[tuple[str]] = []

        async def read() -> None:
            with closing(sqlite3.connect(tmp_path / "watcher.db")) as other:
                states.extend(other.execute("SELECT state FROM actions"))

        client = house.daemon.panel_workers["standard"].gateway.client
        read_then = in_between(client, "refill", read, before=True)
        await house.schedule.run_task("actions:standard")
        await read_then
        assert states == [("sending",)]
        assert house.panel.journal.sent("refill") == {int(order): 1}


async def test_what_is_withdrawn_before_it_is_claimed_is_not_sent(tmp_path: Path):
    async with a_house(tmp_path) as house:
        first, second = await done(house, 2)
        ids = [
            (await house.call("POST", f"/v1/orders/standard/{order}/refill"))["action"]["id"]
            for order in (first, second)
        ]
        withdrawn = in_between(
            house.daemon.store.actions,
            "claim",
            lambda: house.daemon.commands.take_back(ids[0]),
            before=True,
        )
        await house.schedule.run_task("actions:standard")
        assert (await withdrawn).state is ActionState.REJECTED
        assert house.panel.journal.sent("refill") == {int(second): 1}
