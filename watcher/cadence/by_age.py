"""When to check an order next.

With a hazard h (chance a minute that the order changes now), the interval that gives the most
freshness for a budget of requests is proportional to 1/sqrt(h), and an order's hazard falls
with the time it has spent as it is: so the wait grows with the square root of that time.
Theory: Azar, Horvitz, Lubetzky, Peres, Shahaf, "Tractable near-optimal policies for crawling"
(PNAS 2018); Cho, Garcia-Molina, "Synchronizing a database to improve freshness" (SIGMOD 2000).
"""

from math import sqrt

from watcher.model import Order, Phase, Refill, Status

MIN_GAP = 10.0  # seconds between two checks of one order, at the least
GUARDED_WITHIN = 12 * 3600.0  # a finished order is looked at this often
_STRETCH = 6.0  # seconds of wait for each square root of a second of age: a minute old -> 46 s
_USUAL_START = 60.0  # added to the age, so that new orders are not asked about at once


def next_check(order: Order, now: float, *, within: float) -> float:
    """When to ask about the order again, after an answer at `now`. Never later than `within`."""
    if order.phase is Phase.GUARDED:
        return now + max(within, GUARDED_WITHIN)
    wait = _STRETCH * sqrt(_time_scale(order, now))
    return now + min(max(wait, MIN_GAP), within)


def next_refill_check(refill: Refill, now: float) -> float:
    """When to ask about a refill task again."""
    return now + max(MIN_GAP, _STRETCH * sqrt(max(0.0, now - refill.requested_at)))


def _time_scale(order: Order, now: float) -> float:
    """Seconds over which the order's next change is expected: it grows with its age."""
    if order.status is Status.IN_PROGRESS and order.delivered and order.quantity:
        return _time_left(order, order.delivered / order.quantity, now)
    return max(0.0, now - order.progressed_at) + _USUAL_START


def _time_left(order: Order, share: float, now: float) -> float:
    """Time to the end at the order's speed so far; the time it stands still if that is longer."""
    left = (1.0 - share) / max(share, 1e-6) * max(_USUAL_START, now - order.submitted_at)
    return max(left, now - order.progressed_at, 2 * _USUAL_START)
