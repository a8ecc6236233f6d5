"""What Grafana and Prometheus get: up to date, of one form, with queries that can be answered."""

import csv
import json
import re
from collections.abc import Iterator, Mapping
from itertools import pairwise
from pathlib import Path
from typing import Any

import promql_parser as promql
import pytest
import yaml
from grafana_foundation_sdk.models import units

from grafana.pictures import render
from grafana.pictures.query import Series, Source
from grafana.source import alerts, board
from grafana.source import thresholds as at
from grafana.source.__main__ import HERE, files
from tests.support.promql import nodes

ROOT = Path(__file__).parents[2]
DASHBOARDS = {
    path.stem.removeprefix("watcher-"): json.loads(text)
    for path, text in files().items()
    if path.suffix == ".json"
}
EACH = pytest.mark.parametrize("board_", DASHBOARDS.values(), ids=DASHBOARDS)

# What Prometheus and prometheus-client add, and what the rule file records.
FOREIGN = {
    "up",
    "ALERTS",
    "process_start_time_seconds",
    "process_resident_memory_bytes",
    "process_cpu_seconds_total",
    "process_open_fds",
    "process_max_fds",
    "python_gc_collections_total",
} | {recording.name for recording in alerts.RECORDINGS}

SUFFIXES = {"gauge": ("",), "counter": ("",), "histogram": ("_bucket", "_sum", "_count")}

UNITS = {
    value for name, value in vars(units).items() if isinstance(value, str) and name[0].isupper()
}


def metrics() -> set[str]:
    with (ROOT / "docs" / "metrics.tsv").open() as file:
        return {
            f"watcher_{row['name']}{suffix}"
            for row in csv.DictReader(file, delimiter="\t")
            for suffix in SUFFIXES[row["type"]]
        }


def panels(board_: Mapping[str, Any]) -> list[dict[str, Any]]:
    return [panel for panel in board_["panels"] if panel["type"] != "row"]


def expressions(board_: Mapping[str, Any]) -> list[str]:
    targets = [target["expr"] for panel in panels(board_) for target in panel["targets"]]
    return targets + [one["expr"] for one in board_["annotations"]["list"]]


def parse(expression: str) -> promql.Expr:
    for name, value in {"$__rate_interval": "1m", "$__range": "6h"}.items():
        expression = expression.replace(name, value)
    return promql.parse(expression)


def selectors(tree: Any) -> list[Any]:
    return [node for node in nodes(tree) if isinstance(node, promql.VectorSelector)]


def grown(tree: Any) -> list[Any]:
    """The selectors of which a rate or an increase is taken."""
    return [
        node.args[0].vector_selector
        for node in nodes(tree)
        if isinstance(node, promql.Call) and node.func.name in {"rate", "irate", "increase"}
    ]


@pytest.mark.parametrize("path", files(), ids=str)
def test_what_is_made_is_committed(path: Path):
    assert (HERE / path).read_text("utf-8") == files()[path], "python -m grafana.source"


def test_nothing_else_lies_among_the_made_dashboards():
    made = {HERE / path for path in files() if path.parts[0] == "dashboards"}
    assert set((HERE / "dashboards").iterdir()) == made


@EACH
def test_a_dashboard_can_be_told_apart_and_only_be_changed_here(board_: dict[str, Any]):
    assert board_["editable"] is False
    assert 8 <= len(board_["uid"]) <= 40
    assert board_["schemaVersion"] >= 39  # Grafana 11's
    assert board_["title"]
    assert board_["description"]


def test_dashboards_lead_to_each_other():
    assert len({one["uid"] for one in DASHBOARDS.values()}) == len(DASHBOARDS) == 4
    for one in DASHBOARDS.values():
        (link,) = one["links"]
        assert (link["type"], link["includeVars"], link["keepTime"]) == ("dashboards", True, True)
        assert set(link["tags"]) <= set(one["tags"]) == {board.TAG}
    table = next(panel for panel in panels(DASHBOARDS["overview"]) if panel["type"] == "table")
    assert f"/d/{DASHBOARDS['panel']['uid']}?var-panel=" in json.dumps(table)


