"""Forms of `add`: the parameters that each type of service needs."""

from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from typing import NamedTuple

from watcher.panels.protocol.refusals import Refusal, RefusedAnswer
from watcher.panels.protocol.serve import whole
from watcher.simulator.catalog import PACKAGES, SimService
from watcher.simulator.fate import DAY, MINUTE, NEVER

MOST_PARTS = 1000
DELAYS = frozenset({0, 5, 10, 15, 30, 60, 90})

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
    """An accepted form: an order of `least` to `most` after each of `times`, in seconds.

    `expiry` is None except for a subscription.
    """

    link: str
    least: int
    most: int
    times: Sequence[float] = (0.0,)
    expiry: str | None = None
    expires: float = NEVER

    @property
    def is_series(self) -> bool:
        return len(self.times) > 1 or self.expiry is not None


def read_form(service: SimService, sent: Parameters) -> Wanted:
    """Return what the parameters of an `add` request order, or raise Refused."""
    if service.type == "Subscriptions":
        return _subscription(service, sent)
    form = FORMS.get(service.type, FORMS["Default"])
    for name in form.needs:
        _text(sent, name)
    quantity = _within(service, _quantity(form, sent))
    return Wanted(_text(sent, "link"), quantity, quantity, _runs(service, sent))


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


def _runs(service: SimService, sent: Parameters) -> Sequence[float]:
    """Return when each run of a drip feed is placed."""
    if not sent.get("runs", "").strip():
        return (0.0,)
    runs = _number(sent, "runs")
    if not 1 <= runs <= MOST_PARTS or (runs > 1 and not service.dripfeed):
        raise RefusedAnswer(Refusal.PARAMETER, "runs")
    interval = _number(sent, "interval") * MINUTE if runs > 1 else 0.0
    return [run * interval for run in range(runs)]


def _subscription(service: SimService, sent: Parameters) -> Wanted:
    username = _text(sent, "username")
    least = _within(service, _number(sent, "min", Refusal.QUANTITY))
    most = _within(service, _number(sent, "max", Refusal.QUANTITY))
    if least > most:
        raise RefusedAnswer(Refusal.QUANTITY)
    expiry = sent.get("expiry", "").strip()
    return Wanted(username, least, most, _posts(service, sent), expiry, _expires(expiry))


def _posts(service: SimService, sent: Parameters) -> Sequence[float]:
    """Return when each post gets its order: old posts at once, new ones as they appear."""
    posts = _number(sent, "posts")
    old = _number(sent, "old_posts") if sent.get("old_posts", "").strip() else 0
    if not 1 <= posts + old <= MOST_PARTS:
        raise RefusedAnswer(Refusal.PARAMETER, "posts")
    delay = _number(sent, "delay")
    if delay not in DELAYS:
        raise RefusedAnswer(Refusal.PARAMETER, "delay")
    new = [0] * old + list(range(1, posts + 1))
    return [delay * MINUTE + post * service.habits.post_every for post in new]


def _expires(expiry: str) -> float:
    """Return the end of the day that is written as d/m/Y."""
    if not expiry:
        return NEVER
    try:
        day = datetime.strptime(expiry, "%d/%m/%Y").replace(tzinfo=UTC)
    except ValueError:
        raise RefusedAnswer(Refusal.PARAMETER, "expiry") from None
    return day.timestamp() + DAY
