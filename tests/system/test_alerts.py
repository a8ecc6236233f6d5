"""The alerts, by promtool: each fires when it should, is silent when it should be, and says why."""

import subprocess
from pathlib import Path
from typing import Any

import pytest
import yaml

from grafana.source.alerts import ALERTS, Alert
from tests.support.stack import AMTOOL, PROMTOOL, missing

pytestmark = pytest.mark.skipif(bool(missing()), reason=str(missing()))

GRAFANA = Path(__file__).parents[2] / "grafana"
RULES = GRAFANA / "alerts" / "watcher.yml"
CASES: list[dict[str, Any]] = yaml.safe_load((Path(__file__).parent / "alerts.yml").read_text())


def run(*command: object) -> None:
    done = subprocess.run([str(c) for c in command], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout + done.stderr


def find(name: str, severity: str) -> Alert:
    (alert,) = (one for one in ALERTS if (one.name, one.severity) == (name, severity))
    return alert


def only(case: dict[str, Any]) -> dict[str, Any]:
    """The rule file, without alerts of another severity than the case's."""
    wanted = case.get("fires", case.get("silent"))
    document = yaml.safe_load(RULES.read_text())
    for group in document["groups"]:
        group["rules"] = [
            rule
            for rule in group["rules"]
            if "record" in rule or rule["labels"]["severity"] == wanted["severity"]
        ]
    return document


def expected(case: dict[str, Any]) -> list[dict[str, Any]]:
    if "silent" in case:
        return []
    alert = find(case["alert"], case["fires"]["severity"])
    return [
        {
            "exp_labels": {**case["fires"], "about": alert.about},
            "exp_annotations": {
                "summary": case["summary"],
                "description": case["description"],
                "runbook_url": alert.runbook,
            },
        }
    ]


@pytest.mark.parametrize("case", CASES, ids=lambda case: f"{case['alert']}-{case['at']}")
def test_an_alert(case: dict[str, Any], tmp_path: Path):
    rules = tmp_path / "rules.yml"
    rules.write_text(yaml.safe_dump(only(case)))
    document = {
        "rule_files": [str(rules)],
        "evaluation_interval": "1m",
        "tests": [
            {
                "interval": "1m",
                "input_series": [
                    {"series": series, "values": values}
                    for series, values in case["series"].items()
                ],
                "alert_rule_test": [
                    {
                        "eval_time": case["at"],
                        "alertname": case["alert"],
                        "exp_alerts": expected(case),
                    }
                ],
            }
        ],
    }
    path = tmp_path / "test.yml"
    path.write_text(yaml.safe_dump(document))
    run(PROMTOOL, "test", "rules", path)


def test_each_alert_is_shown_firing_and_silent():
    fires = {(case["alert"], case["fires"]["severity"]) for case in CASES if "fires" in case}
    assert fires == {(alert.name, alert.severity) for alert in ALERTS}
    silent = {case["alert"] for case in CASES if "silent" in case}
    assert silent == {alert.name for alert in ALERTS} - {"WatcherHeartbeat"}


def test_the_rule_file_is_clean():
    run(PROMTOOL, "check", "rules", "--lint=all", "--lint-fatal", RULES)


def test_the_examples_are_accepted(tmp_path: Path):
    run(AMTOOL, "check-config", GRAFANA / "alertmanager" / "alertmanager.yml")
    example = (GRAFANA / "prometheus" / "prometheus.yml").read_text()
    path = tmp_path / "prometheus.yml"
    path.write_text(example.replace("/etc/prometheus/watcher.yml", str(RULES)))
    run(PROMTOOL, "check", "config", path)
