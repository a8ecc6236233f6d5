"""Requests made to break the API: each gets its answer or a refusal, and never "internal"."""

import itertools
import json
from collections.abc import Iterator
from pathlib import Path

import aiohttp
from yarl import URL

from tests.support.house import a_house

VALUES = (
    "null",
    "true",
    "-1",
    "0",
    "1.5",
    "1e400",
    "9" * 18,
    "9" * 25,
    "9" * 5000,
    '""',
    '"x"',
    '"standard"',
    r'"\u0000"',
    r'"\ud83d"',
    r'"\u202e\u001b[2J"',
    json.dumps("x" * 20_000),
    '"0001-01-01T00:00:00+23:59"',
    '"9999-12-31T23:59:59-23:59"',
    '"2026-01-01T00:00:00"',
    "[]",
    "{}",
    '{"a": {"a": {}}}',
    "[" * 5000 + "]" * 5000,
)
# A good body's fields, as JSON; each is in turn left to every value above.
TRACKED = {"panel": '"standard"', "order": '"7"'}
BODIES: dict[tuple[str, str], dict[str, str]] = {
    ("POST", "/v1/orders"): dict.fromkeys(
        ("service", "link", "quantity", "submitted_at", "finished_at"), "null"
    )
    | TRACKED,
    ("POST", "/v1/submit"): {"panel": '"standard"', "service": "1", "link": '""', "quantity": "-1"}
    | {"params": "{}"},
    ("PUT", "/v1/orders/standard/1/count"): {"count": "1"},
    ("PUT", "/v1/orders/standard/1/service"): {"service": "1"},
    ("POST", "/v1/actions/1/resolve"): {"state": '"accepted"', "result": "null"},
}
PATHS = (
    "/v1/orders/standard/%00",
    "/v1/orders/standard/%ED%A0%80",
    "/v1/orders/%2e%2e/%2e%2e",
    "/v1/orders/standard/" + "9" * 5000,
    "/v1/orders?panel=%00",
    "/v1/orders?panel=%FF%FE",
    "/v1/orders?cursor=" + "9" * 18,
    "/v1/orders?cursor=%C2%B2",
    "/v1/orders?limit=%D9%A1",
    "/v1/orders?status=%00",
    "/v1/actions?cursor=" + "9" * 18,
    "/v1/actions/" + "9" * 18 + "/resolve",
    "/v1/actions/%C2%B2/resolve",
    "/v1/panels/%00/services",
    "/v1/rules/explain?panel=standard&order=%00",
    "/v1/rules/explain?panel=standard&order=%ED%A0%80",
    "/%00",
    "//evil.example/",
    "/v1/../v1/orders",
)


def bodies_of(path: str, good: dict[str, str]) -> Iterator[str]:
    """Every value alone, in the place of each field, and as a further field."""
    yield from VALUES
    for field, value in itertools.product([*good, "more"], VALUES):
        fields = {**good, field: value}
        body = "{" + ", ".join(f'"{name}": {text}' for name, text in fields.items()) + "}"
        yield '{"orders": [' + body + "]}" if path == "/v1/orders" else body
    for value in VALUES:
        yield '{"orders": ' + value + "}"


async def test_no_body_breaks_the_api(tmp_path: Path):
    async with a_house(tmp_path) as house:
        await house.track(["1"])
        headers = {"Content-Type": "application/json", "Idempotency-Key": "k"}
        url = f"http://127.0.0.1:{house.daemon.port}"
        async with aiohttp.ClientSession(url, headers=headers) as session:
            for (method, path), good in BODIES.items():
                for body in bodies_of(path, good):
                    async with session.request(method, path, data=body.encode()) as answer:
                        text = await answer.text()
                        assert answer.status < 500, (path, body[:200], text)
                        assert answer.status != 429, "the test is faster than the limit"


async def test_no_path_breaks_the_api(tmp_path: Path):
    async with a_house(tmp_path) as house, aiohttp.ClientSession() as session:
        for path, method in itertools.product(PATHS, ("GET", "POST", "PUT", "DELETE", "TRACE")):
            url = URL(f"http://127.0.0.1:{house.daemon.port}{path}", encoded=True)
            async with session.request(method, url) as answer:
                assert answer.status < 500, (method, path, await answer.text())