@EACH
def test_variables(board_: dict[str, Any]):
    variables = {one["name"]: one for one in board_["templating"]["list"]}
    datasource = variables.pop("datasource")
    assert (datasource["type"], datasource["query"]) == ("datasource", "prometheus")
    assert datasource["label"] == "Data source"
    assert {"job", "instance"} <= set(variables) <= {"job", "instance", "panel"}
    for name, one in variables.items():
        assert one["type"] == "query"
        assert one["label"] == name.capitalize()
        assert one["datasource"]["uid"] == "${datasource}"
        assert one["refresh"] == 2, "on time change"
        assert one["query"]["query"] == one["definition"]
        assert one["definition"].startswith("label_values(")
        if name != "panel":  # an alert that outlives a takeover is of no instance
            every = ".*" if name == "instance" else ".+"
            assert (one["multi"], one["allValue"]) == (True, every)
    used = json.dumps([board_["panels"], board_["annotations"]])
    assert all(f"${name}" in used for name in variables)
    assert ("$panel" in used) == ("panel" in variables)


@EACH
def test_annotations_for_alerts_and_restarts(board_: dict[str, Any]):
    told = {one["name"]: one["expr"] for one in board_["annotations"]["list"]}
    assert told["Firing alerts"].startswith("ALERTS{")
    assert 'alertstate="firing"' in told["Firing alerts"]
    assert "process_start_time_seconds" in told["Restarts"]
    assert all(one["enable"] for one in board_["annotations"]["list"])


@EACH
def test_every_panel_says_what_it_shows(board_: dict[str, Any]):
    for panel in panels(board_):
        assert panel["title"], panel["id"]
        assert panel["description"].endswith("."), panel["title"]
        for one in (panel, *panel["targets"]):
            assert one["datasource"] == {"type": "prometheus", "uid": "${datasource}"}
        assert panel["targets"]
        letters = [target["refId"] for target in panel["targets"]]
        assert len(set(letters)) == len(letters)
        told = [panel["fieldConfig"]["defaults"]["unit"]] + [
            one["value"]
            for override in panel["fieldConfig"]["overrides"]
            for one in override["properties"]
            if one["id"] == "unit"
        ]
        assert set(told) <= UNITS, panel["title"]
    assert len({panel["id"] for panel in board_["panels"]}) == len(board_["panels"])


@EACH
def test_queries_are_of_what_is_chosen(board_: dict[str, Any]):
    wanted = {("job", "MatchOp.Re", "$job"), ("instance", "MatchOp.Re", "$instance")}
    for expression in expressions(board_):
        for selector in selectors(parse(expression)):
            matchers = {(m.name, str(m.op), m.value) for m in selector.matchers.matchers}
            # The heartbeat is about no job.
            if ("alertname", "MatchOp.Equal", "WatcherHeartbeat") not in matchers:
                assert wanted <= matchers, expression


@EACH
def test_rates_go_with_the_scrapes(board_: dict[str, Any]):
    for expression in expressions(board_):
        calls = [node for node in nodes(parse(expression)) if isinstance(node, promql.Call)]
        rates = sum(call.func.name in {"rate", "irate"} for call in calls)
        assert expression.count("[$__rate_interval]") == rates, expression
        increases = sum(call.func.name == "increase" for call in calls)
        assert expression.count("[$__range]") == increases, expression


@EACH
def test_counters_are_only_shown_by_their_growth(board_: dict[str, Any]):
    for expression in expressions(board_):
        tree = parse(expression)
        grow = grown(tree)
        counters = [s for s in selectors(tree) if is_counter(s.name)]
        assert len(counters) == sum(is_counter(s.name) for s in grow) == len(grow), expression


def is_counter(name: str) -> bool:
    return name.endswith(("_total", "_bucket", "_sum", "_count"))


ALL_EXPRESSIONS = sorted(
    {one for board_ in DASHBOARDS.values() for one in expressions(board_)}
    | {alert.expr for alert in alerts.ALERTS}
    | {recording.expr for recording in alerts.RECORDINGS}
)


