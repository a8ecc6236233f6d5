"""Worlds in which polling policies are compared: the orders of one panel, as they really are.

Assumptions, not measurements. Times are in minutes. An order's life is drawn at once, and the
panel's clock says how much of it the panel shows: a panel that stands still shows an old moment.
`benchmarks.worlds` lists the worlds. How long deliveries take is fitted, once for all of them: so
that turns, classes and the oracle, which no change of our rule moves, come to the lags that they
had where these worlds were measured first.
"""

from math import inf, log, pi

import msgspec
import numpy as np
from numpy.typing import NDArray

DAY = 1440.0
HISTORY = 14 * DAY
MONTH = 30 * DAY
WINDOWS = (7.0, 15.0, 30.0)  # days in which a finished order is guarded
STUCK, CANCELED, STALLED, GIVEN_UP = 0.03, 0.04, 0.15, 0.4
STUCK_FOR = (log(3 * DAY), 1.0)  # median, sigma of the logarithm
CANCELED_AFTER = (log(DAY), 1.0)
STALLED_FOR = (log(240.0), 1.5)
LATE = 0.1  # of its deadline, in which an order starts and ends
QUANTITIES = (100, 250, 500, 1000, 2500, 5000, 10_000)
END_LAGS = (1.0, 2.0, 3.0, 5.0, 15.0)
SILENT = -1  # the panel does not tell how much remains
_SAMPLE = 4000

PENDING, MOVING, COMPLETED, PARTIAL, DEAD, REFUNDED = range(6)

Floats = NDArray[np.float64]
Ints = NDArray[np.intp]


class Spec(msgspec.Struct, frozen=True):
    """What makes a world. `budgets` are requests of `limit` ids a minute."""

    name: str
    about: str
    budgets: tuple[float, ...] = (2.5, 0.5)
    limit: int = 50
    open: int = 1200  # orders, about
    guarded: int = 1800
    guard_changes: float = 0.03  # share of the guarded orders that change in a month
    services: int = 20
    starts: tuple[float, float] = (2.0, 90.0)  # range of the services' median start delays
    start_spread: float = 0.7  # sigma of an order's start delay among its service's
    speeds: tuple[float, float] = (4.0, 28.0)  # range of the services' minutes a root of quantity
    speed_spread: float = 0.5
    ticks: tuple[float, ...] = (0.0, 0.0, 1.0, 5.0, 15.0, 60.0)  # between two reports of progress
    rhythm: float = 0.4  # deliveries follow the hour of the day by so much
    remains: bool = True
    stands: tuple[float, float] | None = None  # range of the times in which the panel stands still
    works: tuple[float, float] = (inf, inf)  # and of those in between
    catches_up: bool = False  # after it stood still: by and by while it works, not at once
    bursts: bool = False  # orders come in bursts
    deadlines: tuple[float, float] | None = None  # range of the services' deadlines
    stray: float = 0.0  # share of orders that do not keep to the deadline
    guards_all: bool = False  # what is delivered is guarded for good
    speed_change: bool = False  # half of the services become five times as fast, or as slow

    def scaled(self, share: float) -> "Spec":
        """Return a world with this share of orders and ids; its policies fare alike."""
        counts = {name: round(share * getattr(self, name)) for name in ("open", "guarded", "limit")}
        return msgspec.structs.replace(self, **counts)


class PanelClock:
    """The moment that the panel shows, by the real time: piecewise linear, never falling."""

    def __init__(self, spec: Spec, until: float, rng: np.random.Generator) -> None:
        real, shown = [-2 * HISTORY], [-2 * HISTORY]
        at = -HISTORY
        while spec.stands is not None and at < until:
            thaw = at + rng.uniform(*spec.stands)
            stops = thaw + rng.uniform(*spec.works)
            real += [at, thaw, stops if spec.catches_up else thaw + 1e-6]
            shown += [at, at, real[-1]]
            at = stops
        self._real = np.array([*real, max(at, until) + HISTORY])
        self._shown = np.array([*shown, max(at, until) + HISTORY])

    def shows(self, now: float | Floats) -> Floats:
        """Return the moments that the panel shows."""
        return np.interp(now, self._real, self._shown)

    def when(self, event: Floats) -> Floats:
        """Return when the panel shows these moments first."""
        seen = np.interp(event, self._shown, self._real)
        return np.where(event > self._shown[-1], inf, seen)


