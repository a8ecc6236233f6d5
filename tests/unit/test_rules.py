"""Conditions and decisions."""

from decimal import Decimal

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.unit.factories import (
    DAY,
    HOUR,
    a_finished_order,
    a_rule,
    a_service,
    a_situation,
    an_order,
)
from watcher.model import Kind, Order, Origin, Phase, RuleAction, Status
from watcher.rules.condition import Condition
from watcher.rules.rule import Reason, decide
from watcher.rules.variables import FiringHistory, PanelVariables

REFILL_DAILY = (
    "order.status == 'completed' && service.refill && order.finished_ago > duration('24h')"
)


def reason(rule, order, *, rule_context=None, past=FiringHistory(), now=2 * DAY, held_until=None):  # noqa: B008
    return decide(rule, order, rule_context or a_situation(), past, now, held_until).reason


@pytest.mark.parametrize(
    ("text", "cause"),
    [
        ("1 +", "Syntax error"),
        ("order.staus == 'completed'", "there is no order.staus"),
        ("service.price > 1.0", "there is no service.price"),
        ("oder.status == 'completed'", "there is no 'oder'"),
        ("frobnicate(order.id)", "there is no function 'frobnicate'"),
        ("order.remains", "a number, not true or false"),
        ("order.status", "text, not true or false"),
        ("order", "followed by"),
        ("order.age > duration('3d')", "write hours"),
        ("order.quantity > 'many'", "No such overload"),
        ("order.age > 24", r"a time span with duration\('24h'\)"),
        ("order.status = 'completed'", "write == to compare: "),
        ("order.status == 'complete'", "no status is 'complete'"),
        ("order.status in ['completed', 'done']", "no status is 'done'"),
    ],
)
def test_a_condition_that_can_not_work_is_refused_with_its_cause(text: str, cause: str):
    with pytest.raises(ValueError, match=cause):
        Condition(text)


@pytest.mark.parametrize(
    "text",
    [
        REFILL_DAILY,
        "order.charge > 1 && order.charge < 2.5",
        "now - order.submitted_at > duration('1h')",
        "[1, 2].exists(x, x > 1) && order.link.contains('order.foo')",
        "has(order.link) ? order.link.startsWith('https') : false",
        "panel.balance < 5.0 || service.rate > 0.5",
    ],
)
def test_a_sound_condition_compiles(text: str):
    Condition(text)


@given(st.text())
def test_any_text_compiles_or_is_refused(text: str):
    compiled, cause = None, ""
    try:
        compiled = Condition(text)
    except ValueError as error:
        cause = str(error)
    assert cause or (compiled is not None and compiled.text == text)


def test_it_fires_when_the_condition_holds():
    decision = decide(
        a_rule(REFILL_DAILY), a_finished_order(), a_situation(), FiringHistory(), 2 * DAY, None
    )
    assert decision.fires
    assert decision.again_at == 3 * DAY


def test_time_alone_makes_it_fire_at_the_threshold():
    rule = a_rule(REFILL_DAILY)
    early = decide(rule, a_finished_order(at=100.0), a_situation(), FiringHistory(), HOUR, None)
    assert early.reason is Reason.CONDITION_FALSE
    assert early.again_at is not None
    assert early.again_at == pytest.approx(100.0 + DAY, abs=0.01)
    assert reason(rule, a_finished_order(at=100.0), now=early.again_at) is Reason.FIRES


@given(st.floats(0, 1e9), st.integers(1, 10**7), st.sampled_from(["age", "idle", "finished_ago"]))
def test_the_next_look_is_never_too_early(start: float, seconds: int, clock: str):
    """At its next look a condition on one clock has turned true, wherever the clock starts."""
    condition = Condition(f"order.{clock} > duration('{seconds}s')")
    order = a_finished_order(at=start, submitted_at=start, progressed_at=start)
    at = condition.next_review(order, start)
    assert at is not None
    assert not condition.holds(order, a_situation(), FiringHistory(), start + seconds - 0.5)
    assert condition.holds(order, a_situation(), FiringHistory(), at)


