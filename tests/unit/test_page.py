"""The status page's parts: whatever texts panels, rules and orders have, they stay texts."""

import re
from datetime import UTC, datetime
from html.parser import HTMLParser
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from watcher.common.wording import chance
from watcher.daemon.attention_items import Attention
from watcher.daemon.attention_kinds import Issue, Severity
from watcher.model import Action, ActionState, Kind, Status
from watcher.orders.schedule import Forecast
from watcher.panels.breaker import BreakerState
from watcher.panels.health import HealthState
from watcher.store import ServiceChange
from watcher.store.recent import FiringCounts, Latest, NamedChange
from watcher.web.page import rendering
from watcher.web.page.charts import course, steps
from watcher.web.page.overview import Account, Acted, Check, Overview, parts
from watcher.web.panel_shapes import PanelView, RuleView
from watcher.web.views import outcome

TAGS = set(
    (
        "div table thead tbody tr th td ul li p a span bdi time details summary code"
        " form input button label select option"
    ).split(),
)
ATTRIBUTES = {
    *("class", "href", "role", "scope", "id", "datetime", "data-tell", "data-name"),
    *("aria-label", "aria-labelledby", "aria-describedby"),
    *("popovertarget", "popovertargetaction"),
    *("method", "action", "type", "name", "value"),  # of the buttons
    *("selected", "maxlength", "autocomplete"),  # of what is chosen with them
}
BUTTONS = r"/panels/[^/]+/retry|/rules/[^/]*/(pause|resume)|/attention/(snooze|wake)"
HOSTILE = st.sampled_from(
    [
        "<script>alert(1)</script>",
        "\"'><img src=x onerror=alert(1)>",
        "</style></td></table><style>*{display:none}</style>",
        "<!--",
        "]]>",
        "<a href=javascript:alert(1)>",
        "&lt;b&gt; &amp;",
        "' onmouseover='alert(1)",
        "\x00<b>",
        "\ud83d",
        "\u202e<b>",
        "{{ 7 * 7 }}{% include 'base.html' %}",
        "<meta http-equiv=refresh content=0;url=//evil.example>",
    ]
)
TEXTS = (
    HOSTILE
    | st.text(max_size=30)
    | st.builds("{}{}{}".format, st.text(max_size=5), HOSTILE, HOSTILE)
)
NAMES = TEXTS.filter(bool)  # no panel is without a name
MONEY = st.decimals(0, 1000, places=2).map(str)
AT = 1_800_000_000.0
TEMPLATES = "".join(
    path.read_text() for path in Path(rendering.__file__).with_name("templates").rglob("*.html")
)


class Reader(HTMLParser):
    """What a browser would see: tags, attributes and text."""

    def __init__(self) -> None:
        super().__init__()
        self.tags: list[str] = []
        self.attributes: list[tuple[str, str | None]] = []
        self.text = ""
        self.others: list[str] = []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append(tag)
        self.attributes += attrs

    def handle_data(self, data: str) -> None:
        self.text += data

    def handle_comment(self, data: str) -> None:
        self.others.append(data)

    def handle_pi(self, data: str) -> None:
        self.others.append(data)


@st.composite
def accounts(draw: st.DrawFn) -> Account:
    view = PanelView(
        panel=draw(NAMES),
        profile=draw(TEXTS),
        can=[draw(TEXTS)],
        up=draw(st.booleans()),
        problem=draw(st.none() | TEXTS),
        breaker=BreakerState.CLOSED,
        paused_until=draw(st.none() | st.just(datetime(2026, 1, 1, tzinfo=UTC))),
        requests_per_minute=60.0,
        last_success_at=None,
        balance=draw(st.none() | MONEY),
        currency=draw(st.none() | TEXTS),
        low_balance=draw(st.none() | MONEY),
        balance_at=None,
        orders_open=1,
        orders_guarded=2,
        orders_due=3,
        orders_stalled=draw(st.integers(0, 2)),
        lag=draw(st.none() | st.floats(0, 1e6)),
        actions_pending=0,
        actions_unresolved=0,
    )
    left = draw(st.none() | st.floats(0, 1e6))
    kinds = draw(st.dictionaries(st.sampled_from(Issue), st.sampled_from(Severity)))
    return Account(view, draw(st.none() | st.floats(0, 1e6)), left, kinds, draw(st.integers(0, 9)))


@st.composite
def rules(draw: st.DrawFn) -> Acted:
    view = RuleView(
        name=draw(TEXTS),
        action="refill",
        panels=[draw(TEXTS)],
        when=draw(TEXTS),
        every=1.0,
        attempts=None,
        per_hour=200,
        dry_run=draw(st.booleans()),
        evaluations=1,
        firings=2,
        failures=3,
        held={draw(TEXTS): datetime(2026, 1, 1, tzinfo=UTC)},
    )
    return Acted(view, FiringCounts(1, 2, AT))


