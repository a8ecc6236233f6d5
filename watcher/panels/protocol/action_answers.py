"""Answers to actions: refills, cancels and new orders.

Only an id or a clear word means accepted, only an error means refused. Anything else leaves open
what the panel did: the verdict is `Unclear`, with what the panel said.
"""

from collections.abc import Collection, Mapping
from typing import Any

import msgspec

from watcher.errors import RateLimited, Refused, RemoteFault, ServerFault
from watcher.model import Accepted, RowError, Unclear, Verdict
from watcher.panels.protocol.answers import (
    MEASURES,
    Misnamed,
    RowFormat,
    as_error,
    failure,
    message,
    problem,
    refuse,
    rows,
    wrapped,
)
from watcher.panels.protocol.bodies import load
from watcher.panels.protocol.values import clean, id_text, is_id, shown, word
from watcher.panels.protocol.words import (
    FAILURE_WORDS,
    SUCCESS_WORDS,
    ErrorKind,
    error_kind,
    fold,
    is_bad_news,
    is_good_news,
    is_taken,
    is_word,
)

NOT_NAMED = "the panel's answer does not name this order"
_NOT_UNDERSTOOD = "the panel's answer is not understood"
_ORDER, _REFILL, _CANCEL = ("order", "order_id"), ("refill", "refill_id"), ("cancel", "cancel_id")
_TELLS = ("success", "status", "result", "message", "msg", "detail")
_WELL = SUCCESS_WORDS | {"1"}
_SHOWN = 120  # characters of an answer; with a sentence before it they fit an error's message
# A row may carry the order's own status beside the verdict: these words are not verdicts.
_OWN_STATUSES = frozenset("pending queued inqueue awaiting waiting processing inprogress".split())


def decode_refills(body: bytes, ids: Collection[str]) -> dict[str, Verdict]:
    """Decode the id of each order's new refill, or what the panel said instead."""
    return _verdicts(body, ids, _REFILL)


def decode_cancels(body: bytes, ids: Collection[str]) -> dict[str, Verdict]:
    """Decode whether the panel accepted the cancel of each order."""
    return _verdicts(body, ids, _CANCEL)


def decode_add(body: bytes) -> Verdict:
    """Decode the id of a new order."""
    answer = as_error(load(body))
    if isinstance(answer, list) and len(answer) == 1:
        answer = answer[0]
    if not isinstance(answer, dict):
        return _unclear(answer)
    order = _id_in(answer, _ORDER)
    text = problem(answer) or failure(answer)
    if order is None and text is not None:
        if says_success(answer):
            return _both(answer)
        refuse(text, answer)
    if order is None:
        order = _wrapped_order(answer)
    if text is not None:
        return _both(answer)
    return order or _unclear(answer)


def _wrapped_order(answer: Mapping[str, Any]) -> str | None:
    inner = wrapped(answer, frozenset(_ORDER))
    if isinstance(inner, list) and len(inner) == 1:
        inner = inner[0]
    if not isinstance(inner, dict) or problem(inner) or failure(inner):
        return None
    return _id_in(inner, _ORDER)


def _verdicts(body: bytes, ids: Collection[str], slots: tuple[str, ...]) -> dict[str, Verdict]:
    answer = load(body)
    wanted = dict.fromkeys(ids)
    form = RowFormat("order", slots[0], frozenset((*slots, *_TELLS)))
    try:
        found = rows(answer, wanted, form)
    except (Refused, RateLimited):
        if isinstance(answer, dict) and says_success(answer):
            return dict.fromkeys(wanted, _both(answer))
        raise
    except ServerFault:
        raise
    except RemoteFault:  # no order is named, or the form is unknown
        return dict.fromkeys(wanted, _of_all(answer, slots, is_one=len(wanted) == 1))
    left_out = Unclear(f"{NOT_NAMED}: {shown(answer, _SHOWN)}")
    return {id_: _verdict(found[id_], slots) if id_ in found else left_out for id_ in wanted}


def _of_all(answer: Any, slots: tuple[str, ...], *, is_one: bool) -> Verdict:
    """Return what one answer says of all ids; an id in it belongs to at most one of them."""
    verdict = _verdict(answer, slots)
    if isinstance(verdict, str):
        if is_one and isinstance(answer, dict):
            return verdict
        verdict = Accepted(verdict) if verdict == "1" else _unclear(answer)
    if isinstance(verdict, Accepted):
        return Accepted(verdict.text, whole=not is_one)
    return verdict if isinstance(verdict, Unclear) else _unclear(answer)


