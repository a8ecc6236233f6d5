"""`watcher check-config`, `migrate`, `disown` and `restore` where the database is on a server."""

import json
from collections.abc import Iterator
from pathlib import Path

import pytest
from typer.testing import CliRunner, Result

from tests.support.database import put_empty
from tests.support.postgres import databases
from watcher.cli import app

pytestmark = pytest.mark.engines("postgresql")
PASSWORD = "not to be shown"


@pytest.fixture
def url() -> Iterator[str]:
    """The URL of an empty database whose owner needs a password."""
    here = databases().server
    here.sql(f"CREATE ROLE moved_in LOGIN PASSWORD '{PASSWORD}'")
    here.sql("CREATE DATABASE moved_in OWNER moved_in")
    yield f"postgresql://moved_in@127.0.0.1:{here.port}/moved_in"
    here.sql("DROP DATABASE moved_in WITH (FORCE)")
    here.sql("DROP ROLE moved_in")


def watcher(*args: object, **env: str) -> Result:
    given = {"COLUMNS": None, "STATE_DIRECTORY": None, "SMMGENIE_KEY": "k"}
    given |= {"DATABASE_PASSWORD": PASSWORD, **env}
    return CliRunner().invoke(app, tuple(map(str, args)), env=given)


def written(tmp_path: Path, database: str) -> Path:
    file = tmp_path / "watcher.toml"
    file.write_text(f'[daemon]\ndatabase = "{database}"\n[panels.smmgenie]\nprofile = "smmgenie"\n')
    return file


def test_a_configuration_is_checked_up_to_the_server(tmp_path: Path, url: str) -> None:
    file = written(tmp_path, url)
    good = watcher("check-config", file)
    assert good.exit_code == 0, good.stderr
    assert url in good.stdout
    assert json.loads(watcher("check-config", file, "--json").stdout)["database"] == url
    for bad, env, words in (
        (url, {"DATABASE_PASSWORD": "another secret"}, "user or its password"),
        (url.removesuffix("moved_in") + "nowhere", {}, "create it"),
        (f"{url}?sslmode=verify-full", {}, "TLS"),
        (url.replace("moved_in@", "moved_in:inline@"), {}, "a password does not belong"),
        ("mysql://h/d", {}, "mysql"),
    ):
        file = written(tmp_path, bad)
        result = watcher("check-config", file, **env)
        assert result.exit_code == 1
        (line,) = result.stderr.splitlines()
        assert words in line
        told = watcher("check-config", file, "--json", **env)
        assert words in json.loads(told.stdout)["problems"][0]
        for text in (result.output, told.output):
            assert not any(secret in text for secret in (PASSWORD, "another secret", "inline"))


def test_a_move_there_and_back_by_command(tmp_path: Path, url: str) -> None:
    put_empty(tmp_path / "watcher.db")
    file = written(tmp_path, "watcher.db")
    there = watcher("migrate", "--to", url, "--config", file)
    assert there.exit_code == 0, there.stderr
    assert f'set database = "{url}" in [daemon] of {file}' in there.stdout
    again = watcher("migrate", "--to", url, "--config", file)
    assert again.exit_code == 1
    assert "was moved away before" in again.stderr
    file = written(tmp_path, url)
    assert "pg_restore" in watcher("restore", tmp_path / "x.db", "--config", file).stderr
    disowned = watcher("disown", "--config", file)
    assert disowned.exit_code == 0, disowned.stderr
    back = watcher("migrate", "--to", "watcher.db", "--config", file)
    assert back.exit_code == 0, back.stderr
    assert (tmp_path / "watcher.db").exists()
    for command in (("check-config", file), ("disown", "--config", file)):
        result = watcher(*command)
        assert result.exit_code == 1
        assert "was moved away" in result.stderr
        assert PASSWORD not in result.output
