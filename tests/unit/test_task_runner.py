"""The real schedule, on the real loop: short waits, no simulated time."""

import asyncio
import itertools
import time

import pytest

from watcher.daemon.task_runner import TaskRunner
from watcher.errors import StoreBusy


@pytest.fixture
async def schedule():
    schedule = TaskRunner()
    schedule.start()
    yield schedule
    await schedule.drain(1.0)


async def wait_until(condition, seconds: float = 60.0) -> None:
    async with asyncio.timeout(seconds):
        while not condition():
            await asyncio.sleep(0.005)


async def test_a_task_that_wants_to_run_at_once_is_never_forgotten(schedule: TaskRunner):
    runs = 0

    async def task(now: float) -> float:
        nonlocal runs
        runs += 1
        return now  # again, at once

    schedule.add("task", task)
    await wait_until(lambda: runs >= 300)


async def test_a_task_runs_when_it_asked_to(schedule: TaskRunner):
    runs: list[float] = []

    async def task(now: float) -> float:
        runs.append(now)
        return now + 0.1

    schedule.add("task", task)
    await wait_until(lambda: len(runs) >= 3)
    assert all(later - earlier >= 0.1 for earlier, later in itertools.pairwise(runs))


async def test_waking_runs_a_waiting_task_and_a_running_one_again(schedule: TaskRunner):
    runs, go = 0, asyncio.Event()

    async def task(now: float) -> None:
        nonlocal runs
        runs += 1
        await go.wait()

    schedule.add("task", task)
    await wait_until(lambda: runs == 1)
    schedule.wake("task")
    await asyncio.sleep(0.02)
    assert runs == 1, "it never runs twice at once"
    go.set()
    await wait_until(lambda: runs == 2)
    await asyncio.sleep(0.02)
    schedule.wake("task")
    await wait_until(lambda: runs == 3)


async def test_a_task_that_fails_runs_again_and_holds_up_no_other(
    schedule: TaskRunner, monkeypatch: pytest.MonkeyPatch
):
    monkeypatch.setattr("watcher.daemon.task_runner._AFTER_CRASH", 0.01)
    failures, runs = 0, 0

    async def broken(now: float) -> float:
        nonlocal failures
        failures += 1
        raise StoreBusy if failures % 2 else ZeroDivisionError

    async def sound(now: float) -> float:
        nonlocal runs
        runs += 1
        return now + 0.01

    schedule.add("broken", broken)
    schedule.add("sound", sound)
    await wait_until(lambda: failures >= 4 and runs >= 4)


async def test_a_task_whose_failure_can_not_be_told_runs_again(
    schedule: TaskRunner, monkeypatch: pytest.MonkeyPatch
):
    monkeypatch.setattr("watcher.daemon.task_runner._AFTER_CRASH", 0.01)
    failures = 0

    def can_not_tell(name: str, error: Exception) -> None:
        raise OSError

    async def broken(now: float) -> float:
        nonlocal failures
        failures += 1
        raise StoreBusy

    monkeypatch.setattr(schedule, "_log_failure", can_not_tell)
    schedule.add("broken", broken)
    await wait_until(lambda: failures >= 3)


async def test_draining_waits_for_what_runs_and_starts_nothing_more():
    schedule = TaskRunner()
    schedule.start()
    ended = False
    started = asyncio.Event()

    async def slow(now: float) -> float:
        nonlocal ended
        started.set()
        await asyncio.sleep(0.1)
        ended = True
        return now

    schedule.add("slow", slow)
    await started.wait()
    assert await schedule.drain(60.0)
    assert ended


async def test_draining_gives_up_in_time():
    schedule = TaskRunner()
    schedule.start()
    started = asyncio.Event()

    async def endless(now: float) -> None:
        started.set()
        await asyncio.sleep(3600.0)

    schedule.add("endless", endless)
    await started.wait()
    async with asyncio.timeout(60.0):
        assert not await schedule.drain(0.05)


async def test_retiring_waits_for_the_run_under_way(schedule: TaskRunner):
    started, ended = asyncio.Event(), False

    async def task(now: float) -> float:
        nonlocal ended
        started.set()
        await asyncio.sleep(0.05)
        ended = True
        return now

    schedule.add("task", task)
    await started.wait()
    await schedule.retire(["task"])
    assert ended
    schedule.wake("task")


async def test_a_task_that_does_not_come_back_is_stuck(schedule: TaskRunner):
    started = asyncio.Event()

    async def hung(now: float) -> None:
        started.set()
        await asyncio.sleep(30.0)

    schedule.add("hung", hung)
    await started.wait()
    now = time.time()
    assert schedule.stuck(now, 10.0) == []
    assert schedule.stuck(now + 100.0, 10.0) == ["hung"]


@pytest.mark.parametrize("jump", [-86400.0, 86400.0])
async def test_tasks_go_on_when_the_clock_is_set(jump: float):
    skew = 0.0
    runs: list[float] = []
    jumps: list[float] = []

    async def task(now: float) -> float:
        runs.append(now)
        return now + 0.1

    schedule = TaskRunner(clock=lambda: time.time() + skew, watch_clock_every=0.05)
    schedule.on_jump = jumps.append
    schedule.start()
    schedule.add("task", task)
    await wait_until(lambda: len(runs) == 2)
    skew = jump
    await wait_until(lambda: len(runs) >= 5)
    await schedule.drain(1.0)
    assert jumps == [pytest.approx(jump, abs=1.0)]
