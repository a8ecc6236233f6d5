"""What hits the real daemon process, and what is dealt out to a scenario.

A kill at a point of the daemon's own work is done by `mortal`; one at a request's arrival by the
panel, which then keeps its answer back; all others at a drawn time.
"""

import asyncio
import contextlib
import os
import random
import resource
import shutil
import signal
import sqlite3
from pathlib import Path
from typing import NamedTuple

import aiohttp

from tests.acceptance.harness.fuse import Moment
from tests.acceptance.harness.siege import Siege
from tests.support.process import DaemonProcess
from watcher.simulator import Trait

SCENARIOS = 5  # of a hundred seeds, together dealt each blow once
MORTAL = "tests.acceptance.harness.mortal"
SPOILS = (
    Trait.CLOSE_AFTER,
    Trait.CLOSE_BEFORE,
    Trait.RESET,
    Trait.CUT_ANSWER,
    Trait.BROKEN_JSON,
    Trait.WRONG_TYPES,
    Trait.EMPTY_BODY,
    Trait.HTML_503,
    Trait.HTML_504_AFTER,
    Trait.LIMIT_429_AFTER,
    Trait.STALL,
    Trait.RATE_LIMITED,
    Trait.ENDLESS_ANSWER,
)
# What PHP reads as the watcher's own parameters, and what no panel documents.
FORGED = (
    " service",
    "service ",
    "service\0",
    "service[",
    "service[]",
    "action[",
    "action.x",
    "key\0",
    " key",
    "Key",
    "link[0]",
    "quantity\n",
    "ser vice",
    "ѕervice",
)


class Blow(NamedTuple):
    """One of them; at a point: the operation and the moment in it."""

    kind: str
    operation: str = ""
    moment: str = ""

    def __str__(self) -> str:
        at = f" {self.moment or 'at'} {self.operation}" if self.operation else ""
        return f"process: {self.kind.replace('_', ' ')}{at}"


BLOWS = (
    *(Blow("kill", "claim", moment) for moment in Moment),
    *(Blow("kill", "settle", moment) for moment in Moment),
    *(Blow("kill", name, Moment.DURING) for name in ("record", "plan", "track")),
    *(Blow("kill", name, Moment.AFTER) for name in ("refill", "cancel", "add")),
    *(Blow("kill_at_the_arrival", name) for name in ("refill", "refill", "cancel", "add")),
    Blow("kill_at_any_time"),
    Blow("kill_at_any_time"),
    Blow("kill_during_a_backup"),
    Blow("kill_during_a_reload"),
    Blow("kill_during_the_start"),
    Blow("kill_while_tables_are_made"),
    Blow("terminate_under_load"),
    Blow("few_file_handles"),
    Blow("disk_full"),
    Blow("locked_by_another"),
    Blow("connections_refused"),
    Blow("spoilt_answers"),
    Blow("spoilt_answers"),
    Blow("dates_to_wait_for"),
    Blow("limits_after_acting"),
    Blow("copy_put_in_place"),
    Blow("wal_removed"),
    Blow("forged_names"),
)


def deal(seed: int, place: int) -> list[Blow]:
    """The blows of the scenario in this place among those that share the deck."""
    deck = list(BLOWS)
    random.Random(f"blows {seed // 100}").shuffle(deck)
    return deck[place % SCENARIOS :: SCENARIOS]


async def strike(blow: Blow, siege: Siege) -> None:
    """Bring it about, until the daemon is up again."""
    if blow.kind == "kill":
        await _kill_at_a_point(siege, blow.operation, blow.moment)
    elif blow.kind == "kill_at_the_arrival":
        await _kill_at_the_arrival(siege, blow.operation)
    else:
        await _OTHERS[blow.kind](siege)


async def _kill_at_a_point(siege: Siege, operation: str, moment: str) -> None:
    passes = siege.chance.choice([0, 0, 1, 3])
    await siege.die()
    with contextlib.suppress(AssertionError):  # it may end before it is ready
        await siege.daemon.start(program=(MORTAL, operation, moment, str(passes)))
    working = asyncio.create_task(siege.work(4.0, track=operation == "track"))
    siege.seen["killed at a point"] += await siege.has_ended(4.0)
    await siege.kill()
    await working


