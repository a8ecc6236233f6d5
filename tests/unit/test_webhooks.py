"""Webhooks: signed so that any receiver's library takes them, and what an answer means."""

import base64
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import pytest
from aiohttp import web

from watcher.common.signatures import headers, secret_of, signature
from watcher.errors import Undelivered
from watcher.events.webhook import Webhook

SECRET = "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw"  # the specification's example


def test_the_signature_is_the_specifications():
    body = b'{"test": 2432232314}'
    found = signature(secret_of(SECRET), "msg_p5jXN8AQM9LWM0D4loKWxJek", 1614265330, body)
    assert found == "v1,g0hM9SsE+OTPJTGt/tmIKtSyZlE3uFJELVlNIOLJ1OE="


def test_a_message_without_a_secret_is_not_signed():
    assert "webhook-signature" not in headers(None, "1", 5.0, b"")
    assert headers(None, "1", 5.9, b"")["webhook-timestamp"] == "5"


@pytest.mark.parametrize(
    ("text", "cause"),
    [
        ("whsec_!!!", "not whsec_ and Base64"),
        ("whsec_" + base64.b64encode(b"x" * 23).decode(), "23 bytes, not 24 to 64"),
        ("whsec_" + base64.b64encode(b"x" * 65).decode(), "65 bytes"),
    ],
)
def test_a_bad_secret_is_refused(text: str, cause: str):
    with pytest.raises(ValueError, match=cause):
        secret_of(text)


class Received:
    def __init__(self, status: int) -> None:
        self.status = status
        self.headers = {"Location": "/elsewhere"}
        self.requests: list[tuple[dict[str, str], bytes]] = []

    async def take(self, request: web.Request) -> web.Response:
        self.requests.append((dict(request.headers), await request.read()))
        return web.Response(status=self.status, headers=self.headers)


@asynccontextmanager
async def receiver(status: int) -> AsyncIterator[tuple[Received, Webhook]]:
    received = Received(status)
    app = web.Application()
    app.router.add_post("/hook", received.take)
    runner = web.AppRunner(app, access_log=None)
    await runner.setup()
    await web.TCPSite(runner, "127.0.0.1", 0).start()
    webhook = Webhook(f"http://127.0.0.1:{runner.addresses[0][1]}/hook", secret_of(SECRET))
    try:
        yield received, webhook
    finally:
        await webhook.close()
        await runner.cleanup()


async def test_it_arrives_with_what_its_receiver_has_to_check():
    async with receiver(204) as (received, webhook):
        await webhook.send("m1", b'{"a": 1}', 1000.5)
        ((sent, body),) = received.requests
    assert body == b'{"a": 1}'
    assert sent["webhook-id"] == "m1"
    assert sent["webhook-timestamp"] == "1000"
    assert sent["webhook-signature"] == signature(secret_of(SECRET), "m1", 1000, body)
    assert sent["Content-Type"] == "application/json"


@pytest.mark.parametrize(
    ("status", "for_good"), [(500, False), (404, False), (302, False), (410, True)]
)
async def test_a_refusal(status: int, for_good: bool):
    async with receiver(status) as (received, webhook):
        with pytest.raises(Undelivered, match=f"HTTP {status}") as caught:
            await webhook.send("m1", b"{}", 1000.0)
        assert caught.value.for_good is for_good
        assert len(received.requests) == 1  # a redirection is not followed


@pytest.mark.parametrize(
    ("status", "header", "seconds"),
    [
        (503, "120", 120.0),
        (503, "9" * 500, 3600.0),
        (503, "Wed, 21 Oct 2026 07:28:00 GMT", 0.0),
        (500, "", 0.0),
        (429, "", 1.0),
    ],
)
async def test_how_long_it_wants_to_be_left_alone(status: int, header: str, seconds: float):
    async with receiver(status) as (received, webhook):
        received.headers = {"Retry-After": header}
        with pytest.raises(Undelivered) as caught:
            await webhook.send("m1", b"{}", 1000.0)
        assert caught.value.retry_after == seconds


async def test_nobody_is_there_and_the_url_stays_secret():
    webhook = Webhook("http://127.0.0.1:9/hook/s3cret-in-the-path", None)
    with pytest.raises(Undelivered) as caught:
        await webhook.send("m1", b"{}", 1000.0)
    assert "s3cret" not in str(caught.value)
    assert caught.value.__cause__ is None
    await webhook.close()