@st.composite
def actions(draw: st.DrawFn) -> Action:
    return Action(
        id=draw(st.integers(1, 99)),
        kind=draw(st.sampled_from(Kind)),
        panel=draw(TEXTS),
        order=draw(st.none() | TEXTS),
        state=draw(st.sampled_from(ActionState)),
        rule=draw(st.none() | TEXTS),
        reason=draw(TEXTS),
        planned_at=AT,
        answer=draw(st.none() | TEXTS),
        result=draw(st.none() | TEXTS),
    )


@st.composite
def changes(draw: st.DrawFn) -> NamedChange:
    field = draw(st.sampled_from(["name", "new", "gone", "back", "rate"]))
    told = MONEY if field == "rate" else TEXTS
    change = ServiceChange(
        panel=draw(TEXTS),
        service=draw(TEXTS),
        field=field,
        old=draw(st.none() | told),
        new=draw(st.none() | told),
        at=AT,
    )
    return NamedChange(change, draw(TEXTS))


def some(kind: st.SearchStrategy) -> st.SearchStrategy:
    return st.lists(kind, max_size=2)


ITEMS = st.builds(
    Attention,
    kind=st.sampled_from(Issue),
    severity=st.sampled_from(Severity),
    since=st.just(AT),
    panel=st.none() | TEXTS,
    subject=TEXTS,
    text=TEXTS,
    at=st.none() | st.just(AT),
    command=st.none() | TEXTS,
    link=st.none() | st.just("/orders"),
)
PROSPECTS = st.builds(
    Forecast,
    at=st.none() | st.floats(0, 1e9),
    reason=TEXTS,
    within_hour=st.none() | st.floats(0, 1),
)
OVERVIEWS = st.builds(
    Overview,
    now=st.just(AT),
    attention=some(ITEMS),
    accounts=some(accounts()),
    checks=some(st.builds(Check, TEXTS, TEXTS, PROSPECTS)),
    rules=some(rules()),
    last=st.builds(
        Latest,
        unresolved=some(actions()),
        latest=some(actions()),
        changes=some(changes()),
        fired=st.just({}),
    ),
    watched=st.integers(0, 10**6),
)


def seen(html: str) -> Reader:
    reader = Reader()
    reader.feed(html)
    reader.close()
    return reader


def plain(text: str) -> str:
    """As it is seen: what can't be is a replacement character."""
    return rendering._CONTROL.sub("\ufffd", text)


@given(OVERVIEWS)
def test_no_text_becomes_anything_else(overview: Overview):
    told = parts(overview)
    page = seen("".join(told.values()))
    assert set(page.tags) <= TAGS
    assert {name for name, _ in page.attributes} <= ATTRIBUTES
    assert not page.others
    assert all(
        (value or "").startswith(("/", "#")) for name, value in page.attributes if name == "href"
    )
    actions = [value or "" for name, value in page.attributes if name == "action"]
    assert all(re.fullmatch(BUTTONS, value) for value in actions)
    timed = [item for item, _ in overview.rows if item.at is not None]
    assert seen(told["attention"]).tags.count("time") == len(timed), "the reader's, not UTC"
    expected = [account.view.panel for account in overview.accounts]
    expected += [rule.view.name for rule in overview.rules]
    expected += [rule.view.when for rule in overview.rules]
    expected += [item.text for item, _ in overview.rows]
    expected += [check.order for check in overview.checks]
    expected += [outcome(action) for action in overview.last.latest]
    expected += [action.rule or action.reason for action in overview.last.latest]
    expected += [named.name for named in overview.last.changes]
    for text in expected:
        assert plain(text) in page.text


@given(
    TEXTS | st.builds("{}{}".format, st.sampled_from(["javascript:", "data:", "https://"]), TEXTS)
)
def test_only_web_sites_can_be_followed(link: str):
    page = seen(str(rendering.link(link)))
    assert set(page.tags) <= {"a", "bdi"}
    for name, value in page.attributes:
        assert name in ("class", "href", "target", "rel")
        assert name != "href" or (value or "").startswith(("http://", "https://"))


@pytest.mark.parametrize(
    ("link", "follows"),
    [
        ("https://example.com/p/1?a=b", True),
        ("http://example.com", True),
        ("javascript:alert(1)", False),
        ("JaVaScRiPt:alert(1)", False),
        ("java\nscript:alert(1)", False),
        ("https:alert(1)", False),
        ("data:text/html,<b>", False),
        ("//evil.example", False),
        ("/v1/orders", False),
        ("example.com/p", False),
        ("https://[", False),
        ("https://example.com/\x00", False),
    ],
)
def test_which_links_are_links(link: str, follows: bool):
    assert ("<a " in str(rendering.link(link))) is follows


