"""An order's future, drawn from its service's habits, a seed and the order's id."""

import struct
from enum import StrEnum
from hashlib import blake2b

import msgspec

MINUTE = 60.0
HOUR = 60 * MINUTE
DAY = 24 * HOUR
NEVER = float("inf")

Span = tuple[float, float]

MOST = 65536

_SIXTEEN = struct.Struct("<16H")


class Ending(StrEnum):
    """How an order ends, if it ends."""

    COMPLETED = "completed"
    PARTIAL = "partial"
    CANCELED = "canceled"
    STALLED = "stalled"


class Habits(msgspec.Struct, frozen=True, kw_only=True):
    """Distributions of a service's orders.

    A span is (least, most), times are in seconds, chances and shares from 0 to 1.
    """

    pending: Span = (MINUTE, 30 * MINUTE)
    processing: Span = (0.0, 5 * MINUTE)
    per_minute: Span = (10.0, 200.0)
    linger: Span = (0.0, 10 * MINUTE)
    start_count: Span = (0.0, 50_000.0)
    partial: float = 0.06
    canceled: float = 0.04
    stalled: float = 0.03
    dropping: float = 0.0
    drop: Span = (0.05, 0.4)
    drop_after: Span = (6 * HOUR, 20 * DAY)
    refill_takes: Span = (HOUR, 2 * DAY)
    refill_rejected: float = 0.1
    cancel_takes: Span = (5 * MINUTE, DAY)
    cancel_ignored: float = 0.1
    post_every: float = 6 * HOUR


class Fate(msgspec.Struct, frozen=True, kw_only=True, gc=False):
    """One order's future: its own progress, and its reaction to a refill or a cancel.

    `share` is the part that a partial or stalled order gets. `linger` is the time between the last
    delivery and the final status. `drop` is the share of the count that is lost `drop_after` its
    completion and again after each refill.
    """

    ending: Ending = Ending.COMPLETED
    pending: float = 0.0
    processing: float = 0.0
    per_minute: float = 60.0
    share: float = 0.5
    linger: float = 0.0
    start_count: int = 1000
    drop: float = 0.0
    drop_after: float = NEVER
    refill_takes: float = HOUR
    refill_granted: bool = True
    cancel_takes: float = 10 * MINUTE


def draw(habits: Habits, seed: int, order: int) -> Fate:
    """Return an order's fate: a pure function of habits, seed and id."""
    n = _numbers(seed, order)
    drops = n[8] < habits.dropping * MOST
    ignored = n[12] < habits.cancel_ignored * MOST
    return Fate(
        ending=_ending(habits, n[0]),
        pending=_skewed(habits.pending, n[1]),
        processing=_skewed(habits.processing, n[2]),
        per_minute=_skewed(habits.per_minute, n[3]),
        share=n[4] / MOST,
        linger=_skewed(habits.linger, n[5]),
        start_count=int(_skewed(habits.start_count, n[6])),
        drop=_skewed(habits.drop, n[7]) if drops else 0.0,
        drop_after=_skewed(habits.drop_after, n[9]) if drops else NEVER,
        refill_takes=_skewed(habits.refill_takes, n[10]),
        refill_granted=n[11] >= habits.refill_rejected * MOST,
        cancel_takes=NEVER if ignored else _skewed(habits.cancel_takes, n[13]),
    )


def fraction(seed: int, order: int) -> float:
    """Return a number in [0, 1) for choices outside of a fate, such as a quantity."""
    return _numbers(seed, order)[15] / MOST


def _numbers(seed: int, order: int) -> tuple[int, ...]:
    """Return sixteen numbers from 0 to below MOST."""
    # A hash, not random.Random: seeding a generator for each order costs ten times as much. Fates
    # are drawn again for every answer instead of being kept for a million orders.
    digest = blake2b(b"%d:%d" % (seed, order), digest_size=32).digest()
    return _SIXTEEN.unpack(digest)


def _skewed(span: Span, number: int) -> float:
    """Return a value of the span; low ones are more frequent, as with real delays."""
    least, most = span
    at = number / MOST
    return least + (most - least) * at * at


def _ending(habits: Habits, number: int) -> Ending:
    at = number / MOST
    if at < habits.partial:
        return Ending.PARTIAL
    if at < habits.partial + habits.canceled:
        return Ending.CANCELED
    if at < habits.partial + habits.canceled + habits.stalled:
        return Ending.STALLED
    return Ending.COMPLETED
