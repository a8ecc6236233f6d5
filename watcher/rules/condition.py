"""Conditions: CEL over an order, its service and its panel.

CEL is the Common Expression Language (https://cel.dev). It has no static types here, so a
condition is checked by its names, its literals and by evaluating it for sample orders.
"""

import re
import sys
from collections.abc import Mapping, Sequence
from datetime import timedelta
from importlib.machinery import PathFinder
from importlib.util import find_spec, module_from_spec
from typing import TYPE_CHECKING, Any

from watcher.model import Order, Origin, Status
from watcher.rules.condition_cost import check_cost
from watcher.rules.variables import (
    CLOCKED,
    CLOCKS,
    FIELDS,
    ORDER,
    VARIABLES,
    FiringHistory,
    RuleContext,
    moment,
    plain,
    samples,
    submissions,
)

if TYPE_CHECKING:
    import cel


def _engine() -> Any:
    """Import CEL's compiled module alone: the package imports a command line (0.2 s, 26 MB)."""
    package = find_spec("cel")
    spec = PathFinder.find_spec("cel.cel", package.submodule_search_locations if package else None)
    if spec is None or spec.loader is None:
        raise ImportError("the package common-expression-language is not installed")
    module = sys.modules[spec.name] = module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


_cel = sys.modules.get("cel.cel") or _engine()

RELOOK = 300.0  # seconds after which a condition on `now` is evaluated again
_MARGIN = 0.001  # past a threshold: conditions compare with > as well as >=


class Condition:
    """A compiled CEL condition. Raises ValueError with a plain cause if it can't be used.

    An evaluation takes some milliseconds at most: `check_cost` sees to that.
    """

    def __init__(self, text: str) -> None:
        self.text = text
        check_cost(text)
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
            set(self.fields["order"]) & CLOCKED and set(self._program.functions()) & _ARITHMETIC
        )
        self._needs_age = sorted({"age", "submitted_at"} & set(self.fields["order"]))
        self._statuses = _required_statuses(text)
        self._try_samples()

    def excludes(self, order: Order) -> bool:
        """Return whether the order's status alone makes the condition false."""
        return self._statuses is not None and order.status not in self._statuses

    def holds(
        self, order: Order, rule_context: RuleContext, past: FiringHistory, now: float
    ) -> bool:
        """Return whether the condition is true; raise UnknownValue or ConditionFailed.

        If the order's age is not known exactly, it must be true at every possible age.
        """
        if not self._is_true(order, rule_context, past, now):
            return False
        if self._needs_age and order.origin is Origin.UNDATED:
            for other in submissions(order, self.durations, now):
                if not self._is_true(other, rule_context, past, now):
                    raise UnknownValue([f"order.{name}" for name in self._needs_age])
        return True

    def _is_true(
        self, order: Order, rule_context: RuleContext, past: FiringHistory, now: float
    ) -> bool:
        facts = self._facts(order, rule_context, past, now)
        try:
            result = self._program.execute(facts)
        except Exception as error:  # noqa: BLE001  the engine raises many types
            raise self._why(facts, _clear(error)) from None
        if not isinstance(result, bool):
            cause = f"it gave {_kind_of(result)}, not true or false"
            raise self._why(facts, cause) if result is None else ConditionFailed(cause)
        return result

    def values(
        self, order: Order, rule_context: RuleContext, past: FiringHistory, now: float
    ) -> str:
        """Return the values that the condition reads, as text: "order.status = partial, …"."""
        facts = self._facts(order, rule_context, past, now)
        return ", ".join(
            f"{name}.{field} = {_readable(value)}"
            for name, fields in facts.items()
            if isinstance(fields, dict)
            for field, value in fields.items()
        )

    def next_review(self, order: Order, now: float) -> float | None:
        """Return when time alone could change the result; None if it can't."""
        if self.excludes(order):
            return None
        if self.moves_with_time:
            return now + RELOOK
        starts = (CLOCKS[name](order) for name in self.fields["order"] if name in CLOCKS)
        crossings = (
            start + seconds + _MARGIN
            for start in starts
            if start is not None
            for seconds in self.durations
        )
        return min((at for at in crossings if at > now), default=None)

    def depends_on(self, name: str) -> bool:
        """Return whether the condition reads this field of `service`, `panel` or `order`."""
        return name in self._variables

    def _facts(
        self, order: Order, rule_context: RuleContext, past: FiringHistory, now: float
    ) -> dict[str, Any]:
        """Return only the values that the condition names: the conversion to CEL's is slow."""
        facts: dict[str, Any] = {}
        if self.fields["order"]:
            facts["order"] = {n: ORDER[n](order, past, now) for n in self.fields["order"]}
        if self.fields["service"]:
            facts["service"] = {
                n: plain(getattr(rule_context.service, n, None)) for n in self.fields["service"]
            }
        if self.fields["panel"]:
            facts["panel"] = {n: getattr(rule_context.panel, n) for n in self.fields["panel"]}
        if "now" in self._variables:
            facts["now"] = moment(now)
        return facts

    def _why(self, facts: Mapping[str, Any], cause: str) -> "UnknownValue | ConditionFailed":
        unknown = [
            f"{name}.{field}"
            for name, values in facts.items()
            if isinstance(values, dict)
            for field, value in values.items()
            if value is None
        ]
        return UnknownValue(unknown) if unknown else ConditionFailed(cause)

    def _check_fields(self) -> None:
        for name, used in self.fields.items():
            for field in used:
                if field not in FIELDS[name]:
                    known = ", ".join(sorted(FIELDS[name]))
                    raise ValueError(f"there is no {name}.{field}; {name} has: {known}")

    def _try_samples(self) -> None:
        for order, rule_context, now in samples():
            try:
                self.holds(order, rule_context, FiringHistory(), now)
            except ConditionFailed as error:
                raise ValueError(str(error)) from None


