"""Migrations: they give the tables that the code expects, each whole or not at all."""

import shutil
import sqlite3
from contextlib import closing
from pathlib import Path

import pytest
from alembic.autogenerate import compare_metadata
from alembic.config import Config
from alembic.migration import MigrationContext
from alembic.script import ScriptDirectory
from sqlalchemy import Connection, create_engine

from tests.unit.store_kit import NAME, loaded, moved, opened, query, sql, tracked
from watcher.errors import StoreError
from watcher.store import Store, migrate, postgres_backend, sqlite_backend
from watcher.store.schema import metadata

FIRST = Path(__file__).parent / "golden" / "first_release.sql"
TABLES = "SELECT name, sql FROM sqlite_master WHERE sql IS NOT NULL ORDER BY name"
NEWEST = max(int(step.name[:4]) for step in (migrate.MIGRATIONS / "versions").glob("0*.py"))
LAST, NEXT, AFTER = (f"{NEWEST + ahead:04}" for ahead in range(3))
SECOND = f'''
"""The second step."""
import sqlalchemy as sa
from alembic import op
revision, down_revision = "{NEXT}", "{LAST}"
def upgrade():
    op.create_table("extra", sa.Column("id", sa.Integer, primary_key=True))
    op.add_column("orders", sa.Column("remark", sa.Text))
    op.execute("UPDATE orders SET link = 'gone'")
'''


