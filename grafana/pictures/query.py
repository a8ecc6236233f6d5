"""Ask a Prometheus a dashboard's queries, and show values as its fields are configured."""

import json
import re
import urllib.parse
import urllib.request
from collections.abc import Mapping
from math import isfinite
from time import time
from typing import Any, NamedTuple

STEP = 5  # seconds between two points: the data source's "timeInterval"
NO_VALUE = "–"
COLORS = {
    "green": "#73bf69",
    "yellow": "#fade2a",
    "red": "#f2495c",
    "blue": "#5794f2",
    "orange": "#ff9830",
    "text": "inherit",
}
PALETTE = ("#73bf69", "#f2cc0c", "#5794f2", "#ff9830", "#f2495c", "#b877d9", "#8ab8ff", "#fa6400")
SECONDS = ((86400, "days"), (3600, "hours"), (60, "min"), (1, "s"), (1e-3, "ms"), (1e-6, "µs"))
THOUSANDS = ((1e9, "B"), (1e6, "M"), (1e3, "K"), (1, ""))
BYTES = ((2**30, "GiB"), (2**20, "MiB"), (2**10, "KiB"), (1, "B"))


class Series(NamedTuple):
    """What one query told of one set of labels."""

    labels: Mapping[str, str]
    points: list[tuple[float, float]]


class Source:
    """A Prometheus, and what the dashboard's variables stand for."""

    def __init__(self, url: str, minutes: float, panel: str) -> None:
        self.end = int(time()) // STEP * STEP
        self.start = self.end - round(60 * minutes)
        self._url = url
        self.variables = {
            "datasource": "Prometheus",
            "job": "watcher",
            "instance": ".+",
            "panel": panel,
            "__rate_interval": f"{4 * STEP}s",
            "__range": f"{self.end - self.start}s",
        }

    def fill_in(self, text: str) -> str:
        """Return the text with its variables replaced."""
        return re.sub(r"\$\{?(\w+)\}?", lambda found: self.variables[found[1]], text)

    def ask(self, target: Mapping[str, Any]) -> list[Series]:
        """Return the query's series: one point each where it is an instant one."""
        query: dict[str, Any] = {"query": self.fill_in(target["expr"])}
        over = {"start": self.start, "end": self.end, "step": STEP}
        query |= {"time": self.end} if target["instant"] else over
        kind = "query" if target["instant"] else "query_range"
        url = f"{self._url}/api/v1/{kind}?{urllib.parse.urlencode(query)}"
        with urllib.request.urlopen(url) as answer:
            found = json.load(answer)["data"]["result"]
        return [
            Series(
                one["metric"],
                [(at, float(v)) for at, v in one.get("values") or [one["value"]]],
            )
            for one in found
        ]


class Field:
    """How a panel shows the values of one name."""

    def __init__(self, panel: Mapping[str, Any], name: str = "") -> None:
        config = panel["fieldConfig"]
        self._of = dict(config["defaults"])
        for override in config["overrides"]:
            if override["matcher"]["options"] == name:
                self._of |= {one["id"]: one["value"] for one in override["properties"]}
        self.custom = self._of.get("custom", {})
        self.is_colored = "custom.cellOptions" in self._of

    def text(self, value: float | str | None) -> str:
        """Return the value in its unit."""
        if value is None or (isinstance(value, float) and not isfinite(value)):
            return str(self._of.get("noValue", NO_VALUE))
        mapped = self._mapped(value).get("text")
        return mapped or (value if isinstance(value, str) else self._number(value))

    def color(self, value: float | str | None) -> str:
        """Return the color of the value's mapping or threshold."""
        steps = self._of["thresholds"]["steps"]
        color = self._mapped(value).get("color")
        if color is None:
            color = steps[0]["color"]
            for step in steps[1:]:
                if isinstance(value, float) and value >= step["value"]:
                    color = step["color"]
        return COLORS.get(color, color)

    def line(self, number: int) -> str:
        """Return the color of the series with this number."""
        fixed: str = self._of["color"].get("fixedColor", PALETTE[number % len(PALETTE)])
        return COLORS.get(fixed, fixed)

    def limits(self) -> list[tuple[float, str]]:
        """Return the thresholds to draw in a graph."""
        if self.custom.get("thresholdsStyle", {}).get("mode", "off") == "off":
            return []
        steps = self._of["thresholds"]["steps"][1:]
        return [(step["value"], COLORS.get(step["color"], step["color"])) for step in steps]

    def _mapped(self, value: object) -> Mapping[str, str]:
        key = f"{value:g}" if isinstance(value, float) else str(value)
        for mapping in self._of["mappings"]:
            if key in mapping["options"]:
                return dict(mapping["options"][key])
        return {}

    def _number(self, value: float) -> str:
        decimals, unit = self._of.get("decimals"), self._of["unit"]
        if unit == "percentunit":
            return f"{100 * value:.{1 if decimals is None else decimals}f}%"
        sizes = {"s": SECONDS, "bytes": BYTES, "short": THOUSANDS}.get(unit, ((1, ""),))
        size, word = next((one for one in sizes if abs(value) >= one[0]), sizes[-1])
        if not value:
            size, word = 1, "s" if unit == "s" else ""
        number = f"{value / size:,.{2 if decimals is None else decimals}f}"
        if decimals is None and "." in number:
            number = number.rstrip("0").rstrip(".")
        return f"{number} {word}".strip()


def name_of(target: Mapping[str, Any], one: Series) -> str:
    """Return the series' name in the legend."""
    text = target.get("legendFormat") or ""
    return re.sub(r"\{\{\s*(\w+)\s*\}\}", lambda found: one.labels.get(found[1], ""), text)
