"""What `add` must be told for each type of service, and what it makes of it."""

from collections.abc import Mapping
from datetime import UTC, datetime, timedelta
from typing import NamedTuple

import msgspec

from watcher.panels.protocol.refusals import Refusal, RefusedAnswer
from watcher.panels.protocol.serve import whole
from watcher.simulator.catalog import PACKAGES, SimService
from watcher.simulator.fate import NEVER

MOST_PARTS = 1000
DELAYS = frozenset({0, 5, 10, 15, 30, 60, 90})

Parameters = Mapping[str, str]


class Form(NamedTuple):
    """The parameters that a type needs; the number ordered is one, or the lines of one."""

    needs: tuple[str, ...]
    counted: str = "quantity"


FORMS = {
    "Default": Form(("link",)),
    "Package": Form(("link",), counted=""),
    "SEO": Form(("link", "keywords")),
    "Custom Comments": Form(("link", "comments"), counted="comments"),
    "Custom Comments Package": Form(("link", "comments"), counted=""),
    "Mentions with Hashtags": Form(("link", "usernames", "hashtags")),
    "Mentions Custom List": Form(("link", "usernames"), counted="usernames"),
    "Mentions Hashtag": Form(("link", "hashtag")),
    "Mentions User Followers": Form(("link", "username")),
    "Mentions Media Likers": Form(("link", "media")),
    "Comment Likes": Form(("link", "username")),
    "Poll": Form(("link", "answer_number")),
    "Invites from Groups": Form(("link", "groups")),
}


class Wanted(msgspec.Struct, frozen=True, kw_only=True):
    """An accepted form: one order, or with `runs` a drip feed, one every `interval` seconds."""

    link: str
    quantity: int
    runs: int = 1
    interval: float = 0.0


class WantedPosts(msgspec.Struct, frozen=True, kw_only=True):
    """An accepted form of a subscription: an order for each of the next posts."""

    username: str
    least: int
    most: int
    posts: int
    old_posts: int
    delay: float
    expiry: str
    expires: float


def read_form(service: SimService, sent: Parameters) -> Wanted | WantedPosts:
    """What the parameters of an `add` order, or Refused."""
    if service.type == "Subscriptions":
        return _subscription(service, sent)
    form = FORMS.get(service.type, FORMS["Default"])
    for name in form.needs:
        _text(sent, name)
    quantity = _within(service, _quantity(form, sent))
    runs, interval = _drip(service, sent)
    return Wanted(link=_text(sent, "link"), quantity=quantity, runs=runs, interval=interval)


def _text(sent: Parameters, name: str) -> str:
    text = sent.get(name, "").strip()
    if text:
        return text
    raise RefusedAnswer(Refusal.LINK) if name == "link" else RefusedAnswer(Refusal.PARAMETER, name)


def _number(sent: Parameters, name: str, refusal: Refusal = Refusal.PARAMETER) -> int:
    number = whole(sent.get(name, ""))
    if number is None:
        raise RefusedAnswer(refusal, name if refusal is Refusal.PARAMETER else "")
    return number


def _quantity(form: Form, sent: Parameters) -> int:
    if form.counted == "quantity":
        return _number(sent, "quantity", Refusal.QUANTITY)
    if form.counted:
        return sum(1 for line in sent[form.counted].splitlines() if line.strip())
    return 1


def _within(service: SimService, quantity: int) -> int:
    if service.type in PACKAGES:
        return quantity
    if quantity < service.min:
        raise RefusedAnswer(Refusal.LEAST, service.min)
    if quantity > service.max:
        raise RefusedAnswer(Refusal.MOST, service.max)
    return quantity


def _drip(service: SimService, sent: Parameters) -> tuple[int, float]:
    if not sent.get("runs", "").strip():
        return 1, 0.0
    runs = _number(sent, "runs")
    if not 1 <= runs <= MOST_PARTS or (runs > 1 and not service.dripfeed):
        raise RefusedAnswer(Refusal.PARAMETER, "runs")
    return runs, _number(sent, "interval") * 60.0 if runs > 1 else 0.0


def _subscription(service: SimService, sent: Parameters) -> WantedPosts:
    username = _text(sent, "username")
    least = _within(service, _number(sent, "min", Refusal.QUANTITY))
    most = _within(service, _number(sent, "max", Refusal.QUANTITY))
    posts = _number(sent, "posts")
    old = _number(sent, "old_posts") if sent.get("old_posts", "").strip() else 0
    if least > most:
        raise RefusedAnswer(Refusal.QUANTITY)
    if not 1 <= posts + old <= MOST_PARTS:
        raise RefusedAnswer(Refusal.PARAMETER, "posts")
    delay = _number(sent, "delay")
    if delay not in DELAYS:
        raise RefusedAnswer(Refusal.PARAMETER, "delay")
    expiry = sent.get("expiry", "").strip()
    return WantedPosts(
        username=username, least=least, most=most, posts=posts, old_posts=old,
        delay=delay * 60.0, expiry=expiry, expires=_expires(expiry),
    )  # fmt: skip


def _expires(expiry: str) -> float:
    """The end of the day that is written d/m/Y."""
    if not expiry:
        return NEVER
    try:
        day = datetime.strptime(expiry, "%d/%m/%Y").replace(tzinfo=UTC)
    except ValueError:
        raise RefusedAnswer(Refusal.PARAMETER, "expiry") from None
    return day.timestamp() + timedelta(days=1).total_seconds()
