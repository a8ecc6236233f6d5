"""The Python client's check of an event's signature."""

import json
from pathlib import Path
from typing import Any, get_type_hints

import pytest

from tests.support.receiver import SECRET
from watcher.common.signatures import headers, secret_of
from watcher_client.errors import BadSignature
from watcher_client.events import EventData, EventState, verify

NOW = 1_780_000_000.0
BODY = json.dumps({"type": "order.status", "data": {"panel": "p", "order": "7"}}).encode()
PAGE = (Path(__file__).parents[2] / "docs" / "events.md").read_text()
GOOD = headers(secret_of(SECRET), "evt_1", NOW, BODY)


def test_a_genuine_event() -> None:
    assert verify(SECRET, GOOD, BODY, now=NOW)["data"]["order"] == "7"
    capitals = {name.title(): value for name, value in GOOD.items()}
    assert verify(SECRET, capitals, BODY, now=NOW + 300)["type"] == "order.status"
    two = {**GOOD, "webhook-signature": f"v1,x {GOOD['webhook-signature']}"}
    assert verify(SECRET, two, BODY, now=NOW - 300)


@pytest.mark.parametrize(
    ("change", "body", "late"),
    [
        ({}, BODY + b" ", 0),
        ({}, BODY, 301),
        ({}, BODY, -302),
        ({"webhook-id": "evt_2"}, BODY, 0),
        ({"webhook-timestamp": str(int(NOW) + 1)}, BODY, 0),
        ({"webhook-timestamp": "soon"}, BODY, 0),
        ({"webhook-timestamp": "9" * 5000}, BODY, 0),
        ({"webhook-signature": ""}, BODY, 0),
        ({"webhook-signature": "v1,ü"}, BODY, 0),
        (headers(b"x" * 32, "evt_1", NOW, BODY), BODY, 0),
        (headers(secret_of(SECRET), "evt_1", NOW, b"no JSON"), b"no JSON", 0),
    ],
)
def test_what_is_not_genuine(change: dict[str, str], body: bytes, late: float) -> None:
    with pytest.raises(BadSignature):
        verify(SECRET, {**GOOD, **change}, body, now=NOW + late)


def test_without_headers_or_a_secret() -> None:
    with pytest.raises(BadSignature):
        verify(SECRET, {}, BODY, now=NOW)
    for secret in ("", "whsec_", "whsec_no Base64"):
        with pytest.raises(ValueError, match="the secret is not whsec_ and Base64"):
            verify(secret, GOOD, BODY, now=NOW)


def test_the_shape_is_that_of_the_example_in_the_docs() -> None:
    example: dict[str, Any] = json.loads(PAGE.split("```json\n")[1].split("```")[0])
    assert example["data"].keys() == get_type_hints(EventData).keys()
    assert example["data"]["current"].keys() == get_type_hints(EventState).keys()
