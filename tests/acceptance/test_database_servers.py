"""The real daemon under load while its PostgreSQL is killed, frozen, full or put back."""

import asyncio
import signal
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.acceptance.harness.watched import Watched, watched
from tests.support.audit import acted
from tests.support.postgres import Server, why_no_disk
from tests.support.process import ROOT
from tests.unit.store_kit import location

pytestmark = pytest.mark.engines("postgresql")


@pytest.fixture
def own(request: pytest.FixtureRequest) -> Iterator[Server]:
    """A server of the test's own, which it may end."""
    one = Server(disk=getattr(request, "param", ""))
    one.start()
    yield one
    one.remove()


@pytest.mark.parametrize("how", [signal.SIGKILL, signal.SIGINT])
async def test_it_goes_on_by_itself_when_the_server_is_back(
    tmp_path: Path, own: Server, how: signal.Signals
):
    async with watched(tmp_path, 11, 300, own.url(own.create(), tmp_path)) as house:
        for away in (0.0, 0.5, 3.0):
            await asyncio.sleep(1.0)
            own.stop(how)
            await asyncio.sleep(away)
            own.start()
            await house.goes_on()
        assert await house.problems() == []
        await house.accepts(21)


async def test_a_server_that_stands_still_is_told_of_and_waited_for(tmp_path: Path, own: Server):
    async with watched(tmp_path, 12, 300, own.url(own.create(), tmp_path)) as house:
        await asyncio.sleep(2.0)
        own.freeze(on=True)
        try:
            (problem,) = await house.problems()
            assert "has not answered for 10 seconds" in problem
        finally:
            own.freeze(on=False)
        await house.goes_on()
        assert await house.problems() == []


@pytest.mark.parametrize("own", ["160m"], indirect=True)
async def test_a_server_without_room_is_told_of_and_costs_nothing(tmp_path: Path, own: Server):
    """PostgreSQL itself goes down where its log can't be written; its administrator starts it."""
    async with watched(tmp_path, 13, 2000, own.url(own.create(), tmp_path)) as house:
        own.fill()
        said = ""
        async with asyncio.timeout(90.0):
            while "no room left" not in said and "can't be reached" not in said:
                try:
                    await house.track(200)
                except AssertionError as error:
                    said = str(error)
        await asyncio.sleep(2.0)
        own.make_room()
        await house.goes_on()
        assert "Traceback" not in house.daemon.text()


@pytest.fixture(autouse=True)
def _has_disk(request: pytest.FixtureRequest) -> None:
    callspec = getattr(request.node, "callspec", None)
    if callspec is not None and callspec.params.get("own") and (problem := why_no_disk()):
        pytest.skip(problem)


async def test_a_server_put_back_to_an_older_copy_holds_all_actions(tmp_path: Path, own: Server):
    """Until `watcher disown`; what was done since the copy is not done again."""
    database = own.url(own.create(), tmp_path)
    async with watched(tmp_path, 14, 400, database, is_whole=False) as house:
        await sees_actions(house, 20)
        own.stop()
        copy = own.keep_copy()
        own.start()
        await sees_actions(house, 40)
        own.stop()
        own.put_back(copy)
        own.start()
        await needs(house, "database_lost")
        held = acted(house.panels)
        await asyncio.sleep(3.0)
        assert acted(house.panels) == held, "nothing is sent"
        assert await house.daemon.stop() == 0

        await house.daemon.start(ready=False)
        assert await house.daemon.wait() == 1
        assert "watcher disown" in house.daemon.text().splitlines()[-1]
        await disown(house)
        await house.daemon.start()
        await asyncio.sleep(5.0)
        assert await house.arrives("status", 60.0)
    assert max(acted(house.panels).values()) == 1, "nothing is done twice"


@pytest.mark.engines("sqlite", "postgresql")
async def test_a_short_soak_with_a_kill_in_it(tmp_path: Path):
    async with watched(tmp_path, 21, 5000, location(tmp_path)) as house:
        await asyncio.sleep(5.0)
        await house.killed()
        await asyncio.sleep(5.0)
        middle = house.memory()
        await asyncio.sleep(10.0)
        assert house.memory() < 1.3 * middle, "memory doesn't grow"
        assert await house.problems() == []
        await house.accepts(201)


# --- means ---


async def sees_actions(house: Watched, count: int) -> None:
    wanted = acted(house.panels).total() + count
    async with asyncio.timeout(60.0):
        while acted(house.panels).total() < wanted:
            await asyncio.sleep(0.05)


async def needs(house: Watched, kind: str) -> None:
    """Until the daemon says that this needs a person."""
    async with asyncio.timeout(60.0):
        while kind not in {
            item["kind"] for item in (await house.daemon.call("GET", "/v1/attention"))["attention"]
        }:
            await asyncio.sleep(0.2)


async def disown(house: Watched) -> None:
    ran = await asyncio.create_subprocess_exec(
        sys.executable, "-m", "watcher", "disown", "--config", str(house.daemon.config), cwd=ROOT
    )
    assert await ran.wait() == 0
