"""The rule engine: what it reserves, gives back, and leaves out."""

from collections.abc import Iterable

from tests.unit.factories import DAY, HOUR, a_finished_order, a_rule, a_service
from watcher.model import Firing, Order, RuleAction
from watcher.rules.engine import RuleEngine
from watcher.rules.outcome import RuleOutcome
from watcher.rules.rule import Reason, Rule
from watcher.rules.switches import FAILURES_IN_A_ROW
from watcher.rules.time_correction import TimeCorrection

# Divides by what happens to be zero in some orders, and in none of the samples.
ODD = "100 / (order.quantity - 1000) > 1"


def an_engine(*rules: Rule) -> RuleEngine:
    rule_engine = RuleEngine(rules)
    rule_engine.know_service("p", a_service(), None)
    return rule_engine


def odd_ones(count: int, start: int = 0) -> list[Order]:
    return [a_finished_order(id=str(start + n), quantity=1000) for n in range(count)]


def fired(rule_outcome: RuleOutcome) -> list[tuple[str, str]]:
    return [(firing.rule, firing.order) for firing in rule_outcome.firings]


def reasons(rule_engine: RuleEngine, order: Order) -> dict[str, Reason]:
    return {decision.rule: decision.reason for decision in rule_engine.decisions(order, HOUR)}


def rules() -> Iterable[Rule]:
    yield a_rule(ODD, name="odd", action=RuleAction.NOTIFY)
    yield a_rule(name="sound")


def test_a_rule_that_always_fails_is_switched_off_alone():
    rule_engine = an_engine(*rules())
    rule_outcome = rule_engine.evaluate(odd_ones(FAILURES_IN_A_ROW + 5), HOUR)
    assert [name for name, _ in rule_outcome.switched_off] == ["odd"]
    assert rule_engine.failures["odd"] == FAILURES_IN_A_ROW, "then it is no longer tried"
    assert len(fired(rule_outcome)) == FAILURES_IN_A_ROW + 5, "the other rule acts on every order"
    (order,) = odd_ones(1, start=900)
    assert reasons(rule_engine, order) == {"odd": Reason.SWITCHED_OFF, "sound": Reason.FIRES}
    assert "until a reload" in rule_engine.decisions(order, HOUR)[0].detail


def test_odd_orders_do_not_switch_a_rule_off_while_others_are_fine():
    rule_engine = an_engine(*rules())
    rule_engine.evaluate(odd_ones(FAILURES_IN_A_ROW - 1), HOUR)
    rule_engine.evaluate([a_finished_order(id="fine", quantity=2000)], HOUR)
    rule_outcome = rule_engine.evaluate(odd_ones(FAILURES_IN_A_ROW - 1, start=100), HOUR)
    assert rule_outcome.switched_off == []
    assert rule_engine.switched_off == {}


def test_a_reload_gives_a_rule_its_chance_again():
    rule_engine = an_engine(*rules())
    rule_engine.evaluate(odd_ones(FAILURES_IN_A_ROW), HOUR)
    rule_engine.take_rules(list(rules()))
    fine = a_finished_order(id="fine", quantity=1001)
    assert ("odd", "fine") in fired(rule_engine.evaluate([fine], HOUR))


def test_what_did_not_come_on_record_is_as_if_it_had_not_been():
    rule_engine = an_engine(a_rule(every=DAY, attempts=2, action=RuleAction.NOTIFY))
    order = a_finished_order()
    assert fired(rule_engine.evaluate([order], HOUR)) == [("rule", "1")]
    lost = rule_engine.evaluate([order], HOUR + DAY)
    assert fired(lost) == [("rule", "1")]
    rule_engine.release(lost)
    assert fired(rule_engine.evaluate([order], 2 * HOUR)) == [], (
        "the first firing still counts for `every`"
    )
    assert fired(rule_engine.evaluate([order], HOUR + DAY)) == [("rule", "1")]
    assert fired(rule_engine.evaluate([order], HOUR + 3 * DAY)) == [], "attempts = 2"


def test_a_release_lets_the_action_be_wanted_again():
    rule_engine = an_engine(a_rule())
    order = a_finished_order()
    lost = rule_engine.evaluate([order], HOUR)
    assert len(lost.plans) == 1
    assert reasons(rule_engine, order) == {"rule": Reason.ACTION_OPEN}
    rule_engine.release(lost)
    assert len(rule_engine.evaluate([order], HOUR).plans) == 1


def dry(**fields) -> Rule:
    return a_rule(dry_run=True, attempts=1, **fields)


def test_a_rule_that_was_tried_acts_once_it_is_no_dry_run():
    rule_engine = an_engine(dry())
    order = a_finished_order()
    assert [firing.dry_run for firing in rule_engine.evaluate([order], HOUR).firings] == [True]
    assert fired(rule_engine.evaluate([order], 9 * DAY)) == [], "attempts = 1, tried or not"
    assert "would have acted once" in rule_engine.decisions(order, 9 * DAY)[0].detail
    rule_engine.take_rules([a_rule(attempts=1)])
    assert len(rule_engine.evaluate([order], 9 * DAY).plans) == 1
    rule_engine.take_rules([dry()])
    assert fired(rule_engine.evaluate([order], 20 * DAY)) == [], "it was tried before"


