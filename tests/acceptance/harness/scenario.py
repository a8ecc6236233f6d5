"""What happens in a scenario, drawn from its seed and from nothing else."""

import random
from collections.abc import Callable
from enum import StrEnum

import msgspec

from tests.acceptance.harness.fuse import Moment
from watcher.panels.profiles import shipped
from watcher.simulator import Trait
from watcher.simulator.gate import WANTS
from watcher.simulator.request_limits import LimitKind
from watcher.simulator.traits import FAULTS

MINUTE = 60.0
HOUR = 60 * MINUTE
DAY = 24 * HOUR
LARGE = 10_000  # orders

REFILLS = """
[[rules]]
name = "refill"
action = "refill"
when = "order.status == 'completed' && order.finished_ago > duration('{refill_after}m')"
every = "2h"
attempts = 3
per_hour = {per_hour}

[[rules]]
name = "refill what dropped"
action = "refill"
when = "order.drop > 0.2"
every = "1h"
per_hour = 100000
"""
CANCELS = """
[[rules]]
name = "cancel"
action = "cancel"
when = "order.status == 'in_progress' && order.idle > duration('{cancel_after}m')"
every = "3h"
per_hour = {per_hour}

[[rules]]
name = "try out"
action = "cancel"
when = "order.status == 'pending' && service.cancel"
attempts = 1
per_hour = 100000
dry_run = true
"""
TELLS = """
[[rules]]
name = "tell"
action = "notify"
when = "order.status == 'canceled' && order.refills > 0"
per_hour = 100000
"""
# By rule: `every` in seconds, and `attempts`.
LIMITS: dict[str, tuple[float, int | None]] = {
    "refill": (2 * HOUR, 3),
    "refill what dropped": (HOUR, None),
    "cancel": (3 * HOUR, None),
    "try out": (DAY, 1),
    "tell": (DAY, None),
}

# A trait that panels have for good. Not benign here: what wants another configuration, what makes
# each order a request of its own, and what tells the date to wait for, since time is simulated.
BENIGN = tuple(
    sorted(
        set(Trait)
        - FAULTS
        - WANTS
        - {Trait.LIST_WITHOUT_IDS, Trait.RETRY_AFTER_DATE, Trait.ERRORS_500, Trait.ERRORS_429}
    )
)
ACTING = ("refill", "cancel", "add")
ASKED = ("status", "refill_status", "balance", "services", *ACTING)
# What a crash may come in between, the likelier the oftener it stands here.
CRASH_POINTS = tuple(
    [(name, moment) for name in ACTING for moment in Moment] * 2
    + [(name, moment) for name in ("claim", "settle") for moment in Moment] * 3
    + [
        (name, moment)
        for name in ("record", "plan", "track", "record_refills", "save_services", "recover")
        for moment in Moment
    ]
    + [("status", moment) for moment in Moment]
    + [("", Moment.BEFORE)] * 6
)


_Maker = Callable[[random.Random, str, str], "Fault"]


class Kind(StrEnum):
    """How a scenario is played."""

    HOUSE = "house"  # in this process, on simulated time
    LARGE = "large"  # the same with 10,000 orders


class PanelPlan(msgspec.Struct, frozen=True):
    """A panel as it is when nothing is wrong with it."""

    name: str
    profile: str
    traits: tuple[Trait, ...]
    orders: int
    limit_kind: LimitKind


class Fault(msgspec.Struct, frozen=True):
    """Something that goes wrong. What it is about depends on the kind."""

    kind: str
    panel: str = ""
    word: str = ""
    action: str | None = None
    number: int = 0
    amount: float = 0.0


class Step(msgspec.Struct, frozen=True):
    """Faults, what people do meanwhile, and the time that passes."""

    faults: tuple[Fault, ...]
    acts: tuple[str, ...]
    seconds: float
    stays: bool  # the faults go on into the next step


class Scenario(msgspec.Struct, frozen=True):
    """All of it."""

    seed: int
    kind: Kind
    panels: tuple[PanelPlan, ...]
    rules: str
    check_within: float
    requests_per_minute: int
    guard_for: float
    steps: tuple[Step, ...]


