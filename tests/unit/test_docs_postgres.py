"""What docs/postgres.md and docs/standby.md say to do is done here."""

import asyncio
import re
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import psycopg
import pytest

from tests.support.postgres import Server
from tests.unit.store_kit import NAME, a_plan, a_submission, opened, outcome, sent, tracked
from watcher.common.postgres_url import PostgresUrl, url_problem
from watcher.model import ActionState, RuleAction
from watcher.store import Hold, Store, check_server, restore

DOCS = Path(__file__).parents[2] / "docs"
PAGE = (DOCS / "postgres.md").read_text()
NOW = 1_800_000_000.0


@pytest.fixture
def own() -> Iterator[Server]:
    """A server of the test's own, with no role but the administrator's."""
    one = Server()
    one.start()
    yield one
    one.remove()


@pytest.mark.long
@pytest.mark.engines("postgresql")
async def test_the_script_gives_each_role_what_it_needs_and_no_more(
    own: Server, tmp_path: Path
) -> None:
    (script,) = re.findall(r"```sql\n(.*?)```", PAGE, re.DOTALL)
    first, _, then = script.partition("\\connect watcher\n")
    for part, database in ((first, "postgres"), (then, "watcher")):
        for statement in re.sub(r"--.*", "", part).split(";"):
            if statement.strip():
                own.sql(statement, database)
    url = PostgresUrl(f"postgresql://watcher@127.0.0.1:{own.port}/watcher", "change-me", tmp_path)
    assert re.match(r"\d+\.\d+", await asyncio.to_thread(check_server, url))
    store = await Store.open(url, now=0.0)
    await tracked(store, 3)
    reports = f"postgresql://watcher_reports:change-me-too@127.0.0.1:{own.port}/watcher"
    with psycopg.connect(reports, autocommit=True) as reader:
        assert reader.execute("SELECT count(*) FROM orders").fetchone() == (3,)
        for statement in ("DELETE FROM order_states", "CREATE TABLE mine (id int)"):
            with pytest.raises(psycopg.errors.InsufficientPrivilege):
                reader.execute(statement)
    await store.close()
    own.sql("CREATE ROLE stranger LOGIN PASSWORD 's'")
    with pytest.raises(psycopg.OperationalError, match="permission denied"):
        psycopg.connect(f"postgresql://stranger:s@127.0.0.1:{own.port}/watcher")


def test_its_urls_are_taken() -> None:
    urls = re.findall(r"postgresql://[^\s`\"]+", PAGE)
    assert len(urls) >= 4
    assert [url_problem(url) for url in urls] == [None] * len(urls)


async def test_a_standby_that_lags_sends_nothing_twice(tmp_path: Path) -> None:
    """The steps of docs/standby.md: a copy each minute, restored on the second machine."""
    first, second = tmp_path / "first", tmp_path / "second"
    for machine in (first, second):
        machine.mkdir()
    async with opened(first) as store:
        await tracked(store, 3)
        planned = await store.actions.plan(a_plan("1"), now=NOW)
        await store.maintenance.backup(second / "copy.db")
        (sending,) = await store.actions.claim([planned.id], now=NOW + 1)
        await store.actions.settle([outcome(sending, ActionState.ACCEPTED, "7")], now=NOW + 2)
        await sent(store, a_submission("late"), now=NOW + 3)  # and then the machine is lost
    hold = Hold(rule="r", action=RuleAction.REFILL, panels=None)
    with ThreadPoolExecutor() as pool:
        restored = pool.submit(
            restore, second / "copy.db", second / NAME, [hold], now=NOW + 60
        ).result()
    assert restored.kept is None
    assert (restored.disowned.unresolved, restored.disowned.orders) == (1, 3)
    store = await Store.open(second / NAME, now=NOW + 61)
    try:
        assert await store.actions.planned("p") == []
        assert await store.actions.claim([planned.id], now=NOW + 61) == []
        assert set(await store.firings.counts()) == {
            ("r", False, "p", order) for order in ("1", "2", "3")
        }
    finally:
        await store.close()
