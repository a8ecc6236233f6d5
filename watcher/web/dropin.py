"""`/api/v2`: the panel API for shops, which know nothing of the rest of the web.

A shop is known by its `key`, and told of errors as panels tell of them. A request is taken in any
form in which the PHP of a panel would take it, and in those of usual clients besides.
"""

import asyncio
import hmac
from collections.abc import Iterable
from http import HTTPStatus
from typing import Any

from aiohttp import web

from watcher.config import Shop
from watcher.errors import StoreError
from watcher.panels.protocol.refusals import Refusal
from watcher.panels.protocol.serve import decode_request
from watcher.shops import ACTIONS, Desk
from watcher.web.backend import BACKEND, BODY_WITHIN, TooLarge, TooSlow
from watcher.web.faults import json_answer
from watcher.web.guard import Respond
from watcher.web.rate import Buckets, Seats, TooMany

LARGEST_FORM = 512 * 1024  # bytes: some thousand comments, and all connections at once fit
_IDS = ("order", "orders", "refill", "refills")
AT_ONCE = 128  # that wait for a panel: the other connections are for those who only look

_FAULT = {"type": "object", "required": ["error"], "properties": {"error": {"type": "string"}}}
_FIELDS = ("service", "link", "quantity", *_IDS)
DESCRIPTION: dict[str, Any] = {
    "post": {
        "operationId": "drop_in",
        "summary": (
            f"The panel API, for shops. `action` is {', '.join(ACTIONS)}; what is wrong or missing "
            "is told as panels tell it. Further fields of `add` go to the panel, with names of "
            "a to z, 0 to 9 and _. A JSON body, multipart, a query with GET and a slash at the "
            "end of the path are taken, too."
        ),
        "security": [],
        "requestBody": {
            "content": {
                "application/x-www-form-urlencoded": {
                    "schema": {
                        "type": "object",
                        "properties": {
                            name: {"type": "string"} for name in ("key", "action", *_FIELDS)
                        },
                        "additionalProperties": {"type": "string"},
                    }
                }
            },
        },
        "responses": {
            "200": {
                "description": "The answer of a panel, or its error.",
                "content": {"application/json": {"schema": {"type": ["object", "array"]}}},
            },
            **{
                str(status): {
                    "description": HTTPStatus(status).phrase,
                    "content": {"application/json": {"schema": _FAULT}},
                }
                for status in (403, 408, 421, 429, 503)
            },
        },
    }
}


def drop_in(desk: Desk) -> Respond:
    """Return the handler of all shops' requests."""
    buckets: dict[tuple[str, float], Buckets] = {}
    seats = Seats(AT_ONCE)

    async def respond(request: web.Request) -> web.Response:
        backend = request.app[BACKEND]
        sent = await _sent(request)
        if sent is None:
            return json_answer(200, {"error": Refusal.REQUEST.text})
        shop = _shop_of(
            backend.config.current.shops, sent.get("key", "").strip() or _key_of(request)
        )
        if shop is None:
            return json_answer(200, {"error": Refusal.KEY.text})
        sent["action"] = sent.get("action", "").strip().lower()
        action = sent["action"] if sent["action"] in ACTIONS else "other"
        backend.metrics.shop_requests.labels(shop.name, action).inc()
        try:
            _check_rate(shop, buckets)
            with seats:
                answer = await desk.answer(shop, sent)
        except (TooMany, StoreError):
            backend.metrics.shop_failures.labels(shop.name, action).inc()
            raise
        failed = isinstance(answer, dict) and "error" in answer
        backend.metrics.shop_failures.labels(shop.name, action).inc(int(failed))
        return json_answer(200, answer)

    return respond


async def _sent(request: web.Request) -> dict[str, str] | None:
    """Return the fields of the request, None where it has none that can be read."""
    if request.method not in ("GET", "POST"):
        return None
    body, query = await _body(request), request.rel_url.raw_query_string
    try:
        return decode_request(query, body, request.headers.get("Content-Type", ""))
    except ValueError:
        return None


def _key_of(request: web.Request) -> str:
    """Return the key in a header, where some clients have it."""
    scheme, _, given = request.headers.get("Authorization", "").partition(" ")
    bearer = given if scheme.lower() == "bearer" else ""
    return request.headers.get("X-API-Key", "").strip() or bearer.strip()


async def _body(request: web.Request) -> bytes:
    """No more of it is held than a form may have: nobody knows yet whose it is."""
    body = bytearray()
    try:
        async with asyncio.timeout(BODY_WITHIN):
            async for chunk in request.content.iter_chunked(65536):
                body += chunk
                if len(body) > LARGEST_FORM:
                    raise TooLarge(f"a form of more than {LARGEST_FORM:,} bytes")
    except TimeoutError:
        raise TooSlow from None
    return bytes(body)


def _shop_of(shops: Iterable[Shop], key: str) -> Shop | None:
    """Whose key it is; each is compared, in a time that does not tell how much of it is right."""
    given, found = key.strip().encode(errors="replace"), None
    for shop in shops:
        if hmac.compare_digest(shop.key.reveal().encode(), given):
            found = shop
    return found


def _check_rate(shop: Shop, buckets: dict[tuple[str, float], Buckets]) -> None:
    per_minute = shop.requests_per_minute
    bucket = buckets.setdefault((shop.name, per_minute), Buckets(per_minute / 60.0, per_minute))
    wait = bucket.wait(shop.name)
    if wait:
        raise TooMany(Refusal.RATE.text, wait)
    bucket.take(shop.name)
