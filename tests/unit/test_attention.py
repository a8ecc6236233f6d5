"""What needs a person: each kind from one state, and the same thresholds for all who show it."""

from pathlib import Path

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.unit.states import NOW, a_panel, a_state
from watcher.common.pauses import ManualPause, Paused
from watcher.common.wording import clock
from watcher.config import Duration, Thresholds
from watcher.daemon.attention import listed
from watcher.daemon.attention_items import Attention
from watcher.daemon.attention_kinds import MEANINGS, Issue, Severity
from watcher.metrics.cluster_gauges import ClusterState, NodeState
from watcher.metrics.gauges import DaemonState, ReceiverState, RuleState
from watcher.model import Kind
from watcher.panels.health import HealthState, PanelProblem

DOCS = Path(__file__).parents[2] / "docs"
BROKEN = PanelProblem("balance", "it can't be read", NOW - 600)
LIMITS = Thresholds()


def items(state: DaemonState, limits: Thresholds = LIMITS, now: float = NOW) -> list[Attention]:
    return listed(state, limits, now, {})


def found(limits: Thresholds = LIMITS, **fields: object) -> list[tuple[str, str]]:
    return [(item.kind, item.sentence) for item in items(a_state(**fields), limits)]


def of_panel(limits: Thresholds = LIMITS, **fields: object) -> list[tuple[str, str]]:
    return found(limits, panels=[a_panel(**fields)])


def kinds(told: list[tuple[str, str]]) -> list[str]:
    return [kind for kind, _ in told]


def test_all_is_well():
    assert found() == []


# --- panels -------------------------------------------------------------------------------------


def test_a_panel_that_does_not_answer():
    silent = {"last_success": NOW - 300, "up": False, "problem": "HTTP 503"}
    (told,) = of_panel(**silent, backoff_until=NOW + 60)
    assert told[0] == "panel_down"
    assert told[1].startswith("no check has succeeded for 5 minutes: HTTP 503; next try at ")
    assert of_panel(**{**silent, "last_success": NOW - 170}) == []
    assert kinds(of_panel(**{**silent, "last_success": NOW - 20}, health=HealthState.DOWN)) == [
        "panel_down"
    ]
    assert of_panel(**silent, poll_interval=110.0) == [], "it is asked less often"
    assert kinds(of_panel(Thresholds(panel_silent_for=Duration(600)), **silent)) == []


@pytest.mark.parametrize(("started", "expected"), [(100.0, []), (300.0, ["panel_down"])])
def test_a_panel_that_has_not_answered_since_the_start(started: float, expected: list[str]):
    state = a_state(panels=[a_panel(last_success=0.0, up=False)], started_at=NOW - started)
    assert [item.kind for item in items(state)] == expected


def test_a_panel_that_refuses_is_not_down_as_well():
    refusing = {"health": HealthState.REFUSING, "problem": "account suspended", "up": False}
    assert of_panel(**refusing, last_success=NOW - 9000) == [
        ("panel_refusing", "it refuses everything: account suspended")
    ]


def test_a_panel_with_faults_or_limits():
    assert of_panel(health=HealthState.DEGRADED, faults=[BROKEN], balance=None) == [
        ("panel_degraded", "it works, but for balance: it can't be read")
    ]
    (item,) = items(a_state(panels=[a_panel(health=HealthState.LIMITED, problem="slow down")]))
    assert (item.kind, item.severity) == (Issue.PANEL_LIMITED, Severity.INFO)


def test_a_low_balance():
    assert of_panel(balance=4.5) == [("balance_low", "4.5 USD left")]
    assert of_panel(balance=4.5, lasts=200_000.0) == [
        ("balance_low", "4.5 USD left, enough for 2 days")
    ]
    assert of_panel(balance=10.0) == of_panel(balance=None) == []
    assert of_panel(balance=0.0, threshold=None) == []


@pytest.mark.parametrize(
    ("lasts", "severity"), [(50 * 3600, None), (40 * 3600, "warning"), (11 * 3600, "critical")]
)
def test_a_balance_that_runs_out(lasts: float, severity: str | None):
    told = items(a_state(panels=[a_panel(lasts=lasts)]))
    expected = [] if severity is None else [("balance_short", severity)]
    assert [(item.kind, item.severity) for item in told] == expected
    low = items(a_state(panels=[a_panel(balance=1.0, lasts=lasts)]))
    assert [(item.kind, item.severity) for item in low] == [("balance_low", severity or "warning")]


