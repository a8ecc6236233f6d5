"""What the tests of the store share: a store on a real file, values, child processes."""

import os
import sqlite3
import subprocess
import sys
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, closing
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import psycopg
from sqlalchemy import Connection

from tests.support.database import CURRENT, put_empty
from tests.support.postgres import databases
from watcher.common.postgres_url import DatabaseLocation, PostgresUrl
from watcher.config import DaemonSection
from watcher.model import (
    Action,
    ActionPlan,
    ActionState,
    Firing,
    Kind,
    Observation,
    Order,
    Outcome,
    RuleAction,
    Status,
    Transition,
)
from watcher.orders.columns.table import OrderTable
from watcher.orders.lifecycle import observe
from watcher.store import Store

NAME = "watcher.db"


def configured(**settings: Any) -> Any:
    """An ActiveConfig with these settings of [daemon], and nothing else."""
    return SimpleNamespace(current=SimpleNamespace(daemon=DaemonSection(**settings)))


def location(directory: Path, *, is_new: bool = False) -> DatabaseLocation:
    """The directory's database, of the kind that the test is run on; empty if there was none."""
    if CURRENT.engine == "postgresql":
        return databases().url(directory, is_new=is_new)
    if not is_new:
        put_empty(directory / NAME)
    return directory / NAME


@asynccontextmanager
async def opened(directory: Path, *, is_new: bool = False, **options: Any) -> AsyncIterator[Store]:
    """A store on the directory's database, made by it if that `is_new`; closed at the end."""
    place = location(directory, is_new=is_new)
    store = await Store.open(place, **{"now": 0.0, **options})
    try:
        yield store
    finally:
        await store.close()


def an_order(order_id: str = "1", panel: str = "p", **fields: Any) -> Order:
    usual: dict[str, Any] = {"submitted_at": 1.0, "progressed_at": 1.0, "quantity": 1000}
    return Order(panel=panel, id=order_id, **{**usual, "status": Status.PENDING, **fields})


async def tracked(store: Store, count: int = 1, panel: str = "p") -> list[Order]:
    """Orders 1, 2, 3 … of the panel, tracked."""
    found = [an_order(str(number), panel) for number in range(1, count + 1)]
    return await store.orders.track(found, now=2.0)


def moved(order: Order, at: float = 5.0, **fields: Any) -> Transition:
    """The transition that an observation of these fields makes."""
    usual: dict[str, Any] = {"status": order.status, "status_text": order.status_text}
    transition = observe(order, Observation(**{**usual, **fields}), at)
    assert transition is not None
    return transition


def finished(order: Order, at: float = 5.0, **fields: Any) -> Transition:
    return moved(order, at, status=Status.COMPLETED, status_text="Completed", remains=0, **fields)


def a_firing(order: str = "1", rule: str = "r", **fields: Any) -> Firing:
    usual: dict[str, Any] = {"action": RuleAction.REFILL, "at": 5.0, "dry_run": False}
    return Firing(rule=rule, order=order, **{"panel": "p", "detail": "d", **usual, **fields})


def a_plan(order: str | None = "1", kind: Kind = Kind.REFILL, **fields: Any) -> ActionPlan:
    return ActionPlan(kind=kind, order=order, **{"panel": "p", **fields})


def a_submission(key: str | None = None, **params: str) -> ActionPlan:
    usual = {"service": "7", "link": "https://example.com/p", "quantity": "500"}
    return a_plan(None, Kind.SUBMIT, params={**usual, **params}, idempotency_key=key)


async def sent(store: Store, plan: ActionPlan, now: float = 10.0) -> Action:
    """An action of the plan that is being sent."""
    action = await store.actions.plan(plan, now=now)
    return (await store.actions.claim([action.id], now=now + 1))[0]


def outcome(action: Action, state: ActionState, result: str | None = None) -> Outcome:
    return Outcome(action=action, state=state, result=result, answer=f"the panel: {state}")


async def settled(
    store: Store, action: Action, state: ActionState, at: float, result: str | None = None
) -> Action:
    """The action that was being sent, once its outcome is on record."""
    return (await store.actions.settle([outcome(action, state, result)], now=at)).actions[0]


async def sql(store: Store, statement: str) -> Any:
    """Run it on the writing connection, as no caller could; the first value that it gives."""

    def work(connection: Connection) -> Any:
        result = connection.exec_driver_sql(statement)
        return result.scalar() if result.returns_rows else None

    return await store._db.write("test", work)


def at(text: str, directory: str) -> DatabaseLocation:
    """The location that a child process was given in words."""
    return PostgresUrl(text, None, Path(directory)) if "://" in text else Path(text)


def query(path: Path, statement: str) -> list[tuple[Any, ...]]:
    """What another program reads from the database whose file has, or would have, this path."""
    if CURRENT.engine == "postgresql":
        url = databases().url(path.parent)
        with psycopg.connect(url.text, autocommit=True) as server:
            return server.execute(statement).fetchall()
    with closing(sqlite3.connect(path)) as connection:
        return connection.execute(statement).fetchall()


def child(script: str, *arguments: object) -> "subprocess.Popen[str]":
    """A Python process that runs the script; its standard output can be read."""
    root = Path(__file__).parents[2]
    return subprocess.Popen(
        [sys.executable, "-c", script, *map(str, arguments)],
        stdout=subprocess.PIPE,
        stdin=subprocess.PIPE,
        text=True,
        cwd=root,
        env={**os.environ, "PYTHONPATH": str(root)},
    )


async def loaded(store: Store, **options: Any) -> list[Order]:
    """Every order that is not closed, as the watchlist would have it."""
    orders: list[Order] = []
    after: int | None = 0
    while after is not None:
        part, after = await store.orders.load(after, await store.orders.last_key(), **options)
        for rows in part:
            records = OrderTable(rows.panel)
            orders.extend(records.order(slot) for slot in records.extend(rows))
    return sorted(orders, key=lambda order: order.key)
