"""Conditions: CEL over what is known of an order, its service and its panel.

CEL is the Common Expression Language (https://cel.dev). It has no static types here, so a
condition is checked by its names, its literals and by trying it on sample orders.
"""

import re
from collections.abc import Callable, Mapping
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from typing import Any

import cel
import msgspec

from watcher.model import Kind, Order, Service, Status

RELOOK = 300.0  # seconds after which a condition on `now` is tried again
_MARGIN = 0.001  # past a threshold: conditions compare with > as well as >=


class Panel(msgspec.Struct, frozen=True):
    """What a condition may know of a panel."""

    name: str
    balance: float | None = None
    currency: str | None = None


class Situation(msgspec.Struct, frozen=True, kw_only=True):
    """All beyond the order itself that a decision depends on."""

    panel: Panel
    service: Service | None = None
    refill_disabled: str | None = None  # the panel's words, where it refused for the service
    open_actions: frozenset[Kind] = frozenset()
    refill_running: bool = False
    cancel_accepted: bool = False


class Past(msgspec.Struct, frozen=True):
    """How often a rule has fired for an order, and when last."""

    count: int = 0
    last: float = 0.0


class Condition:
    """A compiled CEL condition. Raises ValueError with a plain cause where it can't be used."""

    def __init__(self, text: str) -> None:
        self.text = text
        self._program = _compiled(text)
        bare = _LITERAL.sub("''", text)
        _check_names(self._program, text, bare)
        self.fields = {
            name: tuple(sorted(set(re.findall(rf"(?<![\w.]){name}\s*\.\s*(\w+)", bare))))
            for name in FIELDS
        }
        self._check_fields()
        self.durations = _durations(text)
        self._variables = frozenset(self._program.variables())
        self.moves_with_time = "now" in self._variables or bool(
            set(self.fields["order"]) & _CLOCKED and set(self._program.functions()) & _ARITHMETIC
        )
        self._try_samples()

    def holds(self, order: Order, situation: Situation, past: Past, now: float) -> bool:
        """Whether it is true; raises UnknownValue or ConditionFailed where that can't be told."""
        facts = self._facts(order, situation, past, now)
        try:
            result = self._program.execute(facts)
        except Exception as error:  # noqa: BLE001  the engine raises whatever type fits
            raise self._why(facts, error) from None
        if not isinstance(result, bool):
            raise ConditionFailed(f"it gave {_kind_of(result)}, not true or false")
        return result

    def next_look(self, order: Order, now: float) -> float | None:
        """When time alone could change the answer: None where it can't."""
        if self.moves_with_time:
            return now + RELOOK
        starts = (_CLOCKS[name](order) for name in self.fields["order"] if name in _CLOCKS)
        crossings = (
            start + seconds + _MARGIN
            for start in starts
            if start is not None
            for seconds in self.durations
        )
        return min((at for at in crossings if at > now), default=None)

    def depends_on(self, name: str) -> bool:
        """Whether it reads `service`, `panel` or `order`."""
        return name in self._variables

    def _facts(self, order: Order, situation: Situation, past: Past, now: float) -> dict[str, Any]:
        """Just the values that the condition names: turning values into CEL's is what costs."""
        facts: dict[str, Any] = {}
        if self.fields["order"]:
            facts["order"] = {n: _ORDER[n](order, past, now) for n in self.fields["order"]}
        if self.fields["service"]:
            facts["service"] = {
                n: _plain(getattr(situation.service, n, None)) for n in self.fields["service"]
            }
        if self.fields["panel"]:
            facts["panel"] = {n: getattr(situation.panel, n) for n in self.fields["panel"]}
        if "now" in self._variables:
            facts["now"] = _moment(now)
        return facts

    def _why(self, facts: Mapping[str, Any], error: Exception) -> "UnknownValue | ConditionFailed":
        unknown = [
            f"{name}.{field}"
            for name, values in facts.items()
            if isinstance(values, dict)
            for field, value in values.items()
            if value is None
        ]
        return UnknownValue(", ".join(unknown)) if unknown else ConditionFailed(_clear(error))

    def _check_fields(self) -> None:
        for name, used in self.fields.items():
            for field in used:
                if field not in FIELDS[name]:
                    known = ", ".join(sorted(FIELDS[name]))
                    raise ValueError(f"there is no {name}.{field}; {name} has: {known}")

    def _try_samples(self) -> None:
        for order, situation, now in _samples():
            try:
                self.holds(order, situation, Past(), now)
            except ConditionFailed as error:
                raise ValueError(str(error)) from None


class UnknownValue(Exception):
    """The condition needs a value that is not known of this order; the message names it."""


class ConditionFailed(Exception):
    """The condition can't be evaluated."""


# --- what a condition can name ----------------------------------------------------------------


def _moment(at: float | None) -> datetime | None:
    return None if at is None else datetime.fromtimestamp(at, UTC)


def _since(at: float | None, now: float) -> timedelta | None:
    return None if at is None else timedelta(seconds=now - at)


def _plain(value: Any) -> Any:
    """Money becomes a float, here alone: CEL has no decimals."""
    return float(value) if hasattr(value, "as_tuple") else value


