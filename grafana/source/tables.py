"""Tables: a row for each panel, rule or alert, with numbers as they are now."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from grafana_foundation_sdk.models import common
from grafana_foundation_sdk.models import table as grid
from grafana_foundation_sdk.models.dashboard import (
    DashboardFieldConfigSourceOverrides,
    DataTransformerConfig,
    Panel,
    ValueMapping,
)

from grafana.source.kit import config_of, letter, override, panel, query, thresholds
from grafana.source.looks import NOTHING, Steps, only_bad


@dataclass(frozen=True)
class Column:
    """A column of numbers. It is coloured where it has steps or words."""

    title: str
    expr: str
    unit: str = "none"
    steps: Steps | None = None
    mappings: list[ValueMapping] = field(default_factory=list)
    decimals: int | None = None
    hidden: bool = False


def table(
    title: str,
    description: str,
    labels: Mapping[str, str],
    columns: Sequence[Column],
    link: tuple[str, str] | None = None,
    empty: str = NOTHING,
    paint: Mapping[str, list[ValueMapping]] | None = None,
    widths: Mapping[str, int] | None = None,
) -> Panel:
    """A row for each set of `labels` (a label -> the title of its column).

    `link` is (a column's title, where its cells lead); `empty` is said where there is no row;
    `paint` colours columns of labels; `widths` are in pixels.
    """
    numbers = [f"Value #{letter(at)}" for at, _ in enumerate(columns)]
    if len(columns) == 1:
        numbers = ["Value"]
    names = {**labels, **dict(zip(numbers, (column.title for column in columns), strict=True))}
    hidden = {name for name, column in zip(numbers, columns, strict=True) if column.hidden}
    config = config_of(
        "none",
        ((None, "text"),),
        empty=empty,
        custom=grid.FieldConfig(
            align=common.FieldTextAlignment.AUTO, inspect=False, min_width=_NARROW
        ),
    )
    config.overrides = [
        *(override(name, **{"custom.width": wide}) for name, wide in (widths or {}).items()),
        *(override(name, noValue=NOTHING) for name in labels.values()),
        *(_column(column) for column in columns if not column.hidden),
        *(override(name, mappings=m, **_PAINTED) for name, m in (paint or {}).items()),
    ]
    if link:
        config.overrides.append(override(link[0], links=[{"title": "Open", "url": link[1]}]))
    made = panel(
        "table",
        title,
        description,
        [
            query(letter(at), column.expr, instant=True, rows=True)
            for at, column in enumerate(columns)
        ],
        config,
        grid.Options(
            footer=common.TableFooterOptions(show=False, reducer=[]),
            sort_by=[common.TableSortByFieldState(next(iter(labels.values())), desc=False)],
        ),
    )
    made.transformations = [
        DataTransformerConfig("merge", options={}),
        DataTransformerConfig(
            "organize",
            options={
                "excludeByName": dict.fromkeys(["Time", *sorted(hidden)], True),
                "indexByName": {name: at for at, name in enumerate(names)},
                "renameByName": names,
            },
        ),
    ]
    return made


_NARROW = 60  # pixels; columns that don't fit would be out of sight
_PAINTED: dict[str, Any] = {"custom.cellOptions": {"type": "color-background", "mode": "basic"}}


def _column(column: Column) -> DashboardFieldConfigSourceOverrides:
    properties: dict[str, Any] = {"unit": column.unit, "noValue": NOTHING}
    if column.decimals is not None:
        properties["decimals"] = column.decimals
    if column.mappings:
        properties["mappings"] = column.mappings
    if column.steps:
        properties |= {"thresholds": thresholds(only_bad(column.steps)), **_PAINTED}
    return override(column.title, **properties)
