"""The nodes of a cluster, their leases, and what each of them leads.

All times are by the database's clock. A node's row names its epoch, which no other join of the
cluster has. Whatever a node leads names that epoch too: so all of it ends with the lease, and
nothing has to be written when a node dies.
"""

from collections.abc import Collection, Mapping, Sequence
from typing import Any

import msgspec
from sqlalchemy import Connection, bindparam, delete, func, select, update

from watcher.common.clock import Clock
from watcher.model import Action
from watcher.store import claims
from watcher.store.action_rows import leave_to_people
from watcher.store.base import StorePart
from watcher.store.cluster_schema import leaders, nodes
from watcher.store.commits import begin_counting, counter_of
from watcher.store.database import Database
from watcher.store.dialect import DatabaseClock, upsert
from watcher.store.schema import history

_LOST_FOR = 7 * 86400.0  # seconds until a node that was lost is forgotten
_EPOCHS = "node_epochs"  # the counter of joins
_NOW = select(DatabaseClock())
_RENEWED = (
    update(nodes)
    .where(nodes.c.epoch == bindparam("_epoch"), nodes.c.until > DatabaseClock())
    .values(until=DatabaseClock() + bindparam("_lease"))
)
_LED = select(leaders.c.name, leaders.c.node, leaders.c.epoch, leaders.c.since)
_NEWEST_CHANGE = select(func.coalesce(func.max(history.c.id), 0))


class Leader(msgspec.Struct, frozen=True):
    """Who leads a panel or a duty; `since` in Unix seconds, by the database's clock."""

    node: str
    url: str
    since: float


class Node(msgspec.Struct, frozen=True):
    """A node that has joined; times in Unix seconds, by the database's clock."""

    name: str
    url: str
    epoch: int  # of its lease: no two joins of the cluster have the same
    until: float  # the lease ends then, unless it is renewed
    started_at: float
    version: str
    panels: tuple[str, ...]  # what it leads, without duties
    keys: Mapping[str, str] = {}  # panels of its configuration -> digest of the panel's key


class Candidate(msgspec.Struct, frozen=True, kw_only=True):
    """A node that wants to join."""

    name: str
    url: str
    version: str
    keys: Mapping[str, str]


class ClusterView(msgspec.Struct, frozen=True, kw_only=True):
    """What the database says of the cluster: living nodes and who leads, by panel or duty.

    `ahead` is by how many seconds this machine's clock is ahead of the database's, 0 if that can't
    be told from the time that the question took.
    """

    at: float
    ahead: float
    nodes: Sequence[Node]
    lost: Sequence[Node]  # whose lease has ended without a stop in order
    leaders: Mapping[str, Leader]
    newest_change: int


