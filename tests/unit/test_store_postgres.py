"""What only a database on a PostgreSQL server can have wrong, and what its store does then."""

import asyncio
import shutil
import signal
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import psycopg
import pytest
from alembic.autogenerate import compare_metadata
from alembic.migration import MigrationContext
from hypothesis import given
from hypothesis import strategies as st
from sqlalchemy import Connection
from sqlalchemy.exc import DBAPIError

from tests.support.postgres import Databases, Server, databases, server
from tests.unit.store_kit import (
    a_plan,
    finished,
    location,
    moved,
    opened,
    query,
    sent,
    sql,
    tracked,
)
from watcher.common.postgres_url import PostgresUrl, url_problem
from watcher.errors import (
    StoreBusy,
    StoreCorrupt,
    StoreError,
    StoreFull,
    StoreGone,
    StoreOlder,
    StoreRefused,
    Unsupported,
)
from watcher.model import RuleAction
from watcher.store import Hold, Store, check_server, disown, migrate, postgres_backend, restore
from watcher.store.errors import translated
from watcher.store.row_statement import array_of_numbers, array_of_texts
from watcher.store.schema import metadata

SECRET = "a secret"
FIRST = Path(__file__).parent / "golden" / "first_release_postgresql.sql"
pytestmark = pytest.mark.engines("postgresql")


@pytest.fixture
def own() -> Iterator[Server]:
    """A server of the test's own, which it may end."""
    one = Server()
    one.start()
    yield one
    one.remove()


def killing(store: Store, how: str) -> None:
    """The server ends every session of the store's database."""
    databases().server.sql(
        f"SELECT {how}(pid) FROM pg_stat_activity"
        f" WHERE application_name LIKE 'watcher %' AND datname <> 'postgres'"
    )


# --- the tables ---


async def test_the_tables_are_those_of_the_schema(tmp_path: Path) -> None:
    """Also each index: partial where it is partial in SQLite, and unique."""
    async with opened(tmp_path, is_new=True) as store:
        found = await store._db.write(
            "test", lambda c: compare_metadata(MigrationContext.configure(c), metadata)
        )
    assert found == []
    made = dict(query(tmp_path / "x", "SELECT indexname, indexdef FROM pg_indexes"))
    partial = {
        index.name
        for table in metadata.sorted_tables
        for index in table.indexes
        if index.dialect_options["sqlite"]["where"] is not None
    }
    assert {n for n, text in made.items() if " WHERE " in text and n in _indexes()} == partial
    assert made["actions_one_unsettled"].startswith("CREATE UNIQUE INDEX")


def _indexes() -> set[str]:
    return {str(index.name) for table in metadata.sorted_tables for index in table.indexes}


async def test_whole_numbers_have_64_bits_and_ids_are_sorted_by_bytes(tmp_path: Path) -> None:
    async with opened(tmp_path):
        pass
    columns = "SELECT table_name, column_name, data_type, collation_name FROM"
    found = query(
        tmp_path / "x", f"{columns} information_schema.columns WHERE table_schema = 'public'"
    )
    kinds = {(table, name): (kind, collation) for table, name, kind, collation in found}
    assert not [key for key, (kind, _) in kinds.items() if kind in ("integer", "smallint", "real")]
    for key in (("orders", "order_id"), ("orders", "link"), ("actions", "idempotency_key")):
        assert kinds[key] == ("text", "C")


MADE = """
SELECT table_name, column_name, data_type, collation_name, is_nullable, column_default
FROM information_schema.columns WHERE table_schema = 'public'
UNION ALL
SELECT tablename, indexname, indexdef, NULL, NULL, NULL FROM pg_indexes WHERE schemaname = 'public'
UNION ALL
SELECT conrelid::regclass::text, conname, pg_get_constraintdef(oid), NULL, NULL, NULL
FROM pg_constraint WHERE connamespace = 'public'::regnamespace
"""


async def test_migrations_of_the_first_tables_lead_to_those_of_a_new_database(
    tmp_path: Path,
) -> None:
    """The first tables stay as they are in the file; a step must run on both databases."""
    here = databases().server
    names = here.create(), here.create()
    here.sql(FIRST.read_text(), names[0])
    made = []
    for name in names:
        store = await Store.open(here.url(name, tmp_path), now=0.0)
        assert len(await tracked(store)) == 1
        await store.close()
        made.append(sorted(here.sql(MADE, name), key=str))
        here.sql(f"DROP DATABASE {name} WITH (FORCE)")
    assert made[0] == made[1]