def test_every_metric_that_is_asked_for_exists():
    named = {s.name for one in ALL_EXPRESSIONS for s in selectors(parse(one))}
    assert named <= metrics() | FOREIGN
    assert named >= FOREIGN


def test_every_metric_is_shown_somewhere():
    """But for sums and counts of histograms, which their quantiles leave out."""
    named = {s.name for one in ALL_EXPRESSIONS for s in selectors(parse(one))}
    unseen = {name for name in metrics() - named if not name.endswith(("_sum", "_count"))}
    assert unseen == {
        "watcher_poll_batch_orders_bucket",  # its mean is shown
        "watcher_panel_balance_last_success_timestamp_seconds",
        "watcher_db_info",  # labels for those who ask
        # items of watcher_attention, which is shown
        "watcher_panel_stands_still",
        "watcher_panel_paused",
        "watcher_rule_paused",
        "watcher_attention_snoozed",
    }


def test_every_alert_has_its_page_and_every_page_its_alert():
    pages = {page.stem: page.read_text() for page in (ROOT / "docs" / "runbooks").glob("*.md")}
    assert {alert.name for alert in alerts.ALERTS} == set(pages)
    for alert in alerts.ALERTS:
        assert alert.runbook.endswith(f"/{alert.name}.md")
        text = pages[alert.name]
        assert text.startswith(f"# {alert.name}\n")
        assert alert.severity in text
        for heading in ("## What it means", "## What to look at", "## What to do"):
            assert heading in text, alert.name


def test_pages_name_only_dashboards_that_exist():
    titles = {one["title"].removeprefix("watcher: ") for one in DASHBOARDS.values()}
    for page in (ROOT / "docs" / "runbooks").glob("*.md"):
        assert set(re.findall(r"ashboard \*(.+?)\*", page.read_text())) <= titles, page.name


FAST, SLOW = at.FAST_BURN * at.FAILURE_BUDGET, at.SLOW_BURN * at.FAILURE_BUDGET

# What is shown in red from where on, by the constants of the alerts. An alert that fires above a
# whole number does from the next one on.
LIMITS = {
    ("overview", "Orders stalled"): at.STALLED + 1,
    ("overview", "Actions unresolved"): at.UNRESOLVED + 1,
    ("overview", "Oldest late check"): at.CHECKS_LATE,
    ("overview", "Checks late"): at.CHECKS_LATE,
    ("overview", "Money lasts"): at.HOURS_LEFT * 3600,
    ("overview", "Panels", "Stalled"): at.STALLED + 1,
    ("overview", "Panels", "Unresolved"): at.UNRESOLVED + 1,
    ("overview", "Panels", "Checks late"): at.CHECKS_LATE,
    ("overview", "Panels", "Lasts"): at.HOURS_LEFT * 3600,
    ("overview", "Panels", "Failures"): FAST,
    ("panel", "Checks missed"): at.MISSED_POLLS,
    ("panel", "Failures"): FAST,
    ("panel", "Orders stalled"): at.STALLED + 1,
    ("panel", "Oldest late check"): at.CHECKS_LATE,
    ("panel", "Actions unresolved"): at.UNRESOLVED + 1,
    ("panel", "Money lasts"): at.HOURS_LEFT * 3600,
    ("panel", "Stalled"): at.STALLED + 1,
    ("actions", "Unresolved"): at.UNRESOLVED + 1,
    ("actions", "To be settled by hand", "Number"): at.UNRESOLVED + 1,
    ("internals", "Restarts in 30 min"): at.RESTARTS + 1,
    ("internals", "Last backup"): at.BACKUP_HOURS * 3600,
    ("internals", "Scheduler late"): at.LATENESS,
}
# Limits that no constant gives: a state, the panel's own limit, or any at all.
OF_THEIR_OWN = {1}