class Nodes(StorePart):
    """The tables `nodes` and `leaders`."""

    def __init__(self, database: Database) -> None:
        super().__init__(database)
        self._name, self._epoch = "", 0

    async def view(self, clock: Clock) -> ClusterView:
        """Return the cluster as it is now."""
        return await self._db.read("nodes", lambda connection: _view(connection, clock))

    async def last_of(self, name: str) -> Node | None:
        """Return the row of the node with this name, also if its lease is over."""
        return await self._db.read("nodes", lambda connection: _nodes(connection).get(name))

    async def join(self, candidate: Candidate, *, lease: float) -> bool:
        """Begin a lease; return False if the name has one that is not over.

        From then on every transaction of this store fails with StoreFenced once the lease ends.
        """

        def work(connection: Connection) -> tuple[int, int] | None:
            now = _now(connection)
            before = _nodes(connection).get(candidate.name)
            if before is not None and before.until > now:
                return None
            connection.execute(delete(nodes).where(nodes.c.until < now - _LOST_FOR))
            epoch = begin_counting(connection, _EPOCHS)
            row = {
                "epoch": epoch,
                "url": candidate.url,
                "until": now + lease,
                "started_at": now,
                "version": candidate.version,
                "keys": _json(candidate.keys),
            }
            connection.execute(upsert(nodes, row).values(name=candidate.name, **row))
            return epoch, begin_counting(connection, counter_of(candidate.name))

        joined = await self._db.write("join", work)
        if joined is None:
            return False
        self._name, self._epoch = candidate.name, joined[0]
        self._db.backend.joined(*joined)
        return True

    async def renew(self, lease: float, clock: Clock) -> ClusterView | None:
        """Renew the lease, without waiting for writers; None if it is over: it stays over."""

        noted = self._db.claims

        def work(connection: Connection) -> tuple[ClusterView, int] | None:
            self._refuse_older(connection, noted)
            self._db.backend.compare(connection)
            given = {"_epoch": self._epoch, "_lease": lease}
            if not connection.execute(_RENEWED, given).rowcount:
                return None
            self._db.panels.load(connection)  # other nodes may have added some
            return _view(connection, clock), claims.counted(connection)

        renewed = await self._db.at_once("renew", work)
        if renewed is None:
            return None
        view, claimed = renewed
        self._db.note_claims(claimed)  # of any node: an older copy is one for this node, too
        return view

    def _refuse_older(self, connection: Connection, noted: int) -> None:
        """Raise StoreOlder if claims are missing; first let the other nodes know of it."""
        counted = claims.counted(connection)
        if counted < noted:
            claims.know(connection, noted)
        if counted < max(noted, claims.known(connection)):
            raise self._db.older()

    async def configure(self, keys: Mapping[str, str]) -> None:
        """Write which panels the node's configuration has now."""
        mine = update(nodes).where(nodes.c.epoch == self._epoch).values(keys=_json(keys))
        await self._db.write("configure", lambda connection: connection.execute(mine))

    async def claim(self, names: Collection[str]) -> tuple[list[str], list[Action]]:
        """Claim the panels and duties that no living node leads; return those claimed.

        What was being sent at these panels becomes unresolved in the same transaction; also
        returns these actions.
        """

        def work(connection: Connection) -> tuple[list[str], list[Action]]:
            view = _view(connection, None)
            free = sorted(name for name in names if name not in view.leaders)
            row = {"node": self._name, "epoch": self._epoch, "since": view.at}
            if not free:
                return [], []
            connection.execute(upsert(leaders, row), [{"name": name, **row} for name in free])
            return free, leave_to_people(connection, self._db.panels, free)

        return await self._db.write("claim_panels", work)

    async def hand_over(self, name: str, to: Node) -> bool:
        """Let another node lead what this one leads; False if its lease is over or another one."""

        def work(connection: Connection) -> bool:
            view = _view(connection, None)
            if all((one.name, one.epoch) != (to.name, to.epoch) for one in view.nodes):
                return False
            given = update(leaders).where(leaders.c.name == name, leaders.c.epoch == self._epoch)
            row = {"node": to.name, "epoch": to.epoch, "since": view.at}
            return bool(connection.execute(given.values(**row)).rowcount)

        return await self._db.write("hand_over", work)

    async def give_up(self, names: Collection[str]) -> None:
        """Stop leading these; any node may claim them."""
        mine = delete(leaders).where(
            leaders.c.name.in_(list(names)), leaders.c.epoch == self._epoch
        )
        await self._db.write("give_up", lambda connection: connection.execute(mine))

    async def leave(self) -> None:
        """End the lease and give everything up; nothing can be written after that."""

        def work(connection: Connection) -> None:
            connection.execute(delete(leaders).where(leaders.c.epoch == self._epoch))
            connection.execute(delete(nodes).where(nodes.c.epoch == self._epoch))

        await self._db.write("leave", work)


def _now(connection: Connection) -> float:
    return float(connection.execute(_NOW).scalar_one())


def _json(keys: Mapping[str, str]) -> str:
    return msgspec.json.encode(keys).decode()


def _nodes(connection: Connection) -> dict[str, Node]:
    """Return every node's row by its name, without what it leads."""
    return {row["name"]: _node(row) for row in connection.execute(select(nodes)).mappings()}


def _node(row: Mapping[Any, Any]) -> Node:
    return Node(
        name=row["name"],
        url=row["url"],
        epoch=row["epoch"],
        until=row["until"],
        started_at=row["started_at"],
        version=row["version"],
        panels=(),
        keys=msgspec.json.decode(row["keys"], type=dict[str, str]),
    )


def _view(connection: Connection, clock: Clock | None) -> ClusterView:
    """Return the cluster as it is; `clock` is this machine's, to compare."""
    before = clock() if clock else 0.0
    now = _now(connection)
    after = clock() if clock else 0.0
    ahead = (max(0.0, before - now) or min(0.0, after - now)) if clock else 0.0
    known = _nodes(connection)
    living = {name: node for name, node in known.items() if node.until > now}
    lost = [node for name, node in sorted(known.items()) if name not in living]
    led: dict[str, Leader] = {}
    for name, node, epoch, since in connection.execute(_LED):
        if node in living and living[node].epoch == epoch:
            led[name] = Leader(node, living[node].url, since)
    found = [
        msgspec.structs.replace(node, panels=_panels_of(node.name, led))
        for _, node in sorted(living.items())
    ]
    newest = connection.execute(_NEWEST_CHANGE).scalar_one()
    return ClusterView(
        at=now, ahead=ahead, nodes=found, lost=lost, leaders=led, newest_change=newest
    )


def _panels_of(node: str, led: Mapping[str, Leader]) -> tuple[str, ...]:
    return tuple(
        sorted(n for n, leader in led.items() if leader.node == node and not n.startswith(":"))
    )
