"""The same worlds through the daemon itself: real HTTP and SQLite, on a clock that jumps.

`benchmarks.freshness` calls the rule; here a panel of such a world answers the daemon's requests,
and notes how long each change had waited to be asked about. Both have the same orders and budget,
so the daemon should learn as soon as the module promises. What is delivered is guarded to the end
here: a daemon ends a guard by its own clock, the world by the order's.
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
import numpy as np
import structlog
from aiohttp import web
from msgspec.structs import replace

from benchmarks import report
from benchmarks.freshness import Case, Lags, Run, Task, figures, run
from benchmarks.house import KEY
from benchmarks.policies import Fixed
from benchmarks.world import COMPLETED, DAY, MOVING, PARTIAL, PENDING, REFUNDED, Ints, Spec, World
from benchmarks.worlds import WORLDS
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
guard_for = "60d"
"""
WORDS = {
    PENDING: "Pending",
    MOVING: "In progress",
    COMPLETED: "Completed",
    PARTIAL: "Partial",
    REFUNDED: "Refunded",
}
IN = ("base", "freezes", "guarded")
_OFTEN = 5  # times as many requests, with as many fewer ids: the daemon also reads balances
_TRACKED_AT_ONCE = 500
_STEP = 1.0  # minutes in which arrivals come together


class LivedRun(Run):
    """A run whose policy is a daemon. `clock` is its; the world counts minutes from `began`."""

    def __init__(self, case: Case, world: World, clock: Clock) -> None:
        super().__init__(case, world, Fixed(world, 0.0, Random(0)))
        self._clock = clock
        self._began = clock()

    async def live(self, daemon: Daemon, schedule: ClockworkSchedule) -> Lags:
        """Everything that happens to the world, and the daemon's asking."""
        self._begin()
        await self._track(daemon, self._world.first)
        coming, end = self._world.coming, self._case.days * DAY
        submitted = self._world.submitted[coming]
        while (now := self._now()) < end:
            new = coming[: np.searchsorted(submitted, now, "right")]
            coming, submitted = coming[len(new) :], submitted[len(new) :]
            self._enter(new)
            await self._track(daemon, new)
            await schedule.run(60.0 * _STEP)
        self._count_unseen(end)
        return self._lags

    def answer(self, ids: Sequence[str]) -> dict[str, Any]:
        """What the panel tells of these orders now."""
        now, orders = self._now(), np.array([int(order_id) for order_id in ids])
        self._lags.requests += 1
        self._lags.full += len(ids) == self._case.spec.limit
        status, remains = self._world.look(orders, now)
        self._note(orders, status, now)
        self._watched[orders] = self._stays(orders, status, now)
        answers = zip(ids, status.tolist(), remains.tolist(), strict=True)
        return {order_id: _row(*answer) for order_id, *answer in answers}

    def _now(self) -> float:
        return (self._clock() - self._began) / 60.0

    async def _track(self, daemon: Daemon, orders: Ints) -> None:
        url = f"http://127.0.0.1:{daemon.port}"
        async with aiohttp.ClientSession(url) as session:
            for first in range(0, len(orders), _TRACKED_AT_ONCE):
                some = [self._item(order) for order in orders[first : first + _TRACKED_AT_ONCE]]
                async with session.post("/v1/orders", json={"orders": some}) as answer:
                    answer.raise_for_status()

    def _item(self, order: int) -> dict[str, Any]:
        world = self._world
        at = datetime.fromtimestamp(self._began + 60.0 * world.submitted[order], UTC)
        return {
            "panel": "p",
            "order": str(order),
            "service": f"s{world.service[order]}",
            "quantity": int(world.quantity[order]),
            "submitted_at": at.isoformat(),
        }


async def live(task: Task, directory: Path) -> Lags:
    """The task's panel, watched by the daemon."""
    case, clock = task.case, Clock()
    lived = LivedRun(case, World(case.spec, task.seed, case.days), clock)

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
    port = runner.addresses[0][1]
    path.write_text(CONFIG.format(port=port, batch=case.spec.limit, rate=case.rate))

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


def compare(spec: Spec, scale: float, days: float, seeds: int) -> dict[str, dict[str, float]]:
    """Figures of a world over all seeds, by who asks: fixed, the module, the daemon."""
    spec = replace(spec, guards_all=True).scaled(scale)
    limit, rate = max(1, round(spec.limit / _OFTEN)), spec.budgets[0]
    spec = replace(spec, limit=limit, budgets=(round(rate * spec.limit / limit),))
    case = Case("lived", spec, days=days, warm_up=days / 4)
    policies = {"fixed": "fixed", "ours": "ours from nothing"}
    tasks = [Task(case, "daemon", seed) for seed in range(1, seeds + 1)]
    found = {
        name: figures(run(replace(task, policy=policy)) for task in tasks)
        for name, policy in policies.items()
    }
    return found | {"daemon": figures(_lived(task) for task in tasks)}


def _lived(task: Task) -> Lags:
    with tempfile.TemporaryDirectory() as name:
        return asyncio.run(live(task, Path(name)))


def main(arguments: Sequence[str] | None = None) -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--scale", type=float, default=0.2, help="1: 12,000 orders")
    parser.add_argument("--days", type=float, default=1.0)
    parser.add_argument("--seeds", type=int, default=3)
    parser.add_argument("--world", action="append", choices=[spec.name for spec in WORLDS])
    parser.add_argument("--json", type=Path)
    options = parser.parse_args(arguments)
    structlog.configure(processors=[_silent])
    found, told = {}, {}
    try:
        for spec in WORLDS:
            if spec.name in (options.world or IN):
                found[spec.name] = compare(spec, options.scale, options.days, options.seeds)
    finally:
        structlog.reset_defaults()
    for name, policies in found.items():
        told[name] = policies["daemon"]["mean"] / policies["ours"]["mean"]
        print(f"\n{name}\n{report.table(policies)}")
        print(f"mean, daemon ÷ module: {told[name]:.3g}", file=sys.stderr)
    if options.json:
        figures_of = {
            "days": options.days,
            "scale": options.scale,
            "seeds": options.seeds,
            "worlds": found,
        }
        report.write(options.json, "lived", {**figures_of, "daemon ÷ module": max(told.values())})


def _row(status: int, remains: int) -> dict[str, Any]:
    told = {} if remains < 0 else {"remains": str(remains)}
    row = {"status": WORDS.get(status, "Canceled"), "charge": "1", "start_count": "0"}
    return {**row, **told, "currency": "USD"}


def _silent(logger: object, method: str, event: structlog.typing.EventDict) -> str:
    raise structlog.DropEvent


if __name__ == "__main__":
    main()
