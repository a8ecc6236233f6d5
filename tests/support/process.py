"""The real daemon in a process of its own."""

import asyncio
import json
import os
import signal
import sys
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

import aiohttp

from tests.support.database import rows
from tests.support.house import KEY, config_text
from tests.support.ports import free_port
from watcher.common.postgres_url import DatabaseLocation
from watcher.simulator import SimulatedPanel

ROOT = Path(__file__).parents[2]


class DaemonProcess:
    """`watcher run` on a configuration in `directory`; logs go to a file there."""

    def __init__(
        self,
        directory: Path,
        panels: dict[str, SimulatedPanel],
        *,
        defaults: str = "",
        rules: str = "",
        daemon: str = "",
        database: DatabaseLocation | None = None,
        env: Mapping[str, str] | None = None,
    ) -> None:
        """Take lines of [daemon], and where the database is if that is not the default."""
        self.env = dict(env or {})
        self.directory = directory
        self.port = free_port()
        self.config = directory / "config.toml"
        self.log = directory / "daemon.log"
        self.database = directory / "watcher.db"
        self.location = database or self.database
        if "database =" not in daemon and database is not None:
            daemon += f'database = "{database}"\n'
        text = config_text(panels, defaults=defaults, rules=rules, daemon=daemon)
        self.config.write_text(text.replace("127.0.0.1:0", f"127.0.0.1:{self.port}"))
        self.process: asyncio.subprocess.Process | None = None

    async def start(self, *, ready: bool = True, program: Sequence[str] = ("watcher",)) -> None:
        """Start the daemon; `program` is the module that runs it, and what it takes first."""
        with self.log.open("ab") as log:
            self.process = await asyncio.create_subprocess_exec(
                sys.executable,
                "-m",
                *program,
                "run",
                "--config",
                str(self.config),
                cwd=ROOT,
                # Compiling all that is imported takes longer than all else of a start.
                env={**os.environ, "TEST_KEY": KEY, "PYTHONDONTWRITEBYTECODE": "", **self.env},
                stdin=asyncio.subprocess.DEVNULL,
                stdout=log,
                stderr=log,
            )
        if ready:
            await self.wait_ready()

    async def wait_ready(self, seconds: float = 60.0) -> None:
        async with asyncio.timeout(seconds), aiohttp.ClientSession() as session:
            while True:
                assert self.process is not None
                assert self.process.returncode is None, self.text()
                try:
                    async with session.get(f"http://127.0.0.1:{self.port}/readyz") as answer:
                        if answer.status == 200:
                            return
                except aiohttp.ClientConnectionError:
                    pass
                await asyncio.sleep(0.02)

    def send(self, number: signal.Signals) -> None:
        assert self.process is not None
        self.process.send_signal(number)

    async def wait(self, seconds: float = 40.0) -> int:
        assert self.process is not None
        return await asyncio.wait_for(self.process.wait(), seconds)

    async def kill(self) -> None:
        """kill -9, now."""
        self.send(signal.SIGKILL)
        await self.wait()

    async def stop(self) -> int:
        """SIGTERM and the exit code."""
        if self.process is None or self.process.returncode is not None:
            return 0
        self.send(signal.SIGTERM)
        return await self.wait()

    async def call(self, method: str, path: str, **more: Any) -> Any:
        url = f"http://127.0.0.1:{self.port}{path}"
        async with (
            aiohttp.ClientSession() as session,
            session.request(method, url, **more) as answer,
        ):
            body = await answer.json()
            assert answer.status < 400, body
            return body

    async def track(self, panel: str, ids: Iterable[int], **fields: Any) -> None:
        orders = [{"panel": panel, "order": order, **fields} for order in ids]
        for start in range(0, len(orders), 10_000):
            await self.call("POST", "/v1/orders", json={"orders": orders[start : start + 10_000]})

    def text(self) -> str:
        return self.log.read_text()

    def events(self) -> list[dict[str, Any]]:
        """The log's lines, each of which has to be JSON."""
        return [json.loads(line) for line in self.text().splitlines()]

    def rows(self, query: str) -> list[tuple[Any, ...]]:
        """Look into the database, read-only."""
        return rows(self.location, query)
