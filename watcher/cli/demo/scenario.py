"""The demo's incidents and their times: data, and a pure function of the seconds since the start.

Every incident recurs, so the demo shows something for as long as it runs.
"""

from decimal import Decimal
from enum import StrEnum
from typing import NamedTuple

# Each panel has its own part, so that viewers can tell the incidents apart on the page.
SHORT_OF_MONEY = "genzsmm"
UNSTEADY = "smmgenie"
DEARER = "cheapsmmbd"
DROPPING = "smmxz"
FORGETFUL = "smmryuzxc"
PANELS = (SHORT_OF_MONEY, UNSTEADY, DEARER, DROPPING, FORGETFUL)

SOLD = {1: 300, 2: 200, 3: 1000, 4: 5000}  # service → quantity of a usual order
REFILLABLE = (1, 3)
BULK_SERVICE, BULK_QUANTITY = 8, 30_000  # 36.00: this takes the account below its limit
RISING_SERVICE = 1
LEAVING_SERVICE = 12
STALLING_SERVICE = 2
REFILL_RULE = "refill what has dropped"


class Incident(StrEnum):
    """A kind of incident."""

    ORDER = "order"  # a customer orders through the shop
    TRACK = "track"  # an order that was placed elsewhere is tracked
    STALL = "stall"  # a tracked order stops half-way: the rule cancels it
    PARTIAL = "partial"  # a tracked order ends half-way
    DROP = "drop"  # a finished order loses part of its count
    MASS_DROP = "mass_drop"  # many at once, more than the rule may refill: its brake stops it
    UNRESOLVED = "unresolved"  # the panel's answer to a refill is lost
    PRICE = "price"  # a service becomes more expensive
    UNLIST = "unlist"  # a service leaves the price list
    RELIST = "relist"
    DOWN = "down"  # a panel does not answer
    UP = "up"
    BULK_ORDER = "bulk_order"  # takes the balance below its limit
    TOP_UP = "top_up"


class Recurrence(NamedTuple):
    """An incident at `first` and then each `every` seconds."""

    incident: Incident
    first: float
    every: float


class Step(NamedTuple):
    """One incident; `number` counts the incidents of its kind from 0."""

    at: float
    incident: Incident
    number: int


SCENARIO = (
    Recurrence(Incident.ORDER, 2, 3),
    Recurrence(Incident.TRACK, 9, 20),
    Recurrence(Incident.STALL, 10, 90),
    Recurrence(Incident.DROP, 12, 15),
    Recurrence(Incident.PARTIAL, 16, 50),
    Recurrence(Incident.UNRESOLVED, 20, 600),
    Recurrence(Incident.PRICE, 30, 180),
    Recurrence(Incident.BULK_ORDER, 40, 240),
    Recurrence(Incident.UNLIST, 50, 240),
    Recurrence(Incident.MASS_DROP, 65, 420),
    Recurrence(Incident.DOWN, 95, 300),
    Recurrence(Incident.TOP_UP, 125, 240),
    Recurrence(Incident.UP, 140, 300),
    Recurrence(Incident.RELIST, 170, 240),
)


def steps(since: float, until: float) -> list[Step]:
    """Return the steps after `since`, up to `until`, in order."""
    found = [step for recurrence in SCENARIO for step in _of(recurrence, since, until)]
    return sorted(found)


def _of(recurrence: Recurrence, since: float, until: float) -> list[Step]:
    incident, first, every = recurrence
    number = max(0, int((since - first) // every) + 1)
    last = int((until - first) // every)
    return [Step(first + n * every, incident, n) for n in range(number, last + 1)]


def is_down(at: float) -> bool:
    """Return whether the unsteady panel does not answer at that time."""
    before = [s for s in steps(at - 300, at) if s.incident in (Incident.DOWN, Incident.UP)]
    return bool(before) and before[-1].incident is Incident.DOWN


def panel_of_order(step: Step) -> str:
    """Return the panel where the shop places this order: each in turn, none that is down."""
    panel = PANELS[step.number % len(PANELS)]
    return DEARER if panel == UNSTEADY and is_down(step.at) else panel


def service_of_order(step: Step) -> int:
    """Return the ordered service: each service at each panel in turn."""
    return tuple(SOLD)[step.number // len(PANELS) % len(SOLD)]


def panel_of_stall(step: Step) -> str:
    """Return the panel whose order gets stuck: only these panels can cancel it."""
    return (DROPPING, FORGETFUL)[step.number % 2]


def dropping_panel(step: Step) -> str:
    """Return the panel whose order drops: one where the rule's brake never stops the refill."""
    return (SHORT_OF_MONEY, DEARER)[step.number % 2]


def price_factor(number: int) -> Decimal:
    """Return the price after `number` changes, as a multiple of the first: three rises, a fall."""
    return Decimal("1.0") + Decimal("0.1") * ((number + 1) % 4)
