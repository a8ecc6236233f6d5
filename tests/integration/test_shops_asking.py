"""The ways in which shops and bots in use ask: each is answered as a panel answers it."""

import json
import shutil
import subprocess
from collections.abc import Awaitable, Callable, Mapping
from pathlib import Path
from typing import Any
from urllib.parse import urlencode

import aiohttp
import pytest
from structlog.testing import capture_logs

from tests.support.shops import SHOP_KEY, Market, a_market, call, until
from watcher.shop_api import ShopHandlers
from watcher.simulator import Fate

LINK = "https://example.com/post/1?a=b&c=ü"
RUNNING = Fate(per_minute=0.001, start_count=500)
FORM = "application/x-www-form-urlencoded; charset=UTF-8"

Fields = Mapping[str, Any]
Client = Callable[[str, str, Fields], Awaitable[Any]]


async def _send(url: str, method: str = "POST", **sent: Any) -> Any:
    async with aiohttp.ClientSession() as session, session.request(method, url, **sent) as answer:
        assert answer.status == 200
        assert answer.content_type == "application/json"
        return await answer.json()


def as_php_builds(fields: Fields) -> str:
    """What http_build_query makes of an array."""
    flat: dict[str, Any] = {}
    for name, value in fields.items():
        if isinstance(value, list):
            flat |= {f"{name}[{number}]": item for number, item in enumerate(value)}
        else:
            flat[name] = value
    return urlencode(flat)


async def woocommerce(url: str, key: str, fields: Fields) -> Any:
    """A WooCommerce plugin's wp_remote_post with an array as its body, and a slash in the URL."""
    body = as_php_builds({"key": key, **fields})
    return await _send(f"{url}/", data=body, headers={"Content-Type": FORM})


async def axios(url: str, key: str, fields: Fields) -> Any:
    return await _send(url, json={"key": key, **fields})


async def axios_with_a_header(url: str, key: str, fields: Fields) -> Any:
    return await _send(url, json=fields, headers={"X-API-Key": key})


async def fetch_with_bearer(url: str, key: str, fields: Fields) -> Any:
    headers = {"Authorization": f"bearer {key}", "Content-Type": FORM}
    return await _send(url, data=as_php_builds(fields), headers=headers)


async def get_bot(url: str, key: str, fields: Fields) -> Any:
    return await _send(f"{url}?{as_php_builds({'key': key, **fields})}", "GET")


async def bracket_bot(url: str, key: str, fields: Fields) -> Any:
    pairs = [("key", key)]
    for name, value in fields.items():
        items = value if isinstance(value, list) else [value]
        pairs += [(f"{name}[]" if isinstance(value, list) else name, str(item)) for item in items]
    return await _send(f"{url}?{urlencode(pairs)}", "GET")


async def curl_with_json(url: str, key: str, fields: Fields) -> Any:
    """curl -d '{…}', which says that it is a form."""
    body = json.dumps({"key": key, **fields})
    return await _send(url, data=body, headers={"Content-Type": FORM})


async def json_in_a_form(url: str, key: str, fields: Fields) -> Any:
    """Ids as JSON in a field, the action as someone typed it."""
    fields = {n: json.dumps(v) if isinstance(v, list) else v for n, v in fields.items()}
    fields["action"] = f" {str(fields['action']).title()} "
    body = urlencode({"key": f" {key}", **fields})
    return await _send(url, data=body, headers={"Content-Type": "text/plain"})


_PHP_ARRAY = """
[, $url, $key, $fields] = $argv;
$post = ['key' => $key];
foreach (json_decode($fields, true) as $name => $value) {
    if (is_array($value)) foreach ($value as $i => $item) $post["{$name}[$i]"] = $item;
    else $post[$name] = $value;
}
$ch = curl_init($url);
curl_setopt_array($ch, [CURLOPT_RETURNTRANSFER => 1, CURLOPT_POSTFIELDS => $post]);
echo curl_exec($ch);
"""


def php_with_curl() -> str:
    php = shutil.which("php")
    if php is None or "curl" not in subprocess.check_output([php, "-m"], text=True).split():
        pytest.skip("there is no PHP with cURL: apt-get install php-cli php-curl")
    return php


async def php_array(url: str, key: str, fields: Fields) -> Any:
    """cURL with an array, which becomes multipart."""
    command = [php_with_curl(), "-r", _PHP_ARRAY, "--", url, key, json.dumps(fields)]
    done = await call(subprocess.run, command, capture_output=True, text=True, timeout=30)
    return json.loads(done.stdout)


CLIENTS = [
    woocommerce,
    axios,
    axios_with_a_header,
    fetch_with_bearer,
    get_bot,
    bracket_bot,
    curl_with_json,
    json_in_a_form,
    php_array,
]