_ORDER: dict[str, Callable[[Order, Past, float], Any]] = {
    "panel": lambda order, past, now: order.panel,
    "id": lambda order, past, now: order.id,
    "service": lambda order, past, now: order.service,
    "link": lambda order, past, now: order.link,
    "quantity": lambda order, past, now: order.quantity,
    "status": lambda order, past, now: str(order.status),
    "status_text": lambda order, past, now: order.status_text,
    "charge": lambda order, past, now: _plain(order.charge),
    "currency": lambda order, past, now: order.currency,
    "start_count": lambda order, past, now: order.start_count,
    "remains": lambda order, past, now: order.remains,
    "count": lambda order, past, now: order.count,
    "drop": lambda order, past, now: order.drop,
    "submitted_at": lambda order, past, now: _moment(order.submitted_at),
    "finished_at": lambda order, past, now: _moment(order.finished_at),
    "age": lambda order, past, now: _since(order.submitted_at, now),
    "idle": lambda order, past, now: _since(order.progressed_at, now),
    "finished_ago": lambda order, past, now: _since(order.finished_at, now),
    "refills": lambda order, past, now: order.refills,
    "attempts": lambda order, past, now: past.count,
}
FIELDS: dict[str, frozenset[str]] = {
    "order": frozenset(_ORDER),
    "service": frozenset(
        {"id", "name", "type", "category", "rate", "min", "max", "refill", "cancel"}
    ),
    "panel": frozenset(Panel.__struct_fields__),
}
_VARIABLES = frozenset(FIELDS) | {"now"}
_CLOCKS: dict[str, Callable[[Order], float | None]] = {
    "age": lambda order: order.submitted_at,
    "idle": lambda order: order.progressed_at,
    "finished_ago": lambda order: order.finished_at,
}
_CLOCKED = frozenset(_CLOCKS)

# --- checking a condition's text --------------------------------------------------------------

_LITERAL = re.compile(r"'(?:[^'\\]|\\.)*'|\"(?:[^\"\\]|\\.)*\"")
_DURATION = re.compile(r"\bduration\(\s*('[^']*'|\"[^\"]*\")\s*\)")
_BOUND = re.compile(r"\.(?:all|exists|exists_one|existsOne|map|filter)\(\s*(\w+)\s*,")
_DATE_PARTS = frozenset(
    "getFullYear getMonth getDate getDayOfMonth getDayOfWeek getDayOfYear getHours getMinutes"
    " getSeconds getMilliseconds".split()
)
# With these a time-based condition can turn at other moments than at its durations' ends.
_ARITHMETIC = _DATE_PARTS | {"_+_", "_-_", "_*_", "_/_", "_%_", "int", "string"}
_FUNCTIONS = _DATE_PARTS | frozenset(
    "size contains startsWith endsWith matches duration timestamp string int uint double bool"
    " bytes has max min all exists exists_one existsOne map filter type dyn".split()
)


def _compiled(text: str) -> cel.Program:
    try:
        return cel.compile(text)
    except Exception as error:  # noqa: BLE001  see above
        raise ValueError(_clear(error)) from None


def _check_names(program: cel.Program, text: str, bare: str) -> None:
    bound = set(_BOUND.findall(bare))
    for name in program.variables():
        if name not in _VARIABLES | bound:
            raise ValueError(f"there is no {name!r}; there are: {', '.join(sorted(_VARIABLES))}")
    for name in program.functions():
        is_operator = name.startswith(("_", "@", "!", "-"))
        if not is_operator and name not in _FUNCTIONS:
            raise ValueError(f"there is no function {name!r}")
    for word in _compared_statuses(text):
        if word not in set(Status):
            raise ValueError(f"no status is {word!r}; there are: {', '.join(Status)}")
    whole = re.search(r"(?<![\w.])(order|service|panel)\b(?!\s*\.)", bare)
    if whole:
        raise ValueError(f"{whole[1]!r} has to be followed by .<field>")


def _compared_statuses(text: str) -> list[str]:
    """Every word that order.status is compared with: a misspelt one would never be true."""
    single = re.findall(r"\border\.status\s*[!=]=\s*['\"]([^'\"]*)['\"]", text)
    lists = re.findall(r"\border\.status\s+in\s+\[([^\]]*)\]", text)
    return single + [word[1:-1] for words in lists for word in _LITERAL.findall(words)]


def _durations(text: str) -> tuple[float, ...]:
    """Every duration('…') in the text, in seconds."""
    seconds = []
    for literal in _DURATION.findall(text):
        try:
            seconds.append(cel.evaluate(f"duration({literal})").total_seconds())
        except Exception:  # noqa: BLE001  see above
            cause = f"duration({literal}): write hours, minutes, seconds, as '36h', '90m'"
            raise ValueError(cause) from None
    return tuple(seconds)


def _clear(error: Exception) -> str:
    """The engine's first line, without its advice."""
    return str(error).strip().splitlines()[0].split(" CEL does not coerce")[0][:200]


def _kind_of(value: object) -> str:
    return {int: "a number", float: "a number", str: "text"}.get(type(value), "another type")


_MONEY = Decimal("1.5")


def _samples() -> list[tuple[Order, Situation, float]]:
    """An order of every status with every value known, young and old."""
    service = Service(
        id="1", name="n", category="c", rate=_MONEY, min=1, max=9, refill=True, cancel=True
    )
    situation = Situation(panel=Panel("p", 10.0, "USD"), service=service)
    return [
        (_sample_order(status), situation, now) for status in Status for now in (60.0, 4e6, 4e8)
    ]


def _sample_order(status: Status) -> Order:
    return Order(
        panel="p",
        id="1",
        service="1",
        link="https://example.com/p",
        quantity=100,
        submitted_at=1.0,
        status=status,
        status_text=status.value,
        charge=_MONEY,
        currency="USD",
        start_count=5,
        remains=50,
        count=30,
        progressed_at=2.0,
        finished_at=3.0,
        checked_at=4.0,
    )