async def _kill_at_the_arrival(siege: Siege, action: str) -> None:
    """Between a request and its answer, or after a while without one."""
    for panel in siege.panels.values():
        panel.switches.on(Trait.STALL, action=action, times=1, amount=3.0)
    working = asyncio.create_task(siege.work(3.0))
    siege.seen["killed at an arrival"] += await siege.heard(action, 3.0)
    await siege.kill()
    siege.calm()
    await working


async def _kill_at_any_time(siege: Siege) -> None:
    await siege.work(siege.chance.uniform(0.1, 1.5))
    await siege.kill()


async def _kill_during_a_backup(siege: Siege) -> None:
    url = f"http://127.0.0.1:{siege.daemon.port}/v1/backup"
    fetching = asyncio.create_task(_fetch(url))
    await asyncio.sleep(siege.chance.uniform(0.0, 0.08))
    await siege.kill()
    await asyncio.gather(fetching, return_exceptions=True)


async def _kill_during_a_reload(siege: Siege) -> None:
    text = siege.daemon.config.read_text()
    siege.daemon.config.write_text(text.replace("'2s'", siege.chance.choice(["'3s'", "'2s'"])))
    siege.daemon.send(signal.SIGHUP)
    await asyncio.sleep(siege.chance.uniform(0.0, 0.1))
    await siege.kill()


async def _kill_during_the_start(siege: Siege) -> None:
    await siege.die()
    for _ in range(2):
        await siege.daemon.start(ready=False)
        await asyncio.sleep(siege.chance.uniform(0.3, 2.0))
        await siege.die()
    await siege.rise()


async def _kill_while_tables_are_made(siege: Siege) -> None:
    """Of a new database."""
    fresh = siege.daemon.directory / "fresh"
    fresh.mkdir()
    other = DaemonProcess(fresh, siege.panels)
    await other.start(ready=False, program=(MORTAL, "tables", Moment.DURING, "0"))
    if await other.wait() != -signal.SIGKILL:
        siege.found.append(f"no tables: {other.text()[-300:]}")
    await other.start()
    if await other.stop() != 0:
        siege.found.append("a database that was cut off while it was made can't be opened")


async def _terminate_under_load(siege: Siege) -> None:
    await siege.work(0.5)
    await siege.stop()
    await siege.rise()


async def _few_file_handles(siege: Siege) -> None:
    """As many as are open: every new connection is refused by the system."""
    open_now = len(list(Path(f"/proc/{siege.pid}/fd").iterdir()))
    await _limited(siege, resource.RLIMIT_NOFILE, open_now)


async def _disk_full(siege: Siege) -> None:
    await _limited(siege, resource.RLIMIT_FSIZE, 16384)


async def _limited(siege: Siege, limit: int, value: int) -> None:
    soft, hard = resource.prlimit(siege.pid, limit)
    resource.prlimit(siege.pid, limit, (value, hard))
    await siege.work(2.0)
    if await siege.has_ended(0.0):
        siege.found.append(f"the daemon ended: {siege.daemon.text()[-300:]}")
        await siege.rise()
        return
    resource.prlimit(siege.pid, limit, (soft, hard))
    await siege.work(1.0)


async def _locked_by_another(siege: Siege) -> None:
    with contextlib.closing(
        sqlite3.connect(siege.daemon.database, isolation_level=None, timeout=20.0)
    ) as other:
        other.execute("BEGIN EXCLUSIVE")
        await siege.work(2.0)
        other.execute("ROLLBACK")
    await siege.work(1.0)


async def _connections_refused(siege: Siege) -> None:
    for panel in siege.panels.values():
        await panel.stop()
    await siege.work(1.0)
    await siege.die()
    for panel in siege.panels.values():
        await panel.start()
    await siege.rise()


async def _spoilt_answers(siege: Siege) -> None:
    for panel in siege.panels.values():
        panel.switches.on(siege.chance.choice(SPOILS), every=3, amount=1.5)
    await siege.work(2.5)
    await siege.kill()
    siege.calm()


async def _dates_to_wait_for(siege: Siege) -> None:
    for panel in siege.panels.values():
        panel.switches.on(Trait.RETRY_AFTER_DATE)
        panel.switches.on(Trait.RATE_LIMITED, times=2, amount=1.0)
    await siege.work(3.0)
    siege.calm()


async def _limits_after_acting(siege: Siege) -> None:
    """HTTP 429 with an id in it: accepted. Sent again, the oracle sees two."""
    for panel in siege.panels.values():
        for action in ("add", "refill", "cancel"):
            panel.switches.on(Trait.LIMIT_429_AFTER, action=action, times=5)
    await siege.work(3.0)
    siege.calm()
    await siege.work(1.0)


