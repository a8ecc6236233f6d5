"""The rule engine: decides which rules fire for an order now.

Keeps in memory all that decisions depend on beyond the order itself. The actions of an outcome are
reserved at once, so that no other evaluation plans them again before they are recorded.
"""

from collections import Counter, defaultdict
from collections.abc import Iterable, Mapping, Sequence

import msgspec

from watcher.model import (
    UNSETTLED,
    Action,
    ActionPlan,
    ActionState,
    Balance,
    Firing,
    Kind,
    Order,
    RuleAction,
    Service,
)
from watcher.orders.fields import OWN
from watcher.rules.brake import BRAKE_WINDOW
from watcher.rules.firing_memory import Fired, FiringMemory
from watcher.rules.order_sets import discard, drop
from watcher.rules.outcome import RuleOutcome
from watcher.rules.rule import Decision, Reason, Rule, decide
from watcher.rules.switches import RuleSwitches
from watcher.rules.time_correction import TimeCorrection
from watcher.rules.variables import PanelVariables, RuleContext

Key = tuple[str, str]  # panel, order id

_SAYS_NOTHING = frozenset(
    {Reason.OTHER_PANEL, Reason.CLOSED, Reason.NOT_CHECKED, Reason.VALUE_UNKNOWN}
)


class RuleEngine:
    """Holds every rule and what its decisions depend on."""

    def __init__(
        self,
        rules: Sequence[Rule] = (),
        time_correction: TimeCorrection | None = None,
        brake_window: float = BRAKE_WINDOW,
    ) -> None:
        self.rules: tuple[Rule, ...] = tuple(rules)
        self.time_correction = time_correction or TimeCorrection()
        self.memory = FiringMemory(self.time_correction, brake_window)
        self.services: dict[str, dict[str, Service]] = {}
        self.refill_disabled: dict[Key, str] = {}  # (panel, service id) -> the panel's words
        self.balances: dict[str, Balance] = {}
        self.evaluations: Counter[str] = Counter()
        self.firings: Counter[str] = Counter()
        self.failures: Counter[str] = Counter()
        self.switches = RuleSwitches()
        self.switched_off = self.switches.switched_off
        self.unresolved: dict[int, tuple[str, Kind]] = {}  # action id -> panel, kind
        self._open_actions: dict[Key, set[Kind]] = defaultdict(set)
        self._refills_running: dict[Key, set[str]] = defaultdict(set)
        self._cancels_accepted: set[Key] = set()

    def take_rules(self, rules: Sequence[Rule]) -> None:
        """Replace the rules; switch on again those that were switched off."""
        self.rules = tuple(rules)
        self.switches.begin_anew()

    # --- events ---

    def remember(self, firings: Iterable[Firing], now: float) -> None:
        """Count firings of the last hour, from the database, for the brakes."""
        self.memory.remember(firings, now)

    def remember_past(self, counts: Mapping[Fired, tuple[int, float]]) -> None:
        """Take over how often rules fired, and when last, from the database."""
        self.memory.remember_past(counts)

    def jumped(self, seconds: float) -> None:
        """Note that the clock was set by these seconds: set back, it must not prolong a brake."""
        self.memory.jumped(seconds)

    def note_action(self, action: Action) -> None:
        """Note that an action was planned, sent or settled."""
        self.unresolved.pop(action.id, None)
        if action.state is ActionState.UNRESOLVED:
            self.unresolved[action.id] = (action.panel, action.kind)
        if action.order is None:
            return
        key = (action.panel, action.order)
        if action.state in UNSETTLED:
            self._open_actions[key].add(action.kind)
        else:
            discard(self._open_actions, key, action.kind)
        if action.kind is Kind.CANCEL and action.state is ActionState.ACCEPTED:
            self.note_cancel(*key)

    def note_cancel(self, panel: str, order_id: str) -> None:
        """Note that the panel has accepted a cancel of the order."""
        self._cancels_accepted.add((panel, order_id))

    def know_service(self, panel: str, service: Service, refill_disabled: str | None) -> None:
        """Store an entry of the price list, and the panel's words if it refuses refills for it."""
        self.services.setdefault(panel, {})[service.id] = service
        if refill_disabled is not None:
            self.refill_disabled[panel, service.id] = refill_disabled

    def forget_services(self, panel: str) -> None:
        """Forget the panel's price list, before the new one is loaded."""
        self.services.pop(panel, None)
        drop(self.refill_disabled, [key for key in self.refill_disabled if key[0] == panel])

    def note_refill(self, panel: str, order_id: str, refill_id: str, *, running: bool) -> None:
        """Note that a refill task was accepted (`running`) or has ended."""
        if running:
            self._refills_running[panel, order_id].add(refill_id)
        else:
            discard(self._refills_running, (panel, order_id), refill_id)

    def forget(self, order: Order) -> None:
        """Forget an order that is no longer watched."""
        self._cancels_accepted.discard((order.panel, order.id))
        self.memory.forget(self.rules, order)

    def forget_panel(self, panel: str) -> None:
        """Forget all of a panel: what the database says of it is read before it is led again."""
        self.forget_services(panel)
        self.memory.forget_panel(panel)
        self.balances.pop(panel, None)
        self._cancels_accepted = {key for key in self._cancels_accepted if key[0] != panel}
        for known in (self._open_actions, self._refills_running):
            drop(known, [key for key in known if key[0] == panel])
        drop(self.unresolved, [n for n, (of, _) in self.unresolved.items() if of == panel])

    # --- decisions ---

    def decisions(self, order: Order, now: float) -> list[Decision]:
        """Return every rule's decision on the order; nothing is counted or reserved."""
        order = self.time_correction.order(order, now)
        rule_context = self._rule_context(order)
        return [self._explain(rule, order, rule_context, now) for rule in self.rules]

    def evaluate(self, orders: Iterable[Order], now: float) -> RuleOutcome:
        """Evaluate the rules for these orders; reserve what they plan until `release`."""
        rule_outcome = RuleOutcome()
        for recorded in orders:
            order = self.time_correction.order(recorded, now)
            rule_outcome.reviews.append((order, self._evaluate_order(order, now, rule_outcome)))
        return rule_outcome

    def release(self, rule_outcome: RuleOutcome) -> None:
        """Undo an outcome that was not recorded."""
        for firing in rule_outcome.firings:
            self.release_firing(firing, rule_outcome)

    def release_firing(self, firing: Firing, rule_outcome: RuleOutcome) -> None:
        """Undo one firing that was not recorded."""
        key = (firing.rule, firing.dry_run, firing.panel, firing.order)
        self.memory.restore(key, rule_outcome.before[key])
        if firing.action is not RuleAction.NOTIFY and not firing.dry_run:
            discard(self._open_actions, (firing.panel, firing.order), Kind(firing.action))

    def held_until(self, rule: Rule, panel: str) -> float | None:
        """Return until when the rule's brake holds it at the panel."""
        return self.memory.held_until(rule, panel)

    def wants_services(self) -> bool:
        """Return whether a change of prices or flags can change a decision."""
        return any(rule.condition.depends_on("service") for rule in self.rules)

    def wanted(self) -> frozenset[str]:
        """Return which of an order's own values, as its link, can change a decision."""
        read = {name for rule in self.rules for name in rule.condition.fields["order"]}
        return frozenset(read.intersection(OWN))

    def wants_balances(self) -> bool:
        """Return whether a change of the balance can change a decision."""
        return any("balance" in rule.condition.fields["panel"] for rule in self.rules)

    def _evaluate_order(self, order: Order, now: float, rule_outcome: RuleOutcome) -> float | None:
        """Evaluate every rule for the order; return when time alone can change a decision."""
        rule_context: RuleContext | None = None
        again: list[float] = []
        for rule in self.rules:
            if self.switches.is_off(rule.name, now):
                continue
            if rule.panels is not None and order.panel not in rule.panels:
                continue
            if rule.condition.excludes(order):  # true for most orders, at 2 % of the cost
                self.evaluations[rule.name] += 1
                self.switches.succeeded(rule.name)
                continue
            rule_context = rule_context or self._rule_context(order)
            decision = self._judge_one(rule, order, rule_context, now, rule_outcome)
            if decision.again_at is not None:
                again.append(decision.again_at)
            if decision.fires:  # the next rule must see what this one has planned
                rule_context = None
        return min(again, default=None)

    def _judge_one(
        self,
        rule: Rule,
        order: Order,
        rule_context: RuleContext,
        now: float,
        rule_outcome: RuleOutcome,
    ) -> Decision:
        self.evaluations[rule.name] += 1
        decision = self._decide(rule, order, rule_context, now)
        brake = self.memory.brake(rule, order.panel)
        if decision.fires and brake.is_full(rule.per_hour, now):
            brake.hold(now)
            rule_outcome.held.append((rule.name, order.panel))
            decision = self._decide(rule, order, rule_context, now)
        if decision.fires:
            self._reserve(rule, order, decision, now, rule_outcome)
        elif decision.reason is Reason.FAILED:
            self._note_failure(rule, order, decision, rule_outcome)
        elif decision.reason not in _SAYS_NOTHING:
            self.switches.succeeded(rule.name)
        return decision

    def _note_failure(
        self, rule: Rule, order: Order, decision: Decision, rule_outcome: RuleOutcome
    ) -> None:
        """Count a failure; note if the rule is switched off for it."""
        self.failures[rule.name] += 1
        rule_outcome.failures.append((order, decision))
        if self.switches.failed(rule.name, decision.detail):
            rule_outcome.switched_off.append((rule.name, decision.detail))

    def _explain(self, rule: Rule, order: Order, rule_context: RuleContext, now: float) -> Decision:
        decision = self._decide(rule, order, rule_context, now)
        off = self.switches.why_off(rule.name, now)
        if off is not None:
            return msgspec.structs.replace(decision, reason=off[0], detail=off[1])
        if decision.reason is not Reason.CONDITION_FALSE:
            return decision
        past = self.memory.past(rule, order, now)
        found = rule.condition.values(order, rule_context, past, now)
        return msgspec.structs.replace(decision, detail=f"{decision.detail}: {found}")

    def _decide(self, rule: Rule, order: Order, rule_context: RuleContext, now: float) -> Decision:
        past = self.memory.past(rule, order, now)
        held_until = self.memory.held_until(rule, order.panel)
        return decide(rule, order, rule_context, past, now, held_until)

    def _reserve(
        self, rule: Rule, order: Order, decision: Decision, now: float, rule_outcome: RuleOutcome
    ) -> None:
        key, before = self.memory.count(rule, order, now)
        rule_outcome.before[key] = before
        self.firings[rule.name] += 1
        rule_outcome.firings.append(
            Firing(
                rule=rule.name,
                action=rule.action,
                panel=order.panel,
                order=order.id,
                at=now,
                dry_run=rule.dry_run,
                detail=decision.detail,
            )
        )
        if rule.dry_run or rule.action is RuleAction.NOTIFY:
            return
        kind = Kind(rule.action)
        self._open_actions[order.panel, order.id].add(kind)
        rule_outcome.plans.append(
            ActionPlan(
                kind=kind,
                panel=order.panel,
                order=order.id,
                rule=rule.name,
                reason=decision.detail,
            )
        )

    def _rule_context(self, order: Order) -> RuleContext:
        key = (order.panel, order.id)
        balance = self.balances.get(order.panel)
        panel = PanelVariables(order.panel)
        if balance is not None:
            panel = PanelVariables(order.panel, float(balance.amount), balance.currency)
        service_key = (order.panel, order.service or "")
        return RuleContext(
            panel=panel,
            service=self.services.get(order.panel, {}).get(order.service or ""),
            refill_disabled=self.refill_disabled.get(service_key),
            open_actions=frozenset(self._open_actions.get(key, ())),
            refill_running=key in self._refills_running,
            cancel_accepted=key in self._cancels_accepted,
        )
