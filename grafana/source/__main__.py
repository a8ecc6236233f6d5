"""Write the alerts, the dashboards and the provisioning: `python -m grafana.source`."""

from pathlib import Path

import yaml

from grafana.source import dashboards, rules

HERE = Path(__file__).parents[1]
DATASOURCE = "prometheus"  # the uid in provisioning/datasources

_NOTE = "# Made by `python -m grafana.source` from grafana/source/alerts.py: change it there.\n"


def files() -> dict[Path, str]:
    """Every file that is made, by its path within grafana/."""
    return {
        Path("alerts/watcher.yml"): _yaml(rules.prometheus()),
        Path("provisioning/alerting/watcher.yaml"): _yaml(rules.grafana(DATASOURCE)),
        **dashboards.files(),
    }


def _yaml(document: object) -> str:
    return _NOTE + yaml.safe_dump(document, sort_keys=False, allow_unicode=True, width=100)


if __name__ == "__main__":
    for path, text in files().items():
        (HERE / path).parent.mkdir(parents=True, exist_ok=True)
        (HERE / path).write_text(text, "utf-8")
