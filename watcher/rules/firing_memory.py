"""Firings so far: how often each rule fired for each order, and the brakes. Pure."""

from collections import defaultdict
from collections.abc import Iterable, Mapping

from watcher.model import Firing, Order
from watcher.rules.brake import BRAKE_WINDOW, Brake
from watcher.rules.rule import Rule
from watcher.rules.time_correction import TimeCorrection
from watcher.rules.variables import FiringHistory

Fired = tuple[str, bool, str, str]  # rule, whether it was a dry run, panel, order id


class FiringMemory:
    """Firings by rule and order. Dry runs are counted apart: they don't use up attempts."""

    def __init__(self, time_correction: TimeCorrection, brake_window: float = BRAKE_WINDOW) -> None:
        self._time_correction = time_correction
        self._past: dict[Fired, FiringHistory] = {}
        self._brakes: dict[tuple[str, bool, str], Brake] = defaultdict(lambda: Brake(brake_window))

    def remember(self, firings: Iterable[Firing], now: float) -> None:
        """Count firings of the last hour, from the database, for the brakes."""
        for firing in firings:
            brake = self._brakes[firing.rule, firing.dry_run, firing.panel]
            brake.count(self._time_correction.past(firing.at, now))

    def remember_past(self, counts: Mapping[Fired, tuple[int, float]]) -> None:
        """Take over how often rules fired, and when last, from the database."""
        self._past.update(
            {key: FiringHistory(count, last) for key, (count, last) in counts.items()}
        )

    def forget_panel(self, panel: str) -> None:
        """Forget the panel's firings and brakes."""
        self._past = {key: past for key, past in self._past.items() if key[2] != panel}
        for key in [key for key in self._brakes if key[2] == panel]:
            del self._brakes[key]

    def jumped(self, seconds: float) -> None:
        """Note that the clock was set by these seconds: set back, it must not prolong a brake."""
        for brake in self._brakes.values() if seconds < 0 else ():
            brake.shift(seconds)

    def past(self, rule: Rule, order: Order, now: float) -> FiringHistory:
        """Return how often the rule fired for the order, and when last."""
        past = self._past.get(_key(rule, order))
        return (
            FiringHistory(past.count, self._time_correction.past(past.last, now))
            if past
            else FiringHistory()
        )

    def count(self, rule: Rule, order: Order, now: float) -> tuple[Fired, FiringHistory]:
        """Count a firing; return what `restore` needs to undo it."""
        key = _key(rule, order)
        before = self._past.get(key, FiringHistory())
        self._past[key] = FiringHistory(before.count + 1, now)
        self.brake(rule, order.panel).count(now)
        return key, before

    def restore(self, key: Fired, before: FiringHistory) -> None:
        """Undo a firing; the brake still counts it."""
        self._past[key] = before

    def forget(self, rules: Iterable[Rule], order: Order) -> None:
        """Forget an order that is no longer watched."""
        for rule in rules:
            for dry_run in (False, True):
                self._past.pop((rule.name, dry_run, order.panel, order.id), None)

    def brake(self, rule: Rule, panel: str) -> Brake:
        """Return the rule's brake at the panel."""
        return self._brakes[rule.name, rule.dry_run, panel]

    def held_until(self, rule: Rule, panel: str) -> float | None:
        """Return until when the brake holds the rule at the panel."""
        brake = self._brakes.get((rule.name, rule.dry_run, panel))
        return brake.held_until if brake else None


def _key(rule: Rule, order: Order) -> Fired:
    return rule.name, rule.dry_run, order.panel, order.id
