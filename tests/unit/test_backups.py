"""Automatic backups: made when due, checked, the newest kept, failures told once."""

import os
import shutil
import stat
from contextlib import nullcontext
from pathlib import Path
from types import SimpleNamespace

import pytest
from structlog.testing import capture_logs

from tests.unit.store_kit import NAME, configured, opened, query, tracked
from watcher.config.values import Duration
from watcher.daemon import backups
from watcher.daemon.backups import (
    RETRY_AFTER,
    Backups,
    clear_scratch,
    newest_good,
    recovery_advice,
    scratch,
)
from watcher.errors import StoreCorrupt, StoreFull
from watcher.store import Store

DAY = 86400.0
NOON = 1_800_000_000.0  # 2027-01-15 08:00 UTC


class Kept:
    """Backups of a store, with settings that can change, and when they were made."""

    def __init__(self, store: Store, **settings: object) -> None:
        self.config = configured(**settings)
        self.backups = Backups(store=store, config=self.config, clock=lambda: NOON)
        self.directory = store.path.parent / self.config.current.daemon.backup_dir

    def names(self) -> list[str]:
        return sorted(path.name for path in self.directory.iterdir())


def mode(path: Path) -> int:
    return stat.S_IMODE(path.stat().st_mode)


async def test_a_first_copy_is_made_at_once_and_the_next_when_it_is_due(tmp_path: Path) -> None:
    async with opened(tmp_path) as store:
        await tracked(store, 3)
        kept = Kept(store)
        assert await kept.backups.run_once(NOON) == NOON + DAY
        assert await kept.backups.run_once(NOON + 60) == NOON + DAY, "woken early: not repeated"
        assert kept.names() == ["watcher-20270115T080000Z.db"]
        assert await kept.backups.run_once(NOON + DAY) == NOON + 2 * DAY
        assert len(kept.names()) == 2
        assert kept.backups.made_at == NOON + DAY
        assert mode(kept.directory) == 0o700
        assert {mode(path) for path in kept.directory.iterdir()} == {0o600}
    assert query(kept.directory / kept.names()[0], "SELECT count(*) FROM orders") == [(3,)]


async def test_a_restart_neither_repeats_nor_delays_it(tmp_path: Path) -> None:
    async with opened(tmp_path) as store:
        await Kept(store).backups.run_once(NOON)
    async with opened(tmp_path) as store:
        kept = Kept(store)
        assert await kept.backups.run_once(NOON + DAY - 60) == NOON + DAY
        assert kept.backups.made_at == NOON, "the metric knows of it after a restart"
        assert len(kept.names()) == 1


async def test_the_newest_stay_and_files_of_others_are_left_alone(tmp_path: Path) -> None:
    async with opened(tmp_path) as store:
        kept = Kept(store, backup_keep=2)
        kept.directory.mkdir()
        (kept.directory / "watcher-by-hand.db").write_text("mine")
        for day in range(5):
            await kept.backups.run_once(NOON + day * DAY)
        assert kept.names() == [
            "watcher-20270118T080000Z.db",
            "watcher-20270119T080000Z.db",
            "watcher-by-hand.db",
        ]


@pytest.mark.parametrize("keep", [1, 2, 7])
async def test_as_many_stay_as_are_to_be_kept_whatever_is_there(tmp_path: Path, keep: int) -> None:
    """From none to more than there should be, one after another: the newest, the new one first."""
    async with opened(tmp_path) as store:
        await tracked(store, 3)
        kept = Kept(store, backup_keep=keep)
        for there in range(keep + 3):
            shutil.rmtree(kept.directory, ignore_errors=True)
            kept.directory.mkdir(mode=0o700)
            old = [f"watcher-2026010{day + 1}T080000Z.db" for day in range(there)]
            for name in old:
                (kept.directory / name).write_bytes(b"a copy")
            await kept.backups.run_once(NOON)
            left = max(0, min(there, keep - 1))
            assert kept.names() == [*old[there - left :], "watcher-20270115T080000Z.db"]


@pytest.mark.parametrize("keep", [1, 2, 7])
async def test_a_bad_copy_lets_none_go_whatever_is_there(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, keep: int
) -> None:
    async with opened(tmp_path) as store:
        kept = Kept(store, backup_keep=keep)

        def bad(path: Path) -> None:
            raise StoreCorrupt(f"{path} is damaged")

        monkeypatch.setattr(backups, "check_database", bad)
        for there in range(keep + 3):
            shutil.rmtree(kept.directory, ignore_errors=True)
            kept.directory.mkdir(mode=0o700)
            old = [f"watcher-2026010{day + 1}T080000Z.db" for day in range(there)]
            for name in old:
                (kept.directory / name).write_bytes(b"a copy")
            assert await kept.backups.run_once(NOON) == NOON + RETRY_AFTER
            assert kept.names() == old


