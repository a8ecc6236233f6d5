"""Requests as a form or JSON, and the parameters of `add`. Only this module encodes requests.

PHP changes names: it drops leading blanks, reads `.` and blank as `_`, cuts at NUL, and makes an
array of `name[]`; some panels ignore case. So names may only use characters that nothing changes.
"""

import re
from collections.abc import Iterator, Mapping
from datetime import date
from types import MappingProxyType
from typing import NamedTuple
from urllib.parse import quote_plus

import msgspec

from watcher.errors import Unsendable

LARGEST_ADD = 64 * 1024  # bytes that the names and values of an order may have in all
_NAME = re.compile(r"[a-z][a-z0-9_]{0,31}")
# Names, without `_`, that some panels read as the key, action, service, order or refill.
_RESERVED = frozenset(
    """
    key apikey secret secretkey token apitoken accesstoken authtoken
    action act method
    service services serviceid id ids
    order orders orderid orderids
    refill refills refillid refillids
    """.split()
)
_MOST_LISTED = 5  # problems in one error
_IDS = frozenset({"order", "orders", "refill", "refills"})
_READS = frozenset({"services", "balance", "status", "refill_status"})
# Line breaks and tabs are legitimate in comments; some panels cut a text at the others.
_CONTROL = re.compile(r"[\x00-\x08\x0b\x0c\x0e-\x1f\x7f\ud800-\udfff]")


_NO_FIELDS: Mapping[str, str] = MappingProxyType({})


def encode_form(
    key: str, action: str, params: Mapping[str, str], fields: Mapping[str, str] = _NO_FIELDS
) -> bytes:
    """Return the body of a request as a form; `fields` are sent in every request.

    Raise Unsendable if a panel could read it as a different request.
    """
    check_request(action, params)
    # Commas are not quoted: that makes quoting a hundred joined ids fast.
    parts = [f"key={quote_plus(key)}&action={quote_plus(action)}"]
    every = {**params, **fields} if fields else params
    parts += [f"{quote_plus(name)}={quote_plus(value, safe=',')}" for name, value in every.items()]
    return "&".join(parts).encode("ascii")


def encode_json(
    key: str, action: str, params: Mapping[str, str], fields: Mapping[str, str] = _NO_FIELDS
) -> bytes:
    """Return the body of a request as JSON. Raise Unsendable as `encode_form` does.

    Every value is a string, as ids must be: they may have more digits than a JSON number keeps, and
    several are joined with commas.
    """
    check_request(action, params)
    return msgspec.json.encode({**params, **fields, "key": key, "action": action})


def check_request(action: str, params: Mapping[str, str]) -> None:
    """Raise Unsendable if a panel could read this as a different request, in any encoding.

    Values are checked in actions only: a read changes nothing, and one odd id must not spoil its
    whole batch.
    """
    if action == "add":
        problems = check_parameters(params)
    else:
        problems = [f"{action} takes no {name[:40]!r}" for name in params if name not in _IDS]
        if action not in _READS:
            problems += filter(None, (value_problem(*param) for param in params.items()))
    if problems:
        raise Unsendable("not sent: " + "; ".join(problems[:_MOST_LISTED]))


def check_parameters(params: Mapping[str, str]) -> list[str]:
    """Return why an `add` with these parameters must not be sent, for any type of service."""
    problems = [] if params.get("service", "").strip() else ["service is missing"]
    for name, value in params.items():
        problem = name_problem(name) if name != "service" else None
        problem = problem or value_problem(name, value)
        problems += [problem] if problem else []
    size = sum(len(text.encode(errors="replace")) for param in params.items() for text in param)
    if size > LARGEST_ADD:
        problems.append(f"an order of {size:,} bytes: {LARGEST_ADD:,} are the most")
    return problems


def name_problem(name: str) -> str | None:
    """Return why an extra parameter of `add` can't have this name, None if it can."""
    if name.replace("_", "") in _RESERVED:
        return f"{name[:40]} can't be given: watcher sets it"
    if not _NAME.fullmatch(name):
        return (
            f"{name[:40]!r} can't be the name of a parameter: "
            "use a to z, 0 to 9 and _, a letter first, 32 at most"
        )
    return None


def value_problem(name: str, value: str) -> str | None:
    """Return why a parameter can't have this value, None if it can."""
    found = _CONTROL.search(value)
    if found is None:
        return None
    if "\ud800" <= found[0] <= "\udfff":
        return f"{name} is not valid text"
    return f"{name} has a control character, {found[0]!r}: leave it out"


class Parameters(NamedTuple):
    """The parameters of `add` for a type of service, besides `service`."""

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
    # The limits of a subscription are optional; without them it never ends.
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
    """Return every problem of an `add`; an unknown type of service takes any parameter."""
    problems = check_parameters(params)
    known = _BY_FOLDED_TYPE.get(" ".join(service_type.casefold().split()))
    if known is not None:
        problems += _check_names(*known, params)
        problems += _check_values(params)
    return problems


def _check_names(service_type: str, table: Parameters, params: Mapping[str, str]) -> Iterator[str]:
    for name in table.required:
        if not params.get(name, "").strip():
            yield f"{name} is missing: {service_type} services need {', '.join(table.required)}"
    known = {"service", *table.required, *table.optional}
    for name in params:
        if name not in known and name_problem(name) is None:
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
