"""Page, `top`, API, notifications and metric tell the same of one state of the daemon."""

import asyncio
import re
from collections import Counter
from pathlib import Path
from typing import Any

import aiohttp
import pytest
from rich.console import Console

from tests.support.house import House, a_house
from tests.support.receiver import Receiver, a_receiver
from tests.unit.states import NOW, a_panel, a_state
from watcher.alerts import MOMENTS, ON_REQUEST, AlertKind
from watcher.cli.api_client import ApiClient
from watcher.cli.top import _fetch, attention_line, frame
from watcher.common.pauses import ManualPause, Paused
from watcher.daemon.attention_kinds import Issue
from watcher.metrics.cluster_gauges import ClusterState, NodeState
from watcher.metrics.gauges import DaemonState, ReceiverState, RuleState
from watcher.model import Kind
from watcher.panels.health import HealthState, PanelProblem

FAILING = ReceiverState(name="t", waiting=1, error="HTTP 500", fails_since=NOW - 600, dead=2)
AWAY = NodeState(
    name="b",
    url="http://b:9466",
    epoch=1,
    until=NOW - 60,
    started_at=NOW - 9000,
    version="1",
    is_alive=False,
)
EVERYTHING = a_state(
    cluster=ClusterState(node="a", nodes=[AWAY], unled={"unled": NOW - 60}, offset=1.5),
    integrity_ok=False,
    db_failed_at=NOW,
    backup_at=NOW - 90 * 3600,
    reload_problems=["panels.p: no"],
    notifiers=[FAILING],
    receivers=[FAILING],
    rules=[
        RuleState("held", 1, 1, 0, per_hour=3, held={"low": NOW + 9000}),
        RuleState("off", 1, 0, 20, switched_off="no such key"),
    ],
    pauses=[ManualPause(what=Paused.ACTIONS, name="low", since=NOW, by="token", via="page")],
    panels=[
        a_panel(name="down", up=False, last_success=NOW - 400, problem="HTTP 503"),
        a_panel(name="refusing", up=False, health=HealthState.REFUSING, problem="no such key"),
        a_panel(
            name="degraded",
            health=HealthState.DEGRADED,
            faults=[PanelProblem("services", "odd", NOW)],
            last_success=NOW + 900,
        ),
        a_panel(name="limited", health=HealthState.LIMITED, problem="slow down"),
        a_panel(name="low", balance=1.0, unresolved={Kind.REFILL: 1}),
        a_panel(name="short", lasts=40_000.0, balance_at=NOW - 9000),
        a_panel(
            name="late", oldest_due=NOW - 100, check_within=90.0, longest_wait=200.0, stalled=2
        ),
        a_panel(name="strange", problems=2, problem_id="abc"),
        a_panel(name="still", still_since=NOW - 4 * 3600, still_expected=30.0),
    ],
)
LOST = a_state(files_problem="watcher.db was removed")
TOLD = {
    ("panel_down", "down"),
    ("panel_down", "refusing"),
    ("panel_down", "unled"),
    ("panel_degraded", "degraded"),
    ("balance_low", "low"),
    ("action_unresolved", "low"),
    ("order_stalled", "late"),
    ("rule_paused", "low"),
    ("rule_paused", ""),
    ("node_lost", ""),
    ("clocks_apart", ""),
}
NOTIFY = '[[notify]]\nname = "phone"\n'


async def told(house: House, receiver: Receiver) -> dict[str, list[str]]:
    """Return the kinds that each tells of. People are told of some only, and of none twice."""
    url = f"http://127.0.0.1:{house.daemon.port}"
    listed = (await house.call("GET", "/v1/attention"))["attention"]
    async with aiohttp.ClientSession(url) as session, session.get("/") as answer:
        page = await answer.text()
    picture = await asyncio.to_thread(_fetch, ApiClient(url))
    screen = "\n".join(line.plain for line in frame(Console(width=400), picture, None))
    titles = {kind.replace("_", " ").capitalize(): kind for kind in Issue}
    scraped = re.findall(r"watcher_attention\{(.*?)\} (\S+)", await house.scrape())
    assert all(attention_line(item) in screen for item in picture.attention)
    return {
        "api": sorted(item["kind"] for item in listed),
        "page": sorted(titles[what] for what in re.findall(r'class="what">(.*?)<', page)),
        "top": sorted(item.kind for item in picture.attention),
        "metric": sorted(
            Counter(
                {
                    found: round(float(number))
                    for labels, number in scraped
                    if (found := re.search(r'kind="(\w+)"', labels)[1]) and float(number)
                }
            ).elements()
        ),
    }


