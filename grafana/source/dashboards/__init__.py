"""The dashboards."""

from pathlib import Path

from grafana.source.dashboards import actions, internals, overview, panel


def files() -> dict[Path, str]:
    """Each dashboard's file, by its path within grafana/."""
    return {
        Path(f"dashboards/watcher-{name}.json"): made()
        for name, made in {
            "overview": overview.dashboard,
            "panel": panel.dashboard,
            "actions": actions.dashboard,
            "internals": internals.dashboard,
        }.items()
    }