def _verdict(row: Any, slots: tuple[str, ...]) -> Verdict:
    """Return accepted or refused; unclear if a row says neither, or both."""
    if isinstance(row, Misnamed):
        return Unclear(str(row))
    value, text = row, None
    if isinstance(row, dict):
        text = problem(row) or failure(row)
        value = next((row[slot] for slot in slots if row.get(slot) is not None), row)
    if isinstance(value, dict):
        text = text or problem(value) or failure(value)
    elif isinstance(value, str) and error_kind(value) is not ErrorKind.OTHER:
        text = text or clean(value)
    done = _acceptance(row, value, slots)
    if text is None:
        return done or _unclear(row)
    if done is not None or (isinstance(row, dict) and says_success(row)):
        return _both(row)
    return _unclear(row) if error_kind(text) is ErrorKind.BREAKDOWN else RowError(text)


def _acceptance(row: Any, value: Any, slots: tuple[str, ...]) -> str | Accepted | None:
    if value is not row and isinstance(value, dict):
        given = _id_in(value, ("id", *slots))
        if given is not None:
            return given
    cancel = slots is _CANCEL
    if isinstance(value, dict):
        return _in_words(value, cancel=cancel)
    if value is True:
        return Accepted("true")
    given = new_id(value)
    if cancel and given is not None and not any(map(str.isdecimal, given)):
        given = None  # a cancel has no id of its own, and letters alone are hardly one
    if given is not None or not isinstance(value, str):
        return given
    is_good = is_taken(value, cancel=cancel) or is_good_news(value)
    return Accepted(clean(value)) if is_good else None


def _in_words(row: Mapping[str, Any], *, cancel: bool) -> Accepted | None:
    """Return an acceptance without an id: a word of success, or an unambiguous sentence."""
    sentence = message(row)
    said = [_said_well(field, row[field], cancel=cancel) for field in _TELLS[:3] if field in row]
    words = [text for text in said if text]
    if not words:
        alone = sentence if sentence and not said and MEASURES.isdisjoint(row) else None
        return Accepted(alone) if alone and is_good_news(alone) else None
    is_bad = sentence is not None and is_bad_news(sentence)
    if len(words) < len(said) or is_bad or not MEASURES.isdisjoint(row):
        return None
    return Accepted(sentence or words[0])


def _said_well(field: str, value: Any, *, cancel: bool) -> str | None:
    """Return a field's text if it says that the request succeeded."""
    text = word(value)
    if text is None or isinstance(value, dict | list):
        return None
    if is_taken(text, cancel=cancel):
        return None if fold(text) in _OWN_STATUSES else text
    if field != "success" or fold(text) in FAILURE_WORDS:
        return None
    is_sentence = isinstance(value, str) and " " in text and not is_bad_news(text)
    return text if is_sentence or text == "1" else None


def _id_in(row: Mapping[str, Any], fields: tuple[str, ...]) -> str | None:
    """Return the id in the first of the fields that has one, plain or as `{"id": …}`."""
    for field in fields:
        value = row.get(field)
        if isinstance(value, dict):
            value = value.get("id")
        given = new_id(value)
        if given is not None:
            return given
    return None


def new_id(value: Any) -> str | None:
    """Return the id of what a panel accepted; words like "success" and 0 are not ids."""
    text = id_text(value)
    if text is None or not is_id(text) or text.startswith("-") or not text.strip("0."):
        return None
    return None if is_word(text) else text


def says_success(answer: Mapping[str, Any]) -> bool:
    """Return whether an object has a word of success in one of its fields."""
    said = (word(answer.get(field)) for field in ("success", "status", "result"))
    return any(text is not None and fold(text) in _WELL for text in said)


def _both(answer: Any) -> Unclear:
    return msgspec.structs.replace(_unclear(answer), contradicts=True)


def _unclear(answer: Any) -> Unclear:
    return Unclear(f"{_NOT_UNDERSTOOD}: {shown(answer, _SHOWN) or 'nothing'}")