def test_a_balance_that_is_not_read():
    old = {"balance_at": NOW - 7200, "balance_every": 300.0}
    assert of_panel(**old) == [("balance_unread", "the balance has not been read for 2 hours")]
    assert of_panel(**{**old, "balance_every": 3600.0}) == []
    assert of_panel(**{**old, "balance_every": None}) == [], "the panel tells none"
    assert kinds(of_panel(**old, faults=[BROKEN], health=HealthState.DEGRADED)) == [
        "panel_degraded"
    ]
    assert of_panel(**old, up=False) == []


def test_orders():
    assert of_panel(stalled=1) == [("order_stalled", "1 order makes no progress")]
    assert of_panel(stalled=3) == [("order_stalled", "3 orders make no progress")]
    short = {"check_within": 1800.0, "longest_wait": 3600.0, "needed_rate": 12}
    ((kind, sentence),) = of_panel(**short)
    assert kind == "budget_short"
    assert sentence == (
        "orders wait up to 1 hour between checks; check_within is 30 minutes,"
        " which takes 12 requests a minute"
    )


@pytest.mark.parametrize(
    ("problems", "order", "sentence", "command"),
    [
        (1, "abc", "order abc", "watcher untrack p abc"),
        (1, "-1;ls", "order -1;ls", "watcher untrack p -- '-1;ls'"),
        (2000, "abc", "2,000 orders, such as abc", "watcher orders --problem --panel p"),
    ],
)
def test_orders_that_the_panel_does_not_report(
    problems: int, order: str, sentence: str, command: str
):
    (told,) = items(a_state(panels=[a_panel(problems=problems, problem_id=order)]))
    assert (told.kind, told.severity, told.subject) == (Issue.ORDER_PROBLEM, Severity.WARNING, "")
    assert told.sentence == f"the panel reports no status of {sentence}"
    assert (told.command, told.link) == (command, "/orders?panel=p&problem=true")


def test_a_panel_that_stands_still_is_told_when_it_lasts():
    assert of_panel(still_since=NOW - 3 * 3600.0 + 1.0, still_expected=40.0) == []
    assert of_panel(still_since=NOW - 4 * 3600.0, still_expected=40.0) == [
        ("panel_stands_still", "nothing has changed for 4 hours; 40 changes were due")
    ]


def test_late_checks_go_by_check_within_or_the_key():
    late = {"oldest_due": NOW - 100, "check_within": 1800.0}
    assert of_panel(**late) == []
    assert of_panel(Thresholds(checks_late_by=Duration(60)), **late) == [
        ("checks_late", "an order has waited 2 minutes longer than it should")
    ]
    assert kinds(of_panel(**{**late, "check_within": 90.0})) == ["checks_late"]
    assert of_panel(**{**late, "check_within": 90.0}, up=False) == []


def test_actions_whose_outcome_is_unknown():
    told = items(a_state(panels=[a_panel(unresolved={Kind.REFILL: 2, Kind.CANCEL: 0})]))
    assert [(i.subject, i.sentence) for i in told] == [
        ("refill", "2 refills with an unknown outcome")
    ]
    assert told[0].link == "/actions?state=unresolved&panel=p"


# --- the daemon ---------------------------------------------------------------------------------


def test_the_database():
    assert kinds(found(integrity_ok=False)) == ["database_damaged"]
    lost = found(files_problem="watcher.db was removed", db_failed_at=NOW)
    assert lost == [("database_lost", "watcher.db was removed")]
    (failing,) = items(a_state(db_failed_at=NOW - 599))
    assert (failing.kind, failing.at) == ("database_failing", NOW - 599)
    assert failing.sentence == f"an operation failed at {clock(NOW - 599)}"
    assert found(db_failed_at=NOW - 601) == []


def test_backups():
    assert found(backup_at=NOW - 35 * 3600) == []
    assert found(backup_at=NOW - 37 * 3600, backup_problem="no room") == [
        ("backup_old", "the last backup is 37 hours old: no room")
    ]
    assert found(backup_at=NOW - 37 * 3600, backup_every=7 * 86400.0) == []
    week = Thresholds(backup_age=Duration(7 * 86400))
    assert found(week, backup_at=NOW - 37 * 3600) == []
    assert found(backup_at=0.0, started_at=NOW - 60) == []
    assert found(backup_at=0.0, started_at=NOW - 4000) == [("backup_old", "there is no backup")]


def test_a_configuration_that_was_refused():
    assert found(reload_problems=["rules[1].when: no", "panels.b: no"]) == [
        ("config_refused", "rules[1].when: no, and 1 more")
    ]