def test_a_dry_run_sees_its_own_attempts_and_a_real_rule_its():
    when = "order.attempts == 0"
    rule_engine = an_engine(a_rule(when, dry_run=True, every=0.0))
    order = a_finished_order()
    assert fired(rule_engine.evaluate([order], HOUR)) == [("rule", "1")]
    assert fired(rule_engine.evaluate([order], 2 * HOUR)) == []
    rule_engine.take_rules([a_rule(when, every=0.0)])
    assert fired(rule_engine.evaluate([order], 3 * HOUR)) == [("rule", "1")]


def test_the_brake_of_a_dry_run_does_not_hold_the_real_rule():
    orders = [a_finished_order(id=str(number)) for number in range(3)]
    rule_engine = an_engine(a_rule(dry_run=True, per_hour=2))
    assert rule_engine.evaluate(orders, HOUR).held == [("rule", "p")]
    real = a_rule(per_hour=2)
    rule_engine.take_rules([real])
    assert rule_engine.held_until(real, "p") is None
    assert len(rule_engine.evaluate(orders[:2], HOUR).plans) == 2


def test_what_did_not_come_on_record_of_a_dry_run_is_undone():
    rule_engine = an_engine(dry())
    order = a_finished_order()
    rule_engine.release(rule_engine.evaluate([order], HOUR))
    assert fired(rule_engine.evaluate([order], HOUR)) == [("rule", "1")]


def remembering(at: float, now: float, **fields) -> RuleEngine:
    """An engine that started at `now`, with a firing on record of that time."""
    rule_engine = RuleEngine([a_rule(every=DAY, **fields)], TimeCorrection(now))
    rule_engine.know_service("p", a_service(), None)
    rule_engine.remember_past({("rule", False, "p", "1"): (1, at)})
    firing = Firing(
        rule="rule", action=RuleAction.REFILL, panel="p", order="1", at=at, dry_run=False, detail=""
    )
    rule_engine.remember([firing], now)
    return rule_engine


def test_a_firing_of_a_clock_that_was_ahead_counts_from_the_start_on():
    now = 100 * DAY
    rule_engine = remembering(now + 30 * DAY, now)
    order = a_finished_order(at=now - DAY)
    assert reasons_at(rule_engine, order, now) is Reason.EVERY, "it does not fire at once"
    (decision,) = rule_engine.decisions(order, now + HOUR)
    assert decision.again_at == now + DAY
    assert reasons_at(rule_engine, order, now + DAY + 1) is Reason.FIRES, "and not a month later"


def test_the_brake_counts_firings_of_a_clock_that_was_ahead_for_an_hour():
    now = 100 * DAY
    rule_engine = remembering(now + 30 * DAY, now, per_hour=1)
    others = [a_finished_order(at=now - DAY, id=str(number)) for number in (2, 3)]
    assert rule_engine.evaluate(others[:1], now).held == [("rule", "p")]
    rule_engine = remembering(now + 30 * DAY, now, per_hour=1)
    assert len(rule_engine.evaluate(others[:1], now + HOUR + 1).plans) == 1


def test_a_clock_that_is_set_back_holds_a_rule_no_longer_and_lets_it_act_no_sooner():
    ahead, back = 130 * DAY, 100 * DAY
    rule_engine = RuleEngine(
        [a_rule(every=DAY, per_hour=2, action=RuleAction.NOTIFY)], TimeCorrection(90 * DAY)
    )
    orders = [a_finished_order(at=0.0, id=str(number), submitted_at=0.0) for number in range(3)]
    assert len(rule_engine.evaluate(orders, ahead).firings) == 2
    assert reasons_at(rule_engine, orders[0], back) is Reason.EVERY, (
        "before anybody noticed the jump"
    )
    rule_engine.time_correction.jumped(back - ahead, back)
    rule_engine.jumped(back - ahead)
    assert reasons_at(rule_engine, orders[0], back) is Reason.EVERY
    assert rule_engine.decisions(orders[0], back)[0].again_at == back + DAY
    assert reasons_at(rule_engine, orders[2], back + HOUR - 1) is Reason.BRAKE
    assert reasons_at(rule_engine, orders[2], back + HOUR + 1) is Reason.FIRES
    assert reasons_at(rule_engine, orders[0], back + DAY + 1) is Reason.FIRES


def test_a_clock_that_was_behind_and_is_set_right_changes_nothing():
    behind, right = 10 * DAY, 100 * DAY
    rule_engine = remembering(right - HOUR, behind)
    order = a_finished_order(at=0.0)
    assert reasons_at(rule_engine, order, behind) is Reason.EVERY
    rule_engine.time_correction.jumped(right - behind, right)
    rule_engine.jumped(right - behind)
    assert rule_engine.decisions(order, right)[0].again_at == right - HOUR + DAY
    assert reasons_at(rule_engine, order, right) is Reason.EVERY


def test_no_time_of_an_order_lies_in_the_future():
    now = 100 * DAY
    rule_engine = RuleEngine([a_rule("order.finished_ago > duration('24h')")], TimeCorrection(now))
    ahead = a_finished_order(at=now + 30 * DAY)
    assert reasons_at(rule_engine, ahead, now) is Reason.CONDITION_FALSE
    assert rule_engine.decisions(ahead, now)[0].again_at == now + DAY + 0.001
    assert reasons_at(rule_engine, ahead, now + DAY + 1) is Reason.FIRES


def reasons_at(rule_engine: RuleEngine, order: Order, now: float) -> Reason:
    (decision,) = rule_engine.decisions(order, now)
    return decision.reason
