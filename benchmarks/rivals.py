"""The programs that the daemon is measured against. Each knows many orders, checks some of them
once, and prints its CPU seconds.

floor       raw protocol, msgspec, uvloop, ready-made batches, only what changed written
everything  asyncio, aiohttp and aiosqlite; every order's next check is written
one-by-one  requests with a session; one order a call, what changed is written
"""

import argparse
import asyncio
import json
import random
import sqlite3
import time
from pathlib import Path
from typing import cast
from urllib.parse import urlsplit

import aiohttp
import aiosqlite
import msgspec
import requests
import uvloop

from benchmarks.daemon import peak_memory
from benchmarks.traffic import BATCH, remains

CONNECTIONS = 10
COMMIT_EVERY = 20  # batches


class Row(msgspec.Struct, gc=False):
    """What the floor reads of an order."""

    status: str
    remains: str


class _Floor(asyncio.Protocol):
    """One connection: the next request goes out as soon as an answer is whole."""

    def __init__(self, program: "Floor") -> None:
        self._program = program
        self._parts: list[bytes] = []
        self._missing = 0
        self.done = asyncio.get_running_loop().create_future()

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = cast(asyncio.Transport, transport)
        self._ask()

    def data_received(self, data: bytes) -> None:
        if not self._missing:
            head, _, data = data.partition(b"\r\n\r\n")
            self._missing = int(head.rpartition(b": ")[2])
            self._parts = []
        self._parts.append(data)
        self._missing -= len(data)
        if not self._missing:
            self._program.take(b"".join(self._parts))
            self._ask()

    def connection_lost(self, error: Exception | None) -> None:
        if not self.done.done():
            self.done.set_exception(error or ConnectionError("the panel hung up"))

    def _ask(self) -> None:
        request = next(self._program.requests, None)
        if request is None:
            self.done.set_result(None)
            self._transport.close()
        else:
            self._transport.write(request)


class Floor:
    """The least that any program has to do."""

    def __init__(self, url: str, database: Path, known: int, asked: int) -> None:
        parts = urlsplit(url)
        self.address = parts.hostname or "", parts.port or 0
        ids = list(range(1, known + 1))
        random.Random(1).shuffle(ids)
        bodies = [
            b"key=benchmark&action=status&orders=%b"
            % ",".join(map(str, sorted(ids[start : start + BATCH]))).encode()
            for start in range(0, asked, BATCH)
        ]
        self.requests = iter(
            [
                b"POST /api/v2 HTTP/1.1\r\nHost: panel\r\n"
                b"Content-Type: application/x-www-form-urlencoded\r\n"
                b"Content-Length: %d\r\n\r\n%b" % (len(body), body)
                for body in bodies
            ]
        )
        self._decode = msgspec.json.Decoder(dict[str, Row]).decode
        self._known = {str(order): str(remains(order, 0)) for order in range(1, known + 1)}
        self._changes: list[tuple[str, str]] = []
        self._batches = 0
        self._database = _state(database, known)

    def take(self, body: bytes) -> None:
        known = self._known
        for order, row in self._decode(body).items():
            if row.remains != known[order]:
                known[order] = row.remains
                self._changes.append((row.remains, order))
        self._batches += 1
        if self._batches % COMMIT_EVERY == 0:
            self.write()

    def write(self) -> None:
        with self._database:
            self._database.executemany("UPDATE state SET remains = ? WHERE id = ?", self._changes)
        self._changes.clear()


async def floor(url: str, database: Path, known: int, asked: int) -> None:
    program = Floor(url, database, known, asked)
    _begin()
    loop = asyncio.get_running_loop()
    connections = []
    for _ in range(CONNECTIONS):
        host, port = program.address
        _, connection = await loop.create_connection(lambda: _Floor(program), host, port)
        connections.append(connection.done)
    await asyncio.gather(*connections)
    program.write()


async def everything(url: str, database: Path, known: int, asked: int) -> None:
    """As most such scripts are written: the table is the queue."""
    _state(database, known).close()
    async with aiosqlite.connect(database) as rows, aiohttp.ClientSession() as session:
        await rows.execute("PRAGMA journal_mode=WAL")
        await rows.execute("PRAGMA synchronous=NORMAL")
        _begin()
        left = asked
        while left > 0:
            due = await rows.execute_fetchall(
                "SELECT id FROM state WHERE next_check <= ? ORDER BY next_check LIMIT ?",
                (time.time(), BATCH),
            )
            ids = [str(row[0]) for row in due]
            form = {"key": "benchmark", "action": "status", "orders": ",".join(ids)}
            async with session.post(url, data=form) as answer:
                told = await answer.json()
            now = time.time()
            await rows.executemany(
                "UPDATE state SET status = ?, remains = ?, checked = ?, next_check = ?"
                " WHERE id = ?",
                [(row["status"], row["remains"], now, now + 3600, i) for i, row in told.items()],
            )
            await rows.commit()
            left -= len(ids)


def one_by_one(url: str, database: Path, known: int, asked: int) -> None:
    rows = _state(database, known)
    _begin()
    with requests.Session() as session:
        some = rows.execute("SELECT id, remains FROM state LIMIT ?", (asked,))
        for order, before in some.fetchall():
            form = {"key": "benchmark", "action": "status", "order": order}
            told = session.post(url, data=form, timeout=10).json()
            if told["remains"] != before:
                with rows:
                    rows.execute(
                        "UPDATE state SET remains = ? WHERE id = ?", (told["remains"], order)
                    )


def _state(database: Path, known: int) -> sqlite3.Connection:
    rows = sqlite3.connect(database)
    rows.execute("PRAGMA journal_mode=WAL")
    rows.execute("PRAGMA synchronous=NORMAL")
    rows.execute(
        "CREATE TABLE state (id INTEGER PRIMARY KEY, status TEXT, remains TEXT, checked REAL,"
        " next_check REAL)"
    )
    spread = random.Random(2)
    with rows:
        rows.executemany(
            "INSERT INTO state VALUES (?, 'In progress', ?, 0, ?)",
            ((i, str(remains(i, 0)), spread.random()) for i in range(1, known + 1)),
        )
        rows.execute("CREATE INDEX due ON state (next_check)")
    return rows


_began = 0.0, 0.0


def _begin() -> None:
    """From here on it counts: what was made ready before does not."""
    global _began
    _began = time.process_time(), time.perf_counter()


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("program", choices=["floor", "everything", "one-by-one"])
    parser.add_argument("url")
    parser.add_argument("database", type=Path)
    parser.add_argument("known", type=int, help="how many orders are in its database")
    parser.add_argument("asked", type=int, help="about how many of them it asks")
    options = parser.parse_args()
    args = options.url, options.database, options.known, options.asked
    if options.program == "floor":
        uvloop.run(floor(*args))
    elif options.program == "everything":
        asyncio.run(everything(*args))
    else:
        one_by_one(*args)
    told = {
        "cpu": time.process_time() - _began[0],
        "wall": time.perf_counter() - _began[1],
        "peak_mb": peak_memory(),
    }
    print(json.dumps(told))


if __name__ == "__main__":
    main()
