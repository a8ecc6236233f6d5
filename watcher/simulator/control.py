"""HTTP control of a simulated panel, for tests against one in another process."""

from collections.abc import Callable
from dataclasses import dataclass
from decimal import Decimal

import msgspec
from aiohttp import web

from watcher.panels.protocol.refusals import RefusedAnswer
from watcher.simulator.journal import Journal
from watcher.simulator.request_limits import RequestLimits
from watcher.simulator.switches import Switch, Switchboard
from watcher.simulator.traits import Trait
from watcher.simulator.world import World


class Force(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """Overrides for some orders."""

    orders: list[int]
    fields: dict[str, object]


class Command(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """The body of `POST /control`; carried out in this order."""

    off: list[Trait] | None = None
    on: list[Switch] = []
    requests_per_minute: int | msgspec.UnsetType | None = msgspec.UNSET
    advance: float = 0.0
    balance: Decimal | None = None
    rates: dict[int, Decimal] = {}
    unlist: list[int] | None = None
    seed_orders: int = 0
    force: list[Force] = []


@dataclass(frozen=True)
class Control:
    """Routes that control one panel."""

    _world: World
    _journal: Journal
    _switches: Switchboard
    _limits: RequestLimits
    _now: Callable[[], float]
    _advance: Callable[[float], None]

    def routes(self) -> list[web.RouteDef]:
        return [web.get("/journal", self._read), web.post("/control", self._command)]

    async def _read(self, request: web.Request) -> web.Response:
        entries = self._journal.requests(request.query.get("action"))
        largest = self._journal.largest_batch()
        return _json({"requests": entries, "largest_batch": largest})

    async def _command(self, request: web.Request) -> web.Response:
        try:
            command = msgspec.json.decode(await request.read(), type=Command)
            seeded = self._carry_out(command)
        except (msgspec.DecodeError, RefusedAnswer, KeyError) as error:
            return _json({"error": str(error)}, 400)
        now = self._now()
        balance = format(self._world.balance(now), "f")
        return _json({"now": now, "balance": balance, "seeded": [seeded.start, seeded.stop]})

    def _carry_out(self, command: Command) -> range:
        if command.off is not None:
            self._switches.off(*command.off)
        for switch in command.on:
            self._switches.add(switch)
        if command.requests_per_minute is not msgspec.UNSET:
            self._limits.allow(command.requests_per_minute)
        self._advance(command.advance)
        if command.balance is not None:
            self._world.set_balance(command.balance, self._now())
        for service, rate in command.rates.items():
            self._world.change_rate(service, rate)
        if command.unlist is not None:
            self._world.unlist(*command.unlist)
        seeded = self._world.seed_orders(command.seed_orders, self._now())
        for force in command.force:
            self._world.force(force.orders, self._now(), **force.fields)
        return seeded


def _json(body: object, status: int = 200) -> web.Response:
    return web.Response(
        body=msgspec.json.encode(body), status=status, content_type="application/json"
    )
