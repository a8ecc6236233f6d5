"""Virtual time of fair queueing: it moves with the orders served."""

_SMOOTH_OVER = 10.0  # minutes over which the conversion to real time is smoothed
_A_NEW_ORDER = (30.0 / 0.4) ** 0.5  # units that an unknown order waits


class VirtualTime:
    """A panel's virtual time V, in units. Real times are Unix seconds.

    V moves to the virtual deadline of the last order served. Its speed is limited: an unknown order
    is asked about every `idle_every` seconds at most.
    """

    def __init__(self, now: float, *, idle_every: float) -> None:
        self.v = 0.0
        self._idle = max(idle_every, 0.001) / 60.0 / _A_NEW_ORDER  # minutes a unit, the least
        self.minutes_a_unit = self._idle  # k, in minutes
        self._moved_at = now  # when V was last moved
        self._interrupted = True  # since V last moved: that time must not be measured
        self._measured = [0.0, 0.0]  # minutes, units

    def expect(self, minutes_a_unit: float) -> None:
        """Set how long a unit is; drop earlier measurements."""
        self.minutes_a_unit = max(self._idle, minutes_a_unit)
        self._measured = [0.0, 0.0]

    def interrupt(self) -> None:
        """Exclude the time until V moves again from the measurement, since requests fail."""
        self._interrupted = True

    def earliest(self, v: float) -> float:
        """Return when V may reach this value."""
        return self._moved_at + (v - self.v) * self._idle * 60.0

    def expected(self, v: float) -> float:
        """Return when V is expected to reach this value."""
        return self._moved_at + (v - self.v) * self.minutes_a_unit * 60.0

    def move(self, last: float, now: float) -> None:
        """Move V: an order with the virtual deadline `last` is served now."""
        furthest = self.v + max(0.0, now - self._moved_at) / 60.0 / self._idle
        to = max(self.v, min(last, furthest))
        if not self._interrupted:
            self._measure((now - self._moved_at) / 60.0, to - self.v)
        self.v = to
        self._moved_at = now
        self._interrupted = False

    def _measure(self, minutes: float, moved: float) -> None:
        """Measure k over ten minutes; a step at most doubles or halves it."""
        self._measured[0] += minutes
        self._measured[1] += moved
        minutes, moved = self._measured
        if minutes < _SMOOTH_OVER:
            return
        measured = minutes / max(moved, 1e-9)
        k = self.minutes_a_unit
        self.minutes_a_unit = max(self._idle, min(2 * k, max(k / 2, measured)))
        self._measured = [0.0, 0.0]