def kind_of(seed: int) -> Kind:
    """How the seed's scenario is played: that is drawn from the seed too."""
    return Kind.LARGE if seed % 100 == 99 else Kind.HOUSE


def draw(seed: int, *, server: bool = False) -> Scenario:
    """The seed's scenario; with a `server` for a database, that one has faults, too."""
    makers = _MAKERS | _SERVERS if server else _MAKERS
    chance = random.Random(f"scenario {seed}")
    kind = kind_of(seed)
    panels = _draw_panels(chance, kind)
    count = 6 if kind is Kind.LARGE else max(3, 8 // len(panels))
    return Scenario(
        seed=seed,
        kind=kind,
        panels=panels,
        rules=_draw_rules(chance, panels),
        check_within=chance.choice([5, 10]) * MINUTE,
        requests_per_minute=chance.choice([12, 30, 60]) if kind is not Kind.LARGE else 240,
        guard_for=chance.choice([3 * HOUR, 2 * DAY, 30 * DAY]),
        steps=tuple(
            _draw_step(chance, [panel.name for panel in panels], makers) for _ in range(count)
        ),
    )


def _draw_panels(chance: random.Random, kind: Kind) -> tuple[PanelPlan, ...]:
    names = chance.sample(sorted(shipped()), chance.choice([1, 1, 2, 2, 3, 4]))
    whole = LARGE if kind is Kind.LARGE else chance.randint(100, 180)
    return tuple(
        PanelPlan(
            name=name,
            profile=name,
            traits=tuple(chance.sample(BENIGN, chance.choice([0, 1, 2, 4, 7]))),
            orders=whole // len(names),
            limit_kind=chance.choice(list(LimitKind)),
        )
        for name in names
    )


def _draw_rules(chance: random.Random, panels: tuple[PanelPlan, ...]) -> str:
    can_cancel = any(shipped()[panel.profile].can("cancel") for panel in panels)
    rules = REFILLS + (CANCELS if can_cancel else "") + TELLS
    return rules.format(
        refill_after=chance.choice([1, 10, 60]),
        cancel_after=chance.choice([10, 40, 90]),
        per_hour=chance.choice([5, 50, 100_000, 100_000]),
    )


def _draw_step(chance: random.Random, panels: list[str], makers: dict[str, _Maker]) -> Step:
    weights = [_WEIGHTS[kind] for kind in makers]
    kinds = chance.choices(list(makers), weights=weights, k=chance.choice([0, 1, 1, 1, 2, 3]))
    faults = tuple(makers[kind](chance, kind, chance.choice(panels)) for kind in kinds)
    is_brief = not _BRIEF.isdisjoint(kinds) or any(fault.word == "away" for fault in faults)
    provoked = (_PROVOKED[f.action] for f in faults if f.action in _PROVOKED)
    return Step(
        faults=faults,
        acts=(*provoked, *chance.choices(ACTS, k=chance.choice([0, 1, 2, 3, 5]))),
        seconds=3 * MINUTE if is_brief else chance.choice(_SECONDS),
        stays=not is_brief and chance.random() < 0.3,
    )


# A fault that nobody runs into proves nothing.
_PROVOKED = {"refill": "refills", "cancel": "cancels", "add": "submit"}
ACTS = ("refills", "refills", "cancels", "submit", "submit", "counts", "track", "resolve", "look")

SPOILS = (
    (Trait.CLOSE_BEFORE, 0.0),
    (Trait.CLOSE_AFTER, 0.0),
    (Trait.RESET, 0.0),
    (Trait.CUT_ANSWER, 0.0),
    (Trait.BROKEN_JSON, 0.0),
    (Trait.WRONG_TYPES, 0.0),
    (Trait.EMPTY_BODY, 0.0),
    (Trait.HTML_200, 0.0),
    (Trait.HTML_BLOCKED, 0.0),
    (Trait.HTML_503, 0.0),
    (Trait.HTML_504_AFTER, 0.0),
    (Trait.LIMIT_429_AFTER, 0.0),
    (Trait.HUGE_ANSWER, 200.0 * 2**20),
    (Trait.ENDLESS_ANSWER, 0.0),
    (Trait.STALL, 1.0),
    (Trait.STALL_BEFORE, 1.0),
    (Trait.ERRORS_400, 0.0),
    (Trait.ERRORS_401, 0.0),
    (Trait.ERRORS_405, 0.0),
    (Trait.ERRORS_422, 0.0),
    (Trait.ERRORS_429, 0.0),
    (Trait.ERRORS_500, 0.0),
    (Trait.LIST_WITHOUT_IDS, 0.0),
    (Trait.BAD_ID_FAILS_BATCH, 0.0),
    (Trait.REFILL_PROMISED, 0.0),
)
_SECONDS = (20.0, 3 * MINUTE, 10 * MINUTE, 20 * MINUTE, 30 * MINUTE)
_BRIEF = frozenset({"locked", "disk_full"})  # all tasks are tried again every few seconds
# Cut are its sessions; away it is for a whole step.
SERVER_TROUBLES = ("cut", "cut", "killed", "restarted", "frozen", "away")
_SLOW = frozenset({Trait.ENDLESS_ANSWER, Trait.STALL, Trait.STALL_BEFORE})


def _spoil(chance: random.Random, kind: str, panel: str) -> Fault:
    trait, amount = chance.choice(SPOILS)
    times = (
        chance.randint(1, 2)
        if trait in _SLOW | {Trait.LIST_WITHOUT_IDS}
        else chance.choice([1, 2, 5, 1000])
    )
    action = chance.choice([None, *ASKED, *ACTING])
    return Fault(kind, panel, trait.value, action, times, amount)


def _rate_limit(chance: random.Random, kind: str, panel: str) -> Fault:
    form = chance.choice(["", Trait.RETRY_AFTER_SECONDS.value, Trait.RATE_LIMIT_IN_200.value])
    action = chance.choice([None, *ACTING])
    return Fault(kind, panel, form, action, chance.randint(1, 6), chance.choice([1.0, 30.0, 300.0]))


def _limit(chance: random.Random, kind: str, panel: str) -> Fault:
    return Fault(kind, panel, number=chance.choice([1, 3, 8]))


def _hang_up(chance: random.Random, kind: str, panel: str) -> Fault:
    return Fault(kind, panel, number=chance.choice([0, 1, 150, 250]))  # bytes


def _plain(chance: random.Random, kind: str, panel: str) -> Fault:
    return Fault(kind, panel, number=chance.randint(1, 6))


def _clock(chance: random.Random, kind: str, panel: str) -> Fault:
    return Fault(kind, amount=chance.choice([1.0, MINUTE, HOUR, DAY]) * chance.uniform(0.1, 1.0))


def _month(chance: random.Random, kind: str, panel: str) -> Fault:
    """What waits by the wrong time must not wait for as long by the right one."""
    return Fault(kind, amount=30 * DAY)


def _crash(chance: random.Random, kind: str, panel: str) -> Fault:
    operation, moment = chance.choice(CRASH_POINTS)
    passes = chance.randint(0, 60) if not operation else chance.choice([0, 0, 0, 1, 3])
    downtime = chance.choice([0.0, 0.0, MINUTE, 2 * HOUR])
    return Fault(kind, operation, moment.value, None, passes, downtime)


def _server(chance: random.Random, kind: str, panel: str) -> Fault:
    return Fault(kind, word=chance.choice(SERVER_TROUBLES), amount=chance.uniform(0.0, 0.2))


_MAKERS: dict[str, _Maker] = {
    "spoil": _spoil,
    "rate_limit": _rate_limit,
    "limit": _limit,
    "wrong_key": _plain,
    "panel_stopped": _plain,
    "panel_hangs_up": _hang_up,
    "bad_ids": _plain,
    "garbled": _plain,
    "reload": _plain,
    "bad_reload": _plain,
    "panel_removed": _plain,
    "clock_forward": _clock,
    "clock_back": _clock,
    "clock_forth_and_back": _clock,
    "clock_a_month_ahead_and_back": _month,
    "locked": _plain,
    "disk_full": _plain,
    "crash": _crash,
    "restart": _plain,
    "backup": _plain,
}
_SERVERS = {"server": _server}
_WEIGHTS = dict(
    zip(_MAKERS, [12, 4, 2, 2, 2, 2, 2, 1, 2, 1, 2, 1, 1, 1, 1, 2, 2, 10, 1, 1], strict=True),
    server=12,
)