@pytest.mark.parametrize("free", [-1, 0, 1])
async def test_there_is_room_from_so_many_bytes_on(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, free: int
) -> None:
    found = SimpleNamespace(free=1000 + backups.SPARE_ROOM + free)
    monkeypatch.setattr(shutil, "disk_usage", lambda directory: found)
    with pytest.raises(StoreFull, match="too little room") if free < 0 else nullcontext():
        backups.check_room(tmp_path, 1000)


async def test_a_copy_is_due_from_its_time_on(tmp_path: Path) -> None:
    async with opened(tmp_path) as store:
        kept = Kept(store)
        await kept.backups.run_once(NOON)
        assert await kept.backups.run_once(NOON + DAY - 1) == NOON + DAY
        assert len(kept.names()) == 1
        assert await kept.backups.run_once(NOON + DAY) == NOON + 2 * DAY
        assert len(kept.names()) == 2


async def test_a_file_from_the_future_does_not_put_it_off(tmp_path: Path) -> None:
    async with opened(tmp_path) as store:
        kept = Kept(store, backup_keep=1)
        await kept.backups.run_once(NOON + 100 * DAY)
        assert await kept.backups.run_once(NOON) == NOON + DAY
        await kept.backups.run_once(NOON + DAY)
        assert "watcher-20270116T080000Z.db" in kept.names()


async def test_what_a_killed_process_left_goes(tmp_path: Path) -> None:
    async with opened(tmp_path) as store:
        kept = Kept(store)
        kept.directory.mkdir()
        (kept.directory / "unchecked.db").write_text("half")
        (kept.directory / ".unchecked.db.x1y2").write_text("half")
        await kept.backups.run_once(NOON)
        assert kept.names() == ["watcher-20270115T080000Z.db"]


async def test_a_bad_copy_is_removed_told_once_and_no_good_one_goes(tmp_path: Path) -> None:
    async with opened(tmp_path) as store:
        await tracked(store, 3000)
        kept = Kept(store, backup_keep=1)
        await kept.backups.run_once(NOON)
    damage(tmp_path / NAME)
    async with opened(tmp_path) as store:
        kept = Kept(store, backup_keep=1)
        with capture_logs() as logs:
            again_at = await kept.backups.run_once(NOON + DAY)
            assert again_at == NOON + DAY + RETRY_AFTER
            await kept.backups.run_once(again_at)
        assert [entry["event"] for entry in logs] == ["backup.failed"]
        assert "removed" in logs[0]["cause"]
        assert "damaged" in logs[0]["cause"]
        assert kept.names() == ["watcher-20270115T080000Z.db"]


async def test_no_room_is_told_and_it_is_tried_again(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    async with opened(tmp_path) as store:
        kept = Kept(store, backup_every=Duration(300))
        with monkeypatch.context() as full, capture_logs() as logs:
            full.setattr(backups, "SPARE_ROOM", 2**60)
            assert await kept.backups.run_once(NOON) == NOON + 300
        assert [entry["event"] for entry in logs] == ["backup.failed"]
        assert kept.names() == []
        with capture_logs() as logs:
            await kept.backups.run_once(NOON + 300)
        assert [entry["event"] for entry in logs] == ["backup.made"]


async def test_a_place_that_can_not_be_written_is_told(tmp_path: Path) -> None:
    (tmp_path / "backups").write_text("a file is in the way")
    async with opened(tmp_path) as store:
        kept = Kept(store)
        with capture_logs() as logs:
            assert await kept.backups.run_once(NOON) == NOON + RETRY_AFTER
        assert str(tmp_path / "backups") in logs[0]["cause"]


async def test_the_newest_good_one_is_named_with_the_command(tmp_path: Path) -> None:
    async with opened(tmp_path) as store:
        await tracked(store, 3000)
        kept = Kept(store)
        await kept.backups.run_once(NOON)
        await kept.backups.run_once(NOON + DAY)
    first, second = (kept.directory / name for name in kept.names())
    assert newest_good(kept.directory) == second
    damage(second)
    assert newest_good(kept.directory) == first
    told = recovery_advice(tmp_path / NAME, kept.directory, Path("my config.toml"))
    assert f"2027-01-15 08:00 UTC: watcher restore {first} --config 'my config.toml'" in told
    first.write_text("")
    assert newest_good(kept.directory) is None
    assert "no good backup" in recovery_advice(tmp_path / NAME, kept.directory, Path("c.toml"))


def test_copies_that_a_killed_process_left_are_removed(tmp_path: Path) -> None:
    database, other = tmp_path / NAME, tmp_path / "other.db"
    with scratch(other) as kept:
        with scratch(database) as left:
            killed = Path(shutil.copytree(left, f"{left}-killed"))
        (killed / NAME).write_text("a copy")
        clear_scratch(database)
        assert not killed.exists()
        assert Path(kept).exists(), "another database's"


def damage(path: Path) -> None:
    whole = bytearray(path.read_bytes())
    middle = len(whole) // 2 // 2048 * 2048
    whole[middle + 8 : middle + 2048] = os.urandom(2040)
    path.write_bytes(whole)
