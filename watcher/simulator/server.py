"""A simulated panel: an HTTP server on this machine that speaks the panel API."""

import time
from collections.abc import Iterable, Mapping
from typing import Self

from aiohttp import web

from watcher.common.clock import Clock
from watcher.panels.profiles import Profile
from watcher.panels.protocol.refusals import Refusal
from watcher.simulator import gate
from watcher.simulator.control import Control
from watcher.simulator.delivery import Delivery, hang_up
from watcher.simulator.handlers import ApiHandlers, Reply
from watcher.simulator.journal import Journal, JournalEntry
from watcher.simulator.request_limits import LimitKind, RequestLimits, SimRate
from watcher.simulator.switches import Shown, Switchboard
from watcher.simulator.traits import FAULTS, Trait
from watcher.simulator.world import World

PATH = "/api/v2"


class SimulatedPanel:
    """One panel with its world, its journal and its traits.

    `clock` is the wall clock (Unix seconds) for rate limits. The simulated time starts with it and
    runs `speed` times as fast. A stopped panel can start again on the same port.
    """

    def __init__(
        self,
        profile: Profile,
        *,
        key: str = "demo",
        host: str = "127.0.0.1",
        port: int = 0,
        speed: float = 1.0,
        world: World | None = None,
        traits: Iterable[Trait] = (),
        requests_per_minute: int | None = None,
        limit_kind: LimitKind = LimitKind.FIXED_WINDOW,
        action_limits: Mapping[str, SimRate] | None = None,
        clock: Clock = time.time,
        control: bool = False,
        journal_limit: int | None = None,
    ) -> None:
        self.profile = profile
        self.world = world or World()
        self.switches = Switchboard(traits)
        self.limits = RequestLimits(requests_per_minute, limit_kind, action_limits)
        self.journal = Journal(journal_limit)
        self._desk = ApiHandlers(profile, key, self.world, self.limits)
        self._host, self._port = host, port
        self._clock, self._speed = clock, speed
        self._began = self._now_at_began = clock()
        self._control = self._controls() if control else None
        self._delivery = Delivery()
        self._runner: web.AppRunner | None = None

    @property
    def url(self) -> str:
        return f"http://{self._host}:{self._port}{PATH}"

    def now(self) -> float:
        """Return the simulated time."""
        return self._now_at_began + (self._clock() - self._began) * self._speed

    def advance(self, seconds: float) -> None:
        """Move the simulated time forward."""
        self._now_at_began += seconds

    def change_key(self, key: str) -> None:
        """Replace the valid key."""
        self._desk.key = key

    async def start(self) -> None:
        app = web.Application()
        for path in (PATH, f"{PATH}/"):
            app.router.add_route("*", path, self._serve)
        if self._control is not None:
            app.add_routes(self._control.routes())
        self._delivery = Delivery()
        # No access log: it costs more than the response.
        self._runner = web.AppRunner(app, access_log=None, shutdown_timeout=1.0)
        await self._runner.setup()
        try:
            await web.TCPSite(self._runner, self._host, self._port).start()
        except OSError:
            await self.stop()
            raise
        self._port = self._runner.addresses[0][1]

    async def stop(self) -> None:
        self._delivery.stop()
        if self._runner is not None:
            await self._runner.cleanup()
            self._runner = None

    async def __aenter__(self) -> Self:
        await self.start()
        return self

    async def __aexit__(self, *error: object) -> None:
        await self.stop()

    def _controls(self) -> Control:
        return Control(self.world, self.journal, self.switches, self.limits, self.now, self.advance)

    async def _serve(self, request: web.Request) -> web.StreamResponse:
        sent = await _parameters(request, as_json=self.switches.is_on(Trait.WANTS_JSON))
        entry = self.journal.arrived(self.now(), sent or {})
        shown = self.switches.show(entry.action)
        entry.fault = next((trait.value for trait in shown if trait in FAULTS), "")
        pause = shown.get(Trait.STALL_BEFORE, 0.0)
        if pause and not await self._delivery.wait(pause):
            return hang_up(request)
        reply = self._reply(request, sent, entry, shown)
        return await self._deliver(request, reply, entry, shown)

    def _reply(
        self, request: web.Request, sent: gate.Sent | None, entry: JournalEntry, shown: Shown
    ) -> Reply:
        stopped = gate.stopped(gate.Arrived(request.path, request.headers, sent), shown)
        if stopped is not None:
            trait, reply = stopped
            entry.outcome = trait.value
            return reply
        if request.method != "POST" or sent is None:
            return self._desk.refuse(Refusal.REQUEST, entry, shown)
        return self._desk.reply(sent, entry, shown, self.now(), self._clock())

    async def _deliver(
        self, request: web.Request, reply: Reply, entry: JournalEntry, shown: Shown
    ) -> web.StreamResponse:
        response = await self._delivery.deliver(request, reply, shown)
        hung_up = request.transport is None or request.transport.is_closing()
        entry.http = 0 if hung_up and not response.prepared else response.status
        return response


async def _parameters(request: web.Request, *, as_json: bool) -> gate.Sent | None:
    """Return the parameters of body and URL, as PHP clients send them; None if unreadable."""
    content_type = request.headers.get("Content-Type", "")
    try:
        body = gate.read(await request.read(), content_type, as_json=as_json)
    except ValueError:
        return None
    return {**request.query, **body}