class World:
    """One panel's orders as columns, by number: those watched at 0, then those that arrive."""

    submitted: Floats
    service: Ints
    quantity: Ints
    start: Floats
    work: Floats  # minutes that the delivery takes by day and night alike
    zero: Floats  # when nothing remains; infinity: never
    end: Floats
    final: Ints  # the status then
    curve: Floats  # above 1 deliveries speed up on the way
    stall_from: Floats
    stall_until: Floats
    guard_until: Floats
    flip: Floats  # when a guarded order changes

    def __init__(self, spec: Spec, seed: int, days: float) -> None:
        self.spec = spec
        self._rng = rng = np.random.default_rng(seed)
        count = spec.services
        low, high = np.sqrt(spec.starts)
        self.start_median = np.log(rng.uniform(low, high, count) ** 2)
        self.a_root = np.exp(rng.uniform(*np.log(spec.speeds), count))
        self.end_lag = rng.choice(END_LAGS, count)
        self.tick = rng.choice(spec.ticks, count)
        self.deadline = np.exp(rng.uniform(*np.log(spec.deadlines or (1.0, 2.0)), count))
        self._popularity = 1.0 / (np.arange(count) + 3.0)
        self._popularity /= self._popularity.sum()
        self.guard_rate = spec.guard_changes / MONTH
        self.clock = PanelClock(spec, days * DAY, rng)
        self._faster = np.ones(count)
        if spec.speed_change:
            self._faster[::2] = rng.choice((0.2, 5.0), len(self._faster[::2]))
        self._draw(days)

    def look(self, orders: Ints, now: float) -> tuple[Ints, Ints]:
        """Return the statuses and remains (or SILENT) that the panel shows of these orders."""
        shown = float(self.clock.shows(now))
        start, end = self.start[orders], self.end[orders]
        status = np.where(shown < start, PENDING, np.where(shown < end, MOVING, self.final[orders]))
        status = np.where(shown >= self.flip[orders], self.flip_to[orders], status)
        if not self.spec.remains:
            return status, np.full(len(orders), SILENT)
        quantity, tick = self.quantity[orders], self.tick[self.service[orders]]
        told = np.where(tick > 0.0, start + (shown - start) // np.maximum(tick, 1e-9) * tick, shown)
        pause = np.minimum(told, self.stall_until[orders]) - self.stall_from[orders]
        told -= np.where(pause > 0.0, pause, 0.0)
        share = (self.warp(told) - self.warp(start)) / self.work[orders]
        left = quantity * (1.0 - share.clip(0.0, 1.0) ** self.curve[orders])
        remains = np.where(shown >= self.zero[orders], 0, np.maximum(left.astype(int), 1))
        remains = np.where(status == MOVING, remains, np.where(status == COMPLETED, 0, left // 1))
        if self.spec.deadlines:
            remains = np.where(status == PENDING, SILENT, remains)
        return status, remains.astype(int)

    def warp(self, at: Floats) -> Floats:
        """Time as deliveries count it: faster by day than by night."""
        rhythm = self.spec.rhythm
        return at - rhythm * DAY / (2 * pi) * np.cos(2 * pi * at / DAY)

    def _draw(self, days: float) -> None:
        rng, spec = self._rng, self.spec
        sample = self._lives(np.zeros(_SAMPLE))
        rate = spec.open / float(np.minimum(sample["end"], HISTORY).mean())
        arrivals = self._arrivals(rate, days * DAY)
        lives = self._lives(arrivals)
        open_then = self.clock.when(lives["end"]) > 0.0
        lives = {name: column[open_then] for name, column in lives.items()}
        windows = np.array(WINDOWS) * DAY
        chance = min(1.0, spec.guarded / (rate * windows.mean()))
        finished = lives["final"] == COMPLETED
        is_guarded = finished & (rng.random(len(finished)) < chance / finished.mean())
        ends = self.clock.when(lives["end"])
        until = np.where(is_guarded, ends + rng.choice(windows, len(ends)), -inf)
        if spec.guards_all:
            is_guarded, until = finished, np.where(lives["final"] == DEAD, -inf, inf)
        lives["guard_until"] = until
        flip = lives["end"] + rng.exponential(1.0 / self.guard_rate, len(ends))
        lives["flip"] = np.where(is_guarded, flip, inf)
        old = self._guarded(spec.guarded)
        for name, column in lives.items():
            setattr(self, name, np.concatenate([old[name], column]))
        count = len(self.end)
        self.flip_to = rng.choice((PARTIAL, DEAD, REFUNDED), count)
        self.starts_at, self.ends_at = self.clock.when(self.start), self.clock.when(self.end)
        self.flips_at = self.clock.when(self.flip)
        self.first = np.flatnonzero(self.submitted <= 0.0)
        self.coming = np.flatnonzero(self.submitted > 0.0)  # in the order of their arrival
        rng.shuffle(self.first)

    def _arrivals(self, rate: float, until: float) -> Floats:
        rng = self._rng
        hours = np.arange(-HISTORY, until, 60.0)
        weights = rng.gamma(0.3, 1 / 0.3, len(hours)) if self.spec.bursts else np.ones(len(hours))
        counts = rng.poisson(60.0 * rate * weights)
        return np.sort(np.repeat(hours, counts) + rng.uniform(0.0, 60.0, counts.sum()))

    def _lives(self, at: Floats) -> dict[str, NDArray]:
        """Draw orders submitted at these times."""
        rng, spec, count = self._rng, self.spec, len(at)
        service = rng.choice(spec.services, count, p=self._popularity)
        quantity = rng.choice(QUANTITIES, count)
        factor = np.where(at > 1.25 * DAY, self._faster[service], 1.0)
        luck = rng.random(count)
        canceled, stuck = luck < CANCELED, (luck >= CANCELED) & (luck < CANCELED + STUCK)
        median = np.where(stuck, STUCK_FOR[0], self.start_median[service] + np.log(factor))
        median = np.where(canceled, CANCELED_AFTER[0], median)
        sigma = np.where(stuck | canceled, 1.0, spec.start_spread)
        start = at + np.exp(median + sigma * rng.standard_normal(count))
        spread = spec.speed_spread * rng.standard_normal(count)
        work = self.a_root[service] * factor * np.sqrt(quantity) * np.exp(spread)
        zero = self._unwarp(self.warp(start) + work, start + work)
        final = np.full(count, COMPLETED)
        stalled = rng.random(count) < STALLED
        pause = np.exp(STALLED_FOR[0] + STALLED_FOR[1] * rng.standard_normal(count))
        stall_from = np.where(stalled, start + rng.random(count) * (zero - start), inf)
        stall_until = stall_from + pause
        given_up = stalled & (rng.random(count) < GIVEN_UP)
        final[given_up] = PARTIAL
        end = zero + np.where(stalled, pause, 0.0) + rng.exponential(self.end_lag[service])
        zero = np.where(given_up, inf, zero + np.where(stalled, pause, 0.0))
        end = np.where(given_up, stall_until, end)
        final[canceled] = DEAD
        zero[canceled] = end[canceled] = start[canceled]
        curve = np.exp(rng.normal(0.0, 0.3, count))
        lives = {
            "submitted": at, "service": service, "quantity": quantity, "start": start,
            "work": work, "zero": zero, "end": end, "final": final, "curve": curve,
            "stall_from": stall_from, "stall_until": stall_until,
        }  # fmt: skip
        if spec.deadlines:
            self._by_deadline(lives, rng.random(count) >= spec.stray)
        return lives

    def _by_deadline(self, lives: dict[str, NDArray], keeps: NDArray) -> None:
        """Let these orders start and end within the last tenth of their deadlines."""
        rng, at = self._rng, lives["submitted"]
        deadline = self.deadline[lives["service"]]
        start = at + deadline * (1.0 - LATE * rng.random(len(at)))
        end = start + rng.random(len(at)) * (at + deadline - start)
        zero = start + 0.9 * (end - start)
        work = np.maximum(self.warp(zero) - self.warp(start), 1e-6)
        kept = {"start": start, "work": work, "zero": zero, "end": end}
        for name, column in kept.items():
            lives[name] = np.where(keeps, column, lives[name])
        lives["final"] = np.where(keeps, COMPLETED, lives["final"])
        for name in ("stall_from", "stall_until"):
            lives[name] = np.where(keeps, inf, lives[name])

    def _guarded(self, count: int) -> dict[str, NDArray]:
        """Draw as many as are guarded at any time: long windows are met more often."""
        rng, day = self._rng, np.full(count, -DAY)
        window = rng.choice(WINDOWS, count, p=np.array(WINDOWS) / sum(WINDOWS)) * DAY
        never, ones = np.full(count, inf), np.ones(count)
        return {
            "submitted": day, "service": rng.choice(self.spec.services, count), "start": day,
            "quantity": rng.choice(QUANTITIES, count), "work": ones, "zero": day, "end": day,
            "final": np.full(count, COMPLETED), "curve": ones,
            "stall_from": never, "stall_until": never,
            "guard_until": np.where(self.spec.guards_all, inf, rng.random(count) * window),
            "flip": rng.exponential(1.0 / self.guard_rate, count),
        }  # fmt: skip

    def _unwarp(self, warped: Floats, guess: Floats) -> Floats:
        rhythm = self.spec.rhythm
        for _ in range(12):
            slope = 1.0 + rhythm * np.sin(2 * pi * guess / DAY)
            guess = guess - (self.warp(guess) - warped) / slope
        return guess
