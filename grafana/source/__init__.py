"""The one source of the alerts and the dashboards; `python -m grafana.source` writes them."""

import warnings

with warnings.catch_warnings():
    # The classic form is deprecated in favour of one that Grafana 11 can't import.
    warnings.filterwarnings("ignore", "Prefer using dashboardv2", DeprecationWarning)
    import grafana_foundation_sdk.models.dashboard  # noqa: F401
