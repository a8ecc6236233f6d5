"""The real daemon, panels that misbehave with its key, then a search for what must be nowhere."""

import asyncio
import os
import sys
from collections.abc import AsyncIterator
from pathlib import Path
from urllib.parse import quote_plus

import aiohttp
import pytest
from aiohttp import web

from tests.support.house import KEY
from tests.support.process import ROOT, DaemonProcess
from watcher.panels.profiles import Profile, shipped
from watcher.simulator import SimulatedPanel, Trait

FILE_KEY = 'fK7/echo+9d1e77a0c3b5"q'  # of the panel that repeats it; has what URLs and JSON escape
TOKEN = "tk-4f0c9a7e5b1d2c3e8f6a"
ACCESS_KEY = "ak-7b2d9e4c1f5a8036d7e1"  # of [[keys]]
RULES = """
[[rules]]
name = "refill"
action = "refill"
when = "order.status == 'completed'"
[[keys]]
name = "reader"
rights = ["read"]
key_file = "reader.key"
"""


class EchoingPanel:
    """A panel that puts the key it was sent wherever its answers have room for a text."""

    profile: Profile = shipped()["standard"]

    def __init__(self) -> None:
        self.url = ""
        self._runner: web.AppRunner | None = None
        self.asked = 0

    async def start(self) -> None:
        app = web.Application()
        app.router.add_post("/api/v2", self._answer)
        self._runner = web.AppRunner(app, access_log=None)
        await self._runner.setup()
        await web.TCPSite(self._runner, "127.0.0.1", 0).start()
        self.url = f"http://127.0.0.1:{self._runner.addresses[0][1]}/api/v2"

    async def stop(self) -> None:
        if self._runner is not None:
            await self._runner.cleanup()

    async def _answer(self, request: web.Request) -> web.Response:
        form = await request.post()
        key, action, self.asked = str(form["key"]), str(form["action"]), self.asked + 1
        text = f"it is {key} or {quote_plus(key)}"
        if self.asked == 4:
            return web.json_response({"error": f"Invalid API key: {text}"}, status=401)
        if self.asked == 8:
            page = f"<html><title>Denied {key}</title></html>"
            return web.Response(text=page, content_type="text/html", status=403)
        if self.asked == 12:
            place = f"https://panel.example/{key}"
            return web.Response(status=302, headers={"Location": place, "Retry-After": key})
        row = {"status": text, "charge": "1", "remains": key, "currency": key}
        ids = str(form.get("orders") or form.get("order") or "").split(",")
        services = [{"service": n, "name": text, "category": key, "type": key} for n in range(5)]
        answers = {
            "status": {n: row if int(n or 0) % 2 else {"error": text} for n in ids},
            "services": [*services, {"service": key, "name": key}, {"service": key}, key],
            "balance": {"balance": "1", "currency": key, key: key},
            "refill": {"refill": {"error": text}},
            "cancel": [{"order": int(n or 0), "cancel": {"error": text}} for n in ids],
            "add": {"error": text},
        }
        return web.json_response(answers.get(action, {"message": {"text": [key]}}))


@pytest.fixture
async def panels() -> AsyncIterator[dict]:
    wrong = SimulatedPanel(shipped()["smmxz"], key="another key", speed=60.0)
    page = SimulatedPanel(shipped()["genzsmm"], key=KEY, traits=[Trait.HTML_200], speed=60.0)
    good = SimulatedPanel(shipped()["smmgenie"], key=KEY, speed=600.0)
    found = {"wrong": wrong, "page": page, "good": good, "echo": EchoingPanel()}
    for panel in found.values():
        await panel.start()
    yield found
    for panel in found.values():
        await panel.stop()


@pytest.fixture
async def daemon(tmp_path: Path, panels: dict) -> AsyncIterator[DaemonProcess]:
    every = "balance_every = '1s'\nservices_every = '1s'\nrequests_per_minute = 6000"
    defaults = f"{every}\ncheck_within = '1s'\n"
    daemon = DaemonProcess(tmp_path, panels, defaults=defaults, rules=RULES)
    text = daemon.config.read_text()
    text = text.replace("[daemon]", '[daemon]\ntoken_file = "api.token"\nlog_level = "debug"')
    text = text.replace("[panels.echo]", '[panels.echo]\nkey_file = "echo.key"')
    daemon.config.write_text(text)
    secrets = {"api.token": TOKEN, "echo.key": FILE_KEY, "reader.key": ACCESS_KEY}
    for name, secret in secrets.items():
        (tmp_path / name).write_text(secret)
        (tmp_path / name).chmod(0o600)
    yield daemon
    await daemon.stop()


