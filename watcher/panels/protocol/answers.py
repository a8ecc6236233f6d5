"""Finds refusals in answers, and which part of an answer is about which id."""

from collections.abc import Collection, Mapping, Sequence
from typing import Any, NamedTuple, NoReturn

from watcher.errors import (
    BadKey,
    PanelError,
    RateLimited,
    Refused,
    RemoteFault,
    ServerFault,
    Unreadable,
)
from watcher.panels.protocol.bodies import load
from watcher.panels.protocol.values import clean, id_text, money, shown, word
from watcher.panels.protocol.words import (
    ABOUT_AN_ID,
    FAILURE_WORDS,
    SUCCESS_WORDS,
    ErrorKind,
    error_kind,
    fold,
    is_good_news,
)


class Unmatched(Unreadable):
    """The answer does not say which order each row is about; the caller asks one by one."""


_NO_ERRORS = frozenset({"0", "false", "null", "none"})
_FLAGS = FAILURE_WORDS | {"1", "true", "yes"}
LONGEST_PAUSE = 86400.0  # seconds
_MESSAGES = ("message", "msg", "detail")
MEASURES = frozenset({"charge", "start_count", "start_counter", "remains"})
MOST_ROWS = 100_000  # several times any panel's price list; more would block the event loop


def as_unreadable(error: RemoteFault, body: bytes) -> RemoteFault:
    """Return the fault; as Unreadable if the answer is whole JSON of an unexpected form."""
    if type(error) is not RemoteFault:
        return error
    try:
        load(body)
    except RemoteFault:
        return error
    return Unreadable(str(error))


def refusal(body: bytes) -> PanelError | None:
    """Return the error in an answer with an HTTP error status, None if it names none."""
    try:
        answer = load(body)
    except RemoteFault:
        return None
    if not isinstance(answer, dict):
        return None
    text = problem(answer)
    if text is None:
        text = message(answer)
        if text is not None and is_good_news(text):
            return None
    return _refusal(text, answer) if text else None


def refuse(text: str, answer: Mapping[str, Any]) -> NoReturn:
    """Raise a panel's refusal of a whole request."""
    raise _refusal(text, answer)


def _refusal(text: str, answer: Mapping[str, Any]) -> PanelError:
    kind = error_kind(text)
    if kind is ErrorKind.BAD_KEY:
        return BadKey(text)
    if kind is ErrorKind.RATE_LIMIT:
        seconds = money(answer.get("retry_after"))
        return RateLimited(text, None if seconds is None else pause(float(seconds)))
    # A panel that breaks down may have carried out the request: that is not a refusal.
    return ServerFault(text) if kind is ErrorKind.BREAKDOWN else Refused(text)


def pause(seconds: float) -> float:
    """Return the seconds to wait as the panel asks, at most LONGEST_PAUSE."""
    return min(max(seconds, 0.0), LONGEST_PAUSE)


def problem(answer: Mapping[str, Any]) -> str | None:
    """Return the text of an error in an answer or a row, in any shape that panels use."""
    for field in ("error", "errors"):
        value = answer.get(field)
        if value and fold(word(value) or "") not in _NO_ERRORS:
            return _error_text(value, message(answer))
    if failed(answer):
        return message(answer)
    text = message(answer)
    # A message alone may report success: only known error words make it an error.
    return text if text and error_kind(text) is not ErrorKind.OTHER else None


def _error_text(value: Any, text: str | None) -> str:
    """Return an error's text; if it is only a code, with the message beside it."""
    is_flag = not isinstance(value, str | int | dict | list) or value is True
    words = None if is_flag else _words(value)
    if words is None or (text and fold(words) in _FLAGS):
        return text or f"error {word(value)}"
    is_code = isinstance(value, int) or " " not in words
    if not text or not is_code or text == words:
        return f"error {words}" if isinstance(value, int) else words
    return clean(f"{text} ({words})")


def as_error(answer: Any) -> Any:
    """Return the answer; a bare error text, or an error alone in a list, in the usual shape."""
    alone = answer[0] if isinstance(answer, list) and len(answer) == 1 else answer
    if isinstance(alone, str) and error_kind(alone) is not ErrorKind.OTHER:
        return {"error": alone}
    return alone if isinstance(alone, dict) and alone.get("error") else answer


def failed(answer: Mapping[str, Any]) -> bool:
    """Return whether the request failed. A failed *order* has measures beside its status."""
    if answer.get("success") is False:
        return True
    return fold(word(answer.get("status")) or "") in FAILURE_WORDS and MEASURES.isdisjoint(answer)


def failure(answer: Mapping[str, Any]) -> str | None:
    """Return an answer's word for a failure without a reason, None without a failure."""
    return (word(answer.get("status")) or "failed") if failed(answer) else None


def message(answer: Mapping[str, Any]) -> str | None:
    """Return an answer's message."""
    for field in _MESSAGES:
        text = _words(answer.get(field))
        if text:
            return text
    data = answer.get("data")
    return message(data) if isinstance(data, dict) and "data" not in data else None


def _words(value: Any, depth: int = 3) -> str | None:
    if isinstance(value, str):
        return clean(value) or None
    if depth and isinstance(value, dict):
        named = [value[field] for field in (*_MESSAGES, "error", "text", "code") if field in value]
        return _first_words(named or list(value.values())[:3], depth)
    if depth and isinstance(value, list):
        return _first_words(value[:3], depth)
    return word(value)


def _first_words(values: Sequence[Any], depth: int) -> str | None:
    return next(filter(None, (_words(value, depth - 1) for value in values)), None)


