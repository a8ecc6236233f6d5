"""Rules at work: refills, cancels and notices, each once and with its reason."""

import asyncio
from collections.abc import Iterable
from datetime import UTC, datetime
from pathlib import Path

import pytest

from tests.support.house import SELDOM, House, a_house
from watcher.errors import StoreError
from watcher.model import Order, Phase, Status
from watcher.rules.switches import FAILURES_IN_A_ROW
from watcher.simulator import Ending, Fate, Trait

HOUR = 3600.0
DONE = Fate(pending=30.0, per_minute=1000.0, refill_takes=2 * HOUR)
STALLED = Fate(ending=Ending.STALLED, share=0.3, per_minute=1000.0, cancel_takes=HOUR)

REFILL = """
[[rules]]
name = "refill"
action = "refill"
when = "order.status == 'completed' && service.refill && order.finished_ago > duration('10h')"
every = "24h"
attempts = 2
"""
CANCEL = """
[[rules]]
name = "cancel stalled"
action = "cancel"
when = "order.status == 'in_progress' && order.idle > duration('5h')"
"""


async def actions(house: House, **query: str) -> list[dict]:
    return (await house.call("GET", "/v1/actions", params=query))["actions"]


async def reason_of(house: House, order: str, rule: str) -> str:
    path = f"/v1/rules/explain?panel={next(iter(house.panels))}&order={order}"
    decisions = (await house.call("GET", path))["decisions"]
    return {decision["rule"]: decision["reason"] for decision in decisions}[rule]


async def test_a_refill_is_asked_for_by_time_alone_and_followed_to_its_end(tmp_path: Path):
    async with a_house(tmp_path, rules=REFILL, defaults="idle_every = '10m'\n") as house:
        ids = await house.place(3, quantity=100, services=[1], fate=DONE)
        await house.run(9 * HOUR)
        assert house.panel.journal.requests("refill") == []
        assert await reason_of(house, ids[0], "refill") == "condition_false"
        polls = len(house.panel.journal.requests("status"))
        await house.run(1.2 * HOUR)
        assert len(house.panel.journal.requests("status")) == polls, "it needed no check"
        assert house.panel.journal.sent("refill") == dict.fromkeys(map(int, ids), 1)
        assert len(house.panel.journal.requests("refill")) == 1, "one request for all of them"
        assert await reason_of(house, ids[0], "refill") == "refill_running"
        await house.run(4 * HOUR)
        shown = await house.call("GET", f"/v1/orders/standard/{ids[0]}")
        assert [refill["status"] for refill in shown["refills"]] == ["completed"]
        assert shown["state"]["refills"] == 1
        assert await reason_of(house, ids[0], "refill") == "every"


async def test_explaining_tells_what_the_condition_found(tmp_path: Path):
    async with a_house(tmp_path, rules=REFILL) as house:
        (order,) = await house.place(1, quantity=100, services=[1], fate=DONE)
        await house.run(2 * HOUR)
        path = f"/v1/rules/explain?panel=standard&order={order}"
        (decision,) = (await house.call("GET", path))["decisions"]
        assert decision["fires"] is False
        assert "order.status = completed" in decision["detail"]
        assert "service.refill = True" in decision["detail"]
        assert "order.finished_ago = 1:" in decision["detail"]
        assert decision["again_at"]


async def test_attempts_bound_how_often_a_rule_acts(tmp_path: Path):
    async with a_house(tmp_path, rules=REFILL, defaults=SELDOM) as house:
        ids = await house.place(1, quantity=100, services=[1], fate=DONE)
        await house.run(4 * 24 * HOUR)
        assert house.panel.journal.sent("refill")[int(ids[0])] == 2
        assert await reason_of(house, ids[0], "refill") == "attempts"
        await house.restart()
        await house.run(2 * 24 * HOUR)
        assert house.panel.journal.sent("refill")[int(ids[0])] == 2, "a restart forgets nothing"


