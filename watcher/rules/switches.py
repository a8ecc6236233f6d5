"""Which rules are off: switched off by failures, or paused by somebody."""

from collections import Counter
from collections.abc import Mapping

from watcher.common.pauses import ManualPause, Paused
from watcher.rules.rule import Reason

FAILURES_IN_A_ROW = 20  # failed evaluations of a rule, after which it is switched off


class RuleSwitches:
    """The rules that decide nothing. `pauses` is what people have paused, rules among it."""

    def __init__(self) -> None:
        self.switched_off: dict[str, str] = {}  # rule -> why its condition can't be evaluated
        self.pauses: Mapping[tuple[Paused, str], ManualPause] = {}
        self._failing: Counter[str] = Counter()  # rule -> failures in a row

    def begin_anew(self) -> None:
        """Switch on again the rules that were switched off."""
        self.switched_off.clear()
        self._failing.clear()

    def succeeded(self, rule: str) -> None:
        """Note that the rule's condition was evaluated."""
        self._failing.pop(rule, None)

    def failed(self, rule: str, detail: str) -> bool:
        """Note that it could not be; return whether the rule is switched off for that."""
        self._failing[rule] += 1
        if self._failing[rule] < FAILURES_IN_A_ROW:
            return False
        self.switched_off[rule] = detail
        return True

    def is_off(self, rule: str, now: float) -> bool:
        """Return whether the rule decides nothing now."""
        return rule in self.switched_off or self.paused(rule, now) is not None

    def why_off(self, rule: str, now: float) -> tuple[Reason, str] | None:
        """Return why the rule decides nothing now, None if it does."""
        paused = self.paused(rule, now)
        if paused is not None:
            return Reason.PAUSED, paused.sentence
        if rule not in self.switched_off:
            return None
        cause = self.switched_off[rule]
        return Reason.SWITCHED_OFF, f"the rule fails and is switched off until a reload: {cause}"

    def paused(self, rule: str, now: float) -> ManualPause | None:
        """Return the pause of the rule that somebody wanted, or None."""
        pause = self.pauses.get((Paused.RULE, rule))
        return pause if pause is not None and pause.holds(now) else None
