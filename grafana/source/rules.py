"""The alerts as files: rules for Prometheus, and provisioning for Grafana's own alerting."""

from collections.abc import Iterator
from typing import Any

from grafana.source.alerts import ALERTS, RECORDINGS, Alert
from grafana.source.thresholds import spell


def prometheus() -> dict[str, Any]:
    """A rule file for Prometheus."""
    groups: list[dict[str, Any]] = [
        {
            "name": "watcher.recordings",
            "rules": [{"record": one.name, "expr": one.expr} for one in RECORDINGS],
        }
    ]
    groups += [
        {"name": f"watcher.{about}", "rules": [_for_prometheus(alert) for alert in alerts]}
        for about, alerts in _by_subject()
    ]
    return {"groups": groups}


def grafana(datasource: str) -> dict[str, Any]:
    """The same alerts for Grafana's alerting, in the file format of its provisioning.

    Each is Prometheus' expression, true where it gives any number at all, as Grafana itself
    translates such rules. `datasource` is the uid of a Prometheus that has the rule file's
    recordings.
    """
    return {
        "apiVersion": 1,
        "groups": [
            {
                "orgId": 1,
                "name": f"watcher.{about}",
                "folder": "watcher",
                "interval": "1m",
                "rules": [_for_grafana(alert, datasource) for alert in alerts],
            }
            for about, alerts in _by_subject()
        ],
    }


def _by_subject() -> Iterator[tuple[str, list[Alert]]]:
    for about in dict.fromkeys(alert.about for alert in ALERTS):
        yield about, [alert for alert in ALERTS if alert.about == about]


def _labels(alert: Alert) -> dict[str, str]:
    return {"severity": alert.severity, "about": alert.about}


def _annotations(alert: Alert) -> dict[str, str]:
    return {
        "summary": alert.summary,
        "description": alert.description,
        "runbook_url": alert.runbook,
    }


def _for_prometheus(alert: Alert) -> dict[str, Any]:
    rule: dict[str, Any] = {"alert": alert.name, "expr": alert.expr}
    if alert.hold:
        rule["for"] = spell(alert.hold)
    return {**rule, "labels": _labels(alert), "annotations": _annotations(alert)}


def _for_grafana(alert: Alert, datasource: str) -> dict[str, Any]:
    # Grafana's templates have the number of a query under its name.
    annotations = {
        name: text.replace("$value", "$values.query.Value")
        for name, text in _annotations(alert).items()
    }
    return {
        "uid": f"{alert.name}-{alert.severity}".lower()[:40],
        "title": f"{alert.name} ({alert.severity})",
        "condition": "threshold",
        "data": [
            {
                "refId": "query",
                "relativeTimeRange": {"from": 600, "to": 0},
                "datasourceUid": datasource,
                "model": {"refId": "query", "expr": alert.expr, "instant": True, "range": False},
            },
            {
                "refId": "any",
                "datasourceUid": "__expr__",
                "model": {
                    "refId": "any",
                    "type": "math",
                    "expression": "is_number($query) || is_nan($query) || is_inf($query)",
                },
            },
            {
                "refId": "threshold",
                "datasourceUid": "__expr__",
                "model": {
                    "refId": "threshold",
                    "type": "threshold",
                    "expression": "any",
                    "conditions": [{"evaluator": {"type": "gt", "params": [0]}}],
                },
            },
        ],
        "noDataState": "OK",
        "execErrState": "Error",
        "for": spell(alert.hold),
        "labels": _labels(alert),
        "annotations": annotations,
    }
