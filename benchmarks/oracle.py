"""The oracle: asks about what has most likely changed, knowing the world but no draw to come."""

from math import erfc, inf
from random import Random

import numpy as np

from benchmarks.world import (
    CANCELED,
    CANCELED_AFTER,
    GIVEN_UP,
    LATE,
    MOVING,
    PENDING,
    STALLED,
    STALLED_FOR,
    STUCK,
    STUCK_FOR,
    Floats,
    Ints,
    World,
)

_Z = np.linspace(-8.0, 12.0, 801)
_OVER = np.array([0.5 * erfc(z / 2**0.5) for z in _Z])
_LEFT_SPREAD = 0.5  # of the logarithm of the time that a delivery still takes
_CERTAIN = 1e-12


class Oracle:
    """Greedy: orders by (time since the check) * (chance that it changed since then).

    It knows the parameters of each order's service, the order's own speed, and what the panel's
    clock showed at each check and shows now. For a constant hazard this is the square-root rule.
    """

    def __init__(self, world: World, ids_per_minute: float, rng: Random) -> None:
        self._world = world
        count = len(world.end)
        self._is_in = np.zeros(count, dtype=bool)
        self._status, self._remains = np.zeros((2, count), dtype=np.intp)
        self._checked, self._shown = np.full((2, count), -inf)
        self._surely = np.zeros(count)  # the survival at the last check
        self._watched = np.zeros(0, dtype=np.intp)

    def begin(self, orders: Ints, status: Ints, remains: Ints) -> None:
        self._is_in[orders] = True
        self._answer(orders, status, remains, 0.0)
        self._watched = orders

    def arrive(self, order: int, now: float) -> None:
        self._is_in[order] = True
        self._watched = np.append(self._watched, order)

    def take(self, limit: int, now: float) -> Ints:
        watched = self._watched = self._watched[self._is_in[self._watched]]
        shown = float(self._world.clock.shows(now))
        has_moved = watched[self._shown[watched] < shown]
        lasts = self._lasts(has_moved, shown) / np.maximum(self._surely[has_moved], _CERTAIN)
        index = np.zeros(len(self._is_in))
        index[has_moved] = (now - self._checked[has_moved]) * (1.0 - lasts)
        ranks = index[watched] + 1e-9 * (now - self._checked[watched])
        if len(watched) <= limit:
            return watched
        return watched[np.argpartition(-ranks, limit - 1)[:limit]]

    def answered(
        self, orders: Ints, status: Ints, remains: Ints, now: float, stays: "np.ndarray"
    ) -> None:
        self._answer(orders, status, remains, now)
        self._is_in[orders[~stays]] = False

    def leave(self, order: int) -> None:
        self._is_in[order] = False

    def _answer(self, orders: Ints, status: Ints, remains: Ints, now: float) -> None:
        shown = float(self._world.clock.shows(now))
        self._status[orders], self._remains[orders] = status, remains
        self._checked[orders], self._shown[orders] = now, shown
        self._surely[orders] = self._lasts(orders, shown)

    def _lasts(self, orders: Ints, shown: float) -> Floats:
        """Return the chances that what the panel told last still holds, up to a factor."""
        lasts, status = np.ones(len(orders)), self._status[orders]
        chances = (
            (status == PENDING, self._pending),
            (status == MOVING, self._moving),
            (status > MOVING, self._guarded),
        )
        for which, chance in chances:
            if which.any():
                lasts[which] = chance(orders[which], shown)
        lasts[np.isinf(self._checked[orders])] = 0.0  # never asked about
        return lasts

    def _guarded(self, orders: Ints, shown: float) -> Floats:
        return np.exp(-self._world.guard_rate * (shown - self._shown[orders].clip(0.0)))

    def _pending(self, orders: Ints, shown: float) -> Floats:
        world = self._world
        age, service = shown - world.submitted[orders], world.service[orders]
        usual = 1.0 - CANCELED - STUCK
        lasts = (
            usual * _over(age, world.start_median[service], world.spec.start_spread)
            + STUCK * _over(age, *STUCK_FOR)
            + CANCELED * _over(age, *CANCELED_AFTER)
        )
        if not world.spec.deadlines:
            return lasts
        by_deadline = ((1.0 - age / world.deadline[service]) / LATE).clip(0.0, 1.0)
        return (1.0 - world.spec.stray) * by_deadline + world.spec.stray * lasts

    def _moving(self, orders: Ints, shown: float) -> Floats:
        world, service = self._world, self._world.service[orders]
        since = shown - self._shown[orders]
        remains, lag = self._remains[orders], world.end_lag[service]
        is_told = remains >= 0
        # Where `remains` is told: by what is left and the order's own speed.
        share = np.where(is_told, remains, 1) / world.quantity[orders]
        tick = world.tick[service]
        told_ago = (self._shown[orders] - world.start[orders]) % np.where(tick > 0.0, tick, 1e-9)
        left = np.maximum(0.3, share * world.work[orders] - told_ago) + 0.5 * lag
        lasts = STALLED + (1.0 - STALLED) * _over(since, np.log(left), _LEFT_SPREAD)
        if world.spec.deadlines:
            late = LATE * world.deadline[service]
            lasts = (1.0 - since / np.maximum(late * share, 0.3)).clip(0.0, 1.0)
        # Where it is not: by the usual time.
        age = shown - world.start[orders]
        usual = np.log(world.a_root[service] * np.sqrt(world.quantity[orders])) + 0.1
        by_age = (1.0 - STALLED) * _over(age, usual, world.spec.speed_spread)
        by_age += STALLED * _over(age - np.exp(usual), *STALLED_FOR)
        lasts = np.where(is_told, lasts, by_age)
        lasts = np.where(remains == 0, np.exp(-since / lag), lasts)
        stalled_at = self._shown[orders] - world.stall_from[orders]
        is_stalled = (
            is_told & (stalled_at >= 0.0) & (self._shown[orders] < world.stall_until[orders])
        )
        stalled_for = _over(stalled_at + since, *STALLED_FOR)
        stalled_for /= np.maximum(_over(stalled_at, *STALLED_FOR), _CERTAIN)
        return np.where(is_stalled, 1.0 - GIVEN_UP * (1.0 - stalled_for), lasts)


def _over(at: Floats, median: Floats | float, sigma: float) -> Floats:
    """Return the chance that a lognormal is larger than `at`."""
    z = (np.log(np.maximum(at, 1e-9)) - median) / sigma
    return np.interp(z, _Z, _OVER)
