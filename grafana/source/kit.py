"""Small builders for what the dashboards show: a number, a graph, bars."""

from collections.abc import Mapping, Sequence
from typing import Any

from grafana_foundation_sdk.models import bargauge, common, prometheus, timeseries
from grafana_foundation_sdk.models import stat as bigvalue
from grafana_foundation_sdk.models.dashboard import (
    DashboardFieldConfigSourceOverrides,
    DynamicConfigValue,
    FieldColor,
    FieldColorModeId,
    FieldConfig,
    FieldConfigSource,
    MatcherConfig,
    Panel,
    Threshold,
    ThresholdsConfig,
    ThresholdsMode,
    ValueMapping,
)

from grafana.source.looks import BLUE, GREEN, NOTHING, PLAIN, RED, Steps
from grafana.source.promql import Queries

DATASOURCE = common.DataSourceRef("prometheus", "${datasource}")


def stat(
    title: str,
    description: str,
    expr: str,
    unit: str = "none",
    steps: Steps = PLAIN,
    mappings: list[ValueMapping] | None = None,
    decimals: int | None = None,
    name: str = "",
) -> Panel:
    """One number, on its colour if it has any; with `name`, a text made of labels instead."""
    return panel(
        "stat",
        title,
        description,
        [query("A", expr, name, instant=True)],
        config_of(unit, steps, mappings=mappings, decimals=decimals),
        bigvalue.Options(
            graph_mode=common.BigValueGraphMode.NONE,
            color_mode=common.BigValueColorMode.VALUE
            if steps is PLAIN
            else common.BigValueColorMode.BACKGROUND,
            justify_mode=common.BigValueJustifyMode.CENTER,
            text_mode=common.BigValueTextMode.NAME if name else common.BigValueTextMode.VALUE,
            reduce_options=common.ReduceDataOptions(values=False, calcs=["lastNotNull"]),
        ),
    )


def graph(
    title: str,
    description: str,
    queries: Queries,
    unit: str = "none",
    limit: float | None = None,
    stacked: bool = False,
    colors: Mapping[str, str] | None = None,
) -> Panel:
    """Lines over time. `limit` is drawn; `colors` gives some series, by name, theirs."""
    style = common.GraphThresholdsStyleMode
    config = config_of(
        unit,
        ((None, GREEN),) if limit is None else ((None, GREEN), (limit, RED)),
        color=FieldColorModeId.PALETTE_CLASSIC,
        custom=timeseries.FieldConfig(
            line_width=0 if stacked else 1,  # a line would show a zero on top of the others
            fill_opacity=70 if stacked else 0,
            show_points=common.VisibilityMode.NEVER,
            axis_soft_min=0,
            stacking=common.StackingConfig(
                common.StackingMode.NORMAL if stacked else common.StackingMode.NONE, "A"
            ),
            thresholds_style=common.GraphThresholdsStyleConfig(
                style.OFF if limit is None else style.DASHED
            ),
        ),
    )
    config.overrides = [
        override(name, color={"mode": "fixed", "fixedColor": color})
        for name, color in (colors or {}).items()
    ]
    return panel(
        "timeseries",
        title,
        description,
        [query(letter(at), expr, legend) for at, (legend, expr) in enumerate(queries.items())],
        config,
        timeseries.Options(
            legend=common.VizLegendOptions(
                common.LegendDisplayMode.LIST, common.LegendPlacement.BOTTOM, show_legend=True
            ),
            tooltip=common.VizTooltipOptions(
                common.TooltipDisplayMode.MULTI, common.SortOrder.DESCENDING
            ),
        ),
    )


def bars(
    title: str,
    description: str,
    queries: Queries,
    unit: str = "none",
    maximum: float | None = None,
) -> Panel:
    """One bar for each series, as it is now."""
    return panel(
        "bargauge",
        title,
        description,
        [
            query(letter(at), expr, legend, instant=True)
            for at, (legend, expr) in enumerate(queries.items())
        ],
        config_of(unit, ((None, BLUE),), minimum=0, maximum=maximum, decimals=1),
        bargauge.Options(
            display_mode=common.BarGaugeDisplayMode.BASIC,
            orientation=common.VizOrientation.HORIZONTAL,
            reduce_options=common.ReduceDataOptions(values=False, calcs=["lastNotNull"]),
        ),
    )


def override(name: str, **properties: Any) -> DashboardFieldConfigSourceOverrides:
    """What is different for the series or column of that name."""
    return DashboardFieldConfigSourceOverrides(
        matcher=MatcherConfig("byName", name),
        properties=[DynamicConfigValue(key, value) for key, value in properties.items()],
    )


def thresholds(steps: Steps) -> ThresholdsConfig:
    """Steps in the SDK's words."""
    return ThresholdsConfig(ThresholdsMode.ABSOLUTE, [Threshold(at, color) for at, color in steps])


def config_of(
    unit: str,
    steps: Steps,
    *,
    mappings: list[ValueMapping] | None = None,
    decimals: int | None = None,
    minimum: float | None = None,
    maximum: float | None = None,
    color: FieldColorModeId = FieldColorModeId.THRESHOLDS,
    custom: object = None,
    empty: str = NOTHING,
) -> FieldConfigSource:
    """How numbers are written and coloured."""
    return FieldConfigSource(
        FieldConfig(
            unit=unit,
            decimals=decimals,
            min_val=minimum,
            max_val=maximum,
            mappings=mappings or [],
            thresholds=thresholds(steps),
            color=FieldColor(color),
            no_value=empty,
            custom=custom,
        )
    )


def query(
    ref: str, expr: str, legend: str = "", *, instant: bool = False, rows: bool = False
) -> prometheus.Dataquery:
    """What is asked of Prometheus; with `rows`, for a table."""
    return prometheus.Dataquery(
        datasource=DATASOURCE,
        editor_mode=prometheus.QueryEditorMode.CODE,
        expr=expr,
        format_val=prometheus.PromQueryFormat.TABLE
        if rows
        else prometheus.PromQueryFormat.TIME_SERIES,
        instant=instant,
        range_val=not instant,
        legend_format=legend or None,
        ref_id=ref,
    )


def panel(
    kind: str,
    title: str,
    description: str,
    targets: Sequence[prometheus.Dataquery],
    config: FieldConfigSource,
    options: object,
) -> Panel:
    """A panel of any kind, not yet in its place."""
    return Panel(
        kind,
        title=title,
        description=description,
        datasource=DATASOURCE,
        targets=list(targets),
        options=options,
        field_config=config,
    )


def letter(number: int) -> str:
    """A query's name: A, B, C."""
    return "ABCDEFGHIJKLMNOPQRSTUVWXYZ"[number]