@pytest.mark.spoils_tables
async def test_a_step_that_fails_half_way_leaves_nothing(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    steps = tmp_path / "migrations"
    shutil.copytree(migrate.MIGRATIONS, steps, ignore=shutil.ignore_patterns("__pycache__"))
    newest = max(int(step.name[:4]) for step in (steps / "versions").glob("0*.py"))
    step = steps / "versions" / f"{newest + 1:04}_more.py"
    text = (
        "import sqlalchemy as sa\nfrom alembic import op\n"
        f"revision, down_revision = '{newest + 1:04}', '{newest:04}'\n"
        "def upgrade():\n    op.add_column('orders', sa.Column('remark', sa.Text))\n"
    )
    plain = migrate.migrate
    monkeypatch.setattr(postgres_backend, "migrate", lambda c, place: plain(c, place, steps))
    async with opened(tmp_path) as store:
        await tracked(store)
    step.write_text(text + "    raise RuntimeError('half-way')\n")
    with pytest.raises(RuntimeError):
        await Store.open(location(tmp_path), now=0.0)
    column = "SELECT count(*) FROM information_schema.columns WHERE column_name = 'remark'"
    assert query(tmp_path / "x", column) == [(0,)]
    step.write_text(text)
    async with opened(tmp_path) as store:
        assert len(await tracked(store, 2)) == 1
    assert query(tmp_path / "x", column) == [(1,)]
    assert query(tmp_path / "x", "SELECT version_num FROM alembic_version") == [
        (f"{newest + 1:04}",)
    ]


# --- what is refused ---


async def refused(url: PostgresUrl, *words: str) -> None:
    """Both the check and the start say it in one line, without the password."""
    for attempt in (
        lambda: asyncio.to_thread(check_server, url),
        lambda: Store.open(url, now=0.0),
    ):
        with pytest.raises(StoreError) as error:
            await attempt()
        text = str(error.value)
        assert "\n" not in text
        assert not url.password or url.password not in text
        for word in words:
            assert word in text, text


@pytest.fixture
def role(tmp_path: Path) -> Iterator[Any]:
    """A role with a password that may log in, and the URL of a database for it."""
    here = server()
    here.sql("DROP ROLE IF EXISTS clerk")
    here.sql("CREATE ROLE clerk LOGIN PASSWORD 'a secret'")
    name = here.create()
    here.sql("REVOKE CREATE ON SCHEMA public FROM PUBLIC", name)  # which it has before version 15

    def url(password: str | None = SECRET, **parts: str) -> PostgresUrl:
        given = {"user": "clerk", "at": f"127.0.0.1:{here.port}", "name": name, "more": "", **parts}
        text = "postgresql://{user}@{at}/{name}{more}".format_map(given)
        return PostgresUrl(text, password, tmp_path)

    url.name = name  # type: ignore[attr-defined]
    yield url
    here.sql(f"DROP DATABASE {name} WITH (FORCE)")
    here.sql("DROP OWNED BY clerk")
    here.sql("DROP ROLE clerk")


async def test_a_wrong_user_password_host_or_name_is_told(role: Any) -> None:
    await refused(role("another"), "password", "database_password_file")
    await refused(role(None), "password")
    await refused(role(user="nobody"), "user")
    await refused(role(name="nowhere"), "create it")
    await refused(role(at="127.0.0.1:1"), "can't be reached")
    await refused(role(more="?sslmode=require"), "TLS", "sslmode")


async def test_missing_rights_are_told(role: Any) -> None:
    await refused(role(), "may not create tables")
    databases().server.sql("GRANT CREATE ON SCHEMA public TO clerk", role.name)
    await (await Store.open(role(), now=0.0)).close()
    databases().server.sql("ALTER TABLE actions OWNER TO postgres", role.name)
    await refused(role(), "may not write actions")


async def test_an_encoding_or_setting_that_loses_something_is_refused(tmp_path: Path) -> None:
    here = databases().server
    here.sql(
        "CREATE DATABASE latin ENCODING 'LATIN1' TEMPLATE template0 LOCALE 'C'"
        + (" LOCALE_PROVIDER libc" if here.sql("SHOW server_version_num")[0][0] >= "150000" else "")
    )
    await refused(here.url("latin", tmp_path), "LATIN1", "UTF8")
    here.sql("DROP DATABASE latin")
    name = here.create()
    here.sql(f"ALTER DATABASE {name} SET synchronous_commit = off")
    await refused(here.url(name, tmp_path), "synchronous_commit", "sent again")
    here.sql(f"DROP DATABASE {name}")


async def test_another_programs_tables_are_left_alone(tmp_path: Path) -> None:
    here = databases().server
    name = here.create()
    here.sql("CREATE TABLE orders (id int)", name)
    await refused(here.url(name, tmp_path), "another program's tables", "orders")
    assert here.sql("SELECT tablename FROM pg_tables WHERE schemaname = 'public'", name) == [
        ("orders",)
    ]
    here.sql(f"DROP DATABASE {name} WITH (FORCE)")


@pytest.mark.parametrize(
    ("url", "words"),
    [
        ("postgresql://u:geheim@h/d", "password"),
        ("postgresql://u@h/d?password=geheim", "password"),
        ("postgresql://u@h", "name the database"),
        ("postgresql://u@h:0/d", "no port"),
        ("postgresql://u@h:x/d", "host:port"),
        ("postgresql://u@h:1:2/d", "host:port"),
        ("postgresql://@h/d", "user"),
        ("postgresql://u@h/d?sslmode=yes", "sslmode"),
        ("postgresql://u@h/d?options=-cx", "options"),
        ("postgresql://u@h/a/b", "no name"),
        ("postgresql://u@h/d#x", "%23"),
        ("postgresql://u@[h/d", "can't be read"),
        ("postgresql://u@h/a b", "blanks"),
        ("mysql://u@h/d", "mysql"),
    ],
)
@pytest.mark.engines("sqlite")
def test_a_url_that_can_not_be_used_is_told_of_without_its_password(url: str, words: str) -> None:
    problem = url_problem(url)
    assert problem is not None
    assert words in problem
    assert "geheim" not in problem


@pytest.mark.parametrize(
    "url",
    [
        "postgresql://u@h/d",
        "postgres://u@h:5432/d?sslmode=verify-full",
        "postgresql://u@h1:1,h2:2/d?target_session_attrs=read-write",
        "postgresql:///d?host=/run/postgresql",
        "postgresql://u@[::1]:5432/d",
        "postgresql://u%40x@h/d%20e",
    ],
)
@pytest.mark.engines("sqlite")
def test_usual_urls_are_taken(url: str) -> None:
    assert url_problem(url) is None


@pytest.mark.engines("sqlite")
@pytest.mark.parametrize(
    ("state", "kind"),
    [
        ("08006", StoreGone),
        ("57P01", StoreGone),
        ("57P03", StoreGone),
        ("25006", StoreGone),
        ("25P03", StoreGone),
        ("53100", StoreFull),
        ("53300", StoreBusy),
        ("55P03", StoreBusy),
        ("40001", StoreBusy),
        ("40P01", StoreBusy),
        ("57014", StoreBusy),
        ("23505", StoreRefused),
        ("22003", StoreRefused),
        ("42501", StoreError),
        ("58030", StoreCorrupt),
        ("XX001", StoreCorrupt),
        ("42601", StoreError),
    ],
)
def test_what_the_server_reports_names_the_database(state: str, kind: type[StoreError]) -> None:
    cause = psycopg.errors.lookup(state)("what it says")
    with pytest.raises(StoreError) as caught, translated("postgresql://h/d"):
        raise DBAPIError("SELECT 1", (), cause)
    assert type(caught.value) is kind
    assert "postgresql://h/d" in str(caught.value)


async def test_what_text_can_not_be_is_refused_and_the_rest_is_written(tmp_path: Path) -> None:
    async with opened(tmp_path) as store:
        one, two = await tracked(store, 2)
        changes = moved(one, status_text="a\0b"), moved(two, status_text="b")
        results = await asyncio.gather(
            *(store.changes.record([change], now=5.0) for change in changes),
            return_exceptions=True,
        )
        assert [type(result) for result in results] == [StoreRefused, list]
        assert await store.orders.get("p", "2") == changes[1].after


@pytest.mark.spoils_tables
async def test_orders_that_are_tracked_come_in_the_order_of_their_keys(tmp_path: Path) -> None:
    """However the server finds them: it puts later rows into the room of deleted ones."""
    async with opened(tmp_path) as store:
        await sql(store, "CREATE INDEX ON orders (key DESC) INCLUDE (panel, order_id)")
        await sql(store, "SET enable_seqscan = off; SET enable_bitmapscan = off")
        assert [order.key for order in await tracked(store, 30)] == list(range(1, 31))


TEXT = st.text(st.characters(exclude_characters="\0", exclude_categories=["Cs"]))
WHOLE = st.integers(-(2**63), 2**63 - 1)


def test_arrays_are_read_as_they_are_written() -> None:
    """Of a hot statement: whatever a text has in it, and each number to its last digit."""
    with psycopg.connect(server().conninfo("postgres")) as connection:

        @given(st.lists(TEXT | st.none()), st.lists(WHOLE | st.none()), st.lists(st.floats()))
        def read(texts: list[str | None], whole: list[int | None], times: list[float]) -> None:
            columns = array_of_texts(texts), array_of_numbers(whole), array_of_numbers(times)
            row = connection.execute("SELECT %s::text[], %s::bigint[], %s::float8[]", columns)
            assert repr(row.fetchone()) == repr((texts, whole, times))

        read()
        money = array_of_numbers(["12345678901234.000000001", None]), array_of_numbers([True])
        row = connection.execute("SELECT %s::numeric[]::text, %s::boolean[]", money).fetchone()
        assert row == ("{12345678901234.000000001,NULL}", [True])


# --- one daemon ---


async def test_a_second_daemon_is_refused_and_told_who_is_there(tmp_path: Path) -> None:
    async with opened(tmp_path) as store:
        with pytest.raises(StoreBusy, match=r"in use by another watcher \(watcher \d+ on .*since"):
            await Store.open(location(tmp_path), now=0.0)
        assert len(await tracked(store)) == 1


async def test_another_writer_waits_for_the_transaction(tmp_path: Path) -> None:
    """So ids are in the order of commits, whoever writes."""
    async with opened(tmp_path) as store:
        waits = await sql(
            store,
            "SELECT count(*) FROM pg_locks WHERE locktype = 'advisory' AND granted"
            " AND pid = pg_backend_pid()",
        )
        assert waits == 2
        assert await sql(store, "SHOW idle_in_transaction_session_timeout") == "10s"


# --- lost connections ---


async def test_sessions_that_the_server_ends_are_opened_again(tmp_path: Path) -> None:
    async with opened(tmp_path) as store:
        (order,) = await tracked(store)
        for number in range(3):
            killing(store, "pg_terminate_backend")
            change = moved(order, 5.0 + number, remains=900 - number)
            await store.changes.record([change], now=5.0 + number)
            order = change.after
            killing(store, "pg_terminate_backend")
            assert await store.orders.get("p", "1") == order
        assert len(await store.orders.history("p", "1")) == 3


async def test_a_transaction_under_way_is_written_whole_or_not_at_all(tmp_path: Path) -> None:
    async with opened(tmp_path) as store:

        def cut(connection: Connection) -> None:
            connection.exec_driver_sql("INSERT INTO panels (name) VALUES ('half')")
            killing(store, "pg_terminate_backend")
            connection.exec_driver_sql("SELECT 1")

        with pytest.raises(StoreGone):
            await store._db.write("test", cut)
        assert await sql(store, "SELECT count(*) FROM panels WHERE name = 'half'") == 0


@pytest.mark.parametrize("committed", [True, False])
async def test_a_commit_whose_answer_is_lost_is_looked_up(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, committed: bool
) -> None:
    """The caller learns what has happened, not what the connection made of it."""
    async with opened(tmp_path) as store:
        await tracked(store)
        dialect: Any = store._db._writer.engine.dialect
        plain = dialect.do_commit

        def cut(connection: Any) -> None:
            monkeypatch.undo()
            if committed:
                plain(connection)
            killing(store, "pg_terminate_backend")
            connection.execute("SELECT 1")

        monkeypatch.setattr(dialect, "do_commit", cut)
        if committed:
            assert (await store.actions.plan(a_plan(), now=3.0)).id == 1
        else:
            with pytest.raises(StoreGone):
                await store.actions.plan(a_plan(), now=3.0)
        assert len(await store.actions.unsettled()) == committed
        assert (await store.actions.plan(a_plan("2"), now=4.0)).order == "2"
        assert store.maintenance.check_files() is None


@pytest.mark.long
@pytest.mark.parametrize("how", [signal.SIGINT, signal.SIGQUIT, signal.SIGKILL])
async def test_a_server_that_ends_and_comes_back_costs_nothing(
    tmp_path: Path, own: Server, how: signal.Signals
) -> None:
    store = await Store.open(own.url(own.create(), tmp_path), now=0.0)
    try:
        orders = await tracked(store, 20)
        own.stop(how)
        with pytest.raises(StoreGone):
            await store.maintenance.check_writable()
        with pytest.raises(StoreGone, match="can't be reached"):
            await store.orders.get("p", "1")
        own.start()
        await store.changes.record([finished(order) for order in orders], now=5.0)
        await store.maintenance.check_writable()
        assert (await store.orders.get("p", "20")) == finished(orders[-1]).after
        assert store.maintenance.check_files() is None
    finally:
        await store.close()


@pytest.mark.long
async def test_a_server_that_stands_still_is_waited_for(tmp_path: Path, own: Server) -> None:
    store = await Store.open(own.url(own.create(), tmp_path), now=0.0)
    try:
        await tracked(store)
        own.freeze(on=True)
        writing = asyncio.create_task(store.actions.plan(a_plan(), now=3.0))
        done, _ = await asyncio.wait([writing], timeout=1.0)
        assert not done
        own.freeze(on=False)
        assert (await writing).id == 1
    finally:
        own.freeze(on=False)
        await store.close()


async def test_when_the_log_was_archived_is_told(tmp_path: Path, own: Server) -> None:
    async with opened(tmp_path) as store:
        assert await store.maintenance.wal_archived_at() is None, "it is not archived there"
    own.stop()
    own.start(archive_mode="on", archive_command="/bin/true")
    (tmp_path / "own").mkdir()
    store = await Store.open(own.url(own.create(), tmp_path / "own"), now=0.0)
    try:
        assert await store.maintenance.wal_archived_at() == 0.0
        before = time.time()
        own.sql("SELECT pg_switch_wal()")
        while not (at := await store.maintenance.wal_archived_at() or 0.0):
            await asyncio.sleep(0.05)
        assert before <= at <= time.time()
    finally:
        await store.close()


# --- what was lost elsewhere ---


async def test_a_database_that_lost_commits_is_not_written_any_more(tmp_path: Path) -> None:
    """As after a failover to a standby that had not got everything."""
    async with opened(tmp_path) as store:
        await tracked(store)
        query(tmp_path / "x", "UPDATE counters SET value = value - 1 RETURNING name")
        for _ in range(2):
            with pytest.raises(StoreError, match="has lost 1 of the last commits"):
                await store.actions.plan(a_plan(), now=3.0)
        assert "restart the daemon" in str(store.maintenance.check_files())
    async with opened(tmp_path) as store:
        assert (await store.actions.plan(a_plan(), now=3.0)).id == 1


async def test_a_database_that_another_has_written_is_not_written_any_more(tmp_path: Path) -> None:
    async with opened(tmp_path) as store:
        query(tmp_path / "x", "UPDATE counters SET value = value + 2 RETURNING name")
        with pytest.raises(StoreError, match="another program"):
            await tracked(store)


async def test_an_older_copy_is_refused_until_it_is_disowned(tmp_path: Path) -> None:
    """As after a `pg_restore` of a dump that is older than what was sent."""
    here: Databases = databases()
    async with opened(tmp_path) as store:
        await tracked(store, 2)
        await store.actions.plan(a_plan("1"), now=3.0)
    here.server.sql(f'CREATE DATABASE older TEMPLATE "{here.name(tmp_path)}"')
    async with opened(tmp_path) as store:
        await store.actions.claim([1], now=4.0)
        await sent(store, a_plan("2"))
    older = here.server.url("older", tmp_path)
    with pytest.raises(StoreOlder, match="older than what was sent") as error:
        await Store.open(older, now=9.0)
    assert error.value.remedy == ("disown",)
    hold = Hold(rule="r", action=RuleAction.REFILL, panels=None)
    with ThreadPoolExecutor() as pool:
        done = pool.submit(disown, older, [hold], now=9.0).result()
        refusal = pool.submit(restore, tmp_path / "a.db", older, [hold], now=9.0)
        with pytest.raises(StoreError, match="pg_restore"):
            refusal.result()
    assert (done.unresolved, done.orders) == (1, 2)
    store = await Store.open(older, now=9.0)
    assert [action.state.value for action in await store.actions.unsettled()] == ["unresolved"]
    await store.close()
    here.server.sql("DROP DATABASE older WITH (FORCE)")


async def test_it_is_not_copied_to_a_file(tmp_path: Path) -> None:
    async with opened(tmp_path) as store:
        with pytest.raises(Unsupported, match="pg_dump"):
            await store.maintenance.backup(tmp_path / "copy.db")
        assert (await store.maintenance.sizes())[0] > 0
        assert await store.maintenance.quick_check()
        assert store.place.startswith("postgresql://")
        assert store.path.parent == tmp_path
    assert not (tmp_path / "copy.db").exists()
    assert postgres_backend.COMMIT_WITHIN > 5
