"""When to check an order next: the most freshness for each request.

With a hazard h (chance a minute that the order changes now), the interval that gives the most
freshness for a budget of requests is proportional to 1/sqrt(h), and hazards fall as orders age:
h = r / T, so the wait is k * sqrt(T / r). `stages` tells T, `learnt` tells r, `agenda` tells k.
Theory: Azar, Horvitz, Lubetzky, Peres, Shahaf, "Tractable near-optimal policies for crawling"
(PNAS 2018); Cho, Garcia-Molina, "Synchronizing a database to improve freshness" (SIGMOD 2000).
"""

from watcher.orders.schedule.entries import Entry, EntryState
from watcher.orders.schedule.forecast import Forecast, ServiceStats, lesson, prospect
from watcher.orders.schedule.hazard_model import HazardModel, ModelRow, faded, refill_units, units
from watcher.orders.schedule.poll_queue import MIN_GAP, PollQueue, after_problem
from watcher.orders.schedule.retry_delay import RetryDelay
from watcher.orders.schedule.stages import Stage, stage_of, status_class
from watcher.orders.schedule.unchanged import unchanged, waits

__all__ = [
    "MIN_GAP",
    "Entry",
    "EntryState",
    "Forecast",
    "HazardModel",
    "ModelRow",
    "PollQueue",
    "RetryDelay",
    "ServiceStats",
    "Stage",
    "after_problem",
    "faded",
    "lesson",
    "prospect",
    "refill_units",
    "stage_of",
    "status_class",
    "unchanged",
    "units",
    "waits",
]
