"""Requests: the form or JSON that every request is, and the parameters that `add` takes."""

import re
from collections.abc import Iterator, Mapping
from datetime import date
from types import MappingProxyType
from typing import NamedTuple
from urllib.parse import quote_plus

import msgspec


def encode_form(
    key: str,
    action: str,
    params: Mapping[str, str],
    fields: Mapping[str, str] = MappingProxyType({}),
) -> bytes:
    """The body of a request, as a form; `fields` are what the panel wants in every one."""
    # Commas stay as they are: a hundred joined ids then take the quoting's short way out.
    parts = [f"key={quote_plus(key)}&action={quote_plus(action)}"]
    all_ = {**params, **fields} if fields else params
    parts += [f"{quote_plus(name)}={quote_plus(value, safe=',')}" for name, value in all_.items()]
    return "&".join(parts).encode("ascii")


def encode_json(
    key: str,
    action: str,
    params: Mapping[str, str],
    fields: Mapping[str, str] = MappingProxyType({}),
) -> bytes:
    """The body of a request, as JSON. Every value is a text, as an id has to be: it may have more
    digits than a number of JSON keeps, and several are joined by commas.
    """
    return msgspec.json.encode({**params, **fields, "key": key, "action": action})


class Parameters(NamedTuple):
    """What `add` takes for a type of service, beside `service`."""

    required: tuple[str, ...]
    optional: tuple[str, ...] = ()


ADD_PARAMETERS = {
    "Default": Parameters(("link", "quantity"), ("runs", "interval")),
    "Package": Parameters(("link",)),
    "SEO": Parameters(("link", "quantity", "keywords")),
    "Custom Comments": Parameters(("link", "comments")),
    "Custom Comments Package": Parameters(("link", "comments")),
    "Mentions with Hashtags": Parameters(("link", "quantity", "usernames", "hashtags")),
    "Mentions Custom List": Parameters(("link", "usernames")),
    "Mentions Hashtag": Parameters(("link", "quantity", "hashtag")),
    "Mentions User Followers": Parameters(("link", "quantity", "username")),
    "Mentions Media Likers": Parameters(("link", "quantity", "media")),
    "Comment Likes": Parameters(("link", "quantity", "username")),
    "Poll": Parameters(("link", "quantity", "answer_number")),
    "Invites from Groups": Parameters(("link", "quantity", "groups")),
    # What limits a subscription may be left out; the panel then goes on for good.
    "Subscriptions": Parameters(
        ("username", "min", "max"), ("posts", "old_posts", "delay", "expiry")
    ),
}
_BY_FOLDED_TYPE = {name.casefold(): (name, table) for name, table in ADD_PARAMETERS.items()}
_LEAST = {
    "quantity": 1,
    "runs": 1,
    "interval": 1,
    "min": 1,
    "max": 1,
    "posts": 0,
    "old_posts": 0,
    "delay": 0,
    "answer_number": 0,
}
_WHOLE = re.compile(r"[0-9]{1,18}")
_DAY = re.compile(r"([0-9]{1,2})/([0-9]{1,2})/([0-9]{4})")


def check_add(service_type: str, params: Mapping[str, str]) -> list[str]:
    """Every problem of an `add`; a type that is not in the table may take anything."""
    problems = [*_check_any(params)]
    known = _BY_FOLDED_TYPE.get(" ".join(service_type.casefold().split()))
    if known is not None:
        problems += _check_names(*known, params)
        problems += _check_values(params)
    return problems


def _check_any(params: Mapping[str, str]) -> Iterator[str]:
    if not params.get("service", "").strip():
        yield "service is missing"
    for name, value in params.items():
        if name in ("key", "action"):
            yield f"{name} can't be given: the watcher sets it"
        try:
            value.encode()
        except UnicodeEncodeError:
            yield f"{name} is not valid text"


def _check_names(service_type: str, table: Parameters, params: Mapping[str, str]) -> Iterator[str]:
    for name in table.required:
        if not params.get(name, "").strip():
            yield f"{name} is missing: {service_type} services need {', '.join(table.required)}"
    known = {"service", "key", "action", *table.required, *table.optional}
    for name in params:
        if name not in known:
            allowed = ", ".join(table.required + table.optional)
            yield f"{name} is not a parameter of {service_type} services: they take {allowed}"


def _check_values(params: Mapping[str, str]) -> Iterator[str]:
    for name, least in _LEAST.items():
        value = params.get(name, "").strip()
        if value and not (_WHOLE.fullmatch(value) and int(value) >= least):
            yield f"{name} must be a whole number of at least {least}, not {value[:40]!r}"
    if params.get("interval") and not params.get("runs"):
        yield "interval is the time between runs: it needs runs"
    low, high = params.get("min", "").strip(), params.get("max", "").strip()
    if _WHOLE.fullmatch(low) and _WHOLE.fullmatch(high) and int(low) > int(high):
        yield f"min ({low}) is above max ({high})"
    expiry = params.get("expiry", "").strip()
    if expiry and not _is_day(expiry):
        yield f"expiry must be a day as 31/12/2026, not {expiry[:40]!r}"


def _is_day(text: str) -> bool:
    found = _DAY.fullmatch(text)
    if found is None:
        return False
    day, month, year = map(int, found.groups())
    try:
        date(year, month, day)
    except ValueError:
        return False
    return True
