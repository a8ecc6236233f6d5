"""Answers as plain JSON: what can be read of them, what refuses, which part is about which id."""

import json
import re
from collections.abc import Collection, Mapping, Sequence
from typing import Any, NoReturn

import msgspec

from watcher.errors import (
    BadKey,
    PanelError,
    RateLimited,
    Refused,
    RemoteFault,
    ServerFault,
    Unreadable,
)
from watcher.panels.protocol.values import clean, id_text, money, word
from watcher.panels.protocol.words import (
    ABOUT_AN_ID,
    FAILURE_WORDS,
    ErrorKind,
    error_kind,
    fold,
)


class Unmatched(Unreadable):
    """The answer does not say which order each row is about: ask one by one."""


PAGE = "a page in place of JSON"
LONGEST_PAUSE = 86400.0  # seconds
_LOADER = msgspec.json.Decoder(float_hook=money)
_TITLE = re.compile(r"<title[^>]*>([^<]{1,200})", re.IGNORECASE)
_MESSAGES = ("message", "msg", "detail")
MEASURES = frozenset({"charge", "start_count", "start_counter", "remains"})
# A value takes some 100 bytes of memory, however few the wire has for it. No price list comes near.
_MOST_VALUES = 1_000_000
MOST_ROWS = 100_000  # several times any panel's price list; more hold up all that is watched
_LONGEST_INTEGER = 40  # digits; Python reads longer ones in quadratic time


def load(body: bytes) -> Any:
    """An answer's JSON, with every float as its exact Decimal, or None where it is absurd."""
    if len(body) > _MOST_VALUES and body.count(b",") + body.count(b"[") > _MOST_VALUES:
        raise RemoteFault("an answer of too many values")
    try:
        return _LOADER.decode(body)
    except RecursionError:
        raise RemoteFault("an answer nested too deeply") from None
    except (ValueError, msgspec.MsgspecError):
        return _load_leniently(body)


def _load_leniently(body: bytes) -> Any:
    """The same for a byte order mark, bytes that are not UTF-8 and halves of surrogate pairs."""
    text = body.decode("utf-8-sig", "replace").strip()
    if not text:
        raise RemoteFault("an empty answer")
    if text.startswith("<"):
        title = _TITLE.search(text[:4096])
        raise RemoteFault(f"{PAGE}: {clean(title[1] if title else text[:80])}")
    try:
        return json.loads(
            text, strict=False, parse_float=money, parse_int=_integer, parse_constant=_absurd
        )
    except RecursionError:
        raise RemoteFault("an answer nested too deeply") from None
    except ValueError:
        raise RemoteFault(f"an answer that is not JSON: {clean(text[:80])}") from None


def _integer(digits: str) -> int | None:
    return int(digits) if len(digits) <= _LONGEST_INTEGER else None


def _absurd(constant: str) -> NoReturn:
    raise ValueError(constant)


def as_unreadable(error: RemoteFault, body: bytes) -> RemoteFault:
    """The fault, as Unreadable where the answer is whole JSON and only its form is unexpected."""
    if type(error) is not RemoteFault:
        return error
    try:
        load(body)
    except RemoteFault:
        return error
    return Unreadable(str(error))


def refusal(body: bytes) -> PanelError | None:
    """The error that an answer with an error's HTTP status tells of, None where it tells none."""
    try:
        answer = load(body)
    except RemoteFault:
        return None
    if not isinstance(answer, dict):
        return None
    text = problem(answer) or message(answer)
    return _refusal(text, answer) if text else None


def refuse(text: str, answer: Mapping[str, Any]) -> NoReturn:
    """Raises a panel's refusal of a whole request."""
    raise _refusal(text, answer)


def _refusal(text: str, answer: Mapping[str, Any]) -> PanelError:
    kind = error_kind(text)
    if kind is ErrorKind.BAD_KEY:
        return BadKey(text)
    if kind is ErrorKind.RATE_LIMIT:
        seconds = money(answer.get("retry_after"))
        return RateLimited(text, None if seconds is None else pause(float(seconds)))
    # A panel that breaks down at a request may have carried it out: that is no refusal.
    return ServerFault(text) if kind is ErrorKind.BREAKDOWN else Refused(text)


def pause(seconds: float) -> float:
    """How long a panel's wish to be left alone is heeded."""
    return min(max(seconds, 0.0), LONGEST_PAUSE)


def problem(answer: Mapping[str, Any]) -> str | None:
    """The words of an error in an answer or a row, in whatever shape panels send one."""
    for field in ("error", "errors"):
        value = answer.get(field)
        if value:
            words = _words(value) if isinstance(value, str | dict | list) else None
            return words or message(answer) or f"error {word(value)}"
    if failed(answer):
        return message(answer)
    text = message(answer)
    # A message alone can also be good news: only one that is known to be bad is an error.
    return text if text and error_kind(text) is not ErrorKind.OTHER else None


