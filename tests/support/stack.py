"""Real Prometheus, real Alertmanager, and one who is told, each on a free port of this machine."""

import asyncio
import shutil
from collections.abc import AsyncIterator, Callable, Iterable
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import aiohttp
import yaml
from aiohttp import web

from tests.support.ports import free_port

_UP_WITHIN = 60.0


def program(*names: str) -> str | None:
    """The first of the programs that is there: distributions name them differently."""
    return next((found for found in map(shutil.which, names) if found), None)


ALERTMANAGER = program("prometheus-alertmanager", "alertmanager")
PROMETHEUS = program("prometheus")
PROMTOOL = program("promtool")
AMTOOL = program("amtool")


def missing() -> str | None:
    """What is not here, None: all is."""
    if ALERTMANAGER and PROMETHEUS and PROMTOOL and AMTOOL:
        return None
    return "needs Prometheus: apt-get install prometheus prometheus-alertmanager"


class Receiver:
    """Where Alertmanager's webhook leads: every alert that arrived, with its state."""

    def __init__(self) -> None:
        self.port = free_port()
        self.arrived: list[tuple[str, dict[str, str]]] = []
        self._news = asyncio.Event()

    async def wait(self, state: str, alerts: Iterable[dict[str, str]], seconds: float) -> None:
        """Until each of these label sets has arrived in that state; from now on, they are gone."""
        wanted = list(alerts)
        async with asyncio.timeout(seconds):
            while missed := [labels for labels in wanted if not self._has(state, labels)]:
                self._news.clear()
                try:
                    await self._news.wait()
                except asyncio.CancelledError:
                    raise AssertionError(
                        f"not {state}: {missed}; arrived: {self.arrived}"
                    ) from None

    def _has(self, state: str, wanted: dict[str, str]) -> bool:
        return any(
            told == state and wanted.items() <= labels.items() for told, labels in self.arrived
        )

    async def _take(self, request: web.Request) -> web.Response:
        body = await request.json()
        self.arrived += [(alert["status"], alert["labels"]) for alert in body["alerts"]]
        self._news.set()
        return web.Response()

    @asynccontextmanager
    async def open(self) -> AsyncIterator[None]:
        app = web.Application()
        app.router.add_post("/{path:.*}", self._take)
        runner = web.AppRunner(app, access_log=None)
        await runner.setup()
        try:
            await web.TCPSite(runner, "127.0.0.1", self.port).start()
            yield
        finally:
            await runner.cleanup()


@asynccontextmanager
async def prometheus(
    directory: Path, config: dict[str, Any], rules: dict[str, Any]
) -> AsyncIterator[None]:
    """Prometheus with the configuration and the rules; gone afterwards."""
    (directory / "rules.yml").write_text(yaml.safe_dump(rules))
    path = directory / "prometheus.yml"
    path.write_text(yaml.safe_dump({**config, "rule_files": ["rules.yml"]}))
    port = free_port()
    command = [
        PROMETHEUS,
        f"--config.file={path}",
        f"--storage.tsdb.path={directory / 'data'}",
        f"--web.listen-address=127.0.0.1:{port}",
        "--log.level=warn",
    ]
    async with _running(command, f"http://127.0.0.1:{port}/-/ready"):
        yield


@asynccontextmanager
async def alertmanager(directory: Path, config: dict[str, Any]) -> AsyncIterator[int]:
    """Alertmanager's port; the empty cluster address keeps it from listening to the world."""
    path = directory / "alertmanager.yml"
    path.write_text(yaml.safe_dump(config))
    port = free_port()
    command = [
        ALERTMANAGER,
        f"--config.file={path}",
        f"--storage.path={directory / 'alertmanager'}",
        f"--web.listen-address=127.0.0.1:{port}",
        "--cluster.listen-address=",
        "--log.level=warn",
    ]
    async with _running(command, f"http://127.0.0.1:{port}/-/ready"):
        yield port


@asynccontextmanager
async def _running(command: list[str | None], ready: str) -> AsyncIterator[None]:
    process = await asyncio.create_subprocess_exec(
        *(part for part in command if part),
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.STDOUT,
    )
    try:
        await _until_answers(ready, lambda: process.returncode is None)
        yield
    finally:
        if process.returncode is None:
            process.terminate()
        told, _ = await process.communicate()
        print(told.decode())  # noqa: T201  shown where a test fails


async def _until_answers(url: str, alive: Callable[[], bool]) -> None:
    async with asyncio.timeout(_UP_WITHIN), aiohttp.ClientSession() as session:
        while alive():
            try:
                async with session.get(url) as answer:
                    if answer.status == 200:
                        return
            except aiohttp.ClientConnectionError:
                pass
            await asyncio.sleep(0.1)
    raise AssertionError(f"{url}: its process ended")
