"""Stages that all orders leave at about the same age, as with a service that keeps a deadline.

There the hazard rises with age. The duration is lognormal then, with the learnt mean and spread of
its logarithm, but for a share of orders that fare as T / r says: those that are stuck. The wait w
solves w * P(change within w) = k**2, which is k * sqrt(T / r) for a constant hazard.
"""

from math import erfc, log
from typing import NamedTuple

import numpy as np

from watcher.orders.schedule.entries import Floats, Slots
from watcher.orders.schedule.service_stats import LEAST, NARROW, SMOOTHING, ServiceTables
from watcher.orders.schedule.stages import COLUMNS, DURATION

STUCK = 0.05  # the share of orders, at the least, that fare as T / r says
_STUCK_RATE = 3.0  # r of these at the most: most of it is learnt from the others
_STEPS = 11  # of bisection: to a percent
_WAITS = (log(1e-2), log(1e4))  # minutes
_Z = np.linspace(-8.0, 8.0, 321)
_LOG_OVER = np.log([0.5 * erfc(z / 2**0.5) for z in _Z])


class Rising(NamedTuple):
    """Some orders' durations of their stage, an element for each."""

    share: Floats  # of the orders at this age that keep to the lognormal; 0: use T / r
    mean: Floats  # of the logarithm of the duration in minutes
    spread: Floats
    age: Floats  # minutes in the stage
    minutes: Floats  # T and r of the others
    rate: Floats

    def unchanged(self, wait: Floats | float) -> Floats:
        """Return the chances that the orders do not change within so many minutes."""
        lasts = np.exp(_log_over(self, self.age + wait) - _log_over(self, self.age))
        stuck = (1.0 + wait / self.minutes) ** -self.rate
        chances: Floats = self.share * lasts + (1.0 - self.share) * stuck
        return chances

    def waits(self, k: float) -> Floats:
        """Return the waits until their next checks in units of k minutes."""
        low, high = (np.full(len(self.age), bound) for bound in _WAITS)
        for _ in range(_STEPS):
            wait = (low + high) / 2
            chance = np.maximum(1.0 - self.unchanged(np.exp(wait)), 1e-12)
            is_less = wait + np.log(chance) < 2 * log(k)
            low, high = np.where(is_less, wait, low), np.where(is_less, high, wait)
        units: Floats = np.exp(low) / k
        return units


def rising(
    tables: ServiceTables,
    cells: Slots,
    sizes: Floats,
    age: Floats,
    minutes: Floats,
    rate: Floats,
) -> Rising:
    """Return how the orders' durations are spread.

    `cells` are their services' and stages' (or DURATION's), `sizes` are added to the logarithms.
    """
    count = np.maximum(tables.changes.take(cells), LEAST)
    spread, mean = tables.spread.take(cells), tables.logs.take(cells) / count + sizes
    alike = np.interp(spread, NARROW, (1.0, 0.0))
    alike[(cells % len(COLUMNS) == DURATION) & (spread < np.inf)] = 1.0
    stuck = np.maximum(SMOOTHING / (count + SMOOTHING), STUCK)
    rate = np.where(alike > 0.0, np.minimum(rate, _STUCK_RATE), rate)
    found = Rising((1.0 - stuck) * alike, mean, spread, age, minutes, rate)
    # Of those that are still in the stage at this age.
    kept = found.share * np.exp(_log_over(found, age))
    others = (1.0 - found.share) * (1.0 + age / minutes) ** -rate
    return found._replace(share=kept / np.maximum(kept + others, 1e-300))


def _log_over(found: Rising, age: Floats) -> Floats:
    """Return the logarithms of the chances that the stage lasts longer."""
    z = (np.log(np.maximum(age, LEAST)) - found.mean) / found.spread
    return np.interp(z, _Z, _LOG_OVER)