async def test_no_secret_is_anywhere(daemon: DaemonProcess, panels: dict, tmp_path: Path):
    await daemon.start()
    placed = panels["good"].world.seed_orders(20, panels["good"].now(), quantity=100)
    await use(daemon, list(placed))
    async with asyncio.timeout(60.0):
        while panels["echo"].asked < 24:
            await asyncio.sleep(0.1)
    found = {f"GET {path}": body for path, body in (await everything(daemon)).items()}
    for command in COMMANDS:
        found[f"watcher {command}"] = await by_command(daemon, command)
    assert daemon.process is not None
    process = Path(f"/proc/{daemon.process.pid}")
    found["cmdline"] = (process / "cmdline").read_bytes()
    environment = (process / "environ").read_bytes()
    held = {path.name: path.read_bytes() for path in files(tmp_path)}
    await daemon.stop()
    found |= held | {f"{path.name} at the end": path.read_bytes() for path in files(tmp_path)}

    assert b"panel.failing" in held["daemon.log"]
    assert {"watcher.db", "watcher.db-wal", "copy.db"} <= held.keys()
    for name, content in found.items():
        assert content, name
        for secret in (KEY, FILE_KEY, TOKEN, ACCESS_KEY):
            for part in pieces(secret):
                assert part not in content, f"{part.decode()} is in {name}: {around(content, part)}"
    # What came by the environment stays there, for the same user and root to read.
    assert KEY.encode() in environment
    assert FILE_KEY.encode() not in environment
    assert TOKEN.encode() not in environment
    assert ACCESS_KEY.encode() not in environment


COMMANDS = (
    "orders",
    "orders --json",
    "show echo 1",
    "actions --json",
    "panels --json",
    "rules --explain echo 1",
    "services echo --json",
    "backup copy.db",
    "check-config config.toml --online",
)


async def use(daemon: DaemonProcess, placed: list[int]) -> None:
    """Have something asked of every panel; a wrong token and a mangled request among it."""
    right = {"Authorization": f"Bearer {TOKEN}"}
    orders = [
        {"panel": name, "order": n} for name in ("wrong", "page", "echo") for n in range(1, 9)
    ]
    orders += [{"panel": "good", "order": order} for order in placed]
    await daemon.call("POST", "/v1/orders", json={"orders": orders}, headers=right)
    url = f"http://127.0.0.1:{daemon.port}"
    async with aiohttp.ClientSession(url, headers=right) as session:
        for path in ("/v1/orders/echo/1/refill", "/v1/orders/echo/2/cancel"):
            async with session.post(path) as answer:
                assert answer.status == 202
        body = {"panel": "echo", "service": 1, "link": "https://example.com", "quantity": 10}
        async with session.post("/v1/submit", json=body, headers={"Idempotency-Key": "1"}):
            pass
        reader = {"Authorization": f"Bearer {ACCESS_KEY}"}
        async with session.get("/v1/orders", headers=reader) as answer:
            assert answer.status == 200
        async with session.get("/v1/backup", headers=reader) as answer:
            assert answer.status == 403
        wrong = {"Authorization": f"Bearer {TOKEN[:-1]}"}
        for headers in (wrong, {"Host": TOKEN}, {"Origin": f"https://{TOKEN}"}):
            async with session.get("/v1/orders", headers=headers) as answer:
                assert answer.status >= 400
    reader, writer = await asyncio.open_connection("127.0.0.1", daemon.port)
    writer.write(
        f"GET / HTTP/1.1\r\nAuthorization: Bearer {TOKEN}\r\n\x00 {TOKEN}\r\n\r\n".encode()
    )
    await reader.read(1000)
    writer.close()


async def everything(daemon: DaemonProcess) -> dict[str, bytes]:
    """Every GET of the API, the probes, the metrics, the page and a copy of the database."""
    found = {}
    right = {"Authorization": f"Bearer {TOKEN}"}
    url = f"http://127.0.0.1:{daemon.port}"
    async with aiohttp.ClientSession(url, headers=right) as session:
        async with session.get("/v1/openapi.json") as answer:
            described = (await answer.json())["paths"]
        paths = [path for path, methods in described.items() if "get" in methods]
        for path in (*paths, "/", "/metrics", "/healthz", "/readyz", "/v1/backup", "/nowhere"):
            filled = path.replace("{panel}", "echo").replace("{order}", "1")
            query = "?panel=echo&order=1" if path.endswith("explain") else ""
            async with session.get(filled + query) as answer:
                found[path] = await answer.read() + str(answer.headers).encode()
    return found


async def by_command(daemon: DaemonProcess, command: str) -> bytes:
    """What a command writes to both streams."""
    words = [sys.executable, "-m", "watcher", *command.split()]
    environment = {
        **os.environ,
        "PYTHONPATH": str(ROOT),
        "TEST_KEY": KEY,
        "WATCHER_URL": f"http://127.0.0.1:{daemon.port}",
        "WATCHER_TOKEN": TOKEN,
    }
    process = await asyncio.create_subprocess_exec(
        *words,
        cwd=daemon.directory,
        env=environment,
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.STDOUT,
    )
    async with asyncio.timeout(60.0):
        output, _ = await process.communicate()
    return output


def files(directory: Path) -> list[Path]:
    """What the daemon wrote; a file that is locked has nothing in it to be read."""
    given = ("api.token", "echo.key", "reader.key", "config.toml")
    found = [path for path in directory.rglob("*") if path.is_file() and path.name not in given]
    return [path for path in found if path.stat().st_size]


def pieces(secret: str) -> set[bytes]:
    """The secret as it is and as URLs have it, and halves: clipped is not taken out."""
    half = len(secret) // 2 + 2
    return {text.encode() for text in (secret, quote_plus(secret), secret[:half], secret[-half:])}


def around(content: bytes, part: bytes) -> bytes:
    at = content.index(part)
    return content[max(0, at - 80) : at + 80]