def test_a_condition_on_now_is_looked_at_again_and_again():
    assert Condition("now.getHours() == 3").next_review(an_order(), 1000.0) == 1300.0
    assert Condition("order.status == 'pending'").next_review(an_order(), 1000.0) is None


def test_an_unknown_value_is_not_guessed():
    rule = a_rule("order.remains > 0")
    decision = decide(rule, a_finished_order(), a_situation(), FiringHistory(), 1.0, None)
    assert decision.reason is Reason.VALUE_UNKNOWN
    assert "order.remains" in decision.detail
    # Unless the condition does not need it.
    assert reason(a_rule("order.remains > 0 || true"), a_finished_order()) is Reason.FIRES


def test_an_order_that_was_never_checked_is_left_alone():
    rule = a_rule("order.age > duration('1h')", action=RuleAction.CANCEL)
    assert reason(rule, an_order(checked_at=None)) is Reason.NOT_CHECKED


@pytest.mark.parametrize(
    ("order", "rule_context", "expected"),
    [
        (an_order(), {}, Reason.NOT_APPLICABLE),
        (a_finished_order(), {"open_actions": frozenset({Kind.REFILL})}, Reason.ACTION_OPEN),
        (a_finished_order(), {"refill_running": True}, Reason.REFILL_RUNNING),
        (a_finished_order(), {"refill_disabled": "no refill"}, Reason.SERVICE_REFUSES),
        (a_finished_order(), {"service": a_service(refill=False)}, Reason.SERVICE_REFUSES),
        (a_finished_order(), {"open_actions": frozenset({Kind.CANCEL})}, Reason.FIRES),
        (a_finished_order(), {"service": None}, Reason.FIRES),
        (a_finished_order(phase=Phase.CLOSED), {}, Reason.CLOSED),
    ],
)
def test_what_hinders_a_refill(order: Order, rule_context: dict[str, object], expected: Reason):
    assert reason(a_rule(), order, rule_context=a_situation(**rule_context)) is expected


@pytest.mark.parametrize(
    ("order", "rule_context", "expected"),
    [
        (a_finished_order(), {}, Reason.NOT_APPLICABLE),
        (an_order(), {"open_actions": frozenset({Kind.CANCEL})}, Reason.ACTION_OPEN),
        (an_order(), {"cancel_accepted": True}, Reason.CANCEL_ACCEPTED),
        (an_order(), {"service": a_service(cancel=False)}, Reason.SERVICE_REFUSES),
        (an_order(), {}, Reason.FIRES),
    ],
)
def test_what_hinders_a_cancel(order: Order, rule_context: dict[str, object], expected: Reason):
    rule = a_rule(action=RuleAction.CANCEL)
    assert reason(rule, order, rule_context=a_situation(**rule_context)) is expected


def test_every_and_attempts_limit_it():
    order = a_finished_order()
    rule = a_rule(every=DAY, attempts=3)
    assert reason(rule, order, past=FiringHistory(1, 1.5 * DAY)) is Reason.EVERY
    assert reason(rule, order, past=FiringHistory(1, 0.5 * DAY)) is Reason.FIRES
    assert reason(rule, order, past=FiringHistory(3, 0.5 * DAY)) is Reason.ATTEMPTS
    again = decide(rule, order, a_situation(), FiringHistory(1, 1.5 * DAY), 2 * DAY, None).again_at
    assert again == 2.5 * DAY


def test_brake_dry_run_and_other_panels():
    order = a_finished_order()
    assert reason(a_rule(), order, held_until=3 * DAY) is Reason.BRAKE
    assert reason(a_rule(), order, held_until=DAY) is Reason.FIRES
    assert reason(a_rule(dry_run=True), order) is Reason.DRY_RUN
    assert reason(a_rule(panels=frozenset({"q"})), order) is Reason.OTHER_PANEL


def test_a_failing_condition_tells_why():
    # Divides by what happens to be zero in this order, and in none of the samples.
    rule = a_rule("100 / (order.quantity - 1000) > 1", action=RuleAction.NOTIFY)
    decision = decide(rule, an_order(quantity=1000), a_situation(), FiringHistory(), 1.0, None)
    assert decision.reason is Reason.FAILED
    assert decision.detail


