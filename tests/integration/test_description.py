"""The API is as its OpenAPI description has it, tried by somebody else's program."""

import asyncio
import os
import shutil
import sys
from pathlib import Path

from tests.support.house import KEY
from tests.support.process import DaemonProcess
from tests.support.receiver import a_receiver
from watcher.panels.profiles import shipped
from watcher.simulator import SimulatedPanel
from watcher.simulator.fate import Fate
from watcher.web.server import ROUTES

CONFIG = Path(__file__).with_name("schemathesis.toml")
TARGETS = """
[[notify]]
name = "phone"
[[events]]
name = "shop"
[[shops]]
name = "main"
"""
FAST = "requests_per_minute = 6000\n"
DONE = Fate(pending=1.0, per_minute=1000.0)
# Of each call in each way, others each time: what stays unfound is found over the months.
EXAMPLES = 40 if "WATCHER_TEST_EXAMPLES" in os.environ else 10


async def test_schemathesis_finds_nothing(tmp_path: Path) -> None:
    shutil.copy(CONFIG, tmp_path)
    panel = SimulatedPanel(shipped()["standard"], key=KEY)
    await panel.start()
    ids = panel.world.seed_orders(3, panel.now(), services=[1], quantity=100, fate=DONE)
    async with a_receiver() as receiver:
        told = {"PHONE_URL": receiver.url, "SHOP_URL": receiver.url}
        env = {**told, "SHOP_MAIN_KEY": "shop-key-of-the-tests"}
        daemon = DaemonProcess(tmp_path, {"standard": panel}, rules=TARGETS, defaults=FAST, env=env)
        try:
            await daemon.start()
            await daemon.track("standard", ids)
            code, said = await _tried(tmp_path, daemon.port)
        finally:
            await daemon.kill()
            await panel.stop()
    assert code == 0, said[-20_000:]
    assert f"Tested: {len(ROUTES) + 2}" in said  # and the drop-in and the file of orders


async def _tried(directory: Path, port: int) -> tuple[int | None, str]:
    """What schemathesis says of the daemon there."""
    program = await asyncio.create_subprocess_exec(
        str(Path(sys.executable).with_name("schemathesis")),
        "run",
        f"http://127.0.0.1:{port}/v1/openapi.json",
        "--continue-on-failure",
        f"--max-examples={EXAMPLES}",
        "--no-color",
        cwd=directory,
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.STDOUT,
    )
    output, _ = await program.communicate()
    return program.returncode, output.decode(errors="replace")
