"""When to check an order next: the most freshness for each request.

With a hazard rate h (chance a minute that the order changes now), the interval that gives the most
freshness for a budget of requests is proportional to 1/sqrt(h). Hazard rates fall as orders age:
h = r / T, so the wait is k * sqrt(T / r). `standing` computes T, `learnt` r and `virtual` k.
Theory: Azar, Horvitz, Lubetzky, Peres, Shahaf, "Tractable near-optimal policies for crawling"
(PNAS 2018); Cho, Garcia-Molina, "Synchronizing a database to improve freshness" (SIGMOD 2000).
"""

from watcher.cadence.agenda import MIN_GAP, Agenda, after_problem
from watcher.cadence.entries import Entry, Sight, State
from watcher.cadence.learnt import Learnt, Row, faded, refill_units
from watcher.cadence.patience import Patience
from watcher.cadence.prospects import Lesson, Prospect, lesson, prospect
from watcher.cadence.stages import Stage, status_class
from watcher.cadence.standing import sights, unchanged, waits

__all__ = [
    "MIN_GAP",
    "Agenda",
    "Entry",
    "Learnt",
    "Lesson",
    "Patience",
    "Prospect",
    "Row",
    "Sight",
    "Stage",
    "State",
    "after_problem",
    "faded",
    "lesson",
    "prospect",
    "refill_units",
    "sights",
    "status_class",
    "unchanged",
    "waits",
]
