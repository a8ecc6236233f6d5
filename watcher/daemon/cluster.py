"""This node's part in a cluster: it joins, renews its lease, and leads its share of the panels.

1. The lease is renewed by a task of its own, which waits for no other work.
2. `claim` takes what nobody leads; `settle` opens what this node leads and hands over what is more
   than its share, one panel at a time.
3. A node that can't trust its lease any more drops everything at once, and begins anew.
"""

import asyncio
import hmac
import time
from collections.abc import Awaitable, Callable, Iterable, Mapping
from contextlib import suppress

import structlog

from watcher import __version__
from watcher.common.clock import Clock
from watcher.config import ClusterConfig, Config
from watcher.daemon.balancing import to_claim, to_hand_over
from watcher.daemon.core import Core
from watcher.daemon.stopping import Stop
from watcher.errors import StartError, StoreError, StoreFenced
from watcher.store.nodes import Candidate, ClusterView, Node

log = structlog.get_logger()

CLOCKS_APART = 2.0  # seconds
_EVERY = 0.1  # of the lease: how often it is renewed
_TOKEN, _LEASE = ":token", ":lease"  # beside the keys of panels: what all nodes share

Duty = Callable[[], Awaitable[None]]


class Cluster:
    """One node. `duties` are begun by their names, once each, when this node gets them."""

    def __init__(
        self,
        core: Core,
        settings: ClusterConfig,
        duties: Mapping[str, Duty],
        stop: Stop,
        *,
        monotonic: Clock = time.monotonic,
    ) -> None:
        shared = core.shared
        self.leave_at_end = True  # else the lease ends by itself
        self._core, self._settings, self._duties = core, settings, duties
        self._store, self._schedule, self._config = shared.store, shared.schedule, shared.config
        self._leadership, self._clock = shared.leadership, shared.clock
        self._stop, self._monotonic = stop, monotonic
        self._every = settings.lease * _EVERY
        self._begun: set[str] = set()
        self._moves = 0  # a view that was read before the last one says nothing
        self._problem: str | None = None
        self._renewing: asyncio.Task[None] | None = None

    async def join(self) -> None:
        """Begin a lease; wait for one of this name that nobody renews any more.

        Raises StartError if this node does not fit the others.
        """
        candidate = self._candidate(self._config.current)
        check(candidate, await self._store.nodes.view(self._clock))
        await self._store.know_panels(self._config.current.panels)
        before = await self._store.nodes.last_of(candidate.name)
        asked_at = self._monotonic()
        while not await self._store.nodes.join(candidate, lease=self._settings.lease):
            last = await self._store.nodes.last_of(candidate.name)
            if before and last and last != before:
                raise StartError(
                    f"a watcher named {last.name!r} is alive at {last.url}: give this one another"
                    " name in [cluster], or stop that one"
                )
            if last and self._problem is None:
                self._problem = f"the lease of {last.name} is not over"
                log.warning("cluster.waiting", node=last.name, url=last.url, cause=self._problem)
            before = last
            await asyncio.sleep(2 * self._every)
            asked_at = self._monotonic()
        self._problem = None
        self._leadership.renewed(asked_at)
        self._renewing = asyncio.create_task(self._keep())
        # Once more, with those that joined meanwhile; `leave` gives the lease back.
        check(candidate, await self._store.nodes.view(self._clock))
        await self.renew()
        log.info("cluster.joined", node=candidate.name, nodes=len(self._leadership.nodes()))

    async def begin(self, now: float) -> None:
        """Lead this node's share, and schedule the tasks that go on with that."""
        await self.claim(now)
        await self.settle(now)
        self._schedule.add("claim", self.claim)
        self._schedule.add("settle", self.settle)

    async def leave(self) -> None:
        """Give up everything, at the end of a stop in order."""
        if self._renewing is None:
            return
        self._renewing.cancel()
        with suppress(asyncio.CancelledError):
            await self._renewing
        if self.leave_at_end and self._leadership.is_trusted():
            try:
                await self._store.nodes.leave()
            except StoreError as error:
                log.warning("cluster.not_left", cause=str(error))
        self._leadership.distrust()

    def check(self, config: Config) -> None:
        """Raise StartError if the configuration does not fit the other nodes."""
        check_keys(self._candidate(config), self._leadership.nodes())

    async def reconfigured(self) -> None:
        """Tell the others which panels the configuration in force has."""
        config = self._config.current
        await self._store.know_panels(config.panels)
        await self._store.nodes.configure(self._candidate(config).keys)
        self._schedule.wake("claim")

    async def renew(self) -> None:
        """Renew the lease, and learn who leads what; a failure is logged."""
        asked_at, moves = self._monotonic(), self._moves
        try:
            async with asyncio.timeout(self._leadership.trust_left()):
                view = await self._store.nodes.renew(self._settings.lease, self._clock)
        except Exception as error:  # noqa: BLE001  the lease ends if this goes on
            self._failed(str(error) or self._problem or "the database has not answered in time")
            return
        if view is None:
            self._leadership.distrust()
            return
        self._leadership.renewed(asked_at)
        if moves == self._moves:
            self._leadership.learn(view)
        if self._problem is not None:
            log.info("cluster.renewed_again")
            self._problem = None
        if self._store.changes.know_newest(view.newest_change):
            self._core.recorder.note_handled()

    async def claim(self, now: float) -> float:
        """Lead what nobody leads and falls to this node; return when to run next."""
        leadership = self._leadership
        led, panels = leadership.leaders(), self._config.current.panels
        free = [panel for panel in panels if panel not in led]
        wanted = [duty for duty in self._duties if duty not in led]
        wanted += to_claim(leadership.name, leadership.nodes(), free)
        if wanted:
            claimed, unresolved = await self._store.nodes.claim(wanted)
            if claimed:
                log.info("cluster.claimed", names=claimed)
            if unresolved:
                cause = "their node was lost"
                log.warning("actions.unresolved", count=len(unresolved), cause=cause)
            await self.renew()
        await self._core.pauses.refresh()
        if not leadership.held() <= self._begun | self._core.registry.panel_workers.keys():
            self._schedule.wake("settle")
        return now + self._every

    async def settle(self, now: float) -> float:
        """Open what this node leads and has not opened; else hand over what is too much."""
        held, opened = self._leadership.held(), set(self._core.registry.panel_workers)
        if not opened | self._begun <= held:  # nobody but this node may have let it go
            self._lose(f"another node leads {', '.join(sorted((opened | self._begun) - held))}")
            return now + self._every
        for duty in [duty for duty in self._duties if duty in held - self._begun]:
            await self._duties[duty]()
            self._begun.add(duty)
        configured = self._config.current.panels.keys()
        new = sorted(configured & held - opened)
        over = sorted(held - configured - self._duties.keys())
        move = to_hand_over(self._leadership.name, self._leadership.nodes())
        if new:
            await self._core.lead(new)
            log.info("cluster.leads", panels=new)
        elif over:
            await self._move(over, lambda: self._store.nodes.give_up(over))
        elif move is not None and self._core.registry.loaded.is_set():  # else it would wait here
            await self._hand_over(*move)
        return now + self._every

    # --- internals ---

    async def _hand_over(self, panel: str, node: Node) -> None:
        """Let another node lead the panel, once what is under way has ended."""
        await self._core.let_go([panel])
        await self._move([panel], lambda: self._store.nodes.hand_over(panel, node))
        log.info("cluster.handed_over", panel=panel, node=node.name)

    async def _move(self, names: list[str], write: Callable[[], Awaitable[object]]) -> None:
        """Write that others lead these; a view that was read meanwhile says nothing of them."""
        for name in names:
            self._leadership.drop(name)
        self._moves += 1
        try:
            await write()
        finally:
            for name in names:
                self._leadership.drop(name)
            self._moves += 1
            await self.renew()

    async def _keep(self) -> None:
        """Renew the lease until it can't be trusted any more."""
        while self._leadership.is_trusted():
            await asyncio.sleep(min(self._every, self._leadership.trust_left()))
            await self.renew()
        self._lose(self._problem or "the lease is over: it was not renewed in time")

    def _lose(self, cause: str) -> None:
        self._leadership.distrust()
        log.error("cluster.lease_lost", node=self._leadership.name, cause=cause)
        self._stop.abort(StoreFenced(cause))

    def _failed(self, cause: str) -> None:
        if self._problem != cause:
            log.warning("cluster.not_renewed", cause=cause)
        self._problem = cause

    def _candidate(self, config: Config) -> Candidate:
        token = self._settings.token.reveal()
        secrets = {name: panel.key.reveal() for name, panel in config.panels.items()}
        shared = {_TOKEN: token, _LEASE: f"{self._settings.lease:g}"}
        return Candidate(
            name=self._settings.name,
            url=self._settings.url,
            version=__version__,
            keys={name: _digest(token, text) for name, text in {**secrets, **shared}.items()},
        )


