"""People are told of troubles: once, again in long intervals, at their end, whatever fails."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from decimal import Decimal
from pathlib import Path
from typing import Any

import msgspec
import pytest

from tests.support.clockwork import Clock
from tests.support.house import House, a_house
from tests.support.process import DaemonProcess
from tests.support.receiver import SECRET, Receiver, a_receiver
from tests.unit.store_kit import opened
from watcher.alerts import Alert, AlertKind, AlertNotice, AlertStage
from watcher.config import NotifyTarget, Secret
from watcher.errors import StoreFull
from watcher.events.retries import TRIES
from watcher.metrics import Metrics
from watcher.notify.worker import NotifyWorker
from watcher.panels.profiles import shipped
from watcher.simulator import SimulatedPanel
from watcher.simulator.fate import Ending, Fate
from watcher.simulator.traits import Trait

MINUTE, HOUR, DAY = 60.0, 3600.0, 86400.0
LOW = 'low_balance = "25.00"\n'
PHONE = '[[notify]]\nname = "phone"\nsecret_env = "SECRET"\n'


@asynccontextmanager
async def told(
    tmp_path: Path, *, notify: str = PHONE, rules: str = "", env: dict[str, str] | None = None,
    **options: Any,
) -> AsyncIterator[tuple[House, Receiver]]:  # fmt: skip
    async with a_receiver() as receiver:
        known = {"PHONE_URL": receiver.url, "SECRET": SECRET, **(env or {})}
        async with a_house(tmp_path, rules=rules + notify, env=known, **options) as house:
            yield house, receiver


def notices(receiver: Receiver) -> list[tuple[str, str]]:
    return [(n["event"], n["stage"]) for d in receiver.arrived for n in d["notices"]]


def set_balance(house: House, amount: str) -> None:
    house.panel.world.set_balance(amount, house.panel.now())


async def test_a_low_balance_its_end_and_what_a_phone_shows(tmp_path: Path):
    async with told(tmp_path, defaults=LOW) as (house, receiver):
        await house.run(10 * MINUTE)
        assert receiver.deliveries == []
        set_balance(house, "4.50")
        await house.run(6 * MINUTE)
        (delivery,) = receiver.deliveries
        assert delivery.is_signed()
        assert delivery.json["type"] == "notification"
        assert delivery.json["title"] == "watcher: balance low at standard"
        assert delivery.json["text"] == "balance low at standard: 4.5 USD left"
        assert delivery.json["notices"][0]["panel"] == "standard"
        set_balance(house, "90")
        await house.run(10 * MINUTE)
        assert notices(receiver) == [("balance_low", "begun"), ("balance_low", "over")]
        assert receiver.arrived[1]["text"].startswith("balance low at standard, over (")
        assert await house.metric("notifications_total", notifier="phone") == 2
        assert await house.metric("notifications_queued", notifier="phone") == 0


async def test_the_hours_that_are_left_at_what_was_spent(tmp_path: Path):
    async with told(tmp_path, defaults=LOW) as (house, receiver):
        for amount in ("50", "40", "30", "20"):
            set_balance(house, amount)
            await house.run(30 * MINUTE)
        (message,) = receiver.arrived
        assert message["text"] == "balance low at standard: 20 USD left, enough for 1 hour"


async def test_what_lasts_is_told_again_and_a_restart_tells_nothing_anew(tmp_path: Path):
    notify = f'{PHONE}repeat_every = "1h"\n'
    async with told(tmp_path, defaults=LOW, notify=notify) as (house, receiver):
        set_balance(house, "1")
        await house.run(10 * MINUTE)
        await house.restart()
        await house.run(40 * MINUTE)
        assert notices(receiver) == [("balance_low", "begun")]
        await house.run(30 * MINUTE)
        assert notices(receiver) == [("balance_low", "begun"), ("balance_low", "lasts")]


async def test_what_comes_up_together_is_one_message(tmp_path: Path):
    panels = ["standard", "smmgenie", "smmxz"]
    async with told(tmp_path, defaults=LOW, profiles=panels) as (house, receiver):
        await house.run(MINUTE)
        for panel in house.panels.values():
            panel.world.set_balance("1", panel.now())
        await house.run(6 * MINUTE)
        (message,) = receiver.arrived
        assert message["title"].endswith(", and 2 more")
        assert {notice["panel"] for notice in message["notices"]} == set(panels)


async def test_a_panel_that_goes_down_and_stays_so_over_a_restart(tmp_path: Path):
    async with told(tmp_path) as (house, receiver):
        await house.place(3, fate=Fate(per_minute=0.001))
        await house.run(10 * MINUTE)
        house.panel.switches.on(Trait.HTML_503)
        await house.run(20 * MINUTE)
        assert notices(receiver) == [("panel_down", "begun")]
        await house.restart()
        await house.run(20 * MINUTE)
        assert notices(receiver) == [("panel_down", "begun")], "nobody knows that it is over"
        house.panel.switches.off()
        await house.run(20 * MINUTE)
        assert notices(receiver) == [("panel_down", "begun"), ("panel_down", "over")]


async def test_a_panel_that_never_answers_is_told_of(tmp_path: Path):
    async with told(tmp_path, traits=[Trait.HTML_503]) as (house, receiver):
        await house.place(1, fate=Fate())
        await house.run(15 * MINUTE)
        assert ("panel_down", "begun") in notices(receiver)


async def test_orders_that_stall_and_actions_that_nobody_knows_of(tmp_path: Path):
    async with told(tmp_path, defaults='stalled_after = "30m"\n') as (house, receiver):
        first, *_ = await house.place(2, services=[1], fate=Fate(pending=30.0, per_minute=9999.0))
        await house.place(1, fate=Fate(ending=Ending.STALLED, share=0.1))
        await house.run(15 * MINUTE)
        house.panel.switches.on(Trait.CLOSE_AFTER, action="refill")
        await house.call("POST", f"/v1/orders/standard/{first}/refill", status=202)
        await house.run(MINUTE)
        assert notices(receiver) == [("action_unresolved", "begun")]
        await house.run(40 * MINUTE)
        assert notices(receiver)[1:] == [("order_stalled", "begun")]


TELL = """
[[rules]]
name = "tell"
action = "notify"
when = "order.status == 'completed'"
per_hour = 3
"""


async def test_a_rule_that_tells_names_the_order_and_pauses_by_its_brake(tmp_path: Path):
    async with told(tmp_path, rules=TELL) as (house, receiver):
        (order,) = await house.place(1, fate=Fate(per_minute=9999.0))
        await house.run(10 * MINUTE)
        (message,) = receiver.arrived
        assert message["text"].startswith(
            f"rule fired at standard: rule 'tell' fires for order {order}: "
        )
        await house.place(9, fate=Fate(per_minute=9999.0))
        await house.run(HOUR / 2)
        found = notices(receiver)
        assert found.count(("rule_fired", "once")) == 3
        assert found.count(("rule_paused", "begun")) == 1
        await house.restart()
        await house.run(10 * MINUTE)
        assert notices(receiver).count(("rule_fired", "once")) == 3, "a restart tells none again"


async def test_a_dry_run_tells_nobody(tmp_path: Path):
    async with told(tmp_path, rules=f"{TELL}dry_run = true\n") as (house, receiver):
        await house.place(1, fate=Fate(per_minute=9999.0))
        await house.run(20 * MINUTE)
        assert house.daemon.rule_engine.firings["tell"] == 1
        assert receiver.deliveries == []


async def test_what_fired_before_the_target_was_there_is_not_told(tmp_path: Path):
    async with told(tmp_path, rules=TELL, notify="") as (house, receiver):
        await house.place(1, fate=Fate(per_minute=9999.0))
        await house.run(20 * MINUTE)
        house.path.write_text(house.path.read_text() + PHONE)
        await house.daemon.reload()
        await house.run(10 * MINUTE)
        assert receiver.deliveries == []
        await house.place(1, fate=Fate(per_minute=9999.0))
        await house.run(20 * MINUTE)
        assert notices(receiver) == [("rule_fired", "once")]


async def test_refills_that_are_rejected(tmp_path: Path):
    fate = Fate(pending=30.0, per_minute=9999.0, refill_takes=300.0, refill_granted=False)
    async with told(tmp_path) as (house, receiver):
        (order,) = await house.place(1, services=[1], fate=fate)
        await house.run(20 * MINUTE)
        await house.call("POST", f"/v1/orders/standard/{order}/refill", status=202)
        await house.run(20 * MINUTE)
        (message,) = receiver.arrived
        assert message["notices"][0]["event"] == "refill_rejected"
        assert f"of order {order} was rejected" in message["text"]


ASKS = """
[[rules]]
name = "asks"
action = "refill"
when = "order.status == 'completed' && service.refill"
attempts = 1
"""


@pytest.mark.parametrize("granted", [False, True])
async def test_refills_that_a_rule_asks_for_are_told_of_only_where_that_is_wanted(
    tmp_path: Path, granted: bool
):
    fate = Fate(pending=30.0, per_minute=9999.0, refill_takes=300.0, refill_granted=granted)
    loud = '[[notify]]\nname = "loud"\nurl_env = "PHONE_URL"\non = ["refill_rejected"]\n'
    async with told(tmp_path, rules=ASKS, notify=PHONE + loud) as (house, receiver):
        await house.place(1, services=[1], fate=fate)
        await house.run(40 * MINUTE)
        assert sum(house.panel.journal.sent("refill").values()) == 1
        events = [n["event"] for d in receiver.deliveries for n in d.json["notices"]]
        assert events == ([] if granted else ["refill_rejected"]), "only the loud one is told"


@pytest.mark.parametrize(("on", "most"), [("", 1), ('on = ["refill_rejected"]\n', 7)])
async def test_300_refused_refills_make_few_messages_in_an_hour(tmp_path: Path, on: str, most: int):
    fate = Fate(pending=30.0, per_minute=9999.0, refill_takes=300.0, refill_granted=False)
    async with told(tmp_path, rules=ASKS, notify=f"{PHONE}{on}") as (house, receiver):
        await house.place(300, services=[1], fate=fate)
        await house.run(HOUR)
        assert sum(house.panel.journal.sent("refill").values()) >= 200
        assert len(receiver.arrived) <= most
        events = {event for event, _ in notices(receiver)}
        assert events == ({"refill_rejected"} if on else {"rule_paused"})
        fired = (await house.daemon.store.recent.latest(house.clock())).fired["asks"]
        assert fired.refused >= 200, "the page counts them"


async def test_prices_and_services_that_matter_to_open_orders(tmp_path: Path):
    async with told(tmp_path, defaults='services_every = "10m"\n') as (house, receiver):
        (order,) = await house.place(1, services=[1], fate=Fate(per_minute=0.0001))
        await house.place(1, services=[2], fate=Fate(per_minute=0.0001))
        await house.run(MINUTE)
        assert house.order(order).service == "1"
        world = house.panel.world
        for number, service in enumerate(world.services.values()):
            if service.service in (1, 4):
                risen = msgspec.structs.replace(service, rate=service.rate + Decimal(1))
                world.services[list(world.services)[number]] = risen
        for number in (2, 5):
            del world.services[next(k for k, s in world.services.items() if s.service == number)]
        await house.run(30 * MINUTE)
        found = {n["text"] for d in receiver.arrived for n in d["notices"]}
        assert found == {
            "service 1 (Followers [30 days refill]) costs 1.90 for 1,000; it was 0.90",
            "service 2 (Followers, real [no refill]) is no longer listed",
        }


# --- what fails ---------------------------------------------------------------------------------


@pytest.mark.parametrize("status", [429, 500, 404])
async def test_what_is_refused_is_sent_again_with_the_same_id(tmp_path: Path, status: int):
    async with told(tmp_path, defaults=LOW) as (house, receiver):
        receiver.status = status
        set_balance(house, "1")
        await house.run(30 * MINUTE)
        tries = len(receiver.deliveries)
        assert 6 <= tries <= 8, "with growing pauses"
        assert await house.metric("notifications_queued", notifier="phone") == 1
        assert await house.metric("notification_failures_total", notifier="phone") == tries
        (target,) = (await house.call("GET", "/v1/notify"))["targets"]
        assert (target["queued"], target["error"]) == (1, f"HTTP {status}")
        items = (await house.call("GET", "/v1/attention"))["attention"]
        assert [item["kind"] for item in items] == ["balance_low", "messages_undelivered"]
        await house.restart()
        receiver.status = 200
        await house.run(HOUR)
        assert notices(receiver) == [("balance_low", "begun")]
        assert len(set(receiver.ids)) == 1
        assert len(receiver.deliveries) == tries + 1
        assert [delivery.is_signed() for delivery in receiver.deliveries] == [True] * (tries + 1)
        assert await house.metric("notifications_queued", notifier="phone") == 0


async def test_a_receiver_can_say_how_long_it_wants_to_be_left_alone(tmp_path: Path):
    async with told(tmp_path, defaults=LOW) as (house, receiver):
        receiver.status, receiver.headers = 429, {"Retry-After": "1800"}
        set_balance(house, "1")
        await house.run(50 * MINUTE)
        assert len(receiver.deliveries) == 2


async def test_who_is_gone_is_not_asked_again(tmp_path: Path):
    async with told(tmp_path, defaults=LOW) as (house, receiver):
        receiver.status = 410
        set_balance(house, "1")
        await house.run(20 * MINUTE)
        assert len(receiver.deliveries) == 1
        (target,) = (await house.call("GET", "/v1/notify"))["targets"]
        assert (target["queued"], target["given_up"]) == (0, 1)


async def test_after_three_days_a_message_is_given_up(tmp_path: Path):
    """The worker alone: nothing else happens in these days."""
    clock, alert = Clock(), Alert(AlertKind.BALANCE_LOW, "p", "1 USD left")
    async with a_receiver() as receiver, opened(tmp_path) as store:
        receiver.status = 500
        queued = [("phone", [AlertNotice(alert, AlertStage.BEGUN, clock(), clock())])]
        await store.outbox.keep_notices([], [], queued, now=clock())
        notify_worker = NotifyWorker(
            a_target(receiver), store=store, metrics=Metrics(), clock=clock
        )
        began = clock()
        while (next_at := await notify_worker.run_once(clock())) is not None:
            clock.now = next_at
        assert 3 * DAY <= clock() - began <= 3 * DAY + HOUR
        assert 70 <= len(receiver.deliveries) <= TRIES + 1
        assert await store.outbox.given_up() == {"phone": 1}
        assert notify_worker.error == "HTTP 500"
        await notify_worker.close()


def a_target(receiver: Receiver) -> NotifyTarget:
    return NotifyTarget(
        name="phone",
        url=Secret(receiver.url),
        secret=None,
        on=frozenset(AlertKind),
        repeat_every=DAY,
        format="json",
    )


async def test_a_target_that_fails_holds_up_no_other(tmp_path: Path):
    async with a_receiver() as other:
        notify = f'{PHONE}[[notify]]\nname = "mail"\n'
        env = {"MAIL_URL": other.url}
        async with told(tmp_path, defaults=LOW, notify=notify, env=env) as (house, receiver):
            receiver.status = 500
            set_balance(house, "1")
            await house.run(10 * MINUTE)
            assert receiver.arrived == []
            assert notices(other) == [("balance_low", "begun")]
            assert "webhook-signature" not in other.deliveries[0].headers


async def test_while_one_target_hangs_the_other_is_told(tmp_path: Path):
    """In real time: the daemon's own schedule runs the couriers side by side."""
    notify = f'{PHONE}[[notify]]\nname = "mail"\n'
    async with (
        a_receiver() as hanging,
        a_receiver() as other,
        SimulatedPanel(shipped()["standard"], key="key-of-the-tests") as panel,
    ):
        hanging.judge = lambda document: None
        panel.world.set_balance("1", panel.now())
        env = {"PHONE_URL": hanging.url, "MAIL_URL": other.url, "SECRET": SECRET}
        daemon = DaemonProcess(tmp_path, {"p": panel}, defaults=LOW, rules=notify, env=env)
        await daemon.start()
        try:
            await until(lambda: other.deliveries and hanging.deliveries)
            assert notices(other) == [("balance_low", "begun")]
            # Killed while the other message is under way: it is sent again, as the same.
            await daemon.kill()
            hanging.judge = lambda document: 200
            await daemon.start()
            await until(lambda: hanging.arrived)
            assert len(set(hanging.ids)) == 1
            assert "s3cret" not in daemon.text()
            assert SECRET not in daemon.text()
        finally:
            await daemon.stop()