def play(house: House, state: DaemonState, monkeypatch: pytest.MonkeyPatch) -> None:
    """Let the daemon be in that state, at its moment."""
    house.clock.now = NOW
    monkeypatch.setattr(house.daemon.daemon_status, "_state", lambda: state)


async def test_all_tell_the_same_of_everything(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    async with a_receiver() as receiver:
        env = {"PHONE_URL": receiver.url}
        async with a_house(tmp_path, rules=NOTIFY, env=env) as house:
            play(house, EVERYTHING, monkeypatch)
            found = await told(house, receiver)
            assert set(found["api"]) == set(Issue) - {Issue.DATABASE_LOST}
            assert found["page"] == found["top"] == found["metric"] == found["api"]
            for _ in range(2):
                await house.daemon.receivers._monitor.run_once(house.clock.now)
                house.clock.now += 301
            (notify_worker,) = house.daemon.receivers.notify_workers.values()
            await notify_worker.run_once(house.clock.now)
            notices = [notice for one in receiver.arrived for notice in one["notices"]]
            assert {(one["event"], one["panel"]) for one in notices} == TOLD
            assert {one["event"] for one in notices} == set(AlertKind) - MOMENTS - ON_REQUEST


async def test_a_file_that_is_lost(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    async with a_receiver() as receiver, a_house(tmp_path) as house:
        play(house, LOST, monkeypatch)
        found = await told(house, receiver)
        assert all(kinds == ["database_lost"] for kinds in found.values())


@pytest.mark.parametrize("limit", ["90s", "30m"])
async def test_of_a_lag_of_100_seconds_all_tell_or_none(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, limit: str
):
    limits = f'[attention]\nchecks_late_by = "{limit}"\n'
    async with a_receiver() as receiver, a_house(tmp_path, rules=limits) as house:
        play(house, a_state(panels=[a_panel(oldest_due=NOW - 100)]), monkeypatch)
        found = await told(house, receiver)
        expected = ["checks_late"] if limit == "90s" else []
        assert all(kinds == expected for kinds in found.values()), found


async def test_a_reload_changes_the_limits(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    async with a_house(tmp_path) as house:
        play(house, a_state(panels=[a_panel(oldest_due=NOW - 100)]), monkeypatch)
        assert (await house.call("GET", "/v1/attention"))["attention"] == []
        house.path.write_text(f'{house.path.read_text()}\n[attention]\nchecks_late_by = "90s"\n')
        await house.daemon.reload()
        (item,) = (await house.call("GET", "/v1/attention"))["attention"]
        assert item["key"] == "checks_late/p/"


async def test_each_fact_comes_from_its_owner(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    async with a_house(tmp_path) as house:

        async def kinds() -> list[str]:
            return [i["kind"] for i in (await house.call("GET", "/v1/attention"))["attention"]]

        async def damaged() -> bool:
            return False

        await house.run(60.0)
        assert await kinds() == []
        house.daemon.metrics.count_operation("record", 0.1, failed=True)
        good = house.path.read_text()
        house.path.write_text("nonsense")
        await house.daemon.reload()
        monkeypatch.setattr(house.daemon.store.maintenance, "quick_check", damaged)
        house.schedule.wake("integrity")
        await house.run(60.0)
        assert await kinds() == ["database_damaged", "database_failing", "config_refused"]
        house.path.write_text(good)
        await house.daemon.reload()
        await house.run(600.0)
        assert await kinds() == ["database_damaged"]


async def test_spending_is_read_as_soon_as_a_balance_is_known(tmp_path: Path) -> None:
    async with a_house(tmp_path) as house:
        status = house.daemon.daemon_status
        house.daemon.rule_engine.balances.clear()
        await status.read_spending(house.clock())
        assert status._spent_at == 0.0, "nothing was read"
        await house.run(60.0)
        assert status._spent_at > 0.0


async def test_spending_is_read_every_few_minutes_also_where_nothing_is_spent(tmp_path: Path):
    async with a_house(tmp_path) as house:
        await house.run(3600.0)
        reads = 0
        spendings = house.daemon.store.balances.spendings

        async def counting(now: float) -> Any:
            nonlocal reads
            reads += 1
            await spendings(now)
            return {}  # as after a week without a change

        house.daemon.store.balances.spendings = counting  # type: ignore[method-assign]
        await house.run(3600.0)
        assert 0 < reads <= 13
