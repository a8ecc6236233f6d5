"""Hazard model of a panel: how soon orders of each service change, stage by stage.

Four numbers a service and stage: changes, exposure, and the sums of the logarithms of how long the
stage lasted and of their squares. The hazard rate is r / T with r = changes / exposure. An answer
after g minutes adds the exposure ln((T+g)/T), or g/T in stages with a constant hazard. A change of
status class counts as one event, in the middle between two checks; so does any change of a finished
order. Where the durations of a stage hardly differ, `rising` uses their spread. Old numbers decay
with a half-life. Internal times are in minutes, those of parameters and results in seconds.
"""

from collections.abc import Iterable, Iterator
from math import log, sqrt

import numpy as np

from watcher.model import FINAL, Order, Status
from watcher.orders.fields import PROGRESS
from watcher.orders.schedule.entries import Floats, OrderGlimpse, Slots
from watcher.orders.schedule.model_rows import ModelRow, kept
from watcher.orders.schedule.service_stats import (
    FEWEST,
    HAS_SPREAD,
    LEAST,
    SMOOTHING,
    SPREAD,
    WIDEST,
    ServiceRecord,
    ServiceTables,
    exposure_of,
    smoothed,
    wide,
)
from watcher.orders.schedule.stages import COLUMNS, DURATION, MOVEMENT, Stage, status_class

_PANEL_SMOOTHING = 2.0
# Initial values by column: expected changes (r), and minutes that a stage lasts (m). An order of
# quantity q is in progress for some 3 * sqrt(q) minutes.
RATE = np.array([0.4, 0.5, 0.3, 0.3, 0.8, 7e-7, 0.4, 1.0, 1.0])
LASTS = np.array([30.0, 0.0, 0.0, 30.0, 2.0, 0.0, 30.0, 3.0, 0.0])
# T / r is at most this: changes of finished orders may be rare for long, but never unheard of.
_MOST_SCALE = np.full(len(COLUMNS), np.inf)
_MOST_SCALE[Stage.GUARDED] = 1.0 / RATE[Stage.GUARDED]
ENDS = {
    Status.COMPLETED: "completed",
    Status.PARTIAL: "partial",
    Status.CANCELED: "canceled",
    Status.REFUNDED: "canceled",
    Status.FAILED: "canceled",
}
_SHOWN = ("status", "charge", *PROGRESS)  # what may change of a finished order
_SERVICES = 16  # initial capacity
_HAS_LENGTH = LASTS > 0.0
_LOG_LASTS = np.log(np.where(_HAS_LENGTH, LASTS, 1.0))
_MOVES = frozenset({Stage.MOVING, Stage.STOPPED})


