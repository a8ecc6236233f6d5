"""Panels in a process of their own that answer as fast as Python can, for very many orders.

They tell of one kind of order that moves slowly: in each sweep another twentieth has moved since
the sweep before. Started as a program it prints its port. Of `/control`

  (nothing)        tells what was asked and answered in this sweep
  ?oldest          and for how long the order that waits longest was not asked about
  ?hold            leaves every question about orders open from now on
  ?sweep=1         begins that sweep; what was held is answered in it
  ?sweep=1&once=10 the same, and each of the ten panels holds again when all of its orders were
                   asked about
  ?sweep=1&odd=.5  the same, and half of the answers have numbers where others have text
  ?each=10         and for each of the ten panels how many seconds ago it was asked about orders,
                   and about how many since this was first wanted
"""

import argparse
import asyncio
import json
import re
import time
from array import array
from collections.abc import Sequence
from typing import Any, cast
from urllib.parse import parse_qs, urlsplit

import uvloop

from benchmarks.house import Rows

QUANTITY = 1000
LEFT = 600  # of each order, before the first sweep
CHARGE = "0.27819"
START_COUNT = 3572
MOVES_IN = 20  # sweeps: a twentieth of the orders in each
BATCH = 100
_RESTED = 20.0  # seconds after an answer, by which its orders may well be asked about again

_HEAD = b"HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nContent-Length: %d\r\n\r\n"
_LENGTH = re.compile(rb"\r\ncontent-length: *(\d+)", re.IGNORECASE)
_FIRST = re.compile(rb"\borders?=(\d+)")
_ROW = (
    b'"%d":{"charge":"0.27819","start_count":"3572","status":"In progress",'
    b'"remains":"%d","currency":"USD"}'
)
_ODD_ROW = b'"%d":{"charge":0.27819,"start_count":"","status":"In progress","remains":%d}'
_BALANCE = b'{"balance":"100.84292","currency":"USD"}'
_SERVICES = (
    b'[{"service":1,"name":"Followers","type":"Default","category":"First Category",'
    b'"rate":"0.90","min":"50","max":"10000","refill":true,"cancel":true}]'
)


def remains(order: int, sweep: int) -> int:
    """What is left of the order in that sweep."""
    return LEFT - (sweep + order) // MOVES_IN + order // MOVES_IN


def known_orders(orders: int, panels: int, now: float) -> Rows:
    """The database rows of all orders, as they stood before the first sweep.

    They are alike, so that all are due equally often: a look at each is a round of requests.
    """
    submitted, seen = now - 7200.0, now - 600.0
    for order in range(1, orders + 1):
        yield (
            (order, 1 + order % panels, str(order), "1", None, QUANTITY, submitted, submitted),
            (
                order,
                "in_progress",
                "In progress",
                CHARGE,
                START_COUNT,
                remains(order, 0),
                seen,
                seen,
                seen,
            ),
        )


