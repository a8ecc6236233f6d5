"""The same world through the daemon itself: real HTTP and SQLite, on a clock that jumps.

`benchmarks.freshness` calls the rule; here a panel of that world answers the daemon's requests, and
notes how long each change had waited to be asked about. Both have the same orders and budget, so
the daemon should learn as soon as the module promises. Finished orders are not guarded here: a
daemon ends a guard by its own clock, the world by the order's.
"""

import argparse
import asyncio
import sys
import tempfile
from collections.abc import Sequence
from datetime import UTC, datetime
from pathlib import Path
from random import Random
from typing import Any

import aiohttp
import structlog
from aiohttp import web

from benchmarks import report
from benchmarks.freshness import BATCH, PANELS, Case, Lags, Run, Task, figures, run
from benchmarks.house import KEY
from benchmarks.policies import Fixed
from benchmarks.world import COMPLETED, DAY, MOVING, PARTIAL, PENDING, Fate, World, warp
from tests.support.clockwork import Clock, ClockworkSchedule
from watcher.app import Daemon
from watcher.config import Config, load

CONFIG = """
[daemon]
listen = "127.0.0.1:0"
[panels.p]
url = "http://127.0.0.1:{port}"
key_env = "BENCH_KEY"
batch = {batch}
requests_per_minute = {rate}
check_within = "30m"
idle_every = "1s"
guard_for = "1s"
"""
WORDS = {PENDING: "Pending", MOVING: "In progress", COMPLETED: "Completed", PARTIAL: "Partial"}
_TRACKED_AT_ONCE = 500
_STEP = 1.0  # minutes in which arrivals come together


class LivedRun(Run):
    """A run whose policy is a daemon. `clock` is its; the world counts minutes from `began`."""

    def __init__(self, case: Case, world: World, rate: float, limit: int, clock: Clock) -> None:
        super().__init__(case, world, Fixed(rate * limit, Random(0)), rate, limit)
        self._clock = clock
        self._began = clock()

    async def live(self, daemon: Daemon, schedule: ClockworkSchedule) -> Lags:
        """Everything that happens to the world, and the daemon's asking."""
        self._begin()
        await self._track(daemon, self._world.orders)
        coming, end = list(reversed(self._world.arrivals)), self._case.days * DAY
        while (now := self._now()) < end:
            new = []
            while coming and coming[-1].submitted <= now:
                new.append(coming.pop())
                self._enter(new[-1])
            await self._track(daemon, new)
            await schedule.run(60.0 * _STEP)
        self._count_unseen(end)
        return self._lags

    def answer(self, ids: Sequence[str]) -> dict[str, Any]:
        """What the panel tells of these orders now."""
        now = self._now()
        warped, rows = warp(now), {}
        self._lags.requests += 1
        self._lags.full += len(ids) == self._limit
        for order_id in ids:
            fate = self._watched.get(order_id)
            if fate is None:
                rows[order_id] = {"error": "Incorrect order ID"}
                continue
            status, remains = fate.look(now, warped)
            self._note(fate, status, now)
            if status not in (PENDING, MOVING):
                del self._watched[order_id]
            rows[order_id] = {
                "status": WORDS.get(status, "Canceled"),
                "remains": str(remains),
                "charge": "1",
                "start_count": "0",
                "currency": "USD",
            }
        return rows

    def _now(self) -> float:
        return (self._clock() - self._began) / 60.0

    async def _track(self, daemon: Daemon, fates: Sequence[Fate]) -> None:
        url = f"http://127.0.0.1:{daemon.port}"
        async with aiohttp.ClientSession(url) as session:
            for first in range(0, len(fates), _TRACKED_AT_ONCE):
                some = [self._item(fate) for fate in fates[first : first + _TRACKED_AT_ONCE]]
                async with session.post("/v1/orders", json={"orders": some}) as answer:
                    answer.raise_for_status()

    def _item(self, fate: Fate) -> dict[str, Any]:
        at = datetime.fromtimestamp(self._began + 60.0 * fate.submitted, UTC)
        return {
            "panel": "p",
            "order": fate.id,
            "service": fate.service.name,
            "quantity": fate.quantity,
            "submitted_at": at.isoformat(),
        }


async def live(case: Case, task: Task, directory: Path) -> Lags:
    """The task's panel, watched by the daemon."""
    rate, share = PANELS[task.panel]
    world = World(
        task.seed * 10 + task.panel, scale=task.scale, share=share, days=case.days, guards=False
    )
    limit, clock = max(1, int(BATCH * task.scale)), Clock()
    lived = LivedRun(case, world, rate, limit, clock)

    async def serve(request: web.Request) -> web.Response:
        form = await request.post()
        if form["action"] == "balance":
            return web.json_response({"balance": "100", "currency": "USD"})
        if form["action"] == "services":
            return web.json_response([])
        ids = str(form.get("orders", form.get("order", ""))).split(",")
        rows = lived.answer(ids)
        return web.json_response(rows if "orders" in form else rows[ids[0]])

    panel = web.Application()
    panel.router.add_post("/", serve)
    runner = web.AppRunner(panel)
    await runner.setup()
    site = web.TCPSite(runner, "127.0.0.1", 0)
    await site.start()
    path = directory / "config.toml"
    path.write_text(CONFIG.format(port=runner.addresses[0][1], batch=limit, rate=round(rate)))

    def reread() -> Config:
        return load(path, {"BENCH_KEY": KEY})

    schedule = ClockworkSchedule(clock)
    daemon = Daemon(reread(), reread=reread, clock=clock, schedule=schedule)
    await daemon.start()
    try:
        return await lived.live(daemon, schedule)
    finally:
        await daemon.stop()
        await runner.cleanup()


def main(arguments: Sequence[str] | None = None) -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--scale", type=float, default=0.05, help="1: 100,000 orders")
    parser.add_argument("--days", type=float, default=1.0)
    parser.add_argument("--panel", type=int, default=0, choices=range(len(PANELS)))
    parser.add_argument("--json", type=Path)
    options = parser.parse_args(arguments)
    structlog.configure(processors=[_silent])
    measured = (options.days * DAY / 4, options.days * DAY * 0.95)
    case = Case("lived", guards=False, days=options.days, measured=measured)
    task = Task(case, "ours", 1, options.panel, options.scale)
    found = {}
    for policy in ("fixed", "ours"):
        found[policy] = figures([run(Task(case, policy, 1, options.panel, options.scale))])
    try:
        with tempfile.TemporaryDirectory() as name:
            found["daemon"] = figures([asyncio.run(live(case, task, Path(name)))])
    finally:
        structlog.reset_defaults()
    print(report.table(found))
    told = found["daemon"]["mean"] / found["ours"]["mean"]
    print(f"mean, daemon ÷ module: {told:.3g}", file=sys.stderr)
    if options.json:
        figures_of = {"days": options.days, "scale": options.scale, "figures": found}
        report.write(options.json, "lived", {**figures_of, "daemon ÷ module": told})


def _silent(logger: object, method: str, event: structlog.typing.EventDict) -> str:
    raise structlog.DropEvent


if __name__ == "__main__":
    main()
