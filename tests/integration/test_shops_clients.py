"""A shop script written for panels sees the same of one directly and through the watcher."""

import asyncio
import json
import shutil
import subprocess
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Any

import pytest
import safesmm
import smmpy

from tests.support.house import KEY
from tests.support.shops import SHOP_KEY, Market, a_market, ask, until
from watcher.panels.profiles import shipped
from watcher.simulator import Fate, SimulatedPanel

Script = Callable[[str, str, list[int]], Awaitable[Any]]
LINK = "https://example.com/post/{}?a=b&c=ü"
UNKNOWN = 99_999_999
FINISHED = Fate(per_minute=1e9, refill_takes=1e9, start_count=500)
RUNNING = Fate(per_minute=0.001, start_count=500)


def attempt(method: Callable[..., Any], *arguments: object, **named: object) -> Any:
    """What the client gives, or what it raises."""
    try:
        return method(*arguments, **named)
    except Exception as error:  # noqa: BLE001  smmpy raises nothing finer
        return str(error)


def smmpy_script(url: str, key: str, done: list[int]) -> list[Any]:
    client = smmpy.smm(url, key)
    told = [client.get_balance(), client.get_services()]
    order = client.add_order(1, LINK.format(1), 100)["order"]
    comments = client.add_order(5, LINK.format(2), 2, comments="one\ntwo, 100%")["order"]
    return [
        *told,
        order,
        attempt(client.add_order, 1, LINK.format(3), 1),
        client.get_status(order),
        client.get_multi_status([*done, order, comments, UNKNOWN]),
        attempt(client.get_status, UNKNOWN),
        client.create_refill(done[0]),
        attempt(client.create_refill, done[0]),
        client.create_multi_refill([done[1], done[2], UNKNOWN]),
        client.get_refill_status(1),
        client.get_multi_refill_status([1, 2, UNKNOWN]),
        client.cancel_orders([order, UNKNOWN]),
        attempt(smmpy.smm(url, "wrong").get_balance),
    ]


def safesmm_script(url: str, key: str, done: list[int]) -> list[Any]:
    client = safesmm.SafeSMM(key, api_url=url)
    told = [client.balance(), client.services()]
    order = client.add_order(1, LINK.format(1), 100)["order"]
    votes = client.add_order(15, LINK.format(2), 20, answer_number=2)["order"]
    return [
        *told,
        order,
        client.status(votes)["charge"],
        attempt(client.add_order, 999, LINK.format(3), 100),
        attempt(client.add_order, 1, "", 100),
        client.multi_status([*done, UNKNOWN]),
        client.refill(done[0]),
        client.cancel([order, UNKNOWN]),
        attempt(client._request, "nonsense"),
        attempt(client._request, "status", orders=",".join(map(str, range(1, 102)))),
        attempt(client.status, ""),
        attempt(safesmm.SafeSMM("wrong", api_url=url).balance),
    ]


def in_thread(script: Callable[[str, str, list[int]], Any]) -> Script:
    async def run(url: str, key: str, done: list[int]) -> Any:
        return await asyncio.to_thread(script, url, key, done)

    return run


def php_with_curl() -> str:
    php = shutil.which("php")
    if php is None or "curl" not in subprocess.check_output([php, "-m"], text=True).split():
        pytest.skip("there is no PHP with cURL: apt-get install php-cli php-curl")
    return php


async def php_script(url: str, key: str, done: list[int]) -> Any:
    php = php_with_curl()
    ids = ",".join(map(str, done))
    script = Path(__file__).with_name("shop.php")
    process = await asyncio.create_subprocess_exec(
        php, str(script), url, key, ids, stdout=asyncio.subprocess.PIPE
    )
    output, _ = await process.communicate()
    assert process.returncode == 0, output
    return json.loads(output)


def some_orders(panel: SimulatedPanel) -> list[int]:
    """Orders that the shop placed before it knew of the watcher."""
    panel.world.seed_orders(50, panel.now(), services=[2], age=60, fate=RUNNING)
    return list(panel.world.seed_orders(3, panel.now(), services=[1], age=60, fate=FINISHED))


async def known(market: Market) -> None:
    """The watcher has read the balance and the price list."""
    rule_engine = market.daemon.rule_engine
    await until(lambda: bool(rule_engine.balances and rule_engine.services))


@pytest.mark.parametrize(
    "script",
    [in_thread(smmpy_script), in_thread(safesmm_script), php_script],
    ids=["smmpy", "safesmm", "php"],
)
async def test_a_shop_sees_the_same_through_the_watcher(tmp_path: Path, script: Script) -> None:
    async with SimulatedPanel(shipped()["standard"], key=KEY) as panel:
        direct = await script(panel.url, KEY, some_orders(panel))
    async with a_market(tmp_path) as market:
        await known(market)
        through = await script(market.url, SHOP_KEY, some_orders(market.panel))
        asked = market.panel.journal.requests
        # Unknown orders are looked up, new ones checked: many calls of the shop, few of ours.
        assert len(asked("services")) == len(asked("balance")) == 1
        assert len(asked("refill_status")) <= 2
    assert through == direct


async def test_the_key_can_be_the_panels_own(tmp_path: Path) -> None:
    """Then a shop changes the URL and nothing else."""
    shops = '[[shops]]\nname = "main"\nkey_env = "TEST_KEY"\n'
    async with a_market(tmp_path, shops=shops) as market:
        await known(market)
        mine = await ask(market.url, KEY, "balance")
        assert mine == await ask(market.panel.url, KEY, "balance")
