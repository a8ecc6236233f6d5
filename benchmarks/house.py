"""A database with very many open orders, and the daemon's configuration beside it."""

import asyncio
import random
import socket
import sqlite3
from collections.abc import Iterator
from contextlib import closing
from itertools import islice
from pathlib import Path
from typing import Any

from watcher.store import Store

KEY = "benchmark"
_DAY = 86400.0
_STATUSES = [("in_progress", "In progress"), ("pending", "Pending"), ("processing", "Processing")]

_ORDER = (
    "INSERT INTO orders (key, panel, order_id, service, link, quantity, submitted_at, tracked_at)"
    " VALUES (?, ?, ?, ?, ?, ?, ?, ?)"
)
_STATE = (
    "INSERT INTO order_states (key, status, status_text, charge, currency, start_count, remains,"
    " phase, progressed_at, changed_at, checked_at, refills)"
    " VALUES (?, ?, ?, ?, 'USD', ?, ?, 'open', ?, ?, ?, 0)"
)


Rows = Iterator[tuple[tuple[Any, ...], tuple[Any, ...]]]  # of `orders` and of `order_states`


def make_database(path: Path, *, panels: int, rows: Rows, now: float) -> None:
    """A database of the daemon's with these orders in it."""
    asyncio.run(_make_tables(path, now))
    with closing(sqlite3.connect(path)) as connection, connection:
        connection.execute("PRAGMA synchronous=OFF")
        names = [(number, f"panel{number}") for number in range(1, panels + 1)]
        connection.executemany("INSERT INTO panels VALUES (?, ?)", names)
        while both := list(islice(rows, 50_000)):
            connection.executemany(_ORDER, (order for order, _ in both))
            connection.executemany(_STATE, (state for _, state in both))


async def _make_tables(path: Path, now: float) -> None:
    await (await Store.open(path, now=now)).close()


def mixed_orders(panels: int, orders: int, now: float) -> Rows:
    """Orders as panels have them, a panel's as they would come: mixed, over the last 20 days."""
    chance = random.Random(1)
    for key in range(1, orders + 1):
        quantity = chance.choice((50, 100, 250, 500, 1000, 2000, 5000, 10_000))
        service = chance.randrange(1000, 1100)
        status, text = chance.choices(_STATUSES, (70, 20, 10))[0]
        is_moving = status == "in_progress"
        submitted = now - 20 * _DAY * (1 - key / orders) - chance.random() * 3600
        progressed = submitted + chance.random() * (now - submitted) if is_moving else submitted
        checked = now - chance.random() * 3600
        link = f"https://www.instagram.com/p/{chance.getrandbits(64):016x}/?igshid={key:07}"
        charge = f"{quantity * (service - 990) * 3 / 100_000:.4f}"
        order = (
            key,
            1 + key % panels,
            str(1_000_000 + key * 7 // panels),
            str(service),
            link,
            quantity,
            submitted,
            submitted,
        )
        start = chance.randrange(200_000) if is_moving else None
        remains = chance.randrange(quantity) if is_moving else quantity
        yield (
            order,
            (key, status, text, charge, start, remains, progressed, progressed, checked),
        )


def make_config(
    path: Path,
    *,
    panels: int,
    url: str,
    rules: str = "",
    defaults: str = "",
    database: object = "watcher.db",
) -> int:
    """A configuration beside the database; the port that it makes listen."""
    port = free_port()
    text = (
        f'[daemon]\nlisten = "127.0.0.1:{port}"\nlog_format = "json"\ndatabase = "{database}"\n'
        f"[defaults]\n{defaults}\n"
    )
    for number in range(1, panels + 1):
        text += f'[panels.panel{number}]\nurl = "{url}"\nkey_env = "BENCH_KEY"\n'
    path.write_text(text + rules)
    return port


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])
