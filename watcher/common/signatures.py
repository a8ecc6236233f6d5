"""Signatures of messages to other programs, by Standard Webhooks.

Three headers: `webhook-id`, equal at each attempt, by which a receiver drops duplicates;
`webhook-timestamp`, in Unix seconds, by which it refuses old messages; `webhook-signature`, an HMAC
over id, timestamp and body. Source: the specification of standardwebhooks.com, version 1.
"""

import base64
import binascii
import hashlib
import hmac

PREFIX = "whsec_"
_SHORTEST, _LONGEST = 24, 64  # bytes of a secret


def secret_of(text: str) -> bytes:
    """Return the bytes of a secret, written as whsec_ and Base64; ValueError for anything else."""
    try:
        secret = base64.b64decode(text.strip().removeprefix(PREFIX), validate=True)
    except (binascii.Error, ValueError):
        raise ValueError(f"it is not {PREFIX} and Base64") from None
    if not _SHORTEST <= len(secret) <= _LONGEST:
        raise ValueError(f"it has {len(secret)} bytes, not {_SHORTEST} to {_LONGEST}")
    return secret


def signature(secret: bytes, message_id: str, timestamp: int, body: bytes) -> str:
    """Return the value of `webhook-signature`."""
    signed = b".".join((message_id.encode(), str(timestamp).encode(), body))
    return "v1," + base64.b64encode(hmac.digest(secret, signed, hashlib.sha256)).decode()


def headers(secret: bytes | None, message_id: str, now: float, body: bytes) -> dict[str, str]:
    """Return the headers of a message; without a secret it is not signed."""
    timestamp = int(now)
    found = {"webhook-id": message_id, "webhook-timestamp": str(timestamp)}
    if secret is not None:
        found["webhook-signature"] = signature(secret, message_id, timestamp, body)
    return found
