"""Rendering: the templates, and how times, money and states are written.

Texts from outside are escaped and isolated, so that none changes the direction of the text around
it. Times are written in UTC; the page's script makes them local and relative.
"""

import hashlib
import re
from collections.abc import Mapping
from datetime import UTC, datetime
from decimal import Decimal
from functools import cache
from pathlib import Path
from typing import Any
from urllib.parse import quote, urlencode, urlsplit

from jinja2 import Environment, FileSystemLoader, StrictUndefined
from markupsafe import Markup

from watcher import __version__
from watcher.common.wording import chance, lasting
from watcher.model import Status
from watcher.web.page.terms import TERMS, hint_id, word_of
from watcher.web.views import outcome

STATIC = Path(__file__).parents[1] / "static"
_CONTROL = re.compile("[\x00-\x08\x0b\x0c\x0e-\x1f\x7f\ud800-\udfff]")
_STATUSES = frozenset(Status)
_MINUTE, _HOUR, _DAY = 60, 3600, 86400

# Colours by what they mean, as the CSS names them. A state of a panel or a rule has the tone of the
# item of attention that it makes; order statuses have colours of their own.
TONES = {
    "accepted": "good",
    "up": "good",
    "on": "good",
    "would fire": "good",
    "planned": "busy",
    "sending": "busy",
    "rejected": "warn",
    "unresolved": "bad",
    "down": "bad",
    "lost": "bad",
    "refusing": "bad",
    "degraded": "warn",
    "limited": "calm",
    "paused": "warn",
    "paused by hand": "warn",
    "switched off": "bad",
    "stalled": "warn",
    "critical": "bad",
    "warning": "warn",
    "info": "calm",
}


def render(template: str, **context: Any) -> str:
    """Return the rendered template. A lone surrogate becomes a question mark."""
    html = _environment().get_template(template).render(context)
    return html.encode(errors="replace").decode()


def text(value: object) -> Markup:
    """Return a text from outside, escaped and isolated."""
    if value is None or value == "":
        return Markup("")
    return Markup('<bdi class="t">{}</bdi>').format(_CONTROL.sub("\ufffd", str(value)))


def link(value: str | None) -> Markup:
    """Return an order's link; it can be followed only if it leads to a web site."""
    if not value:
        return Markup("")
    shown = text(re.sub(r"^https?://(www\.)?", "", value))
    if not is_web(value):
        return text(value)
    return Markup(
        '<a class="out" href="{}" target="_blank" rel="noopener noreferrer nofollow">{}</a>'
    ).format(value, shown)


def is_web(value: str) -> bool:
    """Return whether it is the address of a web page, not something that a browser would run."""
    try:
        parts = urlsplit(value)
    except ValueError:
        return False
    return (
        parts.scheme in ("http", "https")
        and bool(parts.netloc)
        and not _CONTROL.search(value)
        and not any(letter.isspace() for letter in value)
    )


def when(at: float | datetime | None, how: str = "ago") -> Markup:
    """Return a time; `how` tells the page's script how to show it.

    That is "ago", "in", "at", or to the "day", the "minute" or the "second".
    """
    if at is None:
        return Markup('<span class="quiet">–</span>')
    moment = at if isinstance(at, datetime) else datetime.fromtimestamp(at, UTC)
    return Markup('<time datetime="{}" data-tell="{}">{}</time>').format(
        moment.strftime("%Y-%m-%dT%H:%M:%SZ"),
        how,
        moment.strftime("%Y-%m-%d" if how == "day" else "%Y-%m-%d %H:%M:%S") + " UTC",
    )


def end(at: float, span: float) -> Markup:
    """Return an end of a chart over `span` seconds, as exact as makes the two ends differ."""
    return when(at, "day" if span >= 3 * _DAY else "minute" if span >= 3 * _MINUTE else "second")


def lasts(seconds: float | None) -> str:
    """Return a duration, rounded."""
    if seconds is None:
        return "–"
    for unit, name in ((_DAY, "d"), (_HOUR, "h"), (_MINUTE, "min")):
        if seconds >= unit:
            digits = 1 if seconds / unit < 9.95 and unit != _MINUTE else 0
            return f"{seconds / unit:.{digits}f} {name}"
    return f"{seconds:.0f} s"


def money(amount: Decimal | str | float | None, currency: str | None = "") -> str:
    """Return money with thousands separators and at least two digits."""
    if amount is None:
        return "–"
    number = Decimal(str(amount)).normalize()
    exponent = number.as_tuple().exponent
    digits = -exponent if isinstance(exponent, int) else 2
    return f"{number:,.{min(8, max(2, digits))}f} {currency or ''}".strip()


def cash(amount: Decimal | str | float | None, currency: str | None = "") -> str:
    """Return an amount of an account, to two digits."""
    return "–" if amount is None else f"{Decimal(str(amount)):,.2f} {currency or ''}".strip()


def number(value: float | None) -> str:
    """Return a count with thousands separators."""
    return "–" if value is None else f"{value:,}"


def share(part: float | None) -> str:
    """Return a share from 0 to 1 as a percentage."""
    return "–" if part is None else f"{100 * part:.0f} %"


def words(state: str) -> str:
    """Return a status or state in words."""
    return str(state).replace("_", " ")


def pill(state: str) -> Markup:
    """Return a label with the colour of a state; it adds nothing to the word."""
    is_status = state in _STATUSES
    tone = f"s-{state}" if is_status else TONES.get(str(state), "calm")
    return Markup('<span class="pill {}">{}</span>').format(tone, words(state))


def segment(value: str) -> str:
    """Return the value quoted for a path."""
    return quote(value, safe="", errors="replace")


def order_url(panel: str, order: str) -> str:
    """Return the path of an order's page."""
    return f"/orders/{segment(panel)}/{segment(order)}"


def panel_url(panel: str) -> str:
    """Return the path of a panel's page."""
    return f"/panels/{segment(panel)}"


def services_url(panel: str, words: str = "") -> str:
    """Return the path of a panel's price list, or of what has the words in it."""
    return query("/services", {"panel": panel, "q": words})


def rule_url(rule: str) -> str:
    """Return the path of a rule's buttons."""
    return f"/rules/{segment(rule)}"


def query(path: str, given: Mapping[str, Any]) -> str:
    """Return the path with the parameters that are not empty."""
    said = {name: str(value) for name, value in given.items() if value not in (None, "", False)}
    return f"{path}?{urlencode(said, errors='replace')}" if said else path


def asset(name: str) -> str:
    """Return the path of a static file, which changes with the file's content."""
    return f"/static/{_digest(name)}/{name}"


@cache
def _digest(name: str) -> str:
    return hashlib.sha256((STATIC / name).read_bytes()).hexdigest()[:16]


@cache
def _environment() -> Environment:
    environment = Environment(
        loader=FileSystemLoader(Path(__file__).with_name("templates")),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
        auto_reload=False,
    )
    environment.filters.update(
        t=text,
        share=share,
        link=link,
        when=when,
        end=end,
        lasting=lasting,
        chance=chance,
        lasts=lasts,
        cash=cash,
        money=money,
        n=number,
        words=words,
        pill=pill,
        outcome=outcome,
    )
    environment.globals.update(
        asset=asset,
        order_url=order_url,
        panel_url=panel_url,
        services_url=services_url,
        rule_url=rule_url,
        query=query,
        hint_id=hint_id,
        terms=TERMS,
        tones=TONES,
        version=__version__,
        word_of=word_of,
    )
    return environment