async def test_a_stalled_order_is_cancelled_once_and_its_status_tells(tmp_path: Path):
    async with a_house(tmp_path, rules=CANCEL) as house:
        ids = await house.place(1, quantity=1000, services=[1], fate=STALLED)
        await house.run(5.6 * HOUR)
        assert house.panel.journal.sent("cancel") == {int(ids[0]): 1}
        assert house.order(ids[0]).status is Status.IN_PROGRESS
        assert await reason_of(house, ids[0], "cancel stalled") == "cancel_accepted"
        await house.run(3 * HOUR)
        assert house.order(ids[0]).status in (Status.PARTIAL, Status.CANCELED)
        assert house.panel.journal.sent("cancel") == {int(ids[0]): 1}


async def test_a_service_that_refuses_refills_is_remembered(tmp_path: Path):
    traits = [Trait.REFILL_PROMISED]
    async with a_house(tmp_path, rules=REFILL, traits=traits, defaults=SELDOM) as house:
        first = await house.place(1, quantity=100, services=[1], fate=DONE)
        await house.run(120.0)
        await house.place(1, quantity=100, services=[1], fate=DONE)  # due while nobody reads prices
        await house.run(11 * HOUR)
        assert house.panel.journal.sent("refill") == {int(first[0]): 1}
        second = await house.place(5, quantity=100, services=[1], fate=DONE)
        await house.run(48 * HOUR)
        assert house.panel.journal.sent("refill") == {int(first[0]): 1}
        assert await reason_of(house, second[0], "refill") == "service_refuses"
        services = (await house.call("GET", "/v1/panels/standard/services"))["services"]
        told = {service["service"]: service["refill_disabled"] for service in services}
        assert "disabled" in told["1"].lower()
        await house.restart()
        await house.run(HOUR)
        assert await reason_of(house, second[0], "refill") == "service_refuses"


async def test_a_refill_refused_for_other_reasons_may_be_tried_again(tmp_path: Path):
    rules = REFILL.replace("10h", "1h").replace('every = "24h"', 'every = "2h"')
    async with a_house(tmp_path, rules=rules) as house:
        fate = Fate(pending=30.0, per_minute=1000.0, refill_takes=HOUR / 2)
        ids = await house.place(1, quantity=100, services=[1], fate=fate)
        await house.run(6 * HOUR)
        assert [action["state"] for action in await actions(house)] == ["rejected", "accepted"]
        assert "24 hours" in (await actions(house))[0]["answer"]
        assert house.panel.journal.carried_out("refill") == {int(ids[0]): 1}


async def test_the_brake_holds_a_rule_that_wants_too_much(tmp_path: Path):
    rules = CANCEL + "per_hour = 10\n"
    async with a_house(tmp_path, rules=rules) as house:
        ids = await house.place(50, quantity=1000, services=[1], fate=STALLED)
        await house.run(5.7 * HOUR)
        cancelled = house.panel.journal.sent("cancel")
        assert len(cancelled) == 10
        rule = (await house.call("GET", "/v1/rules"))["rules"][0]
        assert list(rule["held"]) == ["standard"]
        waiting = next(order for order in ids if int(order) not in cancelled)
        assert await reason_of(house, waiting, "cancel stalled") == "brake"
        await house.run(1.1 * HOUR)
        assert len(house.panel.journal.sent("cancel")) == 20, "an hour later it goes on"


async def test_dry_run_decides_counts_and_does_nothing(tmp_path: Path):
    async with a_house(tmp_path, rules=CANCEL + "dry_run = true\n") as house:
        ids = await house.place(2, quantity=1000, services=[1], fate=STALLED)
        await house.run(8 * HOUR)
        assert house.panel.journal.requests("cancel") == []
        shown = await house.call("GET", f"/v1/orders/standard/{ids[0]}")
        assert [(f["rule"], f["dry_run"]) for f in shown["firings"]] == [("cancel stalled", True)]
        assert (await house.call("GET", "/v1/rules"))["rules"][0]["firings"] == 2