def test_rules():
    paused = RuleState("r", 1, 1, 0, per_hour=3, held={"p": NOW + 60})
    (item,) = items(a_state(rules=[paused]))
    assert item.key == "rule_paused/p/r"
    assert item.text == "rule 'r' wanted more than 3 orders an hour; resumes at"
    assert item.at == NOW + 60
    assert item.sentence == f"{item.text} {clock(NOW + 60)}"
    (item,) = items(a_state(rules=[RuleState("r", 1, 0, 20, switched_off="no such key")]))
    assert (item.key, item.severity) == ("rule_switched_off//r", Severity.CRITICAL)


def test_who_is_told():
    failing = ReceiverState(name="t", waiting=2, error="HTTP 500", fails_since=NOW - 300)
    assert found(notifiers=[failing]) == [
        ("messages_undelivered", "2 messages to 't' wait: HTTP 500")
    ]
    assert found(receivers=[failing]) == [
        ("events_undelivered", "'t' is 2 changes behind: HTTP 500")
    ]
    soon = msgspec.structs.replace(failing, fails_since=NOW - 299)
    assert found(notifiers=[soon], receivers=[soon]) == []
    assert kinds(found(receivers=[ReceiverState(name="t", waiting=0, dead=1)])) == ["events_dead"]


# --- all of them --------------------------------------------------------------------------------


def test_the_most_urgent_come_first():
    panels = [a_panel(stalled=1, health=HealthState.LIMITED), a_panel(name="q", balance=1.0)]
    told = items(a_state(panels=panels, integrity_ok=False))
    assert [item.kind for item in told] == [
        "database_damaged",
        "balance_low",
        "order_stalled",
        "panel_limited",
    ]


def test_since_when_it_is_known_or_was_first_listed():
    state = a_state(panels=[a_panel(stalled=1)], backup_at=NOW - 40 * 3600)
    first = {item.kind: item for item in listed(state, LIMITS, NOW, {})}
    assert first[Issue.ORDER_STALLED].since == NOW
    assert first[Issue.BACKUP_OLD].since == NOW - 4 * 3600
    before = {item.key: item.since for item in first.values()}
    later = {item.kind: item for item in listed(state, LIMITS, NOW + 600, before)}
    assert later[Issue.ORDER_STALLED].since == NOW


def test_every_kind_has_its_meaning_and_its_page():
    assert set(MEANINGS) == set(Issue)
    page = (DOCS / "page.md").read_text()
    for kind, meaning in MEANINGS.items():
        path, _, anchor = meaning.doc.partition("#")
        text = (DOCS / path).read_text()
        assert not anchor or f"## {anchor.replace('-', ' ').capitalize()}\n" in text
        assert meaning.todo.endswith(".")
        (row,) = (line for line in page.splitlines() if line.startswith(f"| `{kind}` |"))
        assert row.startswith(f"| `{kind}` | {meaning.severity} |")
        assert row.endswith(f"| {meaning.todo} |")


TIMES = st.floats(0.0, 2 * NOW)
PANELS = st.builds(
    a_panel,
    name=st.text(min_size=1, max_size=5),
    up=st.booleans(),
    health=st.sampled_from(HealthState),
    faults=st.lists(st.just(BROKEN), max_size=1),
    problem=st.none() | st.text(max_size=5),
    last_success=TIMES,
    oldest_due=TIMES,
    stalled=st.integers(0, 2),
    problems=st.integers(0, 2),
    problem_id=st.text(max_size=5),
    balance=st.none() | st.floats(0, 100),
    lasts=st.none() | st.floats(0, 1e6),
    balance_at=TIMES,
    longest_wait=st.floats(0, 1e4),
    check_within=st.floats(1, 1e4),
    unresolved=st.dictionaries(st.sampled_from(Kind), st.integers(0, 3)),
)
RECEIVERS = st.lists(
    st.builds(
        ReceiverState,
        name=st.text(max_size=5),
        waiting=st.integers(0, 3),
        error=st.text(max_size=5),
        fails_since=TIMES,
        dead=st.integers(0, 1),
    ),
    max_size=2,
    unique_by=lambda one: one.name,
)
STATES = st.builds(
    a_state,
    panels=st.lists(PANELS, max_size=3, unique_by=lambda panel: panel.name),
    rules=st.lists(
        st.builds(
            RuleState,
            st.text(max_size=5),
            *[st.just(0)] * 3,
            held=st.dictionaries(st.text(min_size=1, max_size=5), TIMES, max_size=2),
            switched_off=st.none() | st.text(max_size=5),
        ),
        max_size=2,
        unique_by=lambda rule: rule.name,
    ),
    notifiers=RECEIVERS,
    receivers=RECEIVERS,
    integrity_ok=st.booleans(),
    files_problem=st.none() | st.text(min_size=1, max_size=5),
    db_failed_at=TIMES,
    backup_at=TIMES,
    reload_problems=st.lists(st.text(min_size=1, max_size=5), max_size=2),
    started_at=TIMES,
)


