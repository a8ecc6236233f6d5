"""A receiver of webhooks on loopback: it keeps what it gets, and answers as it is told."""

import asyncio
import json
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from typing import Any

import msgspec
from aiohttp import web

from watcher.common.signatures import secret_of, signature

SECRET = "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw"  # the specification's example


class Delivery(msgspec.Struct):
    """One request."""

    headers: dict[str, str]
    body: bytes
    status: int  # what it was answered

    @property
    def id(self) -> str:
        return self.headers["webhook-id"]

    @property
    def json(self) -> Any:
        return json.loads(self.body)

    def is_signed(self, secret: str = SECRET) -> bool:
        at = int(self.headers["webhook-timestamp"])
        wanted = signature(secret_of(secret), self.id, at, self.body)
        return self.headers.get("webhook-signature") == wanted


class Receiver:
    """`status` is the answer to all; or `judge` gives it for each, and None hangs."""

    def __init__(self) -> None:
        self.url = ""
        self.status = 200
        self.headers: dict[str, str] = {}
        self.judge: Callable[[Any], int | None] = lambda document: self.status
        self.deliveries: list[Delivery] = []

    @property
    def ids(self) -> list[str]:
        return [delivery.id for delivery in self.deliveries]

    @property
    def arrived(self) -> list[Any]:
        """The documents that were accepted, in order."""
        return [d.json for d in self.deliveries if d.status < 300]

    async def take(self, request: web.Request) -> web.Response:
        body = await request.read()
        is_json = request.content_type == "application/json"
        status = self.judge(json.loads(body) if is_json else None)
        headers = {name.lower(): value for name, value in request.headers.items()}
        self.deliveries.append(Delivery(headers, body, status or 999))
        if status is None:
            await asyncio.sleep(3600)
        return web.Response(status=status or 200, headers=self.headers)


@asynccontextmanager
async def a_receiver() -> AsyncIterator[Receiver]:
    receiver = Receiver()
    app = web.Application()
    app.router.add_post("/{tail:.*}", receiver.take)
    runner = web.AppRunner(app, access_log=None, shutdown_timeout=0.1)
    await runner.setup()
    await web.TCPSite(runner, "127.0.0.1", 0).start()
    receiver.url = f"http://127.0.0.1:{runner.addresses[0][1]}/s3cret-path"
    try:
        yield receiver
    finally:
        await runner.cleanup()
