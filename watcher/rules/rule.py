"""Rules: a condition and an action; each decision has a reason, also one not to fire."""

from enum import StrEnum

import msgspec

from watcher.common.wording import times
from watcher.model import DELIVERED, FINAL, Kind, Order, Phase, RuleAction
from watcher.rules.condition import Condition, ConditionFailed, UnknownValue
from watcher.rules.variables import FiringHistory, RuleContext, why_unknown


class Reason(StrEnum):
    """Why a rule fires for an order, or why not."""

    FIRES = "fires"
    DRY_RUN = "dry_run"
    OTHER_PANEL = "other_panel"
    CLOSED = "closed"
    NOT_CHECKED = "not_checked"
    CONDITION_FALSE = "condition_false"
    VALUE_UNKNOWN = "value_unknown"
    FAILED = "failed"
    SWITCHED_OFF = "switched_off"
    PAUSED = "paused"
    EVERY = "every"
    ATTEMPTS = "attempts"
    BRAKE = "brake"
    ACTION_OPEN = "action_open"
    REFILL_RUNNING = "refill_running"
    CANCEL_ACCEPTED = "cancel_accepted"
    SERVICE_REFUSES = "service_refuses"
    NOT_APPLICABLE = "not_applicable"


class Decision(msgspec.Struct, frozen=True, kw_only=True):
    """What a rule makes of an order now; `again_at` is when looking again could differ."""

    rule: str
    action: RuleAction
    reason: Reason
    detail: str
    again_at: float | None = None

    @property
    def fires(self) -> bool:
        return self.reason is Reason.FIRES or self.reason is Reason.DRY_RUN


class Rule(msgspec.Struct, frozen=True, kw_only=True):
    """A condition and an action. Durations in seconds; None is "no limit" or "every panel"."""

    name: str
    action: RuleAction
    condition: Condition
    panels: frozenset[str] | None = None
    every: float
    attempts: int | None = None
    per_hour: int
    dry_run: bool = False


def decide(
    rule: Rule,
    order: Order,
    rule_context: RuleContext,
    past: FiringHistory,
    now: float,
    held_until: float | None,
) -> Decision:
    """Decide whether the rule fires for the order now, and why, or why not.

    `held_until` is set while the rule's brake holds it at this panel.
    """
    reason, detail, again_at = _weigh(rule, order, rule_context, past, now, held_until)
    return Decision(
        rule=rule.name, action=rule.action, reason=reason, detail=detail, again_at=again_at
    )


def _weigh(
    rule: Rule,
    order: Order,
    rule_context: RuleContext,
    past: FiringHistory,
    now: float,
    held_until: float | None,
) -> tuple[Reason, str, float | None]:
    if rule.panels is not None and order.panel not in rule.panels:
        return Reason.OTHER_PANEL, f"the rule is not for {order.panel}", None
    if order.phase is Phase.CLOSED:
        return Reason.CLOSED, "the order is closed", None
    if order.checked_at is None:
        return Reason.NOT_CHECKED, "the panel has not answered about the order yet", None
    again_at = rule.condition.next_review(order, now)
    try:
        if not rule.condition.holds(order, rule_context, past, now):
            return Reason.CONDITION_FALSE, "the condition is false", again_at
    except UnknownValue as unknown:
        return Reason.VALUE_UNKNOWN, why_unknown(unknown.names, order, rule_context), again_at
    except ConditionFailed as failed:
        return Reason.FAILED, str(failed), again_at
    hindrance = _hindrance(rule, order, rule_context)
    if hindrance:
        return (*hindrance, again_at)
    limit = _limit(rule, past, now, held_until)
    if limit:
        return limit
    verb = "would" if rule.dry_run else "does"
    reason = Reason.DRY_RUN if rule.dry_run else Reason.FIRES
    return reason, f"{verb} {rule.action}: {rule.condition.text}", now + rule.every


def _hindrance(rule: Rule, order: Order, rule_context: RuleContext) -> tuple[Reason, str] | None:
    """Return why the action would be useless or repeated, whatever the condition says."""
    if rule.action is RuleAction.REFILL:
        return _refill_hindrance(order, rule_context)
    if rule.action is RuleAction.CANCEL:
        return _cancel_hindrance(order, rule_context)
    return None


def _refill_hindrance(order: Order, rule_context: RuleContext) -> tuple[Reason, str] | None:
    if order.status not in DELIVERED:
        return Reason.NOT_APPLICABLE, f"an order that is {order.status} can't be refilled"
    if Kind.REFILL in rule_context.open_actions:
        return Reason.ACTION_OPEN, "a refill is planned, under way or unresolved"
    if rule_context.refill_running:
        return Reason.REFILL_RUNNING, "a refill is running at the panel"
    if rule_context.refill_disabled:
        return Reason.SERVICE_REFUSES, f"the panel said: {rule_context.refill_disabled}"
    if rule_context.service is not None and rule_context.service.refill is False:
        return Reason.SERVICE_REFUSES, "the price list says that the service has no refill"
    return None


def _cancel_hindrance(order: Order, rule_context: RuleContext) -> tuple[Reason, str] | None:
    if order.status in FINAL:
        return Reason.NOT_APPLICABLE, f"an order that is {order.status} can't be canceled"
    if Kind.CANCEL in rule_context.open_actions:
        return Reason.ACTION_OPEN, "a cancel is planned, under way or unresolved"
    if rule_context.cancel_accepted:
        return Reason.CANCEL_ACCEPTED, "the panel has accepted a cancel; watch the status"
    if rule_context.service is not None and rule_context.service.cancel is False:
        return Reason.SERVICE_REFUSES, "the price list says that the service has no cancel"
    return None


def _limit(
    rule: Rule, past: FiringHistory, now: float, held_until: float | None
) -> tuple[Reason, str, float | None] | None:
    acted = "would have acted" if rule.dry_run else "has acted"
    if rule.attempts is not None and past.count >= rule.attempts:
        return Reason.ATTEMPTS, f"it {acted} {times(past.count)} on this order", None
    if past.count and past.last + rule.every > now:
        return Reason.EVERY, f"it {acted} on this order within `every`", past.last + rule.every
    if held_until is not None and held_until > now:
        return Reason.BRAKE, f"more than {rule.per_hour} an hour: paused by its brake", held_until
    return None