async def test_two_rules_do_not_refill_the_same_order_twice(tmp_path: Path):
    rules = REFILL + REFILL.replace('name = "refill"', 'name = "refill too"')
    async with a_house(tmp_path, rules=rules) as house:
        ids = await house.place(20, quantity=100, services=[1], fate=DONE)
        await house.run(11 * HOUR)
        assert house.panel.journal.sent("refill") == dict.fromkeys(map(int, ids), 1)


async def test_a_rule_that_waited_for_a_refill_by_hand_looks_when_it_is_refused(tmp_path: Path):
    async with a_house(tmp_path, rules=REFILL.replace("10h", "3h")) as house:
        fate = Fate(pending=30.0, per_minute=1000.0, refill_takes=HOUR / 2)
        (order,) = await house.place(1, quantity=100, services=[1], fate=fate)
        await house.run(HOUR / 2)
        await house.call("POST", f"/v1/orders/standard/{order}/refill")
        await house.run(1.5 * HOUR)
        house.panel.switches.on(Trait.RATE_LIMITED, action="refill")
        await house.call("POST", f"/v1/orders/standard/{order}/refill")
        await house.run(1.5 * HOUR)
        assert await reason_of(house, order, "refill") == "action_open"
        house.panel.switches.off()
        await house.run(HOUR / 5)  # the panel refuses it as too soon
        assert [action["rule"] for action in await actions(house)] == ["refill", None, None]


async def test_a_drop_measured_elsewhere_fires_at_once(tmp_path: Path):
    rules = """
[[rules]]
name = "refill drops"
action = "refill"
when = "order.status == 'completed' && order.drop > 0.1"
"""
    async with a_house(tmp_path, rules=rules) as house:
        ids = await house.place(1, quantity=1000, services=[1], fate=DONE)
        await house.run(HOUR)
        assert await reason_of(house, ids[0], "refill drops") == "value_unknown"
        path = f"/v1/orders/standard/{ids[0]}/count"
        start = house.order(ids[0]).start_count
        await house.call("PUT", path, json={"count": start + 950})
        await house.run(5.0)
        assert house.panel.journal.requests("refill") == []
        await house.call("PUT", path, json={"count": start + 800})
        await house.run(5.0)
        assert house.panel.journal.sent("refill") == {int(ids[0]): 1}


async def test_an_order_without_a_service_is_given_one_and_the_rules_look_at_once(tmp_path: Path):
    rules = """
[[rules]]
name = "refill done"
action = "refill"
when = "order.status == 'completed' && service.refill"
"""
    async with a_house(tmp_path, rules=rules) as house:
        seeded = {"quantity": 1000, "services": [1], "fate": DONE}
        ids = list(map(str, house.panel.world.seed_orders(3, house.panel.now(), **seeded)))
        await house.track(ids)
        await house.run(HOUR)
        assert house.order(ids[0]).service is None
        assert house.panel.journal.requests("refill") == []
        path = f"/v1/orders/standard/{ids[0]}/service"
        assert (await house.call("PUT", path, json={"service": 1}))["service"] == "1"
        # Tracked again from a list with a service; one that is known stays as it is.
        items = [
            {"panel": "standard", "order": ids[0], "service": 2},
            {"panel": "standard", "order": ids[1], "service": 1},
        ]
        answer = await house.call("POST", "/v1/orders", json={"orders": items})
        assert (answer["tracked"], answer["known"], answer["updated"]) == (0, 2, 1)
        await house.run(5.0)
        assert [house.order(i).service for i in ids] == ["1", "1", None]
        assert house.panel.journal.sent("refill") == {int(ids[0]): 1, int(ids[1]): 1}
        await house.restart()
        await house.run(5.0)
        assert [house.order(i).service for i in ids] == ["1", "1", None]


