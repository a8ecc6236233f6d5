"""What numbers look like: colours from limits, words in place of numbers."""

from collections.abc import Sequence

from grafana_foundation_sdk.models.dashboard import (
    DashboardRangeMapOptions,
    RangeMap,
    ValueMap,
    ValueMapping,
    ValueMappingResult,
)

GREEN, YELLOW, ORANGE, RED, BLUE, GREY = "green", "yellow", "orange", "red", "blue", "#6e7178"
NOTHING = "–"  # what is shown where there is no number

Steps = Sequence[tuple[float | None, str]]

# What is not known is grey, never green: Grafana colours "no data" as the lowest step.
PLAIN: Steps = ((None, "text"),)
IS_UP: Steps = ((None, GREY), (0, RED), (1, GREEN))


def over(limit: float, warn: float | None = None) -> Steps:
    """Red from `limit` on, yellow from `warn` on."""
    return ((None, GREY), (0, GREEN), *([(warn, YELLOW)] if warn else []), (limit, RED))


def more_than(count: int) -> Steps:
    """Red for anything more than `count`, of what is counted in whole numbers."""
    return over(count + 1)


def under(limit: float) -> Steps:
    """Red below `limit`."""
    return ((None, GREY), (0, RED), (limit, GREEN))


def only_bad(steps: Steps) -> Steps:
    """The same limits where many numbers are side by side: only what is wrong has a colour."""
    return [(at, color if color in (RED, YELLOW) else "transparent") for at, color in steps]


def words(**by_number: tuple[str, str]) -> list[ValueMapping]:
    """Words and colours in place of numbers: `words(_0=("DOWN", RED))`."""
    options = {
        name.removeprefix("_"): ValueMappingResult(text, color, index=index)
        for index, (name, (text, color)) in enumerate(by_number.items())
    }
    return [ValueMap(options)]


def beyond(number: float, text: str, color: str) -> list[ValueMapping]:
    """A word in place of every number from `number` on."""
    return [RangeMap(DashboardRangeMapOptions(number, None, ValueMappingResult(text, color)))]


UP_OR_DOWN = words(_0=("DOWN", RED), _1=("up", GREEN))

# The same thing has the same colour wherever it is shown.
STATUSES = {
    "pending": "#8ab8ff",
    "processing": "#5794f2",
    "in_progress": "#1f60c4",
    "completed": GREEN,
    "partial": YELLOW,
    "canceled": ORANGE,
    "refunded": "#b877d9",
    "failed": RED,
    "unknown": GREY,
}
OUTCOMES = {"accepted": GREEN, "rejected": ORANGE, "not_sent": GREY, "unresolved": RED}


def text(**colors: str) -> list[ValueMapping]:
    """Colours for words."""
    return [ValueMap({word: ValueMappingResult(color=color) for word, color in colors.items()})]
