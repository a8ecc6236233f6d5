"""`watcher backup`: the whole copy under its name, or nothing at all."""

import sqlite3
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.integration.cli_daemon import CannedDaemon

CALL = "GET /v1/backup"


@pytest.fixture
def daemon() -> Iterator[CannedDaemon]:
    with CannedDaemon() as canned:
        yield canned


@pytest.fixture
def database(tmp_path: Path) -> bytes:
    file = tmp_path / "source.db"
    connection = sqlite3.connect(file)
    connection.execute("CREATE TABLE orders (id)")
    connection.executemany("INSERT INTO orders VALUES (?)", [(n,) for n in range(10_000)])
    connection.commit()
    connection.close()
    raw = file.read_bytes()
    file.unlink()
    return raw


def test_a_whole_copy(daemon: CannedDaemon, database: bytes, tmp_path: Path) -> None:
    daemon.put(CALL, database)
    file = tmp_path / "copy.db"
    result = daemon.watcher("backup", file)
    assert result.exit_code == 0, result.stderr
    assert result.stdout == f"{file}: {len(database):,} bytes\n"
    assert file.read_bytes() == database
    assert file.stat().st_mode & 0o777 == 0o600
    assert list(tmp_path.iterdir()) == [file]
    connection = sqlite3.connect(file)
    assert connection.execute("SELECT count(*) FROM orders").fetchone() == (10_000,)
    connection.close()


def test_nothing_is_overwritten_unasked(
    daemon: CannedDaemon, database: bytes, tmp_path: Path
) -> None:
    daemon.put(CALL, database)
    file = tmp_path / "copy.db"
    file.write_text("mine")
    result = daemon.watcher("backup", file)
    assert result.exit_code == 1
    assert "--force" in result.stderr
    assert file.read_text() == "mine"
    assert daemon.requests == []
    assert daemon.watcher("backup", file, "--force").exit_code == 0
    assert file.read_bytes() == database


@pytest.mark.parametrize(
    ("body", "code"), [(b"", 1), (b"<html>" * 100, 1), ("short", 1), ("half", 3), ("cut", 3)]
)
def test_what_is_not_whole_leaves_nothing(
    daemon: CannedDaemon, database: bytes, tmp_path: Path, body: bytes | str, code: int
) -> None:
    daemon.put(CALL, database[:8192] if body == "short" else body)
    file = tmp_path / "copy.db"
    file.write_text("mine")
    result = daemon.watcher("backup", file, "--force")
    assert result.exit_code == code
    assert len(result.stderr.splitlines()) == 1
    assert [path.read_text() for path in tmp_path.iterdir()] == ["mine"]


def test_a_place_that_can_not_be_written(
    daemon: CannedDaemon, database: bytes, tmp_path: Path
) -> None:
    daemon.put(CALL, database)
    assert daemon.watcher("backup", tmp_path).stderr == f"{tmp_path} is a directory\n"
    result = daemon.watcher("backup", tmp_path / "no" / "copy.db")
    assert (result.exit_code, daemon.requests) == (1, [])
    assert "No such file or directory" in result.stderr


def test_a_daemon_that_can_not(daemon: CannedDaemon, tmp_path: Path) -> None:
    daemon.refuse(CALL, 507, "full", "the disk is full")
    result = daemon.watcher("backup", tmp_path / "copy.db")
    assert (result.exit_code, result.stderr) == (1, "the disk is full\n")
    assert list(tmp_path.iterdir()) == []
