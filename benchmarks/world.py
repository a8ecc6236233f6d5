"""The world in which polling policies are compared: orders of one panel, as they really are.

An assumption, not a measurement. What it holds (times in minutes):

- Services differ: their orders wait 1 to 120 (median of each, lognormal within, sigma 0.8) to
  start, and then take 1 to 9 times the square root of the quantity. A few are popular.
- 3 % of orders get stuck before they start (median 3 days), 4 % are canceled before (1 day).
- Deliveries speed up or slow down on the way, and follow the hour of the day (±60 %).
- 15 % stall on the way (median 4 hours, heavy tail); 40 % of these end there, partial.
- The final status comes 1 to 15 after the last unit.
- 60 % of the orders watched are finished and under refill rules; 3 % of these change in a month.
"""

from collections.abc import Iterator
from math import cos, exp, inf, log, pi, sin
from random import Random

DAY = 1440.0
LARGEST = 1 << 30
ORDERS = 100_000  # watched at once, about, at scale 1
GUARDED = 0.6  # of them
ARRIVALS = 70_000  # a day
HISTORY = 14 * DAY
GUARD_CHANGES = 0.03 / (30 * DAY)  # a minute
STUCK, CANCELED, STALLED, GIVEN_UP = 0.03, 0.04, 0.15, 0.4
STUCK_FOR = (log(3 * DAY), 1.0)
CANCELED_AFTER = (log(DAY), 1.0)
STALLED_FOR = (log(240.0), 1.5)
WITHIN = 0.8  # sigma of an order's start delay among its service's
VARIES = 0.5  # sigma of an order's duration among its service's
QUANTITIES = (100, 250, 500, 1000, 2500, 5000, 10_000)
RHYTHM = 0.6

PENDING, MOVING, COMPLETED, PARTIAL, DEAD = range(5)


class Service:
    """How the orders of one service fare."""

    def __init__(self, name: str, rng: Random) -> None:
        self.name = name
        self.start = log(rng.uniform(1.0, 11.0) ** 2)
        self.a_root = exp(rng.uniform(log(1.0), log(9.0)))
        self.end_lag = rng.choice((1.0, 2.0, 3.0, 5.0, 15.0))


class Fate:
    """One order's whole life, drawn at once."""

    __slots__ = (
        "curve",
        "delivery",
        "end",
        "final",
        "guard_change",
        "guard_until",
        "id",
        "quantity",
        "seen_change",
        "seen_end",
        "seen_start",
        "service",
        "stall_from",
        "stall_until",
        "start",
        "submitted",
        "warped_start",
        "warped_total",
        "zero",
    )

    def __init__(self, number: int, service: Service, submitted: float) -> None:
        self.id = str(number)
        self.service = service
        self.submitted = submitted
        self.start = self.zero = self.end = submitted
        self.final = COMPLETED
        self.guard_until = -inf
        self.guard_change = inf
        self.quantity = 1000
        self.stall_from = self.stall_until = inf
        self.curve = 1.0
        self.delivery = 1.0  # minutes it takes by its service's speed and its own
        self.warped_start, self.warped_total = 0.0, 1.0
        self.seen_start = self.seen_end = self.seen_change = False

    def look(self, now: float, warped: float) -> tuple[int, int]:
        """Status and remains at a moment, which is `warped` by the hour of the day."""
        if now < self.start:
            return PENDING, self.quantity
        if now >= self.end:
            return self.final, 0 if self.final == COMPLETED else self.quantity // 3
        return MOVING, self.remains(now, warped)

    def remains(self, now: float, warped: float) -> int:
        if now >= self.zero:
            return 0
        if now >= self.stall_from:
            pause = min(now, self.stall_until) - self.stall_from
            warped = warp(now - pause)
        share = (warped - self.warped_start) / self.warped_total
        if share <= 0.0:
            return self.quantity
        left = int(self.quantity * (1.0 - min(1.0, share) ** self.curve))
        return left if left > 0 else 1

    def hasten(self, now: float, factor: float) -> None:
        """What is still to come takes `factor` times as long."""
        for name in ("start", "zero", "end", "stall_from", "stall_until"):
            at = getattr(self, name)
            if now < at < inf:
                setattr(self, name, now + (at - now) * factor)
        self.delivery *= factor
        self.warped_start = warp(self.start)
        if self.zero == inf:  # it will never be delivered whole
            self.warped_total *= factor
            return
        pause = 0.0 if self.stall_from == inf else self.stall_until - self.stall_from
        self.warped_total = max(1e-6, warp(self.zero - pause) - self.warped_start)