@pytest.mark.parametrize("profile", ["smmgenie", "smmxz"])
async def test_a_panel_without_batches_is_asked_for_refills_one_by_one(
    tmp_path: Path, profile: str
):
    async with a_house(tmp_path, rules=REFILL, profiles=[profile]) as house:
        await house.place(7, quantity=100, services=[1], fate=DONE)
        await house.run(13.5 * HOUR)
        assert len(house.panel.journal.requests("refill")) == (7 if profile == "smmgenie" else 1)
        assert house.panel.journal.sent("refill").total() == 7
        assert {r["state"] for r in await actions(house)} == {"accepted"}
        assert (
            house.daemon.daemon_status.panel(house.daemon.panel_workers[profile]).pending["refill"]
            == 0
        )


async def test_a_notice_is_counted_and_not_repeated(tmp_path: Path):
    rules = """
[[rules]]
name = "tell"
action = "notify"
when = "order.status == 'completed'"
every = "30d"
"""
    async with a_house(tmp_path, rules=rules) as house:
        await house.place(4, quantity=100, fate=DONE)
        await house.run(HOUR)
        await house.restart()
        await house.run(HOUR)
        firings = await house.daemon.store.firings.since(0.0)
        assert len(firings) == 4


POOR = """
[[rules]]
name = "stop when poor"
action = "cancel"
when = "order.status == 'pending' && panel.balance < 5.0"
"""


