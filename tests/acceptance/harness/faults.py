"""What can be done to panels, clock, disk, configuration and process, and how it is undone."""

import asyncio
import contextlib
import socket
from collections import Counter
from collections.abc import Awaitable, Callable
from typing import Any
from urllib.parse import urlsplit

from tests.acceptance.harness.databases import of_stage
from tests.acceptance.harness.fuse import Moment
from tests.acceptance.harness.scenario import HOUR, Fault, Scenario
from tests.acceptance.harness.stage import Stage
from tests.support.house import KEY
from watcher.simulator import SimulatedPanel, Trait

UNREAL = 10**9  # from here on, no panel has such orders
GARBAGE: tuple[object, ...] = ("nonsense", 7, None, [], ["x"], {"status": 5}, {"error": {"a": 1}})

Undo = Callable[[], Awaitable[None]]


class Faults:
    """Brings faults about and takes them away; counts them."""

    def __init__(self, stage: Stage, scenario: Scenario) -> None:
        self.injected: Counter[str] = Counter()
        self.unreal: dict[str, set[int]] = {panel.name: set() for panel in scenario.panels}
        self._stage = stage
        self._traits = {panel.name: panel.traits for panel in scenario.panels}
        self._undo: list[Undo] = []
        self._away: set[str] = set()  # panels that do not listen
        self._database = of_stage(stage)

    async def begin(self, fault: Fault) -> None:
        """Bring it about."""
        self.injected[name_of(fault)] += 1
        await getattr(self, f"_{fault.kind}")(fault)

    async def end(self) -> None:
        """Take away all that lasts."""
        while self._undo:
            await self._undo.pop()()

    async def before_start(self) -> None:
        """People put right what would keep a daemon from starting."""
        self._stage.write_config()
        await self._database.be_well()
        self._undo = [undo for undo in self._undo if undo not in (self.unlock, self.free_disk)]

    # --- panels ---

    async def _spoil(self, fault: Fault) -> None:
        trait, panel = Trait(fault.word), self._panel(fault)
        amount = fault.amount or None
        panel.switches.on(trait, action=fault.action, times=fault.number, amount=amount)
        self._later(self._calm(fault.panel))

    async def _rate_limit(self, fault: Fault) -> None:
        panel = self._panel(fault)
        if fault.word:
            panel.switches.on(Trait(fault.word))
        panel.switches.on(
            Trait.RATE_LIMITED, action=fault.action, times=fault.number, amount=fault.amount
        )
        self._later(self._calm(fault.panel))

    async def _limit(self, fault: Fault) -> None:
        self._panel(fault).limits.allow(fault.number)
        self._later(self._calm(fault.panel))

    async def _wrong_key(self, fault: Fault) -> None:
        panel = self._panel(fault)
        panel.change_key("another")
        self._later(_call(lambda: panel.change_key(KEY)))

    async def _panel_stopped(self, fault: Fault) -> None:
        if fault.panel not in self._away:
            self._away.add(fault.panel)
            place = await _left(self._panel(fault))
            self._later(lambda: self._back(fault.panel, place))

    async def _panel_hangs_up(self, fault: Fault) -> None:
        """In the panel's place somebody who takes so many bytes and is gone."""
        if fault.panel in self._away:
            return
        self._away.add(fault.panel)
        place = await _left(self._panel(fault))

        async def answer(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
            with contextlib.suppress(asyncio.IncompleteReadError, ConnectionError):
                await reader.readexactly(fault.number)
            writer.transport.abort()

        server = await asyncio.start_server(answer, sock=place)
        self._later(lambda: self._back(fault.panel, server))

    async def _back(self, name: str, place: socket.socket | asyncio.Server) -> None:
        place.close()
        await self._stage.all_panels[name].start()
        self._away.discard(name)

    async def _bad_ids(self, fault: Fault) -> None:
        known = self.unreal[fault.panel]
        ids = [UNREAL + len(known) + n for n in range(fault.number)]
        known.update(ids)
        await self._track(fault.panel, [*ids])

    async def _garbled(self, fault: Fault) -> None:
        panel = self._panel(fault)
        ids = [
            int(o.id)
            for o in self._stage.daemon.watchlist.panel(fault.panel).orders()
            if int(o.id) < UNREAL
        ]
        chosen = self._stage.chance.sample(ids, min(len(ids), fault.number * 2))
        panel.world.garble(chosen, panel.now(), self._stage.chance.choice(GARBAGE))
        self._later(_call(lambda: panel.world.release(chosen, panel.now())))

    # --- configuration ---

    async def _reload(self, fault: Fault) -> None:
        self._stage.write_config(extra=f"stalled_after = '{fault.number}h'\n")
        await self._reread()
        self._later(self._restored_config)

    async def _bad_reload(self, fault: Fault) -> None:
        self._stage.write_config(extra="stalled_after = 'soon'\n")
        await self._reread()
        self._later(self._restored_config)

    async def _panel_removed(self, fault: Fault) -> None:
        if len(self._stage.all_panels) == 1:
            return
        self._stage.write_config(without=fault.panel)
        await self._reread()
        self._later(self._restored_config)

    async def _restored_config(self) -> None:
        self._stage.write_config()
        await self._reread()

    async def _reread(self) -> None:
        """The reload runs while the tasks do, as a signal comes at any time."""
        stage = self._stage
        if stage.up:
            await stage.unless_blown(_together(stage.daemon.reload(), stage.schedule.run(0.0)))

    # --- clock ---

    async def _clock_forward(self, fault: Fault) -> None:
        self._stage.set_clock(fault.amount)

    async def _clock_back(self, fault: Fault) -> None:
        self._stage.set_clock(-fault.amount)

    async def _clock_forth_and_back(self, fault: Fault) -> None:
        self._stage.set_clock(fault.amount)
        self._later(_call(lambda: self._stage.set_clock(-fault.amount)))

    async def _clock_a_month_ahead_and_back(self, fault: Fault) -> None:
        await self._clock_forth_and_back(fault)

    # --- database ---

    async def _locked(self, fault: Fault) -> None:
        if await self._database.lock():
            self._later(self.unlock)

    async def unlock(self) -> None:
        await self._database.unlock()

    async def _disk_full(self, fault: Fault) -> None:
        await self._database.fill()
        self._later(self.free_disk)

    async def free_disk(self) -> None:
        await self._database.make_room()

    async def _server(self, fault: Fault) -> None:
        """Something happens to the server, while time passes or from now on."""
        happening = asyncio.create_task(self._database.suffer(fault.word, fault.amount))

        async def over() -> None:
            await happening
            await self._database.be_well()

        self._later(over)
        await asyncio.sleep(0.0)

    async def _backup(self, fault: Fault) -> None:
        copy = self._stage.path.with_name(f"copy-{self.injected['backup']}.db")
        await asyncio.gather(
            self._stage.daemon.store.maintenance.backup(copy), return_exceptions=True
        )

    # --- process ---

    async def _crash(self, fault: Fault) -> None:
        self._stage.fuse.set_to(fault.panel, Moment(fault.word), fault.number)

    async def _restart(self, fault: Fault) -> None:
        await self.before_start()
        await self._stage.close()
        await self._stage.rise()

    # --- means ---

    def _later(self, undo: Undo) -> None:
        self._undo.append(undo)

    def _panel(self, fault: Fault) -> SimulatedPanel:
        return self._stage.all_panels[fault.panel]

    def _calm(self, name: str) -> Undo:
        """The panel's switches as they are when nothing is wrong with it."""
        panel = self._stage.all_panels[name]

        def calm() -> None:
            panel.switches.off()
            for trait in self._traits[name]:
                panel.switches.on(trait)
            panel.limits.allow(None)

        return _call(calm)

    async def _track(self, panel: str, ids: list[int]) -> None:
        work = self._stage.track(ids, panel=panel)
        await asyncio.gather(work, return_exceptions=True)


def _call(do: Callable[[], None]) -> Undo:
    async def undo() -> None:
        do()

    return undo


async def _left(panel: SimulatedPanel) -> socket.socket:
    """Stop the panel; what is returned keeps its place, and refuses unless it is listened on."""
    await panel.stop()
    place = socket.socket()
    place.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    url = urlsplit(panel.url)
    place.bind((url.hostname, url.port))
    return place


async def _together(*work: Awaitable[Any]) -> None:
    await asyncio.gather(*work)


def name_of(fault: Fault) -> str:
    """What the table counts it as."""
    if fault.kind == "spoil":
        return f"{fault.word} at {fault.action or 'any'}"
    if fault.kind == "crash":
        return f"crash {fault.word} {fault.panel or 'whatever came'}"
    if fault.kind == "rate_limit":
        return f"rate_limit {fault.word or 'plain'}"
    if fault.kind == "panel_hangs_up":
        return f"panel_hangs_up {'amid the request' if fault.number else 'before the first byte'}"
    if fault.kind == "server":
        return f"server {fault.word}"
    if fault.kind.startswith("clock"):
        return f"{fault.kind} by {'hours' if fault.amount >= HOUR else 'minutes'}"
    return fault.kind
