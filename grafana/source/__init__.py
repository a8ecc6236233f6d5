"""The one source of the alerts and the dashboards; `python -m grafana.source` writes them."""
