"""Forms of `add`: the parameters that each type of service needs."""

from collections.abc import Mapping
from typing import NamedTuple

from watcher.panels.protocol.refusals import Refusal, RefusedAnswer
from watcher.panels.protocol.serve import whole
from watcher.simulator.catalog import PACKAGES, SimService

MOST_PARTS = 1000

Parameters = Mapping[str, str]


class Form(NamedTuple):
    """The parameters that a type needs; `counted` holds the quantity, as a number or lines."""

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


class Wanted(NamedTuple):
    """An accepted form."""

    link: str
    quantity: int


def read_form(service: SimService, sent: Parameters) -> Wanted:
    """Return what the parameters of an `add` order, or raise Refused.

    A drip feed is one order of all its runs, a subscription one of all its posts.
    """
    if service.type == "Subscriptions":
        return _subscription(service, sent)
    form = FORMS.get(service.type, FORMS["Default"])
    for name in form.needs:
        _text(sent, name)
    quantity = _within(service, _quantity(form, sent))
    return Wanted(_text(sent, "link"), quantity * _runs(service, sent))


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


def _runs(service: SimService, sent: Parameters) -> int:
    if not sent.get("runs", "").strip():
        return 1
    runs = _number(sent, "runs")
    if not 1 <= runs <= MOST_PARTS or (runs > 1 and not service.dripfeed):
        raise RefusedAnswer(Refusal.PARAMETER, "runs")
    if runs > 1:
        _number(sent, "interval")
    return runs


def _subscription(service: SimService, sent: Parameters) -> Wanted:
    username = _text(sent, "username")
    least = _within(service, _number(sent, "min", Refusal.QUANTITY))
    most = _within(service, _number(sent, "max", Refusal.QUANTITY))
    posts = _number(sent, "posts")
    if least > most:
        raise RefusedAnswer(Refusal.QUANTITY)
    if not 1 <= posts <= MOST_PARTS:
        raise RefusedAnswer(Refusal.PARAMETER, "posts")
    return Wanted(username, most * posts)