async def _copy_put_in_place(siege: Siege) -> None:
    """A backup that somebody puts in place by `cp` is refused at the start, with what to do."""
    copy = siege.daemon.directory / "copy.db"
    await _fetch(f"http://127.0.0.1:{siege.daemon.port}/v1/backup", copy)
    await siege.work(1.0)
    await siege.stop()
    place = siege.daemon.database
    beside = [path for path in place.parent.glob(f"{place.name}*") if path.suffix != ".lock"]
    kept = {path: path.read_bytes() for path in beside}
    for path in beside:
        path.unlink()
    shutil.copyfile(copy, place)
    sent = sum(len(panel.journal) for panel in siege.panels.values())
    await siege.daemon.start(ready=False)
    if not await siege.has_ended(10.0):
        siege.found.append("a copy was put in place of the database: the daemon runs on it")
        await siege.die()
    elif "restore" not in siege.daemon.text()[-2000:]:
        siege.found.append("a copy is refused without the command that restores it")
    siege.overlook_refusal()
    if sum(len(panel.journal) for panel in siege.panels.values()) != sent:
        siege.found.append("a copy was put in place of the database: panels were asked by it")
    for path in place.parent.glob(f"{place.name}*"):
        if path.suffix != ".lock":
            path.unlink()
    for path, content in kept.items():
        path.write_bytes(content)
    await siege.rise()


async def _wal_removed(siege: Siege) -> None:
    """Within a minute the daemon is not ready, and claims nothing any more."""
    await siege.work(0.5)
    wal = siege.daemon.database.with_name(f"{siege.daemon.database.name}-wal")
    if not wal.exists():
        siege.found.append("there is no WAL to remove")
        return
    # What is in it stays in the daemon's hands: it is put back once the daemon is gone.
    kept = siege.daemon.directory / "kept-wal"
    os.link(wal, kept)
    wal.unlink()
    if not await _not_ready_within(siege, 70.0):
        siege.found.append("the WAL is gone: the daemon says that it is ready")
    acted = _acted(siege)
    await siege.work(3.0)
    if _acted(siege) != acted:
        siege.found.append("the WAL is gone: panels were told to act")
    with contextlib.suppress(ProcessLookupError):
        await siege.daemon.kill()
    os.replace(kept, wal)
    await siege.rise()


async def _forged_names(siege: Siege) -> None:
    """What PHP would read as the watcher's own parameters reaches no panel."""
    url = f"http://127.0.0.1:{siege.daemon.port}/v1/submit"
    panel = siege.chance.choice(sorted(siege.panels))
    async with aiohttp.ClientSession() as session:
        for number, name in enumerate(FORGED):
            body = {"panel": panel, "service": 3, "link": f"https://example.com/forged/{number}"}
            body |= {"quantity": 100, "params": {name: "forged"}}
            headers = {"Idempotency-Key": f"forged-{siege.chance.random()}"}
            async with session.post(url, json=body, headers=headers) as answer:
                if answer.status < 400:
                    siege.found.append(f"a parameter named {name!r} was taken ({answer.status})")
    await siege.work(1.0)
    for panel_name, simulated in siege.panels.items():
        if any("forged" in entry.parameters.values() for entry in simulated.journal.requests()):
            siege.found.append(f"{panel_name}: a forged parameter arrived")


def _acted(siege: Siege) -> int:
    return sum(
        len(panel.journal.requests(action))
        for panel in siege.panels.values()
        for action in ("add", "refill", "cancel")
    )


async def _not_ready_within(siege: Siege, seconds: float) -> bool:
    url = f"http://127.0.0.1:{siege.daemon.port}/readyz"
    with contextlib.suppress(TimeoutError):
        async with asyncio.timeout(seconds), aiohttp.ClientSession() as session:
            while True:
                async with session.get(url) as answer:
                    if answer.status != 200:
                        return True
                await asyncio.sleep(0.5)
    return False


async def _fetch(url: str, to: Path | None = None) -> None:
    async with aiohttp.ClientSession() as session, session.get(url) as answer:
        body = await answer.read()
    if to is not None:
        to.write_bytes(body)


_OTHERS = {
    blow.kind: globals()[f"_{blow.kind}"]
    for blow in BLOWS
    if blow.kind not in ("kill", "kill_at_the_arrival")
}