class RowFormat(NamedTuple):
    """The fields of a row: `by` has its id, `slot` its verdict, `facts` describe the id."""

    by: str
    slot: str
    facts: frozenset[str]


class Misnamed(NamedTuple):
    """The row under one id that names another."""

    by: str
    name: str

    def __str__(self) -> str:
        name = clean(self.name, 64)
        return f"the panel's answer for this {self.by} names {self.by} {name}"


_WRAPPERS = tuple(
    "data result results response orders refills cancels statuses items list rows".split()
)
_DEEPEST = 3  # nested wrappers
_WELL = SUCCESS_WORDS | {"1", "200", "201"}
_ABOUT_THE_REQUEST = frozenset({"status", "success", "result", *_MESSAGES})


def rows(
    answer: Any, ids: Collection[str], form: RowFormat, depth: int = _DEEPEST
) -> dict[str, Any]:
    """Return the part of an answer for each of `ids`; ids that it leaves out are missing.

    1. The rows of a list name their ids in the field `by`.
    2. An object has the ids as its keys, or is itself a row: of the id that it names or, if
       one id was asked for and the object has one of `facts`, of that id.
    3. An object with only an error refuses the request. That is raised, unless it is about the
       one id that was asked for: then it is that id's row.
    4. An object that wraps one of these, as `{"data": …}`, is unwrapped.

    Nothing is ever matched by position. A row under one id that names another is `Misnamed`.
    """
    if isinstance(answer, list):
        return _listed(answer, ids, form)
    answer = as_error(answer)
    if not isinstance(answer, dict):
        raise RemoteFault(f"an answer of an unexpected form: {shown(answer, 80)}")
    keyed = [id_ for id_ in ids if id_ in answer]
    if keyed or not answer:
        return {id_: checked(answer[id_], id_, form.by) for id_ in keyed}
    named = row_name(answer, form.by)
    if named is not None and named in ids:
        return {named: answer}
    text = _whole_problem(answer, form.slot)
    if text is None:
        inner = wrapped(answer, form.facts) if depth and named is None else None
        if inner is not None:
            return rows(inner, ids, form, depth - 1)
        return _unnamed(answer, ids, form, named)
    if len(ids) == 1 and error_kind(text) in ABOUT_AN_ID:
        return dict.fromkeys(ids, answer)
    refuse(text, answer)


def checked(row: Any, id_: str, by: str) -> Any:
    """Return the row under an id; `Misnamed` if it names another."""
    name = row_name(row, by) if isinstance(row, dict) else None
    return row if name in (None, id_) else Misnamed(by, str(name))


def wrapped(answer: Mapping[str, Any], facts: frozenset[str]) -> Any | None:
    """Return what an object wraps, None if it has facts of its own or wraps several things."""
    if facts.intersection(answer) - _ABOUT_THE_REQUEST or not _says_well(answer):
        return None
    inner = [answer[name] for name in _WRAPPERS if _is_of_rows(answer.get(name))]
    return inner[0] if len(inner) == 1 else None


def _says_well(answer: Mapping[str, Any]) -> bool:
    """Return whether an object says that the request succeeded, or nothing about it."""
    said = [answer.get(field) for field in ("status", "success", "result")]
    words = [word(value) for value in said if value is not None and not _is_of_rows(value)]
    return all(fold(text or "") in _WELL for text in words)


def _is_of_rows(value: Any) -> bool:
    if isinstance(value, list):
        return not value or isinstance(value[0], dict)
    return isinstance(value, dict) and bool(value)


def _whole_problem(answer: dict[str, Any], slot: str) -> str | None:
    if slot == "status":  # here "fail" may be an order's status
        return problem(answer)
    return None if answer.get(slot) else problem(answer) or failure(answer)


def _unnamed(
    answer: dict[str, Any], ids: Collection[str], form: RowFormat, named: str | None
) -> dict[str, Any]:
    if named is not None:
        return {id_: Misnamed(form.by, named) for id_ in ids} if len(ids) == 1 else {}
    if not form.facts.isdisjoint(answer):
        if len(ids) > 1:
            raise Unmatched(f"an answer that names no {form.by}: {shown(answer, 120)}")
        return dict.fromkeys(ids, answer)
    if any(_looks_like_a_row(row, form.facts) for row in answer.values()):
        return {}  # rows that nobody asked for
    fields = ", ".join(list(answer)[:8])
    raise RemoteFault(f"an answer without what was asked for; it has {clean(fields)}")


def _looks_like_a_row(row: Any, facts: frozenset[str]) -> bool:
    return isinstance(row, dict) and not (facts.isdisjoint(row) and "error" not in row)


def _listed(answer: list[Any], ids: Collection[str], form: RowFormat) -> dict[str, Any]:
    if len(answer) > MOST_ROWS:
        raise RemoteFault(f"an answer of {len(answer):,} rows")
    named = [(row_name(row, form.by), row) for row in answer if isinstance(row, dict)]
    names_ids = not answer or any(id_ is not None for id_, _ in named)
    is_alone = len(answer) == 1 and isinstance(answer[0], dict | str)
    if is_alone and (len(ids) == 1 or not names_ids):
        return rows(answer[0], ids, form, depth=0)
    if names_ids:
        return {id_: row for id_, row in named if id_ is not None and id_ in ids}
    if len(ids) > 1:
        raise Unmatched(f"an answer whose rows name no {form.by}: {shown(answer[:3], 120)}")
    raise RemoteFault("several rows for one id")


def row_name(row: Mapping[str, Any], by: str) -> str | None:
    """Return the id that a row names."""
    return id_text(row.get(by)) or id_text(row.get(f"{by}_id"))
