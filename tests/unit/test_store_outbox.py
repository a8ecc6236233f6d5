"""Alerts and messages on record: all or nothing, in order, through restarts."""

from pathlib import Path

import msgspec
import pytest

from tests.unit.store_kit import opened
from watcher.alerts import Alert, AlertKind, AlertNotice, AlertStage, KnownAlert
from watcher.store import Store

pytestmark = pytest.mark.engines("sqlite", "postgresql")

LOW = Alert(AlertKind.BALANCE_LOW, "p", "4 USD left")
PAUSED = Alert(AlertKind.RULE_PAUSED, "p", "rule 'r' pauses", "r")


def a_notice(alert: Alert = LOW, stage: AlertStage = AlertStage.BEGUN) -> AlertNotice:
    return AlertNotice(alert, stage, 7.0, 5.0)


def test_the_stored_form_of_a_notice_stays():
    stored = (
        b'{"trouble":{"event":"balance_low","panel":"p","text":"4 USD left","subject":""},'
        b'"stage":"begun","at":7.0,"began_at":5.0}'
    )
    assert msgspec.json.decode(stored, type=AlertNotice) == a_notice()
    assert msgspec.json.encode(a_notice()) == stored


async def texts(store: Store, target: str = "phone", limit: int = 10) -> list[str]:
    return [
        notice.alert.text
        for message in await store.outbox.waiting(target, limit)
        for notice in message.notices
    ]


async def test_what_is_known_is_there_after_a_restart(tmp_path: Path):
    low, paused = KnownAlert(LOW, 5.0, notified_at=7.0), KnownAlert(PAUSED, 6.0, gone_at=8.0)
    async with opened(tmp_path) as store:
        both = [("phone", low), ("phone", paused)]
        await store.outbox.keep_notices(
            both, [], [("phone", [a_notice(), a_notice(PAUSED)])], now=7.0
        )
    async with opened(tmp_path) as store:
        assert await store.outbox.known_alerts() == {"phone": [low, paused]}
        (message,) = await store.outbox.waiting("phone", 10)
        assert message.notices == [a_notice(), a_notice(PAUSED)]
        assert (message.queued_at, message.next_at, message.attempts) == (7.0, 7.0, 0)


async def test_an_alert_is_written_anew_and_goes(tmp_path: Path):
    async with opened(tmp_path) as store:
        for target in ("phone", "mail"):
            await store.outbox.keep_notices([(target, KnownAlert(LOW, 5.0))], [], [], now=5.0)
        told = KnownAlert(LOW, 5.0, notified_at=9.0)
        await store.outbox.keep_notices([("phone", told)], [], [], now=9.0)
        assert await store.outbox.known_alerts() == {
            "phone": [told],
            "mail": [KnownAlert(LOW, 5.0)],
        }
        await store.outbox.keep_notices([], [("phone", LOW.key)], [], now=10.0)
        assert await store.outbox.known_alerts() == {"mail": [KnownAlert(LOW, 5.0)]}


async def test_each_target_has_its_own_queue_in_order(tmp_path: Path):
    messages = [("phone", [a_notice()]), ("mail", [a_notice()]), ("phone", [a_notice(PAUSED)])]
    async with opened(tmp_path) as store:
        await store.outbox.keep_notices([], [], messages, now=1.0)
        assert await texts(store) == [LOW.text, PAUSED.text]
        assert await texts(store, limit=1) == [LOW.text]
        assert await store.outbox.queued() == {"phone": (2, 1.0), "mail": (1, 1.0)}


async def test_what_was_told_put_off_or_given_up(tmp_path: Path):
    async with opened(tmp_path) as store:
        await store.outbox.keep_notices([], [], [("phone", [a_notice()])] * 3, now=1.0)
        first, second, third = await store.outbox.waiting("phone", 10)
        await store.outbox.delivered([first.id])
        await store.outbox.put_off([second.id], "HTTP 503", 60.0)
        await store.outbox.give_up([third.id], "HTTP 404")
        (left,) = await store.outbox.waiting("phone", 10)
        assert (left.id, left.attempts, left.error, left.next_at) == (
            second.id, 1, "HTTP 503", 60.0,
        )  # fmt: skip
        assert await store.outbox.given_up() == {"phone": 1}
        assert await store.outbox.queued() == {"phone": (1, 60.0)}
        assert await store.outbox.waiting("phone", 10, due=59.0) == []
        assert len(await store.outbox.waiting("phone", 10, due=60.0)) == 1


async def test_old_messages_go_but_not_those_that_wait(tmp_path: Path):
    async with opened(tmp_path) as store:
        await store.outbox.keep_notices([], [], [("phone", [a_notice()])] * 2, now=1.0)
        first, second = await store.outbox.waiting("phone", 10)
        await store.outbox.give_up([first.id], "HTTP 404")
        await store.outbox.forget_messages(2.0)
        assert await store.outbox.given_up() == {}
        assert [message.id for message in await store.outbox.waiting("phone", 10)] == [second.id]


async def test_targets_are_known_since_they_came_and_go_with_all_that_is_theirs(tmp_path: Path):
    async with opened(tmp_path) as store:
        assert await store.outbox.know_targets(["phone"], now=1.0) == {"phone": 1.0}
        assert await store.outbox.know_targets(["phone", "mail"], now=2.0) == {
            "phone": 1.0,
            "mail": 2.0,
        }
        for target in ("phone", "mail"):
            known = [(target, KnownAlert(LOW, 5.0))]
            await store.outbox.keep_notices(known, [], [(target, [a_notice()])], now=5.0)
        await store.outbox.forget_targets(["mail"])
        assert await store.outbox.know_targets([], now=3.0) == {"mail": 2.0}
        assert list(await store.outbox.known_alerts()) == ["mail"]
        assert list(await store.outbox.queued()) == ["mail"]