async def test_a_look_that_the_database_refused_comes_with_the_next_balance(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    async with a_house(tmp_path, rules=POOR, defaults="balance_every = '1m'") as house:
        ids = await house.place(1, quantity=100, services=[1], fate=Fate(pending=48 * HOUR))
        await house.run(HOUR)
        reviews, review = house.daemon.core.reviews, house.daemon.core.reviews.review

        async def refuse(orders: Iterable[Order], now: float) -> None:
            monkeypatch.setattr(reviews, "review", review)
            raise StoreError("the disk is full")

        monkeypatch.setattr(reviews, "review", refuse)
        house.panel.world.set_balance("4.99", house.panel.now())
        with pytest.raises(StoreError):
            await house.run(70.0)
        account_sync = house.daemon.panel_workers["standard"].account_sync
        house.schedule.add(
            "balance:standard", account_sync.balance
        )  # as after any task that failed
        await house.run(70.0)
        assert house.panel.journal.sent("cancel") == {int(ids[0]): 1}


async def test_a_look_that_failed_beside_another_is_not_forgotten(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    begun, goes_on, looks = asyncio.Event(), asyncio.Event(), []

    async def review(orders: Iterable[Order], now: float) -> None:
        looks.append(now)
        if len(looks) == 1:
            begun.set()
            await goes_on.wait()
        elif len(looks) == 2:
            raise StoreError("the disk is full")

    async with a_house(tmp_path, rules=POOR) as house:
        await house.run(HOUR)
        monkeypatch.setattr(house.daemon.core.reviews, "review", review)
        account_sync = house.daemon.panel_workers["standard"].account_sync

        async def read(balance: str) -> None:
            house.clock.advance(60.0)
            house.panel.world.set_balance(balance, house.panel.now())
            await account_sync.balance(house.clock())

        slow = asyncio.ensure_future(read("4.99"))
        await begun.wait()
        with pytest.raises(StoreError):
            await read("3.99")
        goes_on.set()
        await slow
        await read("3.99")
        assert len(looks) == 3


async def test_a_rule_on_the_balance_looks_when_the_balance_changes(tmp_path: Path):
    async with a_house(tmp_path, rules=POOR, defaults="balance_every = '1m'") as house:
        ids = await house.place(1, quantity=100, services=[1], fate=Fate(pending=48 * HOUR))
        await house.run(HOUR)
        assert house.panel.journal.requests("cancel") == []
        house.panel.world.set_balance("4.99", house.panel.now())
        await house.run(70.0)
        assert house.panel.journal.sent("cancel") == {int(ids[0]): 1}


async def test_a_rule_that_fails_is_switched_off_and_said_so(tmp_path: Path):
    rules = CANCEL + (
        '[[rules]]\nname = "broken"\naction = "notify"\n'
        'when = "100 / (order.quantity - 777) > 1"\n'  # fails where it is zero: at every order
    )
    async with a_house(tmp_path, rules=rules) as house:
        await house.place(FAILURES_IN_A_ROW + 5, quantity=777, services=[1], fate=STALLED)
        await house.run(6 * HOUR)
        cancel, broken = (await house.call("GET", "/v1/rules"))["rules"]
        assert cancel["switched_off"] is None
        assert cancel["firings"] == FAILURES_IN_A_ROW + 5
        assert broken["failures"] == FAILURES_IN_A_ROW
        assert broken["switched_off"]
        await house.daemon.reload()
        _, broken = (await house.call("GET", "/v1/rules"))["rules"]
        assert broken["switched_off"] is None


MONTHLY = """
[[rules]]
name = "monthly"
action = "refill"
when = "order.status == 'completed' && service.refill && order.finished_ago > duration('24h')"
every = "24h"
attempts = 30
[[rules]]
name = "whenever"
action = "refill"
when = "order.status == 'completed' && service.refill && order.refills < 0"
"""
DAY = 24 * HOUR


def days_ago(house: House, days: float) -> str:
    return datetime.fromtimestamp(house.clock() - days * DAY, UTC).isoformat()


def completed_orders(house: House, count: int) -> list[str]:
    """Orders that the panel has completed before anybody tracks them."""
    fate = Fate(pending=0.0, per_minute=1e6)
    orders = house.panel.world.seed_orders(
        count, house.clock(), quantity=100, services=[1], age=10.0, fate=fate
    )
    house.clock.advance(2 * HOUR)
    return [str(order) for order in orders]


async def test_an_order_of_two_years_ago_is_never_refilled(tmp_path: Path):
    rules = MONTHLY.replace(" && order.refills < 0", "")
    async with a_house(tmp_path, rules=rules, defaults=SELDOM) as house:
        ids = completed_orders(house, 3)
        answer = await house.track(ids, service="1", submitted_at=days_ago(house, 730))
        assert (answer["undated"], answer["finish_unknown"]) == (0, 3)
        await house.run(HOUR)
        for order in ids:
            state = (await house.call("GET", f"/v1/orders/standard/{order}"))["state"]
            assert (state["status"], state["phase"]) == ("completed", "closed")
            assert state["finished_at"] is None
        await house.run(3 * DAY)
        assert house.panel.journal.requests("refill") == []
        assert await actions(house) == []
        assert await house.metric("orders_finished_total", panel="standard", status="completed")
        assert "watcher_spend_total{" not in await house.scrape()


async def test_an_order_tracked_by_its_id_alone_is_not_refilled_by_when_it_finished(tmp_path: Path):
    async with a_house(tmp_path, rules=MONTHLY, defaults=SELDOM) as house:
        (order,) = completed_orders(house, 1)
        answer = await house.track([order], service="1")
        assert (answer["undated"], answer["finish_unknown"]) == (1, 1)
        await house.run(2 * DAY)
        await house.restart()
        await house.run(2 * DAY)
        assert await reason_of(house, order, "monthly") == "value_unknown"
        assert house.order(order).phase is Phase.GUARDED
        await house.run(27 * DAY)
        assert house.panel.journal.requests("refill") == []
        assert house.daemon.watchlist.order("standard", order) is None, "the guard has ended"


async def test_a_finish_that_the_list_tells_is_what_rules_count_from(tmp_path: Path):
    async with a_house(tmp_path, rules=MONTHLY, defaults=SELDOM) as house:
        (order,) = completed_orders(house, 1)
        dates = {"submitted_at": days_ago(house, 40), "finished_at": days_ago(house, 28)}
        answer = await house.track([order], service="1", **dates)
        assert (answer["undated"], answer["finish_unknown"]) == (0, 0)
        await house.run(4 * DAY)
        assert house.panel.journal.sent("refill") in ({int(order): 1}, {int(order): 2})
        assert house.daemon.watchlist.order("standard", order) is None, "the guard has ended"


@pytest.mark.parametrize(
    ("dates", "cause"),
    [
        ({"finished_at": "2099-01-01T00:00:00Z"}, "finished_at lies in the future"),
        (
            {"submitted_at": "2020-01-05T00:00:00Z", "finished_at": "2020-01-01T00:00:00Z"},
            "finished_at lies before submitted_at",
        ),
        ({"finished_at": "2020-01-01T00:00:00"}, "finished_at: add the time zone"),
    ],
)
async def test_a_finish_that_can_not_be_is_refused(tmp_path: Path, dates: dict, cause: str):
    async with a_house(tmp_path) as house:
        answer = await house.track(["1"], **dates)
        assert answer["tracked"] == 0
        assert cause in answer["rejected"][0]["error"]


TRIED = """
[[rules]]
name = "tried"
action = "refill"
when = "order.status == 'completed' && service.refill"
attempts = 1
dry_run = true
"""


@pytest.mark.parametrize("restarted", [False, True])
async def test_a_rule_that_was_tried_acts_once_it_is_no_dry_run(tmp_path: Path, restarted: bool):
    async with a_house(tmp_path, rules=TRIED, defaults=SELDOM) as house:
        (order,) = await house.place(1, quantity=100, services=[1], fate=DONE)
        await house.run(2 * HOUR)
        assert house.panel.journal.requests("refill") == []
        shown = (await house.call("GET", f"/v1/orders/standard/{order}"))["firings"]
        assert [firing["dry_run"] for firing in shown] == [True]
        text = house.path.read_text().replace("dry_run = true", "")
        house.path.write_text(text)
        await (house.restart() if restarted else house.daemon.reload())
        await house.run(HOUR)
        assert house.panel.journal.sent("refill") == {int(order): 1}
        await house.restart()
        await house.run(5 * DAY)
        assert house.panel.journal.sent("refill") == {int(order): 1}, "attempts = 1"


HOURLY = """
[[rules]]
name = "hourly"
action = "notify"
when = "order.status == 'in_progress'"
every = "2h"
"""


async def firings(house: House, order: str) -> int:
    return len((await house.call("GET", f"/v1/orders/standard/{order}"))["firings"])


@pytest.mark.parametrize("restarted", [False, True])
@pytest.mark.parametrize("days", [30.0, 3.0])
async def test_a_clock_that_was_ahead_by_days_holds_no_rule_for_as_long(
    tmp_path: Path, restarted: bool, days: float
):
    async with a_house(tmp_path, rules=HOURLY, defaults=SELDOM) as house:
        fate = Fate(pending=0.0, per_minute=0.0001)
        (order,) = await house.place(1, quantity=1000, services=[1], fate=fate)
        await house.run(0.5 * HOUR)
        assert await firings(house, order) == 1
        house.schedule.set_clock(days * DAY)
        await house.run(0.5 * HOUR)
        assert await firings(house, order) == 2, "every has passed, by this clock"
        if restarted:
            await house.close()
            house.clock.now -= days * DAY
            await house.crashed()
        else:
            house.schedule.set_clock(-days * DAY)
        await house.run(1.8 * HOUR)
        assert await firings(house, order) == 2, "it does not fire again at once"
        await house.run(0.5 * HOUR)
        assert await firings(house, order) == 3, "nor does it wait for the clock to catch up"
        await house.run(1.2 * HOUR)
        await house.restart()
        await house.run(0.2 * HOUR)
        assert await firings(house, order) == 3
        await house.run(HOUR)
        assert await firings(house, order) == 4, "the next firing counts from the newest one"


async def test_a_clock_that_jumps_forward_makes_nothing_wait_for_longer(tmp_path: Path):
    async with a_house(tmp_path, rules=HOURLY, defaults=SELDOM) as house:
        fate = Fate(pending=0.0, per_minute=0.0001)
        (order,) = await house.place(1, quantity=1000, services=[1], fate=fate)
        await house.run(HOUR)
        polls = len(house.panel.journal.requests("status"))
        house.schedule.set_clock(30 * DAY)
        await house.run(0.2 * HOUR)
        assert await firings(house, order) == 2
        assert len(house.panel.journal.requests("status")) > polls
