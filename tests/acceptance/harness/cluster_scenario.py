"""What happens to a cluster in a scenario, drawn from its seed and from nothing else."""

import random
from collections.abc import Callable

import msgspec

from tests.acceptance.harness.cluster import LEASE, NAMES, PANELS
from tests.acceptance.harness.fuse import Moment

PAST = 2.4 * LEASE  # seconds: longer than a lease, and than a person has to wait before settling
BRIEF = 0.4 * LEASE
# Every await of an action's way: its claim, its request, the writing of its outcome.
POINTS = (
    *(
        (name, moment)
        for name in ("claim", "refill", "cancel", "add", "settle")
        for moment in Moment
    ),
    ("request", Moment.AFTER),  # written, not answered
)
CANCELLING = "smmxz"  # of the panels, the only one whose API can cancel
ACTS = ("refills", "refills", "submit", "track", "look")


class Trouble(msgspec.Struct, frozen=True):
    """Something that goes wrong, for so many seconds."""

    kind: str
    seconds: float
    node: str = ""  # "": the leader of the panel
    panel: str = ""
    operation: str = ""
    moment: str = ""


class ClusterScenario(msgspec.Struct, frozen=True):
    """Troubles that come together, what people do meanwhile, and whether one settles actions."""

    seed: int
    troubles: tuple[Trouble, ...]
    acts: tuple[str, ...]
    settles: bool


def draw(seed: int) -> ClusterScenario:
    """The seed's scenario."""
    chance = random.Random(f"cluster {seed}")
    kinds = chance.choices(list(_MAKERS), weights=_WEIGHTS, k=chance.choice([1, 1, 1, 2]))
    nodes = chance.sample(NAMES, len(kinds))
    troubles = (_MAKERS[kind](chance, kind) for kind in dict.fromkeys(kinds))
    return ClusterScenario(
        seed=seed,
        troubles=tuple(
            msgspec.structs.replace(trouble, node=node) if trouble.kind in _OF_A_NODE else trouble
            for trouble, node in zip(troubles, nodes, strict=False)
        ),
        acts=tuple(chance.choices(ACTS, k=4)),
        settles=chance.random() < 0.75,
    )


def name_of(trouble: Trouble) -> str:
    """What the table counts it as."""
    if trouble.kind.startswith("at_point"):
        return f"{trouble.kind} {trouble.moment} {trouble.operation}"
    is_long = "long" if trouble.seconds > LEASE else "briefly"
    return f"{trouble.kind} {is_long}"


def _lasting(chance: random.Random, kind: str) -> Trouble:
    seconds = chance.choice([BRIEF, PAST, PAST])
    return Trouble(kind, seconds, panel=chance.choice(PANELS))


def _from_leader(chance: random.Random, kind: str) -> Trouble:
    """Between a panel and its leader, which has connected to it to send such an action."""
    operation = chance.choice(("refill", "cancel", "add"))
    trouble = _lasting(chance, kind)
    return _acting(kind, trouble.seconds, trouble.panel, operation, Moment.DURING)


def _past(chance: random.Random, kind: str) -> Trouble:
    return Trouble(kind, PAST)


def _at_point(chance: random.Random, kind: str) -> Trouble:
    operation, moment = chance.choice(POINTS)
    seconds = chance.choice([BRIEF, PAST, PAST, PAST])
    return _acting(kind, seconds, chance.choice(PANELS), operation, moment)


def _acting(kind: str, seconds: float, panel: str, operation: str, moment: Moment) -> Trouble:
    place = CANCELLING if operation == "cancel" else panel
    return Trouble(kind, seconds, panel=place, operation=operation, moment=moment.value)


_MAKERS: dict[str, Callable[[random.Random, str], Trouble]] = {
    "killed": _past,
    "stopped": _lasting,
    "ended": _past,  # as it is told to
    "at_point_stopped": _at_point,
    "at_point_killed": _at_point,
    "database_cut": _lasting,  # from the node
    "database_frozen": _lasting,
    "panel_cut": _from_leader,
    "panel_frozen": _from_leader,
    "node_cut": _lasting,  # from the other nodes
    "node_frozen": _lasting,
    "server_killed": _lasting,  # for everybody
    "server_restarted": _lasting,
    "server_frozen": _lasting,
}
_WEIGHTS = [6, 4, 2, 28, 4, 4, 4, 3, 5, 2, 2, 3, 3, 3]
_OF_THE_SERVER = frozenset({"server_killed", "server_restarted", "server_frozen"})
_OF_A_LEADER = frozenset({"at_point_stopped", "at_point_killed", "panel_cut", "panel_frozen"})
_OF_A_NODE = _MAKERS.keys() - _OF_THE_SERVER - _OF_A_LEADER
EVERY_KIND = tuple(_MAKERS)
