"""The judge: what it reserves, gives back, and leaves out."""

from collections.abc import Iterable

from tests.unit.factories import DAY, HOUR, a_finished_order, a_rule, a_service
from watcher.judge import FAILURES_IN_A_ROW, Judge, Verdict
from watcher.model import Order, Reason, RuleAction
from watcher.rules import Rule

# Divides by what happens to be zero in some orders, and in none of the samples.
ODD = "100 / (order.quantity - 1000) > 1"


def a_judge(*rules: Rule) -> Judge:
    judge = Judge(rules)
    judge.know_service("p", a_service(), None)
    return judge


def odd_ones(count: int, start: int = 0) -> list[Order]:
    return [a_finished_order(id=str(start + n), quantity=1000) for n in range(count)]


def fired(verdict: Verdict) -> list[tuple[str, str]]:
    return [(firing.rule, firing.order) for firing in verdict.firings]


def reasons(judge: Judge, order: Order) -> dict[str, Reason]:
    return {decision.rule: decision.reason for decision in judge.decisions(order, HOUR)}


def rules() -> Iterable[Rule]:
    yield a_rule(ODD, name="odd", action=RuleAction.NOTIFY)
    yield a_rule(name="sound")


def test_a_rule_that_always_fails_is_switched_off_alone():
    judge = a_judge(*rules())
    verdict = judge.judge(odd_ones(FAILURES_IN_A_ROW + 5), HOUR)
    assert [name for name, _ in verdict.switched_off] == ["odd"]
    assert judge.failures["odd"] == FAILURES_IN_A_ROW, "then it is no longer tried"
    assert len(fired(verdict)) == FAILURES_IN_A_ROW + 5, "the other rule acts on every order"
    (order,) = odd_ones(1, start=900)
    assert reasons(judge, order) == {"odd": Reason.SWITCHED_OFF, "sound": Reason.FIRES}
    assert "until a reload" in judge.decisions(order, HOUR)[0].detail


def test_odd_orders_do_not_switch_a_rule_off_while_others_are_fine():
    judge = a_judge(*rules())
    judge.judge(odd_ones(FAILURES_IN_A_ROW - 1), HOUR)
    judge.judge([a_finished_order(id="fine", quantity=2000)], HOUR)
    verdict = judge.judge(odd_ones(FAILURES_IN_A_ROW - 1, start=100), HOUR)
    assert verdict.switched_off == []
    assert judge.switched_off == {}


def test_a_reload_gives_a_rule_its_chance_again():
    judge = a_judge(*rules())
    judge.judge(odd_ones(FAILURES_IN_A_ROW), HOUR)
    judge.take_rules(list(rules()))
    fine = a_finished_order(id="fine", quantity=1001)
    assert ("odd", "fine") in fired(judge.judge([fine], HOUR))


def test_what_did_not_come_on_record_is_as_if_it_had_not_been():
    judge = a_judge(a_rule(every=DAY, attempts=2, action=RuleAction.NOTIFY))
    order = a_finished_order()
    assert fired(judge.judge([order], HOUR)) == [("rule", "1")]
    lost = judge.judge([order], HOUR + DAY)
    assert fired(lost) == [("rule", "1")]
    judge.release(lost)
    assert fired(judge.judge([order], 2 * HOUR)) == [], "the first firing still counts for `every`"
    assert fired(judge.judge([order], HOUR + DAY)) == [("rule", "1")]
    assert fired(judge.judge([order], HOUR + 3 * DAY)) == [], "attempts = 2"


def test_a_release_lets_the_action_be_wanted_again():
    judge = a_judge(a_rule())
    order = a_finished_order()
    lost = judge.judge([order], HOUR)
    assert len(lost.plans) == 1
    assert reasons(judge, order) == {"rule": Reason.ACTION_OPEN}
    judge.release(lost)
    assert len(judge.judge([order], HOUR).plans) == 1
