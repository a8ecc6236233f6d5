"""What all dashboards have alike: variables, annotations, links, the grid, and the file's form."""

import json
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

from grafana_foundation_sdk.cog.encoder import JSONEncoder
from grafana_foundation_sdk.models.dashboard import (
    AnnotationContainer,
    AnnotationQuery,
    Dashboard,
    DashboardCursorSync,
    DashboardDashboardTemplating,
    DashboardDashboardTime,
    DashboardLink,
    DashboardLinkType,
    GridPos,
    Panel,
    RowPanel,
    VariableModel,
    VariableOption,
    VariableRefresh,
    VariableSort,
    VariableType,
)

from grafana.source.kit import DATASOURCE
from grafana.source.looks import BLUE, RED
from grafana.source.promql import scope

COLUMNS = 24
TAG = "watcher"

# Appended to a link, these keep what is chosen: the data source, the daemon, the time.
KEEP = "${datasource:queryparam}&${job:queryparam}&${instance:queryparam}&${__url_time_range}"


@dataclass(frozen=True)
class Row:
    """Panels side by side, `height` grid units high: equally wide, or as `widths` says."""

    height: int
    panels: Sequence[Panel]
    widths: Sequence[int] = ()


Layout = Sequence[str | Row]  # text is a heading


def dashboard(
    name: str, title: str, description: str, layout: Layout, *variables: VariableModel
) -> str:
    """A dashboard's file. `name` is the stable part of its uid."""
    return _text(
        Dashboard(
            uid=f"watcher-{name}",
            title=f"watcher: {title}",
            description=description,
            tags=[TAG],
            editable=False,
            graph_tooltip=DashboardCursorSync.CROSSHAIR,
            time=DashboardDashboardTime("now-6h", "now"),
            refresh="30s",
            panels=list(_placed(layout)),
            templating=DashboardDashboardTemplating([*_common_variables(), *variables]),
            annotations=AnnotationContainer(_annotations()),
            links=[
                DashboardLink(
                    title="Dashboards",
                    type_val=DashboardLinkType.DASHBOARDS,
                    icon="dashboard",
                    tags=[TAG],
                    include_vars=True,
                    keep_time=True,
                )
            ],
        )
    )


def variable(
    name: str, label: str, query: str, *, multi: bool = False, every: bool = False
) -> VariableModel:
    """A choice among the values of a label. `every` offers all of them, and begins with that."""
    return VariableModel(
        VariableType.QUERY,
        name,
        label,
        datasource=DATASOURCE,
        query={"query": query, "refId": f"variable-{name}"},
        definition=query,
        refresh=VariableRefresh.ON_TIME_RANGE_CHANGED,
        sort=VariableSort.ALPHABETICAL_ASC,
        multi=multi,
        include_all=every,
        all_value=".+" if multi else None,
        current=VariableOption(True, ["All"], ["$__all"]) if every else VariableOption(),
        regex="",
    )


def panel_variable(*, multi: bool = False, every: bool = False) -> VariableModel:
    """A choice among the panels."""
    query = f"label_values(watcher_panel_up{scope()}, panel)"
    return variable("panel", "Panel", query, multi=multi, every=every)


def _common_variables() -> Iterator[VariableModel]:
    yield VariableModel(
        VariableType.DATASOURCE,
        "datasource",
        "Data source",
        query="prometheus",
        current=VariableOption(),
        regex="",
    )
    # By `up`, which is there while watcher is not. Never all jobs: those of others aren't ours.
    job = variable("job", "Job", 'label_values(up{job=~"watcher.*"}, job)', multi=True)
    job.current = VariableOption(True, ["watcher"], ["watcher"])
    yield job
    instance = variable(
        "instance", "Instance", 'label_values(up{job=~"$job"}, instance)', multi=True, every=True
    )
    instance.all_value = ".*"  # also what has none: alerts that outlive a takeover
    yield instance


def _annotations() -> list[AnnotationQuery]:
    return [
        AnnotationQuery(
            name="Firing alerts",
            datasource=DATASOURCE,
            icon_color=RED,
            expr="ALERTS" + scope('alertstate="firing"'),
            title_format="{{alertname}}",
            text_format="{{panel}}",
            tag_keys="severity",
            step="60s",
        ),
        # The value of the series is the time of the start; a change of it is a restart.
        AnnotationQuery(
            name="Restarts",
            datasource=DATASOURCE,
            icon_color=BLUE,
            expr=f"1000 * process_start_time_seconds{scope()}",
            title_format="watcher started",
            text_format="{{instance}}",
            use_value_for_time=True,
            step="60s",
        ),
    ]


def _placed(layout: Layout) -> Iterator[Panel | RowPanel]:
    """The panels with their places in the grid and their numbers."""
    number = top = 0
    for row in layout:
        if isinstance(row, str):
            number += 1
            yield RowPanel(id_val=number, title=row, grid_pos=GridPos(1, COLUMNS, 0, top))
            top += 1
            continue
        left = 0
        widths = row.widths or [COLUMNS // len(row.panels)] * len(row.panels)
        for panel, width in zip(row.panels, widths, strict=True):
            number += 1
            panel.id_val = number
            panel.grid_pos = GridPos(row.height, width, left, top)
            left += width
            yield panel
        top += row.height


def _text(made: Dashboard) -> str:
    document: dict[str, Any] = json.loads(json.dumps(made, cls=JSONEncoder))
    # The SDK would hide links and annotations in a menu, and puts what belongs to variables of
    # the type "interval" into all.
    for one in (*document["links"], *document["annotations"]["list"]):
        one.pop("placement", None)
    for one in document["templating"]["list"]:
        for key in ("auto", "auto_min", "auto_count"):
            one.pop(key, None)
    return json.dumps(document, indent=2, ensure_ascii=False) + "\n"
