"""Events that a watcher posts: is one genuine? By Standard Webhooks."""

import base64
import binascii
import hashlib
import hmac
import json
import time
from collections.abc import Mapping
from typing import Any, TypedDict, cast

from watcher_client.errors import BadSignature

WINDOW = 300  # seconds by which an event's time may be off: others may send an older one again


class EventState(TypedDict):
    """The order when the event was sent."""

    status: str
    status_text: str | None
    remains: int | None
    start_count: int | None
    charge: str | None
    currency: str | None


class EventData(TypedDict):
    """A change of an order: the old and the new value of each field that differs."""

    panel: str
    order: str
    service: str | None
    quantity: int | None
    reference: str | None
    customer: str | None
    tags: list[str]
    note: str | None
    changes: dict[str, list[Any]]
    current: EventState


class Event(TypedDict):
    """What is posted. `type` is `order.status`, `order.progress` or `order.other`."""

    type: str
    timestamp: str
    data: EventData


def verify(
    secret: str, headers: Mapping[str, str], body: bytes, *, now: float | None = None
) -> Event:
    """Return the event if it was signed with the secret (`whsec_…`) a moment ago.

    `headers` in any case, `body` as it came. BadSignature if it isn't genuine; ValueError if the
    secret is none. An event may come again: remember the header `webhook-id`.
    """
    key = _bytes_of(secret)
    sent = {name.lower(): value for name, value in headers.items()}
    message_id, timestamp = sent.get("webhook-id", ""), sent.get("webhook-timestamp", "")
    if not (timestamp.isascii() and timestamp.isdecimal() and len(timestamp) < 15):
        raise BadSignature("the event has no time")
    if abs((time.time() if now is None else now) - int(timestamp)) > WINDOW:
        raise BadSignature("the event's time is more than 5 minutes off")
    signed = b".".join((message_id.encode(errors="replace"), timestamp.encode(), body))
    wanted = b"v1," + base64.b64encode(hmac.digest(key, signed, hashlib.sha256))
    found = sent.get("webhook-signature", "").encode(errors="replace").split()
    if not any(hmac.compare_digest(wanted, one) for one in found):
        raise BadSignature("the event is not signed with this secret")
    try:
        return cast(Event, json.loads(body))
    except ValueError:
        raise BadSignature("the event is not JSON") from None


def _bytes_of(secret: str) -> bytes:
    try:
        key = base64.b64decode(secret.strip().removeprefix("whsec_"), validate=True)
    except (binascii.Error, ValueError):
        key = b""
    if not key:
        raise ValueError("the secret is not whsec_ and Base64")
    return key
