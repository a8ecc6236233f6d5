"""Hazard model of a panel: how soon orders of each service change, stage by stage.

Four numbers a service and stage: changes, exposure, and the sums of the logarithms of how long the
stage lasted and of their squares. The hazard rate is r / T with r = changes / exposure. An answer
after g minutes adds the exposure ln((T+g)/T), or g/T in stages with a constant hazard. A change of
status class counts as one event, in the middle between two checks; so does any change of a finished
order. Where the durations of a stage hardly differ, `rising` uses their spread. Old numbers decay
with a half-life. Internal times are in minutes, those of parameters and results in seconds.
"""

from collections.abc import Iterable, Iterator
from math import log, log1p, sqrt

import numpy as np
from numpy.typing import NDArray

from watcher.model import FINAL, Order, Status
from watcher.orders.fields import PROGRESS
from watcher.orders.schedule.entries import OrderGlimpse
from watcher.orders.schedule.model_rows import ModelRow, kept
from watcher.orders.schedule.service_stats import (
    A_ROOT,
    COMPLETIONS,
    FEWEST,
    LEAST,
    LOGS,
    MOVES,
    NARROW,
    RESTED,
    RESTS,
    SMOOTHING,
    SPREAD,
    ServiceRecord,
    ServiceTables,
    smoothed,
    wide,
)
from watcher.orders.schedule.stages import IS_CONSTANT, Stage, status_class

_PANEL_SMOOTHING = 2.0
# Initial values: expected changes (r), and minutes that a stage lasts (m).
RATE = (0.4, 0.5, 0.3, 0.3, 0.8, 7e-7, 0.4)
LASTS = (30.0, 0.0, 0.0, 30.0, 2.0, 0.0, 30.0)
MINUTES_A_ROOT = 3.0  # an order of quantity q is in progress for some 3 * sqrt(q) minutes
SHORTEST_LEFT = 2.0  # minutes
# T / r is at most this: changes of finished orders may be rare for long, but never unheard of.
MOST_SCALE = np.full(len(Stage), np.inf)
MOST_SCALE[Stage.GUARDED] = 1.0 / RATE[Stage.GUARDED]
ENDS = {
    Status.COMPLETED: "completed",
    Status.PARTIAL: "partial",
    Status.CANCELED: "canceled",
    Status.REFUNDED: "canceled",
    Status.FAILED: "canceled",
}
_SHOWN = ("status", "charge", *PROGRESS)  # what may change of a finished order
_STAGES = len(Stage)
_SERVICES = 16  # initial capacity
_HAS_LENGTH = np.array(LASTS) > 0.0
_HAS_AGE = np.array([stage not in IS_CONSTANT for stage in Stage])
_LOG_LASTS = np.array([log(minutes) if minutes else 0.0 for minutes in LASTS])
_MOVES = frozenset({Stage.MOVING, Stage.STOPPED})
_BEGIN_AT_START = frozenset({Stage.STARTING, Stage.MOVING})