class World:
    """One panel's orders: those that are watched at 0, and those that arrive until `days`."""

    def __init__(self, seed: int, *, scale: float, share: float, days: float, guards: bool) -> None:
        self._rng = Random(seed)
        self._serial = 0
        count = max(4, int(60 * min(1.0, 3 * scale)))
        self.services = [Service(f"s{n}", self._rng) for n in range(count)]
        self._weights = [1.0 / (n + 3) for n in range(count)]
        self._guard_chance = GUARDED * ORDERS / (ARRIVALS * 0.85 * 52 / 3) if guards else 0.0
        rate = ARRIVALS * scale * share / DAY
        self.orders: list[Fate] = []
        self.arrivals: list[Fate] = []
        at = -HISTORY
        while at < days * DAY:
            at += self._rng.expovariate(rate)
            fate = self._draw(at)
            if at > 0.0:
                self.arrivals.append(fate)
            elif fate.end > 0.0:
                self.orders.append(fate)
        if guards:
            self.orders += self._guarded(int(GUARDED * ORDERS * scale * share))
        self._rng.shuffle(self.orders)

    def change_speeds(self, now: float, watched: Iterator[Fate]) -> None:
        """Half of the services become five times as fast, or as slow."""
        factors = {}
        for service in self.services[::2]:
            factors[service.name] = self._rng.choice((0.2, 5.0))
            service.start += log(factors[service.name])
            service.a_root *= factors[service.name]
        for fate in (*watched, *self.arrivals):
            if fate.service.name in factors and fate.end > now:
                if fate.submitted > now:
                    _scale_all(fate, factors[fate.service.name])
                else:
                    fate.hasten(now, factors[fate.service.name])

    def _draw(self, at: float) -> Fate:
        rng = self._rng
        service = rng.choices(self.services, self._weights)[0]
        fate = self._new(service, at)
        luck = rng.random()
        if luck < CANCELED:
            fate.start = fate.zero = fate.end = at + rng.lognormvariate(*CANCELED_AFTER)
            fate.final = DEAD
            return fate
        wait = STUCK_FOR if luck < CANCELED + STUCK else (service.start, WITHIN)
        fate.start = at + rng.lognormvariate(*wait)
        fate.curve = exp(rng.gauss(0.0, 0.3))
        fate.delivery = service.a_root * fate.quantity**0.5 * exp(rng.gauss(0.0, VARIES))
        fate.warped_start = warp(fate.start)
        fate.warped_total = fate.delivery
        fate.zero = _unwarp(fate.warped_start + fate.delivery, fate.start + fate.delivery)
        if rng.random() < STALLED:
            self._stall(fate)
        if fate.final == COMPLETED:
            fate.end = fate.zero + rng.expovariate(1.0 / service.end_lag)
            if rng.random() < self._guard_chance:
                fate.guard_until = fate.end + rng.choice((7, 15, 30)) * DAY
                fate.guard_change = fate.end + rng.expovariate(GUARD_CHANGES)
        return fate

    def _stall(self, fate: Fate) -> None:
        rng = self._rng
        pause = rng.lognormvariate(*STALLED_FOR)
        fate.stall_from = fate.start + rng.random() * (fate.zero - fate.start)
        fate.stall_until = fate.stall_from + pause
        fate.zero += pause
        if rng.random() < GIVEN_UP:
            fate.final = PARTIAL
            fate.zero = inf
            fate.end = fate.stall_until

    def _guarded(self, count: int) -> list[Fate]:
        """As many as there are at any time: long windows are met more often."""
        found = []
        for _ in range(count):
            fate = self._new(self._rng.choice(self.services), -DAY)
            window = self._rng.choices((7, 15, 30), (7, 15, 30))[0] * DAY
            fate.guard_until = self._rng.random() * window
            fate.guard_change = self._rng.expovariate(GUARD_CHANGES)
            found.append(fate)
        return found

    def _new(self, service: Service, at: float) -> Fate:
        self._serial += 1
        fate = Fate(self._serial, service, at)
        fate.quantity = self._rng.choice(QUANTITIES)
        return fate


def warp(at: float) -> float:
    """Time as deliveries count it: faster by day than by night."""
    return at - RHYTHM * DAY / (2 * pi) * cos(2 * pi * at / DAY)


def _unwarp(warped: float, guess: float) -> float:
    for _ in range(12):
        error = warp(guess) - warped
        if abs(error) < 1e-6:
            break
        guess -= error / (1.0 + RHYTHM * sin(2 * pi * guess / DAY))
    return guess


def _scale_all(fate: Fate, factor: float) -> None:
    """An order that is still to arrive."""
    fate.hasten(fate.submitted, factor)