class HazardModel:
    """The hazard model of one panel's services.

    A service borrows SMOOTHING pseudo-events from its panel (shrinkage).
    """

    def __init__(self, now: float) -> None:
        self.tables = ServiceTables(_SERVICES)
        self.services: dict[str | None, ServiceRecord] = {}
        # Of all services, by column.
        self._n, self.exposure = np.zeros((2, len(COLUMNS)))
        self._usual = _LOG_LASTS.copy()  # logarithms of durations
        self._rest = 0.0  # typical minutes without movement
        self._variance = np.full(len(COLUMNS), SPREAD**2)  # of the logarithms, within each service
        self._borrowed = SMOOTHING / RATE  # exposure of the pseudo-events
        self._as_of = now

    def of(self, service: str | None) -> ServiceRecord:
        """Return the service's numbers; adds a service without history."""
        return self.services.get(service) or self._begin(service)

    def scales(self, rows: Slots, stages: Slots, minutes: Floats) -> Floats:
        """Return T / r, by services' rows and stages: the squares of the waits, in units."""
        tables, cells = self.tables, rows * len(COLUMNS) + stages
        exposure = tables.exposure.take(cells) + self._borrowed.take(stages)
        scales: Floats = minutes * exposure / (tables.changes.take(cells) + SMOOTHING)
        return scales.clip(max=_MOST_SCALE.take(stages))

    def rate(self, service: str | None, stage: Stage) -> float:
        """Return r: the hazard rate is r / T."""
        row = np.array([self.of(service).row])
        return 1.0 / float(self.scales(row, np.array([stage]), np.ones(1))[0])

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
        self._count(record, stage, glimpse.age + gap / 2)
        if after.status in ENDS and stage is not Stage.GUARDED:
            started, middle = glimpse.started, (now + glimpse.asked) / 2
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
        for table in tables.facts:
            table *= keep
        for record in self.services.values():
            record.ends = {end: count * keep for end, count in record.ends.items()}
        self._sum_up()

    def changed_rows(self) -> list[ModelRow]:
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
            facts = (table[record.row].tolist() for table in self.tables.facts)
            for what, changes, exposure, logs, squares in zip(COLUMNS, *facts, strict=True):
                if exposure or changes:
                    yield ModelRow(name, what, changes, exposure, logs, squares)
            for end, count in record.ends.items():
                yield ModelRow(name, end, count)

    def load(self, rows: Iterable[ModelRow]) -> None:
        """Add stored rows, already decayed until now."""
        for row in rows:
            record = self.of(row.service or None)
            if row.what in COLUMNS:
                column = COLUMNS.index(row.what)
                record.changes[column] += row.changes
                record.exposure[column] += row.exposure
                record.logs[column] += row.logs
                record.squares[column] += row.squares or wide(row.changes, row.logs)
            else:
                record.ends[row.what] = record.ends.get(row.what, 0.0) + row.changes
        self._sum_up()

    def expose(self, rows: Slots, stages: Slots, exposure: Floats) -> None:
        """Add exposure of unchanged orders, given by their services' rows and stages."""
        tables = self.tables
        np.add.at(tables.exposure.ravel(), rows * len(COLUMNS) + stages, exposure)
        tables.touched[rows[exposure > 0.0]] = True
        self.exposure += np.bincount(stages, exposure, len(COLUMNS))

    def _begin(self, service: str | None) -> ServiceRecord:
        row = len(self.services)
        if row == len(self.tables.touched):
            self.tables.make_room()
        record = self.services[service] = ServiceRecord(self.tables, row)
        self._derive(slice(row, row + 1))
        return record

    def _expose(self, record: ServiceRecord, stage: Stage, minutes: float, gap: float) -> None:
        stages = np.array([int(stage)])
        exposure = exposure_of(stages, np.array([minutes]), np.array([gap]))
        self.expose(np.array([record.row]), stages, exposure)

    def _count(self, record: ServiceRecord, column: int, lasted: float, roots: float = 1.0) -> None:
        duration = record.clipped(column, log(max(lasted, LEAST) / roots))
        record.changes[column] += 1.0
        record.logs[column] += duration
        record.squares[column] += duration**2
        self._n[column] += 1.0
        self.tables.touched[record.row] = True
        self._derive(slice(record.row, record.row + 1))
        self._borrow()

    def _moved(self, record: ServiceRecord, rested: float) -> None:
        """Learn that an order moved, after so many minutes in which no check showed it."""
        record.changes[MOVEMENT] += 1.0
        record.exposure[MOVEMENT] += max(0.0, rested)
        total, count = record.exposure[MOVEMENT], record.changes[MOVEMENT]
        record.lasts[MOVEMENT] = smoothed(total, count, self._rest)

    def _finished(self, before: Order, after: Order, minutes: float | None) -> None:
        record = self.services[before.service]
        end = ENDS[after.status]
        record.ends[end] = record.ends.get(end, 0.0) + 1.0
        if after.status is Status.COMPLETED and before.quantity and minutes is not None:
            self._count(record, DURATION, minutes, sqrt(before.quantity))

    def _derive(self, rows: slice) -> None:
        """Compute how long the stages of these services last, and what else follows."""
        tables = self.tables
        count = np.maximum(tables.changes[rows], LEAST)
        variance = smoothed(tables.deviations(rows), count, self._variance) * (1.0 + 1.0 / count)
        tables.spread[rows] = np.where(HAS_SPREAD & (count >= FEWEST), np.sqrt(variance), np.inf)
        narrow = tables.is_narrow[rows] = tables.spread[rows] < WIDEST
        tables.trust[rows] = np.where(narrow, 0.0, count / (count + SMOOTHING))
        usual = smoothed(tables.logs[rows], tables.changes[rows], self._usual)
        lasts = np.exp(usual.clip(-4.1, 15.5))  # from a second to ten years
        tables.lasts[rows] = np.where(_HAS_LENGTH, lasts, 0.0)
        moves, rested = tables.changes[rows, MOVEMENT], tables.exposure[rows, MOVEMENT]
        tables.lasts[rows, MOVEMENT] = smoothed(rested, moves, self._rest)

    def _borrow(self) -> None:
        exposure = self.exposure + _PANEL_SMOOTHING / RATE
        self._borrowed = SMOOTHING * exposure / (self._n + _PANEL_SMOOTHING)

    def _sum_up(self) -> None:
        """Recompute the panel's sums: running sums of floats drift."""
        tables = self.tables
        self._n, self.exposure, logs, _ = (table.sum(0) for table in tables.facts)
        self._usual[DURATION] = smoothed(logs[DURATION], self._n[DURATION], _LOG_LASTS[DURATION])
        counts = self._n + _PANEL_SMOOTHING
        self._rest = self.exposure[MOVEMENT] / counts[MOVEMENT]
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
    minutes = max(0.0, now - requested) / 60.0 + learnt.of(service).lasts[Stage.REFILL]
    return sqrt(minutes / learnt.rate(service, Stage.REFILL))
