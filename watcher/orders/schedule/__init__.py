"""Decides when to check an order next: the most freshness for each request.

With a hazard rate h (chance a minute that the order changes now), the interval that gives the most
freshness for a budget of requests is proportional to 1/sqrt(h). Hazard rates fall as orders age:
h = r / T, so the wait is k * sqrt(T / r). `order_hazards` computes T, `hazard_model` r
and `virtual_time` k.
Theory: Azar, Horvitz, Lubetzky, Peres, Shahaf, "Tractable near-optimal policies for crawling"
(PNAS 2018); Cho, Garcia-Molina, "Synchronizing a database to improve freshness" (SIGMOD 2000).
"""

from watcher.common.retry_delay import RetryDelay, after_problem
from watcher.orders.schedule.deadlines import GOLDEN
from watcher.orders.schedule.entries import Entry, EntryState, OrderGlimpse
from watcher.orders.schedule.forecast import Forecast, ServiceStats, predict, stats_of
from watcher.orders.schedule.hazard_model import HazardModel, refill_units
from watcher.orders.schedule.model_rows import ModelRow, faded
from watcher.orders.schedule.order_hazards import glimpses, sooner, unchanged, waits
from watcher.orders.schedule.poll_queue import MIN_GAP, PollQueue
from watcher.orders.schedule.stages import Stage, status_class

__all__ = [
    "GOLDEN",
    "MIN_GAP",
    "Entry",
    "EntryState",
    "Forecast",
    "HazardModel",
    "ModelRow",
    "OrderGlimpse",
    "PollQueue",
    "RetryDelay",
    "ServiceStats",
    "Stage",
    "after_problem",
    "faded",
    "glimpses",
    "predict",
    "refill_units",
    "sooner",
    "stats_of",
    "status_class",
    "unchanged",
    "waits",
]
