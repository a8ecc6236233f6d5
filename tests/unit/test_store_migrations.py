"""Migrations: they give the tables that the code expects, each whole or not at all."""

import shutil
from pathlib import Path

import pytest
from alembic.autogenerate import compare_metadata
from alembic.config import Config
from alembic.migration import MigrationContext
from alembic.script import ScriptDirectory
from sqlalchemy import Connection, create_engine

import watcher.store.migrations
from tests.unit.store_kit import NAME, loaded, opened, query, sql, tracked
from watcher.errors import StoreError
from watcher.store import Store, database, migrate
from watcher.store.schema import metadata

TABLES = "SELECT name, sql FROM sqlite_master WHERE sql IS NOT NULL ORDER BY name"
NEWEST = int(migrate._newest())
LAST, NEXT, AFTER = (f"{NEWEST + ahead:04}" for ahead in range(3))
SECOND = f'''
"""The second step."""
import sqlalchemy as sa
from alembic import op
revision, down_revision = "{NEXT}", "{LAST}"
def upgrade():
    op.create_table("extra", sa.Column("id", sa.Integer, primary_key=True))
    op.add_column("orders", sa.Column("note", sa.Text))
    op.execute("UPDATE orders SET link = 'gone'")
'''


@pytest.fixture
def steps(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A copy of the migrations, used instead of the shipped ones, to which steps can be added."""
    shipped = Path(watcher.store.migrations.__file__).parent
    copy = tmp_path / "migrations"
    shutil.copytree(shipped, copy, ignore=shutil.ignore_patterns("__pycache__"))

    def from_copy(connection: Connection, path: Path) -> None:
        migrate.migrate(connection, path, str(copy))

    monkeypatch.setattr(database, "migrate", from_copy)
    return copy / "versions"


async def test_migrations_give_what_the_schema_says(tmp_path: Path) -> None:
    async with opened(tmp_path):
        pass
    engine = create_engine(f"sqlite:///{tmp_path / NAME}")
    with engine.connect() as connection:
        assert compare_metadata(MigrationContext.configure(connection), metadata) == []
    engine.dispose()


async def test_migrations_give_the_same_sql_down_to_checks_and_partial_indexes(
    tmp_path: Path,
) -> None:
    async with opened(tmp_path):
        pass
    engine = create_engine(f"sqlite:///{tmp_path / 'schema.db'}")
    metadata.create_all(engine)
    engine.dispose()

    def words(path: Path) -> dict[str, list[str]]:
        return {name: sorted(made.replace(",", " ").split()) for name, made in query(path, TABLES)}

    migrated = words(tmp_path / NAME)
    migrated.pop("alembic_version")
    assert migrated == words(tmp_path / "schema.db")


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
    (steps / f"{NEXT}_second.py").write_text(SECOND)
    third = (
        SECOND.replace(f'"{NEXT}", "{LAST}"', f'"{AFTER}", "{NEXT}"')
        .replace("extra", "more")
        .replace("note", "more")
    )
    (steps / f"{AFTER}_third.py").write_text(third + "    raise RuntimeError('half-way')\n")
    with pytest.raises(RuntimeError):
        await Store.open(tmp_path / NAME, now=0.0)
    assert query(tmp_path / NAME, "SELECT version_num FROM alembic_version") == [(NEXT,)]
    assert query(tmp_path / NAME, "SELECT name FROM sqlite_master WHERE name = 'more'") == []


async def test_a_first_step_that_fails_leaves_an_empty_file_that_can_be_used(
    tmp_path: Path, steps: Path
) -> None:
    first = steps / "0001_tables.py"
    text = first.read_text()
    first.write_text(text + "    raise RuntimeError('half-way')\n")
    with pytest.raises(RuntimeError):
        await Store.open(tmp_path / NAME, now=0.0)
    assert query(tmp_path / NAME, TABLES) == []
    first.write_text(text)
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
    config.set_main_option("script_location", migrate.MIGRATIONS)
    assert ScriptDirectory.from_config(config).get_heads() == [migrate._newest()]
