"""What happens to a cluster in a scenario, drawn from its seed and from nothing else."""

import random
from collections.abc import Callable

import msgspec

from tests.acceptance.harness.cluster import LEASE, NAMES, PANELS
from tests.acceptance.harness.fuse import Moment

PAST = 3.0 * LEASE  # seconds: longer than a lease, and than a person has to wait before settling
BRIEF = 0.4 * LEASE
# Every await of an action's way: its claim, its request, the writing of its outcome.
POINTS = (
    *((("claim", moment)) for moment in Moment),
    *((("refill", moment)) for moment in Moment),
    *((("cancel", moment)) for moment in Moment),
    *((("add", moment)) for moment in Moment),
    *((("settle", moment)) for moment in Moment),
)
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
        settles=chance.random() < 0.6,
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


def _past(chance: random.Random, kind: str) -> Trouble:
    return Trouble(kind, PAST)


def _at_point(chance: random.Random, kind: str) -> Trouble:
    operation, moment = chance.choice(POINTS)
    seconds = chance.choice([BRIEF, PAST, PAST, PAST])
    panel = chance.choice(PANELS)
    return Trouble(kind, seconds, panel=panel, operation=operation, moment=moment.value)


_MAKERS: dict[str, Callable[[random.Random, str], Trouble]] = {
    "killed": _past,
    "stopped": _lasting,
    "ended": _past,  # as it is told to
    "at_point_stopped": _at_point,
    "at_point_killed": _at_point,
    "database_cut": _lasting,  # from the node
    "database_frozen": _lasting,
    "panel_cut": _lasting,
    "panel_frozen": _lasting,
    "node_cut": _lasting,  # from the other nodes
    "node_frozen": _lasting,
    "server_killed": _lasting,  # for everybody
    "server_restarted": _lasting,
    "server_frozen": _lasting,
}
_WEIGHTS = [6, 4, 2, 14, 4, 4, 4, 2, 2, 2, 2, 3, 3, 3]
_OF_THE_SERVER = frozenset({"server_killed", "server_restarted", "server_frozen"})
_OF_A_NODE = _MAKERS.keys() - _OF_THE_SERVER - {"at_point_stopped", "at_point_killed"}
EVERY_KIND = tuple(_MAKERS)