def limits() -> Iterator[tuple[tuple[str, ...], list[dict[str, Any]]]]:
    """Whatever has limits, and their steps."""
    for name, board_ in DASHBOARDS.items():
        for panel in panels(board_):
            steps = panel["fieldConfig"]["defaults"]["thresholds"]["steps"]
            yield (name, panel["title"]), steps
            for override in panel["fieldConfig"]["overrides"]:
                for one in override["properties"]:
                    if one["id"] == "thresholds":
                        where = (name, panel["title"], override["matcher"]["options"])
                        yield where, one["value"]["steps"]


def test_limits_are_those_of_the_alerts():
    seen = set()
    for where, steps in limits():
        numbers = [step["value"] for step in steps if step["value"]]
        if where in LIMITS:
            assert LIMITS[where] in numbers, where
            assert set(numbers) <= {LIMITS[where], SLOW}, where
            seen.add(where)
        else:
            assert set(numbers) <= OF_THEIR_OWN, where
    assert seen == set(LIMITS)


def test_limits_rise_and_begin_with_what_is_not_known():
    for where, steps in limits():
        assert steps[0]["value"] is None, where
        numbers = [step["value"] for step in steps[1:]]
        assert all(low < high for low, high in pairwise(numbers)), where
        if 0 in numbers:
            assert steps[0]["color"] not in {"green", "red"}, where


@EACH
def test_no_two_panels_lie_on_each_other(board_: dict[str, Any]):
    taken: set[tuple[int, int]] = set()
    for panel in board_["panels"]:
        place = panel["gridPos"]
        assert place["x"] >= 0
        assert place["x"] + place["w"] <= board.COLUMNS
        cells = {
            (x, y)
            for x in range(place["x"], place["x"] + place["w"])
            for y in range(place["y"], place["y"] + place["h"])
        }
        assert not cells & taken, panel["title"]
        taken |= cells
    height = max(y for _, y in taken) + 1
    assert len(taken) == height * board.COLUMNS, "there are holes"


def test_the_overview_is_one_screen():
    """1200 pixels, less Grafana's bars, at 38 pixels a row."""
    below = max(p["gridPos"]["y"] + p["gridPos"]["h"] for p in panels(DASHBOARDS["overview"]))
    assert below * 38 <= 1200 - 150
    first = [p["title"] for p in panels(DASHBOARDS["overview"]) if p["gridPos"]["y"] == 0]
    assert first == [
        "Daemon",
        "Alerts firing",
        "Panels down",
        "Orders stalled",
        "Actions unresolved",
        "Oldest late check",
        "Balances low",
        "Money lasts",
    ]


def test_provisioning_points_at_what_is_there():
    provided = yaml.safe_load((HERE / "provisioning/datasources/prometheus.yaml").read_text())
    (datasource,) = provided["datasources"]
    text = (HERE / "provisioning/alerting/watcher.yaml").read_text()
    uids = {
        query["datasourceUid"]
        for group in yaml.safe_load(text)["groups"]
        for rule in group["rules"]
        for query in rule["data"]
    }
    assert uids == {datasource["uid"], "__expr__"}


class Answers(Source):
    """Answers each query with one series that has every label."""

    def ask(self, target: Mapping[str, Any]) -> list[Series]:
        labels = dict.fromkeys(["panel", "severity", "alertname", "rule", "action"], "<b>")
        return [Series(labels, [(self.start, 0.0), (self.start + 5, 1234.5), (self.end, 7.0)])]


@EACH
def test_every_panel_of_a_dashboard_is_drawn(board_: dict[str, Any]):
    html = render.page(board_, Answers("", 2.0, "<b>"), 1600)
    assert html.count("<section") + html.count('class="row"') == len(board_["panels"])
    assert html.count("<svg") == sum(p["type"] == "timeseries" for p in board_["panels"])
    assert "<b>" not in html, "labels are escaped"


def test_each_dashboard_has_its_picture():
    pictures = {path.stem: path.stat().st_size for path in (HERE / "pictures").glob("*.png")}
    assert set(pictures) == {f"watcher-{name}" for name in DASHBOARDS}
    assert max(pictures.values()) < 300_000