@pytest.mark.parametrize("client", CLIENTS, ids=lambda client: client.__name__)
async def test_a_client_in_use_is_answered(tmp_path: Path, client: Client) -> None:
    async with a_market(tmp_path) as market:
        rule_engine = market.daemon.rule_engine
        await until(lambda: bool(rule_engine.balances and rule_engine.services))
        panel = market.panel
        old = list(panel.world.seed_orders(2, panel.now(), services=[1], age=60, fate=RUNNING))

        async def ask(action: str, **fields: Any) -> Any:
            return await client(market.url, SHOP_KEY, {"action": action, **fields})

        assert (await ask("balance"))["balance"] == "1000.00000"
        assert len(await ask("services")) == 17
        order = {"service": 1, "link": LINK, "quantity": 100}
        placed = await ask("add", **order)
        assert placed == {"order": 23503}
        assert (await ask("add", **order)) == placed  # the same again is the same order
        (sent,) = panel.journal.requests("add")
        assert sent.parameters == {"service": "1", "link": LINK, "quantity": "100"}
        assert (await ask("status", order=old[0]))["start_count"] == "500"
        rows = await ask("status", orders=old)
        assert [row["start_count"] for row in rows.values()] == ["500", "500"]
        cancels = await ask("cancel", orders=[old[0], 99999999])
        assert [row["order"] for row in cancels] == [old[0], 99999999]
        assert "Incorrect order ID" in str(cancels[1])
        assert await client(market.url, "wrong", {"action": "balance"}) == {
            "error": "Invalid API key"
        }
        assert await ask("nonsense") == {"error": "Incorrect request"}


async def test_many_ids_in_a_field_each(tmp_path: Path) -> None:
    async with a_market(tmp_path) as market:
        panel = market.panel
        ids = list(panel.world.seed_orders(100, panel.now(), services=[1], age=60, fate=RUNNING))
        rows = await woocommerce(market.url, SHOP_KEY, {"action": "status", "orders": ids})
        assert [row["start_count"] for row in rows.values()] == ["500"] * 100


async def test_a_key_in_a_form_comes_before_one_in_a_header(tmp_path: Path) -> None:
    async with a_market(tmp_path) as market:
        headers = {"Authorization": f"Bearer {SHOP_KEY}", "X-API-Key": SHOP_KEY}
        form = {"key": "wrong", "action": "refill_status", "refill": "1"}
        told = await _send(market.url, data=form, headers=headers)
        assert told == {"error": "Invalid API key"}


@pytest.mark.parametrize("path", ["/api/v2", "/api/v2/"])
async def test_errors_before_the_handler_are_as_panels_give_them(
    market_of_a_token: Market, path: str
) -> None:
    url = f"{market_of_a_token.base}{path}"
    for method in ("DELETE", "PATCH", "OPTIONS", "PUT"):
        assert await _told(url, method) == {"error": "Incorrect request"}
    for headers in (
        {"Content-Type": "application/xml"},
        {"Content-Encoding": "gzip"},
        {"Content-Type": "multipart/form-data"},
        {"Origin": "https://evil.example"},
        {"Host": "evil.example"},
    ):
        told = await _told(url, "POST", data=b"<x/>", headers=headers)
        assert list(told) == ["error"]
        assert isinstance(told["error"], str)


async def _told(url: str, method: str, **sent: Any) -> Any:
    async with aiohttp.ClientSession() as session, session.request(method, url, **sent) as answer:
        return await answer.json()


@pytest.fixture
async def market_of_a_token(tmp_path: Path) -> Any:
    """Where a token guards the rest: shops have none."""
    async with a_market(tmp_path) as market:
        token = market.path.with_name("api.token")
        token.write_text("a-token-of-the-tests\n")
        token.chmod(0o600)
        text = market.path.read_text().replace("[daemon]", '[daemon]\ntoken_file = "api.token"')
        market.path.write_text(text)
        await market.daemon.reload()
        yield market


async def test_a_query_is_never_logged(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Where a request fails in us, too."""

    async def fail(*given: object) -> object:
        raise RuntimeError("a bug")

    query = {"key": "a-wrong-key-of-somebody", "action": "add", "link": "hidden.example"}
    with capture_logs() as logs:
        async with a_market(tmp_path) as market:
            told = await get_bot(market.url, query["key"], query)
            assert told == {"error": "Invalid API key"}
            monkeypatch.setattr(ShopHandlers, "answer", fail)
            url = f"{market.url}?{urlencode(query | {'key': SHOP_KEY})}"
            assert list(await _told(url, "GET")) == ["error"]
    assert "web.failed" in [line["event"] for line in logs]
    for word in (query["key"], SHOP_KEY, query["link"]):
        assert word not in str(logs)
