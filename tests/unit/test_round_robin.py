"""Answers take turns, and other work of the loop comes in between."""

import asyncio

from watcher.common.round_robin import RoundRobin


async def test_one_in_each_round_of_the_loop_in_the_order_they_came():
    round_robin, told = RoundRobin(), list[str]()

    async def answer(name: str) -> None:
        await round_robin.take()
        told.append(name)

    async def others() -> None:
        while len(told) < 8:
            told.append("-")
            await asyncio.sleep(0)

    await asyncio.gather(*(answer(name) for name in "abcd"), others())
    heard = "".join(told)
    assert heard.replace("-", "") == "abcd"
    assert not [pair for pair in ("ab", "bc", "cd") if pair in heard]


async def test_who_gives_up_holds_up_nobody():
    round_robin = RoundRobin()
    waiting = [asyncio.create_task(round_robin.take()) for _ in range(3)]
    await asyncio.sleep(0)
    waiting[0].cancel()
    waiting[1].cancel()
    await asyncio.wait_for(waiting[2], 5.0)
    await asyncio.wait_for(round_robin.take(), 5.0)
