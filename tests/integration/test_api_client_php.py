"""clients/php/Watcher.php with a real daemon, and with servers that are none."""

import asyncio
import json
import re
import shutil
import subprocess
import time
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import pytest

from tests.integration.test_api_client import FINISHED, LINK, behind_tls, cutting_off
from tests.integration.test_shops_clients import php_with_curl
from tests.support.ports import free_port
from tests.support.receiver import SECRET
from tests.support.shops import a_market, until
from tests.support.tls import SERVER
from watcher.common.signatures import headers, secret_of
from watcher_client import WatcherError
from watcher_client.aio import AsyncClient

FILE = Path(__file__).parents[2] / "clients" / "php" / "Watcher.php"
KEY = "secret-of-nobody-else"
BODY = '{"type":"order.status","data":{"panel":"p","order":"7"}}'
# Prints the names of all tokens. An attribute on a line of its own is a comment in PHP 7.4.
NEWER = (
    "foreach (PhpToken::tokenize(file_get_contents($argv[1])) as $t) echo $t->getTokenName(), ' ';"
)


async def php(
    url: Any, *calls: list[Any], key: str | None = None, options: tuple[str, ...] = ()
) -> list[Any]:
    """What the calls came to, as api_client.php prints it."""
    process = await asyncio.create_subprocess_exec(
        php_with_curl(),
        *("-d", "zend.exception_ignore_args=0", "-d", "error_reporting=-1"),
        *options,
        str(Path(__file__).with_name("api_client.php")),
        stdin=asyncio.subprocess.PIPE,
        stdout=asyncio.subprocess.PIPE,
    )
    given = {"url": url, "key": key, "calls": calls}
    output, _ = await process.communicate(json.dumps(given).encode())
    assert process.returncode == 0, output
    told = json.loads(output)
    return told[:-1] if isinstance(told, list) else [told]


async def test_what_a_shop_does(tmp_path: Path) -> None:
    async with a_market(tmp_path, shops="") as market:
        panel = market.panel
        (done,) = panel.world.seed_orders(1, panel.now(), services=[1], age=60, fate=FINISHED)
        place = ["standard", done]
        order = {
            "panel": "standard",
            "service": 1,
            "link": LINK.format(1),
            "quantity": 100,
            "reference": "1042",
            "tags": ["vip"],
        }
        told = await php(
            market.base,
            ["changes", {"after": "now"}],
            ["track", [{"panel": "standard", "order": done, "service": 1, "reference": "7/ü"}]],
            ["submit", "1042", order],
            ["submit", "1042", order],
            ["check", *place, 1],
            ["checkAll", [{"panel": "standard", "order": done}], 0],
            ["refill", *place],
            ["label", *place, {"note": "call first", "reference": None}],
            ["show", *place],
            ["whoami"],
        )
        assert [one for one in told if "error" in one] == []
        now, tracked, placed, again, check, checks, refill, label, show, who = (
            one["answer"] for one in told
        )
        assert tracked["tracked"] == 1
        number = placed["order"]["order"]
        assert again["order"]["order"] == number
        assert len(panel.journal.requests("add")) == 1
        assert check["check"]["order"] == checks["checks"][0]["order"] == str(done)
        assert (label["note"], label["reference"]) == ("call first", None)
        assert show["state"]["note"] == "call first"
        assert who["rights"]
        await until(lambda: len(panel.journal.requests("refill")) == 1)
        told = await php(
            market.base,
            ["changes", {"after": now["cursor"], "wait": 1, "panel": "standard", "limit": 1000}],
            ["cancel", "standard", number],
            ["action", refill["action"]["id"]],
            ["show", "standard", "a/b?c"],
            ["changes", {"panel": "standart"}],
            ["submit", "k", {**order, "quantity": 1}],
            ["refill", "standard", ".."],
            ["submit", "a\r\nb", order],
        )
        changes, cancel, action, *errors = told
        assert {change["order"] for change in changes["answer"]["changes"]} >= {str(done)}
        assert cancel["answer"]["action"]["kind"] == "cancel"
        assert action["answer"]["action"]["kind"] == "refill"
        assert [(one["error"], one["status"]) for one in errors] == [
            *[("WatcherRefused", 404)] * 2,
            ("WatcherRefused", 422),
            *[("InvalidArgumentException", None)] * 2,
        ]
        assert "did you mean 'standard'" in errors[1]["message"]