class Traffic:
    """What the panels tell and what they were asked."""

    def __init__(self, orders: int, latency: float) -> None:
        self._orders = orders
        self._latency = latency
        self._odd = 0  # of a hundred answers
        self._holds = False
        self._held: list[tuple[_Connection, bytes]] = []
        self._panels, self._once, self._sweep = 1, False, 0
        self._asked_at = array("d", [time.perf_counter()]) * (orders + 1)
        self._under_way = bytearray(orders + 1)
        self._longest = 0.0  # seconds that an order went without a check, of those that ended
        self._each: list[tuple[float, int]] = []  # panel -> when it was asked about, and how many
        self._begin(0)

    def take(self, connection: "_Connection", body: bytes) -> None:
        """A form of the panel API: answers it, or holds it."""
        if asked := _ids_of(body):
            self._note(asked)
        if self._is_held(body):
            self._held.append((connection, body))
        else:
            self._respond(connection, body)

    def _respond(self, connection: "_Connection", body: bytes) -> None:
        if self._latency:
            loop = asyncio.get_running_loop()
            loop.call_later(self._latency, connection.send, self._answer(body))
        else:
            connection.send(self._answer(body))

    def control(self, target: str) -> bytes:
        """Does what is wanted and tells what was asked until then."""
        held = sum(connection.is_open for connection, _ in self._held)
        told: dict[str, Any] = {
            "requests": self._requests,
            "short": self._short,
            "ids": self._ids,
            "distinct": self._distinct,
            "changed": self._changed,
            "held": held,
            "seconds": self._seconds,
            "requests for most": self._most[0],
            "seconds for most": self._most[1],
            "sweep": self._sweep,
            "longest": self._longest,
        }
        wanted = parse_qs(urlsplit(target).query, keep_blank_values=True)
        self._holds |= "hold" in wanted
        if "oldest" in wanted:
            told["oldest"] = time.perf_counter() - min(self._asked_at[1:])
        if "each" in wanted:
            now = time.perf_counter()
            self._each = self._each or [(now, 0)] * int(wanted["each"][0])
            told["each"] = [(now - at, ids) for at, ids in self._each]
        if "sweep" in wanted:
            self._panels = int(wanted.get("once", ["1"])[0])
            self._once = "once" in wanted
            self._odd = round(100 * float(wanted.get("odd", ["0"])[0]))
            self._begin(int(wanted["sweep"][0]))
            self._release()
        return json.dumps(told).encode()

    def _begin(self, sweep: int) -> None:
        self._moved = min(MOVES_IN, max(0, sweep - self._sweep))  # twentieths, since the last one
        self._sweep = sweep
        self._requests = self._ids = self._distinct = self._changed = 0
        self._short = 0  # requests that could have had more orders
        self._seen = bytearray(self._orders + 1)
        self._left = [
            len(range(number or self._panels, self._orders + 1, self._panels))
            for number in range(self._panels)
        ]
        self._longest = 0.0
        self._began = time.perf_counter()
        self._seconds = 0.0  # until every order was asked about
        self._most = (0.0, 0.0)  # requests and seconds, until nine tenths of them were

    def _is_held(self, body: bytes) -> bool:
        if b"action=status" not in body or not (self._holds or self._once):
            return False
        first = _FIRST.search(body)
        return self._holds or (first is not None and not self._left[int(first[1]) % self._panels])

    def _release(self) -> None:
        self._holds = False
        held, self._held = self._held, []
        for connection, body in held:
            if not connection.is_open:
                continue
            if self._is_held(body):  # its panel is through already
                self._held.append((connection, body))
            else:
                self._respond(connection, body)

    def _answer(self, body: bytes) -> bytes:
        if asked := _ids_of(body):
            rows = self._rows(asked)
            return rows if b"orders=" in body else rows.partition(b":")[2][:-1]
        action = _fields(body).get(b"action")
        return {b"balance": _BALANCE, b"services": _SERVICES}.get(action or b"", b"[]")

    def _note(self, orders: Sequence[int]) -> None:
        """A request is under way for these; is it as full as it can be?"""
        for order in orders:
            self._under_way[order] = 1
        if self._once and len(orders) < BATCH:
            first, rested = orders[0] % self._panels or self._panels, time.perf_counter() - _RESTED
            of_panel = slice(first, None, self._panels)
            both = zip(self._asked_at[of_panel], self._under_way[of_panel], strict=True)
            self._short += any(at < rested and not busy for at, busy in both)

    def _rows(self, orders: Sequence[int]) -> bytes:
        seen, sweep = self._seen, self._sweep
        self._requests += 1
        self._ids += len(orders)
        now, asked_at = time.perf_counter(), self._asked_at
        if self._each:
            panel = orders[0] % len(self._each)
            self._each[panel] = now, self._each[panel][1] + len(orders)
        for order in orders:
            if now - asked_at[order] > self._longest:
                self._longest = now - asked_at[order]
            asked_at[order] = now
            self._under_way[order] = 0
            if not seen[order]:
                seen[order] = 1
                self._distinct += 1
                self._left[order % self._panels] -= 1
                self._changed += (sweep + order) % MOVES_IN < self._moved
        if self._distinct >= 0.9 * self._orders and not self._most[1]:
            self._most = (self._requests, time.perf_counter() - self._began)
        if self._distinct == self._orders and not self._seconds:
            self._seconds = time.perf_counter() - self._began + self._latency
        row = _ODD_ROW if self._requests % 100 < self._odd else _ROW
        return b"{%b}" % b",".join([row % (order, remains(order, sweep)) for order in orders])


def _fields(body: bytes) -> dict[bytes, bytes]:
    return dict(part.partition(b"=")[::2] for part in body.split(b"&"))


def _ids_of(body: bytes) -> list[int]:
    """The orders that are asked about; none where something else is asked."""
    fields = _fields(body)
    if fields.get(b"action") != b"status":
        return []
    asked = fields.get(b"orders") or fields[b"order"]
    return [int(order) for order in asked.replace(b"%2C", b",").split(b",")]


class _Connection(asyncio.Protocol):
    def __init__(self, traffic: Traffic) -> None:
        self._traffic = traffic
        self._buffer = b""

    @property
    def is_open(self) -> bool:
        return not self._transport.is_closing()

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = cast(asyncio.Transport, transport)

    def data_received(self, data: bytes) -> None:
        self._buffer += data
        while (end := self._buffer.find(b"\r\n\r\n")) >= 0:
            head = self._buffer[:end]
            found = _LENGTH.search(head)
            whole = end + 4 + (int(found[1]) if found else 0)
            if len(self._buffer) < whole:
                return
            body, self._buffer = self._buffer[end + 4 : whole], self._buffer[whole:]
            target = head.split(b" ", 2)[1].decode()
            if target.startswith("/control"):
                self.send(self._traffic.control(target))
            else:
                self._traffic.take(self, body)

    def send(self, body: bytes) -> None:
        if self.is_open:
            self._transport.write(_HEAD % len(body) + body)


async def _serve(options: argparse.Namespace) -> None:
    traffic = Traffic(options.orders, options.latency)
    loop = asyncio.get_running_loop()
    server = await loop.create_server(lambda: _Connection(traffic), "127.0.0.1", 0)
    print(server.sockets[0].getsockname()[1], flush=True)
    await server.serve_forever()


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--orders", type=int, required=True)
    parser.add_argument("--latency", type=float, default=0.0, help="seconds")
    uvloop.run(_serve(parser.parse_args()))


if __name__ == "__main__":
    main()