class UnknownValue(Exception):
    """The condition needs values of this order that are not known: `names`."""

    def __init__(self, names: Sequence[str]) -> None:
        super().__init__(", ".join(names))
        self.names = names


class ConditionFailed(Exception):
    """The condition can't be evaluated."""


# --- checking a condition's text --------------------------------------------------------------

_LITERAL = re.compile(r"'(?:[^'\\]|\\.)*'|\"(?:[^\"\\]|\\.)*\"")
_SINGLE_EQUALS = re.compile(r"(?<![=!<>])=(?!=)")
_KINDS = "A number goes with a number, a time span with duration('24h'), a text with 'a text'."
_DURATION = re.compile(r"\bduration\(\s*('[^']*'|\"[^\"]*\")\s*\)")
_WORD = r"""['"]\w+['"]"""
_FIRST_STATUS = re.compile(
    rf"\s*order\.status\s*(?:==\s*({_WORD})|in\s+\[\s*({_WORD}(?:\s*,\s*{_WORD})*)\s*\])\s*(?:&&|$)"
)
_BOUND = re.compile(r"\.(?:all|exists|exists_one|existsOne|map|filter)\(\s*(\w+)\s*,")
_DATE_PARTS = frozenset(
    "getFullYear getMonth getDate getDayOfMonth getDayOfWeek getDayOfYear getHours getMinutes"
    " getSeconds getMilliseconds".split()
)
# With these, time can change a condition's result at other moments than the ends of its durations.
_ARITHMETIC = _DATE_PARTS | {"_+_", "_-_", "_*_", "_/_", "_%_", "int", "string"}
_FUNCTIONS = _DATE_PARTS | frozenset(
    "size contains startsWith endsWith matches duration timestamp string int uint double bool"
    " bytes has max min all exists exists_one existsOne map filter type dyn".split()
)


def _compiled(text: str) -> "cel.Program":
    try:
        program: cel.Program = _cel.compile(text)
        return program
    except Exception as error:  # noqa: BLE001  see above
        hint = "write == to compare: " if _SINGLE_EQUALS.search(_LITERAL.sub("''", text)) else ""
        raise ValueError(hint + _clear(error)) from None


def _check_names(program: "cel.Program", text: str, bare: str) -> None:
    bound = set(_BOUND.findall(bare))
    for name in program.variables():
        if name not in VARIABLES | bound:
            raise ValueError(f"there is no {name!r}; there are: {', '.join(sorted(VARIABLES))}")
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
    """Return every word that order.status is compared with, to find misspelt ones."""
    single = re.findall(r"\border\.status\s*[!=]=\s*['\"]([^'\"]*)['\"]", text)
    lists = re.findall(r"\border\.status\s+in\s+\[([^\]]*)\]", text)
    return single + [word[1:-1] for words in lists for word in _LITERAL.findall(words)]


def _required_statuses(text: str) -> frozenset[str] | None:
    """Return the statuses of which an order must have one; None if the text does not say.

    It says so if it begins with `order.status == '…' && ` or `order.status in ['…', …] && `, or is
    nothing else, and has no `||` or `?`: then a false part makes the whole false.
    """
    bare = _LITERAL.sub("''", text)
    if "||" in bare or "?" in bare:
        return None
    found = _FIRST_STATUS.match(text)
    if found is None:
        return None
    return frozenset(word[1:-1] for word in _LITERAL.findall(found[1] or found[2]))


def _durations(text: str) -> tuple[float, ...]:
    """Return every duration('…') in the text, in seconds."""
    seconds = []
    for literal in _DURATION.findall(text):
        try:
            seconds.append(_cel.evaluate(f"duration({literal})").total_seconds())
        except Exception:  # noqa: BLE001  see above
            cause = f"duration({literal}): write hours, minutes, seconds, as '36h', '90m'"
            raise ValueError(cause) from None
    return tuple(seconds)


def _clear(error: Exception) -> str:
    """Return the first line of the engine's message, with advice for people."""
    text = str(error).strip().splitlines()[0].split(" CEL does not coerce")[0][:200]
    return f"{text} {_KINDS}" if text.startswith("No such overload") else text


def _readable(value: object) -> str:
    if isinstance(value, timedelta):
        return str(timedelta(seconds=round(value.total_seconds())))
    return "unknown" if value is None else str(value)


def _kind_of(value: object) -> str:
    return {int: "a number", float: "a number", str: "text"}.get(type(value), "another type")
