"""A process that is killed while it writes: nothing committed is lost, nothing is there by half."""

import random
import time
from pathlib import Path

import pytest

from tests.unit.store_kit import an_order, child, loaded, location, opened
from watcher.model import ActionState

pytestmark = [pytest.mark.long, pytest.mark.engines("sqlite", "postgresql")]

WRITER = """
import asyncio, sys
from tests.unit.store_kit import a_firing, a_plan, at, loaded, moved
from watcher.model import Kind
from watcher.store import Store

async def work(store, group, number):
    for step in range(100_000):
        part = [moved(order, 5.0 + step, remains=order.remains - 1) for order in group]
        firing = a_firing(group[0].id, f"rule {step}", at=5.0 + step)
        await store.changes.record(part, [firing], now=5.0 + step)
        group = [transition.after for transition in part]
        print("done", number, group[0].remains, flush=True)

async def send(store):
    for _ in range(100_000):
        action = await store.actions.plan(a_plan(None, Kind.SUBMIT), now=1.0)
        await store.actions.claim([action.id], now=2.0)
        print("sent", action.id, 0, flush=True)

async def main():
    store = await Store.open(at(*sys.argv[1:]), now=0.0)
    await store.actions.recover()
    orders = await loaded(store)
    groups = [orders[start:start + 5] for start in range(0, len(orders), 5)]
    await asyncio.gather(send(store), *(work(store, g, n) for n, g in enumerate(groups)))

asyncio.run(main())
"""
START = 10**6


async def prepare(directory: Path) -> None:
    async with opened(directory) as store:
        await store.orders.track([an_order(str(n), remains=START) for n in range(20)], now=0.0)


def write_and_kill(directory: Path, seconds: float) -> tuple[dict[int, int], set[int]]:
    """What the killed writer had been told is committed: remains by group, actions sent."""
    remains: dict[int, int] = {}
    sent: set[int] = set()
    with child(WRITER, location(directory), directory) as process:
        assert process.stdout is not None
        assert process.stdout.readline()
        time.sleep(seconds)
        process.kill()
        for line in process.stdout:
            word, *numbers = line.split()
            if len(numbers) < 2 or not line.endswith("\n"):
                break
            if word == "done":
                remains[int(numbers[0])] = int(numbers[1])
            else:
                sent.add(int(numbers[0]))
    return remains, sent


async def test_nothing_committed_is_lost_and_nothing_is_half(tmp_path: Path) -> None:
    await prepare(tmp_path)
    chance = random.Random(5)
    ever_sent: set[int] = set()
    for _ in range(3):
        told, sent = write_and_kill(tmp_path, chance.uniform(0.05, 0.4))
        ever_sent |= sent
        async with opened(tmp_path) as store:
            assert await store.maintenance.quick_check()
            await store.actions.recover()
            orders = await loaded(store)
            for number in range(4):
                group = orders[number * 5 : number * 5 + 5]
                (remains,) = {order.remains for order in group}
                assert remains is not None
                assert remains <= told.get(number, START)
                for order in group:
                    history = await store.orders.history("p", order.id)
                    assert [changes["remains"] for _, changes in history] == [
                        [START - step, START - step - 1] for step in range(START - remains)
                    ]
                assert len(await store.firings.of_order("p", group[0].id)) == START - remains
            states = {a.id: a.state for a in await store.actions.unsettled()}
            assert {states[number] for number in ever_sent} <= {ActionState.UNRESOLVED}
    assert ever_sent
    assert told