@given(STATES)
def test_every_item_says_what_it_is_and_has_a_key_of_its_own(state: DaemonState):
    told = items(state)
    assert len({item.key for item in told}) == len(told)
    for item in told:
        assert item.sentence
        assert item.meaning.todo
        assert 0 < item.since <= NOW
        assert item.command or item.link
        assert item.link is None or (item.link.startswith("/") and item.link.isascii())
    again = listed(state, LIMITS, NOW, {item.key: item.since for item in told})
    assert again == told


def a_pause(what: Paused, name: str, **more: object) -> ManualPause:
    fields: dict[str, object] = {"reason": "", "by": "token", "via": "api", **more}
    return ManualPause(what=what, name=name, since=NOW, **fields)  # type: ignore[arg-type]


def test_who_paused_what_until_when_and_why():
    rule = RuleState("r", 1, 1, 0)
    pauses = [
        a_pause(Paused.READS, "p", until=NOW + 3600.0, reason="they move"),
        a_pause(Paused.RULE, "r"),
        a_pause(Paused.ACTIONS, "gone"),
        a_pause(Paused.RULE, "gone"),
    ]
    state = a_state(panels=[a_panel(name="p")], rules=[rule], pauses=pauses)
    reads, held = listed(state, Thresholds(), NOW, {})
    assert (reads.kind, reads.panel, reads.subject) == (Issue.PAUSED_BY_HAND, "p", "reads")
    assert reads.sentence == (
        "reads of p are paused by token since 2025-06-15T15:06:40Z,"
        " until 2025-06-15T16:06:40Z: they move"
    )
    assert held.sentence.endswith("until somebody resumes it")
    assert held.command == "watcher resume --rule r"


def test_a_panel_that_is_not_asked_is_not_called_silent():
    silent = a_panel(
        name="p", last_success=NOW - 9000, oldest_due=NOW - 9000, stalled=3, check_within=60.0
    )
    assert len(listed(a_state(panels=[silent]), Thresholds(), NOW, {})) == 3
    state = a_state(panels=[silent], pauses=[a_pause(Paused.READS, "p")])
    assert [one.kind for one in listed(state, Thresholds(), NOW, {})] == [Issue.PAUSED_BY_HAND]


def test_what_is_snoozed_comes_last():
    low = a_panel(name="low", balance=1.0)
    down = a_panel(name="down", up=False, last_success=NOW - 9000)
    state = a_state(panels=[low, down])
    first, _ = listed(state, Thresholds(), NOW, {})
    assert first.kind is Issue.PANEL_DOWN
    snooze = a_pause(Paused.ATTENTION, first.key)
    _, last = listed(a_state(panels=[low, down], pauses=[snooze]), Thresholds(), NOW, {})
    assert (last.key, last.snooze) == (first.key, snooze)


def test_a_cluster():
    lost = NodeState(
        name="b",
        url="http://b:9466",
        epoch=2,
        until=NOW - 60,
        started_at=NOW - 9000,
        version="1",
        is_alive=False,
    )
    silent = a_panel(name="p", up=False, last_success=NOW - 9000)
    unled = {"p": NOW - 31, "soon": NOW - 29}
    state = a_state(
        panels=[silent], cluster=ClusterState(node="a", nodes=[lost], unled=unled, offset=-1.5)
    )
    panel, node, clock_ = items(state)
    assert (panel.kind, panel.panel) == (Issue.PANEL_UNLED, "p")
    assert panel.sentence == "no node has led it for 31 seconds: nothing asks it"
    assert (node.kind, node.subject, node.since) == (Issue.NODE_LOST, "b", NOW - 60)
    assert node.sentence.startswith("node 'b' at http://b:9466 lost its lease at ")
    assert (clock_.kind, clock_.subject) == (Issue.CLOCKS_APART, "a")
    assert clock_.sentence == "the clock of node 'a' is -1.5 s off the database's"
    assert items(a_state(cluster=ClusterState(node="a", offset=0.9))) == []