@pytest.fixture
def steps(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A copy of the migrations, used instead of the shipped ones, to which steps can be added."""
    copy = tmp_path / "migrations"
    shutil.copytree(migrate.MIGRATIONS, copy, ignore=shutil.ignore_patterns("__pycache__"))

    def from_copy(connection: Connection, place: str) -> bool:
        return migrate.migrate(connection, place, copy)

    for backend in (sqlite_backend, postgres_backend):
        monkeypatch.setattr(backend, "migrate", from_copy)
    return copy / "versions"


async def test_a_new_database_is_what_migrations_make_of_the_first_release(tmp_path: Path) -> None:
    """The tables of the first release stay as they are in the file; migrations lead from there."""
    with closing(sqlite3.connect(tmp_path / NAME)) as first:
        first.executescript(FIRST.read_text())
    async with opened(tmp_path):
        pass
    (tmp_path / "new").mkdir()
    async with opened(tmp_path / "new"):
        pass
    assert made(tmp_path / NAME) == made(tmp_path / "new" / NAME)
    engine = create_engine(f"sqlite:///{tmp_path / NAME}")
    with engine.connect() as connection:
        assert compare_metadata(MigrationContext.configure(connection), metadata) == []
    engine.dispose()


def made(path: Path) -> dict[str, list[str]]:
    """What each table and index was made by: its words, down to checks and partial indexes."""
    return {name: sorted(sql.replace(",", " ").split()) for name, sql in query(path, TABLES)}


async def test_the_tables_of_a_development_version_are_left_alone(tmp_path: Path) -> None:
    async with opened(tmp_path) as store:
        await sql(store, "UPDATE alembic_version SET version_num = '0014'")
    with pytest.raises(StoreError, match=r"watcher\.db was made by .* never released"):
        await Store.open(tmp_path / NAME, now=0.0)


async def test_a_next_step_runs_at_start(tmp_path: Path, steps: Path) -> None:
    async with opened(tmp_path) as store:
        await tracked(store)
    (steps / f"{NEXT}_second.py").write_text(SECOND)
    async with opened(tmp_path) as store:
        order = await store.orders.get("p", "1")
        assert order is not None
        assert order.link == "gone"
    assert query(tmp_path / NAME, "SELECT version_num FROM alembic_version") == [(NEXT,)]


@pytest.mark.parametrize(
    "fault",
    [
        "raise RuntimeError('half-way')",
        "op.execute('INSERT INTO nowhere VALUES (1)')",
        "op.execute('UPDATE orders SET panel = 99')",  # leaves a reference that leads nowhere
    ],
)
async def test_a_step_that_fails_half_way_leaves_nothing(
    tmp_path: Path, steps: Path, fault: str
) -> None:
    async with opened(tmp_path) as store:
        await tracked(store)
    before = query(tmp_path / NAME, TABLES)
    (steps / f"{NEXT}_second.py").write_text(f"{SECOND}    {fault}\n")
    with pytest.raises((RuntimeError, StoreError)):
        await Store.open(tmp_path / NAME, now=0.0)
    assert query(tmp_path / NAME, TABLES) == before
    assert query(tmp_path / NAME, "SELECT version_num FROM alembic_version") == [(LAST,)]
    assert query(tmp_path / NAME, "SELECT link, panel FROM orders") == [(None, 1)]
    (steps / f"{NEXT}_second.py").unlink()
    async with opened(tmp_path) as store:
        assert len(await loaded(store)) == 1


async def test_steps_before_the_one_that_fails_stay(tmp_path: Path, steps: Path) -> None:
    async with opened(tmp_path):
        pass
    (steps / f"{NEXT}_second.py").write_text(SECOND)
    third = (
        SECOND.replace(f'"{NEXT}", "{LAST}"', f'"{AFTER}", "{NEXT}"')
        .replace("extra", "more")
        .replace("remark", "more")
    )
    (steps / f"{AFTER}_third.py").write_text(third + "    raise RuntimeError('half-way')\n")
    with pytest.raises(RuntimeError):
        await Store.open(tmp_path / NAME, now=0.0)
    assert query(tmp_path / NAME, "SELECT version_num FROM alembic_version") == [(NEXT,)]
    assert query(tmp_path / NAME, "SELECT name FROM sqlite_master WHERE name = 'more'") == []


async def test_tables_that_can_not_be_made_leave_an_empty_file_that_can_be_used(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with monkeypatch.context() as broken:
        broken.setattr(migrate, "insert", None)
        with pytest.raises(TypeError):
            await Store.open(tmp_path / NAME, now=0.0)
    assert query(tmp_path / NAME, TABLES) == []
    async with opened(tmp_path) as store:
        assert len(await tracked(store)) == 1


async def test_foreign_keys_hold_after_migrations(tmp_path: Path, steps: Path) -> None:
    async with opened(tmp_path):
        pass
    (steps / f"{NEXT}_second.py").write_text(SECOND)
    async with opened(tmp_path) as store:
        with pytest.raises(StoreError, match="FOREIGN KEY"):
            await sql(
                store, "INSERT INTO balances (panel, at, amount, currency) VALUES (9, 1, 1, 1)"
            )


def test_the_newest_revision_is_the_one_that_alembic_finds() -> None:
    config = Config()
    config.set_main_option("script_location", str(migrate.MIGRATIONS))
    assert ScriptDirectory.from_config(config).get_heads() == [LAST]


REBUILD = f'''
"""Builds a table anew that others refer to: SQLite has no other way to alter it."""
import sqlalchemy as sa
from alembic import op
revision, down_revision = "{NEXT}", "{LAST}"
def upgrade():
    with op.batch_alter_table("orders", recreate="always") as table:
        table.alter_column("link", type_=sa.String(4000))
'''


async def test_a_table_that_others_refer_to_is_built_anew(tmp_path: Path, steps: Path) -> None:
    async with opened(tmp_path) as store:
        (order,) = await tracked(store)
        change = moved(order, remains=5)
        await store.changes.record([change], now=5.0)
    (steps / f"{NEXT}_rebuild.py").write_text(REBUILD)
    async with opened(tmp_path) as store:
        assert await loaded(store) == [change.after]
        assert len(await store.orders.history("p", "1")) == 1
    assert "VARCHAR(4000)" in dict(query(tmp_path / NAME, TABLES))["orders"]