async def test_after_a_lost_answer_an_action_is_not_sent_again() -> None:
    async with cutting_off() as (url, requests), cutting_off() as (second, others):
        calls = [["refill", "p", 7], ["cancel", "p", 7]]
        told = await php([url, second], *calls, ["submit", "1042", {"panel": "p"}])
        assert [one["error"] for one in told] == ["WatcherUnclear"] * 3
        assert "not known whether POST /v1/orders/p/7/refill" in told[0]["message"]
        heads = [request.split(b"\r\n")[0] for request in requests]
        assert heads == [
            b"POST /v1/orders/p/7/refill HTTP/1.1",
            b"POST /v1/orders/p/7/cancel HTTP/1.1",
            *[b"POST /v1/submit HTTP/1.1"] * 3,
        ]
        assert all(b"Idempotency-Key: 1042\r\n" in request for request in requests[2:])
        assert others == [], "it may have arrived at the first"
        (told,) = await php([url, second], ["whoami"])
        assert told["error"] == "WatcherUnreachable"
        assert len(others) > 0


async def test_the_second_url_is_asked_where_nobody_listens_at_the_first(tmp_path: Path) -> None:
    async with a_market(tmp_path, shops="") as market:
        panel = market.panel
        (done,) = panel.world.seed_orders(1, panel.now(), services=[1], age=60, fate=FINISHED)
        orders = [{"panel": "standard", "order": done, "service": 1}]
        urls = [f"http://127.0.0.1:{free_port()}", market.base]
        told = await php(urls, ["track", orders], ["refill", "standard", done])
        assert told[1]["answer"]["action"]["kind"] == "refill"


async def test_the_key_is_in_no_error_and_no_dump(tmp_path: Path) -> None:
    async with cutting_off() as (url, requests):
        for where in (url, f"http://127.0.0.1:{free_port()}", "http://w.example", "https://u@w"):
            told = await php(where, ["whoami"], ["refill", "p", 7], key=KEY)
            assert KEY not in json.dumps(told)
        assert f"Authorization: Bearer {KEY}\r\n".encode() in requests[0]
        (told,) = await php(url, ["whoami"], key=f"{KEY}\r\nX: y")
        assert "characters that no key has" in told["refused"]
        assert KEY not in json.dumps(told)


async def test_a_certificate_is_checked_before_anything_is_sent() -> None:
    async with behind_tls() as (url, paths):
        (told,) = await php(url, ["refill", "p", "7/8"], key=KEY)
        assert told["error"] == "WatcherUnreachable", told
        assert paths == []
        known = ("-d", f"curl.cainfo={SERVER}")
        (told,) = await php(url, ["refill", "p", "7/8"], key=KEY, options=known)
        assert told["answer"] == {"action": {"id": 7}}
        assert paths == ["/below/v1/orders/p/7%2F8/refill"]


async def test_an_event_is_verified() -> None:
    now = int(time.time())
    good = headers(secret_of(SECRET), "evt_1", now, BODY.encode())
    capitals = {name.title(): value for name, value in good.items()}
    other = headers(b"x" * 32, "evt_1", now, BODY.encode())
    two = {**good, "webhook-signature": f"v1,x {good['webhook-signature']}"}
    late = headers(secret_of(SECRET), "evt_1", now - 301, BODY.encode())
    told = await php(
        "http://127.0.0.1",
        ["verifyEvent", SECRET, good, BODY, now],
        ["verifyEvent", SECRET, capitals, BODY, now + 300],
        ["verifyEvent", SECRET, two, BODY],
        ["verifyEvent", SECRET, other, BODY, now],
        ["verifyEvent", SECRET, late, BODY, now],
        ["verifyEvent", SECRET, good, f"{BODY} ", now],
        ["verifyEvent", SECRET, {}, BODY, now],
        ["verifyEvent", "whsec_", good, BODY, now],
    )
    assert [one.get("error") for one in told] == [
        *[None] * 3,
        *["WatcherBadSignature"] * 4,
        "InvalidArgumentException",
    ]
    assert told[0]["answer"]["data"]["order"] == "7"
    assert SECRET not in json.dumps(told)