class HazardModel:
    """The hazard model of one panel's services.

    A service borrows SMOOTHING pseudo-events from its panel (shrinkage).
    """

    def __init__(self, now: float) -> None:
        self.tables = ServiceTables(_SERVICES)
        self.services: dict[str | None, ServiceRecord] = {}
        self._n = [0.0] * _STAGES
        self.exposure = [0.0] * _STAGES
        self._root = [0.0, 0.0]  # completions of all services, and the sum of their logarithms
        self._rest = 0.0  # typical minutes without movement, of all services
        self._variance = np.full(_STAGES, SPREAD**2)  # of their durations, within each
        self.borrowed = [SMOOTHING / rate for rate in RATE]  # exposure of the pseudo-events
        self._as_of = now

    def of(self, service: str | None) -> ServiceRecord:
        """Return the service's numbers; adds a service without history."""
        return self.services.get(service) or self._begin(service)

    def scale(self, record: ServiceRecord, stage: Stage, minutes: float) -> float:
        """Return T / r: the square of the wait, in units."""
        exposure, changes = record.exposure[stage], record.changes[stage]
        scale = minutes * (exposure + self.borrowed[stage]) / (changes + SMOOTHING)
        return min(scale, float(MOST_SCALE[stage]))

    def rate(self, service: str | None, stage: Stage) -> float:
        """Return r: the hazard rate is r / T."""
        return 1.0 / self.scale(self.of(service), stage, 1.0)

    def answered(self, glimpse: OrderGlimpse, after: Order, now: float) -> None:
        """Learn from an answer; `glimpse` is the order at its last check before."""
        if glimpse.asked is None or now <= glimpse.asked:
            return
        before, stage, gap = glimpse.order, glimpse.stage, (now - glimpse.asked) / 60.0
        record = self.of(before.service)
        if not _has_changed(before, after):
            self._expose(record, stage, glimpse.minutes, gap)
            if stage in _MOVES and before.remains != after.remains:
                self._moved(record, (glimpse.asked - before.progressed_at) / 60.0)
            return
        self._expose(record, stage, glimpse.minutes, gap / 2)
        middle = (now + glimpse.asked) / 2
        self._count(record, stage, (middle - _began(glimpse)) / 60.0)
        if after.status in ENDS and stage is not Stage.GUARDED:
            started = glimpse.started
            self._finished(before, after, None if started is None else (middle - started) / 60.0)

    def refill_answered(
        self, service: str | None, requested: float, asked: float, now: float, changed: bool
    ) -> None:
        """Learn from an answer about a refill task that was open at `asked`."""
        record, gap = self.of(service), (now - asked) / 60.0
        minutes = max(0.0, asked - requested) / 60.0 + record.lasts[Stage.REFILL]
        if gap <= 0.0:
            return
        self._expose(record, Stage.REFILL, minutes, gap / 2 if changed else gap)
        if changed:
            self._count(record, Stage.REFILL, (now + asked - 2 * requested) / 120.0)

    def count_guarded(self, service: str | None) -> None:
        """Count a change of a finished order that no answer showed."""
        self._count(self.of(service), Stage.GUARDED, 1.0)

    def forget(self, now: float) -> None:
        """Decay old numbers; to be called from time to time."""
        keep = kept(now - self._as_of)
        self._as_of = now
        tables = self.tables
        for table in (*tables.facts, tables.finished, tables.moved):
            table *= keep
        for record in self.services.values():
            record.ends = {end: count * keep for end, count in record.ends.items()}
        self._sum_up()

    def news(self) -> list[ModelRow]:
        """Return the rows of all services that changed since the last call."""
        touched = self.tables.touched
        services = [service for service, record in self.services.items() if touched[record.row]]
        touched[:] = False
        return list(self.rows(services))

    def rows(self, services: Iterable[str | None]) -> Iterator[ModelRow]:
        """Yield what is to be stored of these services; `load` reads it."""
        for service in services:
            record = self.of(service)
            name = service or ""
            for stage in Stage:
                if record.exposure[stage] or record.changes[stage]:
                    numbers = (record.changes[stage], record.exposure[stage], record.logs[stage])
                    yield ModelRow(name, stage.name.lower(), *numbers, record.squares[stage])
            if record.completions:
                yield ModelRow(name, "duration", record.completions, 0.0, record.finished[LOGS])
            if record.moved[MOVES]:
                yield ModelRow(name, "movement", record.moved[MOVES], record.moved[RESTED])
            for end, count in record.ends.items():
                yield ModelRow(name, end, count)

    def load(self, rows: Iterable[ModelRow]) -> None:
        """Add stored rows, already decayed until now."""
        for row in rows:
            record = self.of(row.service or None)
            if row.what.upper() in Stage.__members__:
                stage = Stage[row.what.upper()]
                record.changes[stage] += row.changes
                record.exposure[stage] += row.exposure
                record.logs[stage] += row.logs
                record.squares[stage] += row.squares or wide(row.changes, row.logs)
            elif row.what == "duration":
                record.finished[COMPLETIONS] += row.changes
                record.finished[LOGS] += row.logs
            elif row.what == "movement":
                record.moved[MOVES] += row.changes
                record.moved[RESTED] += row.exposure
            else:
                record.ends[row.what] = record.ends.get(row.what, 0.0) + row.changes
        self._sum_up()

    def expose(
        self, rows: NDArray[np.intp], stages: NDArray[np.intp], exposure: NDArray[np.float64]
    ) -> None:
        """Add exposure of unchanged orders, given by their services' rows and stages."""
        tables = self.tables
        np.add.at(tables.exposure.ravel(), rows * _STAGES + stages, exposure)
        tables.touched[rows[exposure > 0.0]] = True
        for stage, more in enumerate(np.bincount(stages, exposure, _STAGES).tolist()):
            self.exposure[stage] += more

    def _begin(self, service: str | None) -> ServiceRecord:
        row = len(self.services)
        record = self.services[service] = ServiceRecord(row)
        if row == len(self.tables.touched):
            self.tables = self.tables.longer()
            for each in self.services.values():
                each.see(self.tables)
        record.see(self.tables)
        self._derive(slice(row, row + 1))
        return record

    def _expose(self, record: ServiceRecord, stage: Stage, minutes: float, gap: float) -> None:
        exposure = gap / minutes if stage in IS_CONSTANT else log1p(gap / minutes)
        record.exposure[stage] += exposure
        self.tables.touched[record.row] = True
        self.exposure[stage] += exposure

    def _count(self, record: ServiceRecord, stage: Stage, lasted: float) -> None:
        duration = record.clipped(stage, log(max(lasted, LEAST)))
        record.changes[stage] += 1.0
        record.logs[stage] += duration
        record.squares[stage] += duration**2
        self._n[stage] += 1.0
        self.tables.touched[record.row] = True
        self._derive(slice(record.row, record.row + 1))
        self._borrow()

    def _moved(self, record: ServiceRecord, rested: float) -> None:
        """Learn that an order moved, after so many minutes in which no check showed it."""
        record.moved[MOVES] += 1.0
        record.moved[RESTED] += max(0.0, rested)
        record.moved[RESTS] = smoothed(record.moved[RESTED], record.moved[MOVES], self._rest)

    def _finished(self, before: Order, after: Order, minutes: float | None) -> None:
        record = self.services[before.service]
        end = ENDS[after.status]
        record.ends[end] = record.ends.get(end, 0.0) + 1.0
        if after.status is Status.COMPLETED and before.quantity and minutes is not None:
            a_root = log(max(minutes, LEAST) / sqrt(before.quantity))
            record.finished[COMPLETIONS] += 1.0
            record.finished[LOGS] += a_root
            self._root[0] += 1.0
            self._root[1] += a_root
            self._derive(slice(record.row, record.row + 1))

    def _derive(self, rows: slice) -> None:
        """Compute how long the stages of these services last, and what else follows."""
        tables = self.tables
        count = np.maximum(tables.changes[rows], LEAST)
        variance = smoothed(tables.deviations(rows), count, self._variance) * (1.0 + 1.0 / count)
        tables.spread[rows] = np.where(count < FEWEST, np.inf, np.sqrt(variance))
        narrow = tables.is_narrow[rows] = (tables.spread[rows] < NARROW[1]) & _HAS_AGE
        tables.trust[rows] = np.where(narrow, 0.0, count / (count + SMOOTHING))
        moved = tables.moved[rows]
        moved[:, RESTS] = smoothed(moved[:, RESTED], moved[:, MOVES], self._rest)
        lasts = _exp(smoothed(tables.logs[rows], tables.changes[rows], _LOG_LASTS))
        tables.lasts[rows] = np.where(_HAS_LENGTH, lasts, 0.0)
        usual = smoothed(self._root[1], self._root[0], log(MINUTES_A_ROOT))
        finished = tables.finished[rows]
        finished[:, A_ROOT] = _exp(smoothed(finished[:, LOGS], finished[:, COMPLETIONS], usual))

    def _borrow(self) -> None:
        self.borrowed = [
            SMOOTHING * (e + _PANEL_SMOOTHING / rate) / (n + _PANEL_SMOOTHING)
            for n, e, rate in zip(self._n, self.exposure, RATE, strict=True)
        ]

    def _sum_up(self) -> None:
        """Recompute the panel's sums: running sums of floats drift."""
        tables = self.tables
        self._n, self.exposure = tables.changes.sum(0).tolist(), tables.exposure.sum(0).tolist()
        self._root = tables.finished[:, :A_ROOT].sum(0).tolist()
        moves, rested = tables.moved[:, :RESTS].sum(0).tolist()
        self._rest = rested / (moves + _PANEL_SMOOTHING)
        counts = tables.changes.sum(0) + _PANEL_SMOOTHING
        deviations = tables.deviations(slice(None)).sum(0)
        self._variance = (deviations + _PANEL_SMOOTHING * SPREAD**2) / counts
        self._borrow()
        self._derive(slice(None))


def _has_changed(before: Order, after: Order) -> bool:
    """Return whether the status class changed; of a finished order, anything that counts."""
    if before.status in FINAL:
        return any(getattr(before, name) != getattr(after, name) for name in _SHOWN)
    return status_class(before.status) != status_class(after.status)


def refill_units(learnt: HazardModel, service: str | None, requested: float, now: float) -> float:
    """Return the wait until the next check of a refill task, in virtual time: sqrt(T / r)."""
    record = learnt.of(service)
    minutes = max(0.0, now - requested) / 60.0 + record.lasts[Stage.REFILL]
    return sqrt(learnt.scale(record, Stage.REFILL, minutes))


def _began(glimpse: OrderGlimpse) -> float:
    """Return when the order's stage began."""
    if glimpse.stage is Stage.PENDING:
        return glimpse.order.submitted_at
    return glimpse.since if glimpse.stage in _BEGIN_AT_START else glimpse.order.progressed_at


def _exp(mean_log: NDArray[np.float64]) -> NDArray[np.float64]:
    """Return a typical duration (geometric mean), from a second to ten years."""
    typical: NDArray[np.float64] = np.exp(mean_log.clip(-4.1, 15.5))
    return typical