async def until(condition: Any, seconds: float = 60.0) -> None:
    async with asyncio.timeout(seconds):
        while not condition():
            await asyncio.sleep(0.02)


async def test_what_could_not_be_recorded_as_sent_is_sent_again_as_the_same(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    async with told(tmp_path, defaults=LOW) as (house, receiver):

        async def full(ids: object) -> None:
            raise StoreFull

        monkeypatch.setattr(house.daemon.store.outbox, "delivered", full)
        set_balance(house, "1")
        with pytest.raises(StoreFull):
            await house.run(10 * MINUTE)
        await house.restart()
        await house.run(MINUTE)
        assert len(receiver.deliveries) == 2
        assert len(set(receiver.ids)) == 1


async def test_what_could_not_be_queued_is_queued_later(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    async with told(tmp_path, defaults=LOW) as (house, receiver):
        set_balance(house, "1")
        keep = house.daemon.store.outbox.keep_notices

        async def full(*args: object, **more: object) -> None:
            raise StoreFull

        monkeypatch.setattr(house.daemon.store.outbox, "keep_notices", full)
        with pytest.raises(StoreFull):
            await house.run(10 * MINUTE)
        monkeypatch.setattr(house.daemon.store.outbox, "keep_notices", keep)
        house.schedule.wake("notices")
        await house.run(MINUTE)
        assert notices(receiver) == [("balance_low", "begun")]


async def test_a_price_that_could_not_be_queued_is_told_later(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    async with told(tmp_path, defaults='services_every = "10m"\n') as (house, receiver):
        await house.place(1, services=[1], fate=Fate(per_minute=0.0001))
        await house.run(MINUTE)
        services = house.panel.world.services
        for key, service in services.items():
            services[key] = msgspec.structs.replace(service, rate=service.rate * 2)
        keep = house.daemon.store.outbox.keep_notices

        async def full(*args: object, **more: object) -> None:
            raise StoreFull

        monkeypatch.setattr(house.daemon.store.outbox, "keep_notices", full)
        with pytest.raises(StoreFull):
            await house.run(20 * MINUTE)
        monkeypatch.setattr(house.daemon.store.outbox, "keep_notices", keep)
        house.schedule.wake("notices")
        await house.run(MINUTE)
        assert notices(receiver) == [("price_rise", "once")]


# --- the forms ----------------------------------------------------------------------------------


async def test_plain_text_for_a_push_service(tmp_path: Path):
    async with told(tmp_path, defaults=LOW, notify=f'{PHONE}format = "text"\n') as (
        house,
        receiver,
    ):
        set_balance(house, "1")
        await house.run(10 * MINUTE)
        (delivery,) = receiver.deliveries
        assert delivery.body == b"balance low at standard: 1 USD left"
        assert delivery.headers["x-title"] == "watcher: balance low at standard"
        assert delivery.headers["content-type"] == "text/plain; charset=utf-8"
        assert delivery.is_signed()


async def test_by_apprise(tmp_path: Path):
    async with a_receiver() as chat:
        env = {"CHAT_URL": chat.url.replace("http://", "json://")}
        notify = '[[notify]]\nname = "chat"\n'
        async with told(tmp_path, defaults=LOW, notify=notify, env=env) as (house, _):
            chat.status = 500
            set_balance(house, "1")
            await house.run(MINUTE)
            assert await house.metric("notification_failures_total", notifier="chat") >= 1
            chat.status = 200
            await house.run(10 * MINUTE)
            (message,) = chat.arrived
            assert message["title"] == "watcher: balance low at standard"
            assert message["message"] == "balance low at standard: 1 USD left"


# --- by hand ------------------------------------------------------------------------------------


async def test_a_test_message(tmp_path: Path):
    async with told(tmp_path) as (house, receiver):
        answer = await house.call("POST", "/v1/notify/phone/test")
        assert answer == {"name": "phone", "arrived": True}
        (delivery,) = receiver.deliveries
        assert delivery.json["type"] == "test"
        assert delivery.is_signed()
        receiver.status = 500
        fault = await house.call("POST", "/v1/notify/phone/test", status=502)
        assert fault["error"] == {"code": "undelivered", "message": "phone: HTTP 500"}
        await house.call("POST", "/v1/notify/nobody/test", status=404)


async def test_targets_change_with_a_reload(tmp_path: Path):
    async with a_receiver() as other:
        env = {"MAIL_URL": other.url}
        async with told(tmp_path, defaults=LOW, env=env) as (house, receiver):
            set_balance(house, "1")
            await house.run(10 * MINUTE)
            text = house.path.read_text()
            house.path.write_text(text.replace(PHONE, '[[notify]]\nname = "mail"\n'))
            await house.daemon.reload()
            await house.run(10 * MINUTE)
            assert notices(other) == [("balance_low", "begun")]
            assert len(receiver.deliveries) == 1
            scraped = await house.scrape()
            assert 'notifier="mail"' in scraped
            assert 'notifier="phone"' not in scraped
            house.path.write_text(text.replace(PHONE, ""))
            await house.daemon.reload()
            assert "notices" not in house.schedule.tasks
            await house.run(MINUTE)
            assert await house.daemon.store.outbox.known_alerts() == {}