def test_money_and_balance_can_be_compared():
    condition = Condition("service.rate < 1.0 && panel.balance > 5.0")
    rule_context = a_situation(
        service=a_service(rate=Decimal("0.9")), panel=PanelVariables("p", 6.0, "USD")
    )
    assert condition.holds(an_order(status=Status.PENDING), rule_context, FiringHistory(), 0.0)


@pytest.mark.parametrize(
    ("text", "statuses"),
    [
        ("order.status == 'completed'", {"completed"}),
        ("order.status == 'completed' && order.age > duration('1h')", {"completed"}),
        ('order.status in ["completed", "partial"]&&order.drop > 0.1', {"completed", "partial"}),
        ("order.status == 'completed' || order.age > duration('1h')", set(Status)),
        ("order.status == 'completed' ? true : order.age > duration('1h')", set(Status)),
        ("order.status in ['completed', order.status_text] && order.quantity > 0", set(Status)),
        ("order.status != 'completed' && order.quantity > 0", set(Status)),
        ("order.status == 'completed' == (order.quantity > 500)", set(Status)),
    ],
)
def test_a_status_excludes_just_what_can_never_be_true(text: str, statuses: set[str]):
    condition = Condition(text)
    assert {s for s in Status if not condition.excludes(an_order(status=s))} == statuses


def test_time_alone_makes_nothing_true_of_another_status():
    condition = Condition("order.status == 'pending' && order.age > duration('1h')")
    assert condition.next_review(an_order(status=Status.PENDING), 0.0) is not None
    assert condition.next_review(an_order(status=Status.COMPLETED), 0.0) is None


def late(**fields):
    usual = {"origin": Origin.UNDATED, "submitted_at": 0.0, "status": Status.PENDING}
    return an_order(**{**usual, **fields})


@pytest.mark.parametrize(
    ("when", "hours", "wanted"),
    [
        ("order.age > duration('48h')", 49, Reason.FIRES),
        ("order.age > duration('48h')", 10, Reason.CONDITION_FALSE),
        ("order.age < duration('48h')", 10, Reason.VALUE_UNKNOWN),
        ("order.age > duration('1h') && order.age < duration('48h')", 10, Reason.VALUE_UNKNOWN),
        ("order.age < duration('20h') || order.age > duration('48h')", 10, Reason.VALUE_UNKNOWN),
        ("now - order.submitted_at > duration('5h')", 6, Reason.FIRES),
        ("now - order.submitted_at < duration('5h')", 2, Reason.VALUE_UNKNOWN),
    ],
)
def test_an_order_without_a_date_may_be_older_than_it_seems(when, hours, wanted):
    rule = a_rule(when, action=RuleAction.NOTIFY)
    found = reason(rule, late(), now=hours * HOUR)
    assert found is wanted
    dated = reason(rule, late(origin=Origin.DATED), now=hours * HOUR)
    assert dated in (Reason.FIRES, Reason.CONDITION_FALSE)


def explained(when, order, **rule_context):
    rule = a_rule(when, action=RuleAction.NOTIFY)
    found = decide(rule, order, a_situation(**rule_context), FiringHistory(), DAY, None)
    assert found.reason is Reason.VALUE_UNKNOWN
    return found.detail


def test_what_is_missing_is_told_with_what_to_do_about_it():
    ago = "order.finished_ago > duration('1h')"
    assert "final when it was first checked" in explained(ago, a_finished_order(at=None))
    assert "has not finished" in explained(ago, an_order())
    refill = "service.refill"
    assert "watcher track --service" in explained(refill, an_order(service=None), service=None)
    assert "service 7 is not in what was read" in explained(refill, an_order(), service=None)
    known = a_service(refill=None)
    assert "has no service.refill" in explained(refill, an_order(), service=known)
    assert "without the time of its submission" in explained("order.age < duration('48h')", late())
    assert explained("order.drop > 0.1", an_order()) == "the panel has not reported order.drop"
