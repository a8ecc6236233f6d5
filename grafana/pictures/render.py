"""Render a dashboard's JSON with live data of a Prometheus as one HTML page.

Panels lie where `gridPos` puts them: numbers, tables and bars as HTML, time series as SVG.
"""

from collections.abc import Mapping, Sequence
from html import escape
from typing import Any

from grafana.pictures.graph import graph
from grafana.pictures.query import COLORS, Field, Series, Source, name_of

GAP, ROW, HEAD = 8, 38, 112  # pixels; ROW is one of Grafana's grid

STYLE = """
* { box-sizing: border-box } body { margin: 0; background: #111217; color: #ccccdc;
  font: 14px Inter, Roboto, sans-serif } h1 { font-size: 20px; font-weight: 400; margin: 0 8px;
  padding: 18px 0 22px } header p { margin: 0 8px; white-space: pre }
section { position: absolute; border: 1px solid #2a2c33; border-radius: 6px; background: #181b1f;
  padding: 36px 8px 8px; overflow: hidden } h2 { position: absolute; top: 8px; left: 12px;
  margin: 0; font-size: 14px; font-weight: 500 }
.row { position: absolute; padding: 6px; font-weight: 500 }
.none, .stat { height: 100%; display: grid; place-items: center; color: #8e8e99 }
.stat { color: #fff; font-size: 42px; font-weight: 500; text-align: center; line-height: 1.1 }
table { width: 100%; border-collapse: collapse } th { font-weight: 500 }
th, td { text-align: right; padding: 7px 6px; border-bottom: 1px solid #2a2c33;
  white-space: nowrap }
.text { text-align: left } .bar { margin: 6px 0 } .bar div { height: 14px; background: #22252b }
.bar i { display: block; height: 100% } svg { display: block } svg text { fill: #ccccdc }
.legend { font-size: 12px } .legend span { margin-right: 10px; white-space: nowrap }
.legend i { display: inline-block; width: 14px; height: 3px; margin-right: 5px; border-radius: 2px;
  vertical-align: middle }
"""


def page(dashboard: Mapping[str, Any], source: Source, width: int) -> str:
    """Return the dashboard as HTML."""
    chosen = [
        f"{one['label']}: {source.variables[one['name']].replace('.+', 'All')}"
        for one in dashboard["templating"]["list"]
    ]
    chosen.append(f"Last {(source.end - source.start) / 60:g} minutes")
    panels = "".join(_panel(panel, source, width) for panel in dashboard["panels"])
    return (
        f'<!DOCTYPE html><meta charset="utf-8"><style>{STYLE}</style>'
        f"<header><h1>{escape(dashboard['title'])}</h1><p>{escape('   '.join(chosen))}</p></header>"
        f"{panels}"
    )


def height(dashboard: Mapping[str, Any]) -> int:
    """Return the pixels that the dashboard takes."""
    places = [panel["gridPos"] for panel in dashboard["panels"]]
    return HEAD + ROW * max(int(place["y"] + place["h"]) for place in places)


def _panel(panel: Mapping[str, Any], source: Source, width: int) -> str:
    at, column = panel["gridPos"], (width - GAP) / 24
    wide, high = at["w"] * column - GAP, at["h"] * ROW - GAP
    style = f"left: {GAP + at['x'] * column}px; top: {HEAD + at['y'] * ROW}px"
    title = escape(source.fill_in(panel["title"]))
    if panel["type"] == "row":
        return f'<div class="row" style="{style}">{title}</div>'
    found = [source.ask(target) for target in panel["targets"]]
    if panel["type"] != "stat" and not any(found):
        shown = f'<div class="none">{escape(Field(panel).text(None))}</div>'
    elif panel["type"] == "timeseries":
        shown = graph(panel, found, source, wide - 2 * GAP - 2, high - 38 - GAP)
    else:
        shown = _SHOWN[panel["type"]](panel, found)
    style += f"; width: {wide}px; height: {high}px"
    return f'<section style="{style}"><h2>{title}</h2>{shown}</section>'


def _stat(panel: Mapping[str, Any], found: Sequence[Sequence[Series]]) -> str:
    one = next(iter(found[0]), None)
    value = one.points[-1][1] if one else None
    field = Field(panel)
    text = field.text(value)
    if one and panel["options"]["textMode"] == "name":
        text = name_of(panel["targets"][0], one)
    size = "font-size: 24px; " if len(text) > 7 else ""
    return f'<div class="stat" style="{size}background: {field.color(value)}">{escape(text)}</div>'


def _bars(panel: Mapping[str, Any], found: Sequence[Sequence[Series]]) -> str:
    field = Field(panel)
    rows = [(name_of(panel["targets"][0], one), one.points[-1][1]) for one in found[0]]
    most = panel["fieldConfig"]["defaults"].get("max") or max(value for _, value in rows)
    return "".join(
        f'<div class="bar">{escape(name)} {field.text(value)}<div><i style="width: '
        f'{100 * value / most}%; background: {field.color(value)}"></i></div></div>'
        for name, value in rows
    )


def _table(panel: Mapping[str, Any], found: Sequence[Sequence[Series]]) -> str:
    """Join the queries' series by their labels, a row each."""
    rows: dict[tuple[tuple[str, str], ...], dict[str, float | str]] = {}
    for target, series in zip(panel["targets"], found, strict=True):
        column = "Value" if len(found) == 1 else f"Value #{target['refId']}"
        for one in series:
            row = rows.setdefault(tuple(sorted(one.labels.items())), dict(one.labels))
            row[column] = one.points[-1][1]
    organized = panel["transformations"][-1]["options"]
    columns = [
        (column, organized["renameByName"].get(column, column))
        for column in sorted(organized["indexByName"], key=organized["indexByName"].__getitem__)
        if not organized["excludeByName"].get(column)
    ]
    (first,) = panel["options"]["sortBy"] or [{"displayName": columns[0][1], "desc": False}]
    by = next(column for column, name in columns if name == first["displayName"])
    ordered = sorted(rows.values(), key=lambda row: row.get(by, ""), reverse=first["desc"])
    head = "".join(_head(column, name) for column, name in columns)
    body = "".join(
        "<tr>" + "".join(_cell(Field(panel, name), row.get(column)) for column, name in columns)
        for row in ordered
    )
    return f"<table><tr>{head}{body}</table>"


def _head(column: str, name: str) -> str:
    kind = "" if column.startswith("Value") else ' class="text"'
    return f"<th{kind}>{escape(name)}</th>"


def _cell(field: Field, value: float | str | None) -> str:
    color = field.color(value) if field.is_colored else "transparent"
    ink = "#fff" if color not in {"transparent", COLORS["yellow"]} else "inherit"
    ink = "#111" if color == COLORS["yellow"] else ink
    kind = ' class="text"' if isinstance(value, str) else ""
    return f'<td{kind} style="background: {color}; color: {ink}">{escape(field.text(value))}</td>'


_SHOWN = {"stat": _stat, "bargauge": _bars, "table": _table}