def check(candidate: Candidate, view: ClusterView) -> None:
    """Raise StartError if a node can't join: its clock, its token or a panel's key is another."""
    if abs(view.ahead) > CLOCKS_APART:
        way = "ahead of" if view.ahead > 0 else "behind"
        raise StartError(
            f"this machine's clock is {abs(view.ahead):.1f} seconds {way} the database's: nodes of"
            f" a cluster may differ by {CLOCKS_APART:.0f}: see to NTP on both"
        )
    check_keys(candidate, view.nodes)


def check_keys(candidate: Candidate, nodes: Iterable[Node]) -> None:
    """Raise StartError if another node has another token, lease, or key for a panel."""
    for node in nodes:
        if node.name == candidate.name:
            continue
        other = sorted(p for p, key in candidate.keys.items() if node.keys.get(p, key) != key)
        for name, what in ((_TOKEN, "token"), (_LEASE, "lease")):
            if name in other:
                raise StartError(
                    f"node {node.name} has another {what} in [cluster]: all nodes need the same"
                )
        if other:
            raise StartError(
                f"node {node.name} has another key for {', '.join(other)}: a panel is one account:"
                " give both the same key, or the panel another name. To change a key, stop the"
                " other nodes, reload this one, and start them with the new key"
            )


def _digest(token: str, key: str) -> str:
    """Return what tells whether two keys are equal, and nothing else without the token."""
    return hmac.digest(token.encode(), key.encode(), "sha256").hex()[:32]
