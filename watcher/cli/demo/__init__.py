"""Demo on one machine: five simulated panels, the daemon, and a shop with customers.

A simulated minute takes a second. No data leaves the machine; all files are deleted at the end.
"""

import asyncio
import gc
import os
import signal
import sys
import tempfile
from collections.abc import Coroutine
from contextlib import AsyncExitStack, redirect_stderr, suppress
from datetime import datetime
from pathlib import Path
from typing import Any

from watcher import logs
from watcher.cli.demo import environment
from watcher.cli.demo.driver import Driver, Tell
from watcher.cli.demo.environment import Environment
from watcher.cli.demo.screen import Screen, show
from watcher.cli.output import output, say

USUAL_SPEED = 60.0  # simulated seconds per second; the scenario is written for it


def run(
    *, host: str = "127.0.0.1", port: int = 9466, speed: float = USUAL_SPEED, log: bool = False
) -> int:
    """Run until Ctrl-C; return the exit code. `speed` is simulated seconds per second.

    On a terminal it draws the screen, unless `log` is set; into a pipe it writes the log.
    """
    with tempfile.TemporaryDirectory(prefix="watcher-demo-") as directory:
        if log or not output().is_terminal or os.environ.get("TERM") == "dumb":
            logs.configure("info", "auto")
            serving = _with_log(Path(directory), host, port, speed)
        else:
            serving = _with_screen(Path(directory), host, port, speed)
        asyncio.run(_until_stopped(serving))
    say("Stopped. The demo's database is gone.")
    gc.freeze()  # the interpreter exits sooner if it doesn't visit all objects
    return 0


async def _until_stopped(serving: Coroutine[Any, Any, None]) -> None:
    """Cancel the coroutine at the first signal; the second signal ends the process at once."""
    task, loop = asyncio.ensure_future(serving), asyncio.get_running_loop()
    numbers = [signal.SIGTERM, signal.SIGINT]
    if signal.getsignal(signal.SIGHUP) is not signal.SIG_IGN:  # ignored under nohup
        numbers.append(signal.SIGHUP)

    def stop() -> None:
        task.cancel()
        for number in numbers:
            loop.remove_signal_handler(number)

    for number in numbers:
        loop.add_signal_handler(number, stop)
    with suppress(asyncio.CancelledError):
        await task


async def _with_log(directory: Path, host: str, port: int, speed: float) -> None:
    async with AsyncExitStack() as stack:
        running = await environment.start(stack, directory, host, port, speed)
        stack.callback(say, "", "Stopping …")
        say(*_told(running).splitlines())
        sys.stdout.flush()
        await _play(running, speed, lambda line: None)


async def _with_screen(directory: Path, host: str, port: int, speed: float) -> None:
    path = directory / "watcher.log"
    say("Starting five panels and a daemon, with a week of history …")
    with path.open("w", encoding="utf-8") as file, redirect_stderr(file):
        logs.configure("info", "json")
        async with AsyncExitStack() as stack:
            running = await environment.start(stack, directory, host, port, speed)
            screen = Screen(running.url, _command(), str(path), _now())
            stack.callback(say, "Stopping …")
            async with asyncio.TaskGroup() as tasks:
                tasks.create_task(show(screen))
                await _play(running, speed, lambda line: screen.tell(line, _now()))


async def _play(running: Environment, speed: float, tell: Tell) -> None:
    driver = Driver(running)
    await driver.begin()
    await driver.play(tell, speed / USUAL_SPEED)


def _told(running: Environment) -> str:
    url, command = running.url, _command()
    return (
        f"\n{running.daemon.daemon_status.orders()} orders are watched at {len(running.panels)} "
        "simulated panels, and a shop places more. A simulated minute takes a second.\n\n"
        f"  status page   {url}/\n"
        f"  metrics       {url}/metrics\n"
        f"  API           {url}/v1/orders   described at {url}/v1/openapi.json\n"
        f"  configuration {running.config}\n\n"
        f"In another terminal, from here:\n\n"
        f"  export WATCHER_URL={url}\n"
        f"  {command} panels\n"
        f"  {command} orders --status completed\n"
        f"  {command} actions\n"
        f"  {command} rules\n\n"
        f"Ctrl-C ends it.\n"
    )


def _now() -> datetime:
    return datetime.now().astimezone()


def _command() -> str:
    """Return how the program was called, so that users can copy the examples."""
    called = Path(sys.argv[0])
    return "python -m watcher" if called.name == "__main__.py" else os.path.relpath(called)
