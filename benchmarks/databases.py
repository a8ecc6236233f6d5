"""A file and a PostgreSQL server side by side: loading, searching, changes, and the move between.

The server is the tests' own, on this machine: it takes part of the cores that are measured. Each
figure of both is taken right after the other.
"""

import argparse
import asyncio
import tempfile
import time
from collections.abc import Sequence
from pathlib import Path

from benchmarks import report
from benchmarks.house import make_database, mixed_orders
from tests.support.postgres import Server
from tests.unit.store_kit import moved
from watcher.common.postgres_url import DatabaseLocation
from watcher.model import Order
from watcher.store import Store, move
from watcher.store.search import SearchQuery

_SIZES = (1, 50, 500)  # changes in a group


def main(arguments: Sequence[str] | None = None) -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--orders", type=int, default=1_000_000)
    parser.add_argument("--seconds", type=float, default=5.0, help="for each size of a group")
    parser.add_argument("--json", type=Path)
    options = parser.parse_args(arguments)
    server = Server()
    server.start(shared_buffers="256MB")
    try:
        with tempfile.TemporaryDirectory() as directory:
            made, now = Path(directory) / "watcher.db", time.time()
            make_database(made, panels=3, rows=mixed_orders(3, options.orders, now), now=now)
            figures = asyncio.run(_measure(options, server, made))
    finally:
        server.remove()
    print(report.table(figures))
    if options.json:
        report.write(options.json, "databases", {"orders": options.orders, "runs": figures})


async def _measure(
    options: argparse.Namespace, server: Server, made: Path
) -> dict[str, dict[str, float]]:
    directory, now = made.parent, time.time()
    url = server.url(server.create(), directory)
    file = await _figures(made, options.seconds)
    began = time.perf_counter()
    await move(made, url, lambda *_: None, now=now)
    there = time.perf_counter() - began
    served = await _figures(url, options.seconds)
    began = time.perf_counter()
    await move(url, directory / "back.db", lambda *_: None, now=now)
    back = time.perf_counter() - began
    return {
        "SQLite": file | {"move, s": back},
        "PostgreSQL": served | {"move, s": there},
    }


async def _figures(location: DatabaseLocation, seconds: float) -> dict[str, float]:
    began = time.perf_counter()
    store = await Store.open(location, now=time.time())
    figures = {"open, s": time.perf_counter() - began}
    try:
        began = time.perf_counter()
        after: int | None = 0
        last = await store.orders.last_key()
        while after is not None:
            part, after = await store.orders.load(after, last, links=False)
            for _ in part:
                pass
        figures["load all, s"] = time.perf_counter() - began
        orders, _ = await store.orders.page(limit=max(_SIZES))
        for size in _SIZES:
            rate, orders[:size] = await _changes(store, orders[:size], seconds)
            figures[f"changes/s, {size} at once"] = rate
        for name, query in (
            ("search a link, ms", SearchQuery(text="https://www.instagram.com/p/0123")),
            ("search a status, ms", SearchQuery(status=orders[0].status, panel="panel1")),
        ):
            began = time.perf_counter()
            await store.search.find(query)
            figures[name] = 1000 * (time.perf_counter() - began)
    finally:
        await store.close()
    return figures


async def _changes(store: Store, orders: list[Order], seconds: float) -> tuple[float, list[Order]]:
    """Return how many changes a second are written, and the orders as they are then."""
    done, began = 0, time.perf_counter()
    while (passed := time.perf_counter() - began) < seconds:
        remains = (orders[0].remains or 0) + 1
        changes = [moved(order, time.time(), remains=remains + done % 2) for order in orders]
        await store.changes.record(changes, now=time.time())
        orders = [change.after for change in changes]
        done += len(changes)
    return done / passed, orders


if __name__ == "__main__":
    main()
