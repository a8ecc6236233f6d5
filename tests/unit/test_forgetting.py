"""Customers and notes are erased in time: from the database, its free space and the archive."""

import gzip
import json
from pathlib import Path
from typing import Any

import pytest
from msgspec.structs import replace
from structlog.testing import capture_logs

from tests.unit.store_kit import (
    NAME,
    a_submission,
    an_order,
    configured,
    moved,
    opened,
    query,
    sent,
    settled,
)
from watcher.daemon.forgetting import EVERY, Forgetting
from watcher.daemon.retention import Retention
from watcher.model import ActionState, Labels, Order, Status
from watcher.store import Store

pytestmark = pytest.mark.engines("sqlite", "postgresql")

DAY = 86400.0
NOW = 1_800_000_000.0
AFTER = 30 * DAY
WORDS = "whose-and-why"


def forgetting(store: Store, after: float | None = AFTER) -> Forgetting:
    return Forgetting(store=store, config=configured(forget_customers_after=after))


async def labelled(store: Store, ages: dict[str, float]) -> list[Order]:
    """Orders of these ages in days, with every label."""
    own: dict[str, Any] = {"reference": "1042", "tags": ("vip",), "note": f"{WORDS} " * 150}
    orders = [
        an_order(name, submitted_at=NOW - age * DAY, customer=f"{WORDS}-{name}", **own)
        for name, age in ages.items()
    ]
    return await store.orders.track(orders, now=NOW)


async def archive(store: Store, orders: list[Order]) -> None:
    done = [moved(order, NOW - 20 * DAY, status=Status.CANCELED) for order in orders]
    await store.changes.record(done, now=NOW)
    await Retention(store=store, config=configured(retain_for=10 * DAY)).run_once(NOW)


def archived(path: Path) -> list[dict[str, Any]]:
    (file,) = (path / "archive").iterdir()
    return [json.loads(line) for line in gzip.decompress(file.read_bytes()).splitlines()]


async def test_the_database_forgets_in_time_and_keeps_the_rest(tmp_path: Path, engine: str) -> None:
    async with opened(tmp_path) as store:
        await labelled(store, {"old": 31, "new": 29})
        assert await forgetting(store).run_once(NOW) == NOW + EVERY
        old, new = await store.orders.get("p", "old"), await store.orders.get("p", "new")
        assert old is not None
        assert (old.customer, old.note, old.reference, old.tags) == (None, None, "1042", ("vip",))
        assert new is not None
        assert (new.customer, new.note) == (f"{WORDS}-new", f"{WORDS} " * 150)
        await forgetting(store).run_once(NOW + 2 * DAY)
        assert (await store.maintenance.quick_check()) is True
    if engine == "sqlite":  # nor in what is free now
        assert WORDS.encode() not in (tmp_path / NAME).read_bytes()


async def test_nothing_is_forgotten_unless_it_is_wanted(tmp_path: Path) -> None:
    async with opened(tmp_path) as store:
        await labelled(store, {"old": 3100})
        await forgetting(store, None).run_once(NOW)
        order = await store.orders.get("p", "old")
        assert order is not None
        assert order.customer


async def test_what_waits_to_be_placed_is_forgotten_too(tmp_path: Path) -> None:
    labels = Labels(reference="7", customer="ann")
    async with opened(tmp_path) as store:
        action = await sent(store, replace(a_submission("k"), labels=labels), now=NOW - 31 * DAY)
        await forgetting(store).run_once(NOW)
        await settled(store, action, ActionState.UNRESOLVED, NOW)
        await forgetting(store).run_once(NOW)
        accepted = await store.actions.resolve(action.id, ActionState.ACCEPTED, result="5", now=NOW)
        (order,) = accepted.orders
        assert (order.reference, order.customer) == ("7", None)
    assert query(tmp_path / NAME, "SELECT labels FROM actions") == [(None,)]


async def test_the_archive_forgets_what_was_moved_there_before(tmp_path: Path, engine: str) -> None:
    async with opened(tmp_path) as store:
        await archive(store, await labelled(store, {"a": 31, "b": 28}))
        task = forgetting(store)
        await task.run_once(NOW)
        first, second = archived(tmp_path)
        assert (first["customer"], first["note"], first["reference"]) == (None, None, "1042")
        assert first["tags"] == ["vip"]
        assert first["history"][0]["changes"]["status"] == ["pending", "canceled"]
        assert second["customer"] == f"{WORDS}-b"
        await task.run_once(NOW + 3 * DAY)
        assert [line["customer"] for line in archived(tmp_path)] == [None, None]
    (file,) = (tmp_path / "archive").iterdir()
    assert file.stat().st_mode & 0o777 == 0o600
    if engine == "sqlite":  # nothing stays where the orders were
        assert WORDS.encode() not in (tmp_path / NAME).read_bytes()


async def test_files_with_nothing_to_forget_are_read_once(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    async with opened(tmp_path) as store:
        await archive(store, await labelled(store, {"a": 31}))
        task = forgetting(store)
        await task.run_once(NOW)
        monkeypatch.setattr(gzip, "open", None)
        with capture_logs() as logs:
            await task.run_once(NOW + 90 * DAY)
        assert logs == []


async def test_a_file_that_can_not_be_read_holds_up_no_other(tmp_path: Path) -> None:
    async with opened(tmp_path) as store:
        await archive(store, await labelled(store, {"a": 31}))
        for number, raw in enumerate((b"no gzip", gzip.compress(b"{}"), gzip.compress(b"no")[:-9])):
            (tmp_path / "archive" / f"orders-1970010{number}.jsonl.gz").write_bytes(raw)
        with capture_logs() as logs:
            await forgetting(store).run_once(NOW)
        assert [entry["event"] for entry in logs] == ["customers.kept"] * 3 + [
            "customers.forgotten"
        ]
        assert (logs[-1]["orders"], logs[-1]["archived"]) == (0, 1)
