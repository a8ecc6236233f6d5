"""The examples of receivers: they take what is signed and new, once, and refuse all else."""

import asyncio
import os
import shutil
import subprocess
import sys
import time
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from pathlib import Path

import aiohttp
import pytest

from tests.integration.test_events import SHOP
from tests.integration.test_notify import until
from tests.support.house import KEY
from tests.support.ports import free_port
from tests.support.process import DaemonProcess
from tests.support.receiver import SECRET
from watcher.common.signatures import headers, secret_of
from watcher.errors import Undelivered
from watcher.events.webhook import Webhook
from watcher.panels.profiles import shipped
from watcher.simulator import SimulatedPanel
from watcher.simulator.fate import Fate

EXAMPLES = Path(__file__).parents[2] / "examples"
PHP = shutil.which("php")
HAS_SQLITE = "exit(extension_loaded('pdo_sqlite') ? 0 : 1);"
NO_PHP = PHP is None or subprocess.run([PHP, "-r", HAS_SQLITE], check=False).returncode > 0
BODY = (
    b'{"type":"order.status","timestamp":"2026-07-01T12:00:00Z","data":{"panel":"p","order":"7",'
    b'"changes":{"status":["pending","completed"]}}}'
)


@asynccontextmanager
async def running(tmp_path: Path, *program: str) -> AsyncIterator[tuple[str, Path]]:
    """The example's URL, and the file of what it printed."""
    port, printed = free_port(), tmp_path / "printed"
    words = [word.replace("PORT", str(port)) for word in program]
    env = {**os.environ, "SHOP_SECRET": SECRET, "SHOP_DATABASE": str(tmp_path / "seen.db")}
    with printed.open("wb") as log:
        process = await asyncio.create_subprocess_exec(*words, env=env, stdout=log, stderr=log)
    try:
        await answers(f"http://127.0.0.1:{port}/")
        yield f"http://127.0.0.1:{port}/", printed
    finally:
        process.terminate()
        await process.wait()


async def answers(url: str) -> None:
    async with asyncio.timeout(20), aiohttp.ClientSession() as session:
        while True:
            try:
                async with session.post(url, data=b"") as answer:
                    assert answer.status == 401
                    return
            except aiohttp.ClientConnectionError:
                await asyncio.sleep(0.05)


python = pytest.param((sys.executable, str(EXAMPLES / "receiver.py"), "PORT"), id="python")
php = pytest.param(
    (PHP or "php", "-S", "127.0.0.1:PORT", str(EXAMPLES / "receiver.php")),
    id="php",
    marks=pytest.mark.skipif(NO_PHP, reason="needs PHP: apt-get install php-cli php-sqlite3"),
)


@pytest.mark.parametrize("program", [python, php])
async def test_what_an_example_takes(tmp_path: Path, program: Sequence[str]):
    async with running(tmp_path, *program) as (url, printed), aiohttp.ClientSession() as session:

        async def post(sent: dict[str, str], body: bytes = BODY) -> int:
            sent = {"content-type": "application/json", **sent}
            async with session.post(url, data=body, headers=sent) as answer:
                return answer.status

        secret, now = secret_of(SECRET), time.time()
        good = headers(secret, "evt_1", now, BODY)
        assert await post(good) == 204
        assert await post(good) == 204
        assert printed.read_text().count("order.status p 7") == 1, "it is handled once"
        assert await post({**good, "webhook-signature": f"v1,x {good['webhook-signature']}"}) == 204
        assert await post(good, BODY.replace(b"completed", b"canceled")) == 401
        assert await post({**good, "webhook-id": "evt_2"}) == 401
        assert await post({**good, "webhook-timestamp": str(int(now) + 1)}) == 401
        assert await post(headers(b"x" * 32, "evt_3", now, BODY)) == 401
        assert await post(headers(None, "evt_4", now, BODY)) == 401
        assert await post(headers(secret, "evt_5", now - 301, BODY)) == 401
        assert await post(headers(secret, "evt_6", now + 302, BODY)) == 401
        assert await post(headers(secret, "evt_7", now, b"not JSON"), b"not JSON") == 500
        webhook = Webhook(url, secret)
        await webhook.send("evt_8", BODY, time.time())
        with pytest.raises(Undelivered, match="HTTP 401"):
            await webhook.send("evt_9", BODY, now - 400)
        await webhook.close()
        assert printed.read_text().count("order.status p 7") == 2


@pytest.mark.parametrize("program", [python, php])
async def test_a_shop_learns_how_its_orders_end(tmp_path: Path, program: Sequence[str]):
    async with (
        running(tmp_path, *program) as (url, printed),
        SimulatedPanel(shipped()["standard"], key=KEY, speed=600) as panel,
    ):
        env = {"SHOP_URL": url, "SECRET": SECRET}
        quick = 'idle_every = "1s"\n'
        daemon = DaemonProcess(tmp_path, {"p": panel}, defaults=quick, rules=SHOP, env=env)
        await daemon.start()
        try:
            ids = panel.world.seed_orders(20, panel.now(), fate=Fate(per_minute=100.0))
            await daemon.track("p", ids)
            await until(lambda: printed.read_text().count('"completed"') == 20)
            (target,) = (await daemon.call("GET", "/v1/events"))["targets"]
            assert (target["orders_waiting"], target["dead"], target["error"]) == (0, 0, None)
        finally:
            await daemon.stop()
