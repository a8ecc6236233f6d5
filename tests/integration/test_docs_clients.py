"""What docs/clients.md shows runs as it stands there, and what it claims of rights is so."""

import asyncio
import contextlib
import io
import os
import re
import subprocess
import time
from pathlib import Path
from typing import Any

import aiohttp
import pytest

from tests.integration.test_api_client import FINISHED
from tests.integration.test_shops_clients import php_with_curl
from tests.support.ports import free_port
from tests.support.receiver import SECRET
from tests.support.shops import Market, a_market, until
from watcher.common.signatures import headers, secret_of
from watcher.web.rights import ACCESS
from watcher_client import calls

ROOT = Path(__file__).parents[2]
PAGE = (ROOT / "docs" / "clients.md").read_text()
PYTHON = re.findall(r"```python\n(.*?)```", PAGE, re.DOTALL)
PHP = re.findall(r"```php\n(.*?)```", PAGE, re.DOTALL)
KEYS = """
[[keys]]
name = "shop"
rights = ["read", "check", "act", "submit"]
"""
KEY = "key-of-a-shops-own-script"


class Enough(Exception):
    """The example has shown what it is to show."""


@pytest.fixture
def in_tmp_path(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("API_SHOP_KEY", KEY)
    monkeypatch.setenv("WATCHER_KEY", KEY)
    return tmp_path


def placed(code: str, market: Market, order: object) -> str:
    """The example, for this daemon, its panel and an order there."""
    code = code.replace("http://127.0.0.1:9466", market.base)
    return code.replace("mypanel", "standard").replace("23501", str(order))


def printed(code: str) -> str:
    output = io.StringIO()

    def show(*words: object) -> None:
        print(*words, file=output)
        if words[-1] == "completed":
            raise Enough

    with contextlib.suppress(Enough):
        exec(compile(code, "clients.md", "exec"), {"__name__": "example", "print": show})  # noqa: S102
    return output.getvalue()


def printed_by_php(directory: Path, code: str) -> str:
    code = code.replace("'Watcher.php'", f"'{ROOT}/clients/php/Watcher.php'")
    (directory / "example.php").write_text(f"<?php\n{code}")
    run = subprocess.run(
        [php_with_curl(), "example.php"], cwd=directory, check=True, capture_output=True, text=True
    )
    return run.stdout


def done_order(market: Market) -> int:
    panel = market.panel
    (done,) = panel.world.seed_orders(1, panel.now(), services=[1], age=60, fate=FINISHED)
    return done


async def test_the_examples_in_python(in_tmp_path: Path) -> None:
    first, follow, listing = PYTHON
    async with a_market(in_tmp_path, shops=KEYS) as market:
        done = done_order(market)
        told = await asyncio.to_thread(printed, placed(first, market, done))
        assert re.search(r"(?m)^accepted \{.*'reference': '1042'", told)
        assert re.search(r"(?m)^refill asked for: \d+$", told)
        assert len(market.panel.journal.requests("add")) == 1
        follow = follow.replace('else "now"', "else None")  # what has happened already, too
        told = await asyncio.to_thread(printed, placed(follow, market, done))
        assert "1041 completed\n" in told
        told = await asyncio.to_thread(printed, placed(listing, market, done))
        assert f"1041 {done}\n" in told


async def test_the_examples_in_php(in_tmp_path: Path) -> None:
    first, changes, event = PHP
    async with a_market(in_tmp_path, shops=KEYS) as market:
        done = done_order(market)
        told = await asyncio.to_thread(printed_by_php, in_tmp_path, placed(changes, market, done))
        assert told == ""
        assert (in_tmp_path / "cursor").read_text().startswith("c1")
        told = await asyncio.to_thread(printed_by_php, in_tmp_path, placed(first, market, done))
        assert re.fullmatch(r"accepted\nrefill asked for: \d+\n", told)

        def is_completed() -> bool:
            row = market.daemon.watchlist.order("standard", str(done))
            return row is not None and row.status == "completed"

        await until(is_completed)
        told = await asyncio.to_thread(printed_by_php, in_tmp_path, placed(changes, market, done))
        assert "1041 completed\n" in told
    await takes_events(in_tmp_path, event)


async def takes_events(directory: Path, code: str) -> None:
    """The page takes a genuine event, and no other."""
    port, body = free_port(), b'{"data": {"order": "7", "current": {"status": "completed"}}}'
    code = code.replace("'Watcher.php'", f"'{ROOT}/clients/php/Watcher.php'")
    (directory / "event.php").write_text(f"<?php\n{code}")
    process = await asyncio.create_subprocess_exec(
        *(php_with_curl(), "-S", f"127.0.0.1:{port}", "event.php"),
        cwd=directory,
        env={**os.environ, "SHOP_SECRET": SECRET},
        stderr=asyncio.subprocess.DEVNULL,
    )
    try:
        url = f"http://127.0.0.1:{port}/"
        assert await posted(url, {}, body) == 401
        good = headers(secret_of(SECRET), "evt_1", time.time(), body)
        assert await posted(url, good, body) == 204
        assert await posted(url, good, body + b" ") == 401
    finally:
        process.terminate()
        await process.wait()


async def posted(url: str, sent: dict[str, str], body: bytes) -> int:
    async with asyncio.timeout(20), aiohttp.ClientSession() as session:
        while True:
            try:
                async with session.post(url, data=body, headers=sent) as answer:
                    return answer.status
            except aiohttp.ClientConnectionError:
                await asyncio.sleep(0.05)


def test_the_rights_are_those_of_the_routes() -> None:
    sample: dict[str, Any] = {
        "submit": ("k",),
        "track": ([],),
        "check_all": ([],),
        "show_action": (1,),
        **dict.fromkeys(("show", "label", "untrack", "check", "refill", "cancel"), ("p", "1")),
    }
    told = {
        name: right.strip("`")
        for names, right in re.findall(r"(?m)^\| ((?:`\w+\(\)`,? ?)+) \| (`\w+`|any) \|$", PAGE)
        for name in re.findall(r"`(\w+)\(\)`", names)
    }
    needed = {}
    for name in told:
        call = getattr(calls, name)(*sample.get(name, ()))
        right = ACCESS[call.method, call.path].right
        needed[name] = "any" if right is None else str(right)
    assert told == needed
    assert len(told) == 15