def test_words():
    assert [rendering.lasts(s) for s in (None, 5, 59.6, 600, 7200, 86400 * 3.25, 86400 * 45)] == [
        *("–", "5 s", "60 s", "10 min", "2.0 h", "3.2 d", "45 d"),
    ]
    assert rendering.money("1234.5", "USD") == "1,234.50 USD"
    assert rendering.money("0.27819") == "0.27819"
    assert rendering.money("100") == "100.00"
    assert rendering.cash("257.32017", None) == "257.32"
    assert rendering.money(None) == rendering.cash(None) == "–"
    assert [chance(share) for share in (0.0, 0.004, 0.5, 0.9999, 1.0)] == [
        *("<1 %", "<1 %", "50 %", ">99 %", ">99 %")
    ]
    assert rendering.order_url("p", "a/b?c") == "/orders/p/a%2Fb%3Fc"
    assert rendering.query("/orders", {"q": "a b", "panel": "", "x": None}) == "/orders?q=a+b"


# --- drawings ------------------------------------------------------------------------------------

WENT = [
    (10.0, {"status": ["pending", "in_progress"], "remains": [None, 100]}),
    (20.0, {"remains": [100, 40]}),
    (40.0, {"status": ["in_progress", "completed"], "remains": [40, 0]}),
]


def test_a_course_begins_when_the_order_did_and_ends_now():
    drawn = course(
        WENT,
        status="completed",
        remains=0,
        quantity=100,
        since=0.0,
        until=50.0,
        marks=[(45.0, "refill", "refill accepted")],
    )
    assert drawn.line == "M200.0,0.0V0.0H400.0V60.0H800.0V100.0H1000.0"
    assert [(b.status, b.x, b.width) for b in drawn.bands] == [
        ("pending", 0.0, 200.0),
        ("in_progress", 200.0, 600.0),
        ("completed", 800.0, 200.0),
    ]
    assert [(m.x, m.kind) for m in drawn.marks] == [(900.0, "refill")]
    assert (drawn.top, drawn.last) == (100.0, 0.0)


def test_an_order_that_never_changed_is_a_flat_line():
    drawn = course([], status="pending", remains=70, quantity=None, since=5.0, until=5.0)
    assert drawn.line == "M0.0,0.0V0.0H1000.0"
    assert [(b.status, b.width) for b in drawn.bands] == [("pending", 1000.0)]
    nothing = course([], status="unknown", remains=None, quantity=None, since=0.0, until=9.0)
    assert (nothing.line, nothing.area, nothing.last) == ("", "", None)


@given(
    st.lists(st.tuples(st.floats(0, 1e6), st.floats(0, 1e9)), max_size=50).map(sorted),
    st.integers(1, 30),
)
def test_steps_stay_inside_the_drawing(points, times):
    drawn = steps(points * times, 0.0, 1e6)
    numbers = [
        float(n)
        for n in drawn.line.replace("M", " ")
        .replace("H", " ")
        .replace("V", " ")
        .replace(",", " ")
        .split()
    ]
    assert all(0.0 <= number <= 1000.0 for number in numbers)
    assert len(numbers) <= 2 * 410
    assert drawn.last == (points[-1][1] if points else None)


@pytest.mark.parametrize(
    ("span", "ends"),
    [
        (90.0, ("2027-01-15 08:00:00 UTC", "second")),
        (3600.0, ("2027-01-15 08:00:00 UTC", "minute")),
        (14 * 86400.0, ("2027-01-15 UTC", "day")),
    ],
)
def test_the_ends_of_a_chart_are_as_exact_as_its_span(span: float, ends: tuple[str, str]):
    first, last = seen(rendering.end(AT, span)), seen(rendering.end(AT + span, span))
    assert (first.text, dict(first.attributes)["data-tell"]) == ends
    assert first.text != last.text


# --- colours -------------------------------------------------------------------------------------

CSS = (rendering.STATIC / "page.css").read_text()
SCHEMES = [dict(re.findall(r"--([\w-]+): (#\w+);", block)) for block in CSS.split("@media", 2)[:2]]


@pytest.mark.parametrize("colours", SCHEMES, ids=["light", "dark"])
def test_a_colour_of_a_status_means_nothing_else(colours: dict[str, str]):
    statuses = {name: colour for name, colour in colours.items() if name.startswith("s-")}
    assert statuses.keys() == {f"s-{status}" for status in Status}
    assert len(set(statuses.values())) == len(statuses)
    others = {colour for name, colour in colours.items() if name not in statuses}
    assert not others & set(statuses.values())
    assert len({colours[name] for name in ("good", "warn", "bad", "busy")}) == 4


def test_every_status_and_state_has_its_colour():
    for status in Status:
        assert f".s-{status} {{ --c: var(--s-{status}) }}" in CSS
        assert f'class="pill s-{status}"' in rendering.pill(status)
    used = set(re.findall(r'"([\w ]+)"(?: if [^|]* else "[\w ]+"\))?\|pill', TEMPLATES))
    assert used - {"not asked yet", "dry run"} <= rendering.TONES.keys()
    for state in (*ActionState, *HealthState, *Severity):
        assert state in rendering.TONES
