"""A migration can build a table anew that others refer to: SQLite has no other way to alter it."""

import shutil
from pathlib import Path

import pytest
from alembic.config import Config
from alembic.script import ScriptDirectory
from sqlalchemy import Connection

import watcher.store.migrations
from tests.unit.store_kit import NAME, loaded, moved, opened, query, tracked
from watcher.store import database, migrate

REBUILD = '''
"""Builds the table of orders anew."""
import sqlalchemy as sa
from alembic import op
revision, down_revision = "rebuilt", "{head}"
def upgrade():
    with op.batch_alter_table("orders", recreate="always") as table:
        table.alter_column("link", type_=sa.String(4000))
'''


async def test_a_table_that_others_refer_to_is_built_anew(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    async with opened(tmp_path) as store:
        (order,) = await tracked(store)
        change = moved(order, remains=5)
        await store.changes.record([change], now=5.0)
    steps = tmp_path / "migrations"
    shipped = Path(watcher.store.migrations.__file__).parent
    shutil.copytree(shipped, steps, ignore=shutil.ignore_patterns("__pycache__"))
    config = Config()
    config.set_main_option("script_location", str(steps))
    head = ScriptDirectory.from_config(config).get_current_head()
    (steps / "versions" / "rebuild.py").write_text(REBUILD.format(head=head))

    def from_steps(connection: Connection, path: Path) -> None:
        migrate.migrate(connection, path, str(steps))

    monkeypatch.setattr(database, "migrate", from_steps)
    async with opened(tmp_path) as store:
        assert await loaded(store) == [change.after]
        assert len(await store.orders.history("p", "1")) == 1
    assert (
        "VARCHAR(4000)"
        in query(tmp_path / NAME, "SELECT sql FROM sqlite_master WHERE name = 'orders'")[0][0]
    )