def as_error(answer: Any) -> Any:
    """An answer; an error that is a bare text or alone in a list, in an error's usual shape."""
    alone = answer[0] if isinstance(answer, list) and len(answer) == 1 else answer
    if isinstance(alone, str) and error_kind(alone) is not ErrorKind.OTHER:
        return {"error": alone}
    return alone if isinstance(alone, dict) and alone.get("error") else answer


def failed(answer: Mapping[str, Any]) -> bool:
    """Whether an answer says that the request went wrong; an order that did has measures."""
    if answer.get("success") is False:
        return True
    return fold(word(answer.get("status")) or "") in FAILURE_WORDS and MEASURES.isdisjoint(answer)


def failure(answer: Mapping[str, Any]) -> str | None:
    """An answer's word for having gone wrong, where it gives no other."""
    return (word(answer.get("status")) or "failed") if failed(answer) else None


def message(answer: Mapping[str, Any]) -> str | None:
    """What an answer tells people."""
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


def rows(
    answer: Any, ids: Collection[str], *, by: str, slot: str, facts: frozenset[str]
) -> dict[str, Any]:
    """The part of an answer that is about each of `ids`; ids that it leaves out are left out.

    1. A list's rows name their ids in the field `by`.
    2. An object has the ids as its keys, or is itself a row: of the id that it names or,
       where one id was asked for and it has one of `facts`, of that one.
    3. An object that only tells of an error refuses the request. That is raised, unless it is
       about the one id that was asked for: then it is that id's row.

    Nothing is ever matched by position. `slot` is the field with a row's own verdict.
    """
    if isinstance(answer, list):
        return _listed(answer, ids, by=by, slot=slot, facts=facts)
    answer = as_error(answer)
    if not isinstance(answer, dict):
        raise RemoteFault(f"an answer of an unexpected form: {word(answer)}")
    keyed = [id_ for id_ in ids if id_ in answer]
    if keyed or not answer:
        return {id_: answer[id_] for id_ in keyed if _is_of(answer[id_], id_, by)}
    named = row_name(answer, by)
    if named is not None and named in ids:
        return {named: answer}
    text = _whole_problem(answer, slot)
    if text is None:
        return _unnamed(answer, ids, facts, named)
    if len(ids) == 1 and error_kind(text) in ABOUT_AN_ID:
        return {id_: {"error": text} for id_ in ids}
    refuse(text, answer)


def _is_of(row: Any, id_: str, by: str) -> bool:
    """Whether what stands under an id is about it: a row may name another."""
    return not isinstance(row, dict) or row_name(row, by) in (None, id_)


def _whole_problem(answer: dict[str, Any], slot: str) -> str | None:
    if slot == "status":  # here "fail" can be what was asked for
        return problem(answer)
    return None if answer.get(slot) else problem(answer) or failure(answer)


def _unnamed(
    answer: dict[str, Any], ids: Collection[str], facts: frozenset[str], named: str | None
) -> dict[str, Any]:
    if named is None and not facts.isdisjoint(answer):
        if len(ids) > 1:
            raise Unmatched
        return dict.fromkeys(ids, answer)
    if named is not None or any(_looks_like_a_row(row, facts) for row in answer.values()):
        return {}  # rows that nobody asked for
    fields = ", ".join(list(answer)[:8])
    raise RemoteFault(f"an answer without what was asked for; it has {clean(fields)}")


def _looks_like_a_row(row: Any, facts: frozenset[str]) -> bool:
    return isinstance(row, dict) and not (facts.isdisjoint(row) and "error" not in row)


def _listed(
    answer: list[Any], ids: Collection[str], *, by: str, slot: str, facts: frozenset[str]
) -> dict[str, Any]:
    if len(answer) > MOST_ROWS:
        raise RemoteFault(f"an answer of {len(answer):,} rows")
    named = [(row_name(row, by), row) for row in answer if isinstance(row, dict)]
    if not answer or any(id_ is not None for id_, _ in named):
        return {id_: row for id_, row in named if id_ is not None and id_ in ids}
    if len(answer) == 1 and isinstance(answer[0], dict | str):
        return rows(answer[0], ids, by=by, slot=slot, facts=facts)
    if len(ids) > 1:
        raise Unmatched
    raise RemoteFault("several rows for one id")


def row_name(row: Mapping[str, Any], by: str) -> str | None:
    """The id that a row says it is about."""
    return id_text(row.get(by)) or id_text(row.get(f"{by}_id"))