def test_php_7_4_can_read_it() -> None:
    """No token, function or type that came later."""
    if shutil.which("php") is None:
        pytest.skip("there is no PHP: apt-get install php-cli php-curl")
    subprocess.run([php_with_curl(), "-l", str(FILE)], check=True, stdout=subprocess.DEVNULL)
    names = subprocess.check_output([php_with_curl(), "-r", NEWER, str(FILE)], text=True).split()
    newer = {"T_MATCH", "T_NULLSAFE_OBJECT_OPERATOR", "T_ENUM", "T_READONLY"}
    assert not newer & set(names)
    text = FILE.read_text()
    for line in text.splitlines():
        assert "#[" not in line or re.fullmatch(r"\s*#\[\\\w+\]", line), line
    code = re.sub(r"(?s)/\*.*?\*/|//[^\n]*|'[^']*'", "", text)
    later = r"\b(str_(contains|starts_with|ends_with)|array_is_list|get_debug_type|mixed|never)\b"
    assert not re.search(later, code)
    assert not re.search(r"(?m)\w\|\w+ \$|\): \w+\||(public|private) \??\w+ \$\w+,$", code)


FAULT = b'{"error": {"code": "c", "message": "m"}}'
NOT_LED = b'{"error": {"code": "not_led", "message": "m"}}'
ANSWERS = [
    (503, NOT_LED),
    *[(status, FAULT) for status in (302, 400, 404, 408, 409, 410, 422, 429, 500, 502, 503, 504)],
    *[(status, b"<html>") for status in (200, 302, 404, 429, 500, 502, 503, 504)],
    (200, b'[{"a": 1}]'),
    (204, b""),
]
SUBMITTED = {"panel": "p", "service": 1}
SAME = {
    "Unreachable": "WatcherUnreachable",
    "Unclear": "WatcherUnclear",
    **dict.fromkeys(
        ("ApiError", "NotFound", "Conflict", "StaleCursor", "Limited"), "WatcherRefused"
    ),
}


@pytest.mark.parametrize("method", ["whoami", "submit", "refill"])
async def test_both_clients_do_the_same_about_each_answer(method: str) -> None:
    """The same error, after as many attempts."""
    named = {"whoami": ([], {}), "submit": (["k"], SUBMITTED), "refill": (["p", "7"], {})}
    given, fields = named[method]

    async def by_php(url: str) -> str:
        (told,) = await php(url, [method, *given, *([fields] if fields else [])])
        return str(told["error"])

    async def by_python(url: str) -> str:
        try:
            await getattr(AsyncClient(url), method)(*given, **fields)
        except WatcherError as error:
            return SAME[type(error).__name__]
        raise AssertionError(url)

    async def tried(ask: Callable[[str], Awaitable[str]], status: int, body: bytes) -> Any:
        async with always(status, body) as (url, requests):
            return status, body, await ask(url), len(requests)

    ours, others = [
        await asyncio.gather(*(tried(ask, status, body) for status, body in ANSWERS))
        for ask in (by_python, by_php)
    ]
    assert ours == others


@asynccontextmanager
async def always(status: int, body: bytes) -> AsyncIterator[tuple[str, list[bytes]]]:
    """A server that gives every request this answer."""
    requests: list[bytes] = []
    head = f"HTTP/1.1 {status} X\r\nRetry-After: 0\r\nConnection: close\r\nLocation: /elsewhere\r\n"

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        requests.append(await reader.read(65536))
        length = "" if status == 204 else f"Content-Length: {len(body)}\r\n"
        writer.write(f"{head}{length}\r\n".encode() + body)
        await writer.drain()
        writer.close()

    async with await asyncio.start_server(serve, "127.0.0.1", 0) as server:
        yield f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}", requests
