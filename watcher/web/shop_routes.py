"""`/api/v2`: the panel API for shops, the only path that they can use.

A shop is identified by its `key`, and gets errors in the form of panels. A request may have any
form that a panel's PHP reads, or that common clients send.
"""

import asyncio
import hmac
from collections.abc import Iterable
from http import HTTPStatus
from typing import Any

from aiohttp import web

from watcher.config import Shop
from watcher.errors import NotLed, StoreError
from watcher.panels.protocol.refusals import Refusal
from watcher.panels.protocol.serve import decode_request
from watcher.shop_api import ACTIONS, ShopHandlers
from watcher.web.context import BODY_WITHIN, CONTEXT, TooLarge, TooSlow
from watcher.web.error_answers import json_answer
from watcher.web.forwarding import AnswerLost
from watcher.web.guard import Respond
from watcher.web.hop import hop_of
from watcher.web.rate_limit import ConcurrencyLimit, TokenBuckets, TooMany
from watcher.web.shop_parts import answer_for

LARGEST_FORM = 512 * 1024  # bytes: some thousand comments, and all connections at once fit
_IDS = ("order", "orders", "refill", "refills")
AT_ONCE = 128  # requests that wait for a panel: the other connections are for reads

_FAULT = {"type": "object", "required": ["error"], "properties": {"error": {"type": "string"}}}
_FIELDS = ("service", "link", "quantity", *_IDS)
DESCRIPTION: dict[str, Any] = {
    "post": {
        "operationId": "drop_in",
        "summary": (
            f"The panel API, for shops. `action` is {', '.join(ACTIONS)}; errors have the form "
            "that panels use. Further fields of `add` go to the panel, with names of "
            "a to z, 0 to 9 and _. A JSON body, multipart, a query with GET and a slash at the "
            "end of the path are accepted, too."
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


def drop_in(handlers: ShopHandlers) -> Respond:
    """Return the handler of all shops' requests."""
    buckets: dict[tuple[str, float], TokenBuckets] = {}
    limit = ConcurrencyLimit(AT_ONCE)

    async def respond(request: web.Request) -> web.Response:
        context = request.app[CONTEXT]
        sent = await _sent(request)
        if sent is None:
            return json_answer(200, {"error": Refusal.REQUEST.text})
        shop = _shop_of(
            context.config.current.shops, sent.get("key", "").strip() or _key_of(request)
        )
        if shop is None:
            return json_answer(200, {"error": Refusal.KEY.text})
        sent["action"] = sent.get("action", "").strip().lower()
        action = sent["action"] if sent["action"] in ACTIONS else "other"
        if hop_of(request) is not None:  # counted by the node that the shop asked
            return json_answer(200, await handlers.answer(shop, sent))
        context.metrics.shop_requests.labels(shop.name, action).inc()
        try:
            _check_rate(shop, buckets)
            with limit:
                answer = await answer_for(request, handlers, shop, sent)
        except (TooMany, NotLed, AnswerLost, StoreError):
            context.metrics.shop_failures.labels(shop.name, action).inc()
            raise
        failed = isinstance(answer, dict) and "error" in answer
        context.metrics.shop_failures.labels(shop.name, action).inc(int(failed))
        return json_answer(200, answer)

    return respond


async def _sent(request: web.Request) -> dict[str, str] | None:
    """Return the fields of the request, None where they can't be read."""
    if request.method not in ("GET", "POST"):
        return None
    body, query = await _body(request), request.rel_url.raw_query_string
    try:
        return decode_request(query, body, request.headers.get("Content-Type", ""))
    except ValueError:
        return None


def _key_of(request: web.Request) -> str:
    """Return the key in a header, which some clients use."""
    scheme, _, given = request.headers.get("Authorization", "").partition(" ")
    bearer = given if scheme.lower() == "bearer" else ""
    return request.headers.get("X-API-Key", "").strip() or bearer.strip()


async def _body(request: web.Request) -> bytes:
    """Read the body up to the size of a form: the sender is not known yet."""
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
    """Return the shop with this key, in constant time."""
    given, found = key.strip().encode(errors="replace"), None
    for shop in shops:
        if hmac.compare_digest(shop.key.reveal().encode(), given):
            found = shop
    return found


def _check_rate(shop: Shop, buckets: dict[tuple[str, float], TokenBuckets]) -> None:
    per_minute = shop.requests_per_minute
    bucket = buckets.setdefault(
        (shop.name, per_minute), TokenBuckets(per_minute / 60.0, per_minute)
    )
    bucket.take(shop.name, Refusal.RATE.text)
