"""The status page: whatever texts panels, rules and orders have, they stay texts."""

from datetime import UTC, datetime
from html.parser import HTMLParser

from hypothesis import given
from hypothesis import strategies as st

from watcher.cadence import Prospect
from watcher.model import Action, ActionState, Kind
from watcher.panels.breaker import BreakerState
from watcher.web.headers import policy_for
from watcher.web.page import STYLE, Check, draw
from watcher.web.shapes import PanelView, RuleView

TAGS = set(
    "html head meta title style body h1 h2 div table tr th td ul li p a".split(),
)
ATTRIBUTES = {"class", "href", "lang", "charset", "name", "content", "http-equiv"}
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
        "<meta http-equiv=refresh content=0;url=//evil.example>",
    ]
)
TEXTS = (
    HOSTILE
    | st.text(max_size=30)
    | st.builds("{}{}{}".format, st.text(max_size=5), HOSTILE, HOSTILE)
)
MONEY = st.decimals(0, 1000, places=2).map(str)


class Reader(HTMLParser):
    """What a browser would see: tags, attributes and text."""

    def __init__(self) -> None:
        super().__init__()
        self.tags: list[str] = []
        self.attributes: list[tuple[str, str | None]] = []
        self.styles = self.text = ""
        self.others: list[str] = []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append(tag)
        self.attributes += attrs

    def handle_data(self, data: str) -> None:
        if self.tags[-1:] == ["style"] and not self.styles:
            self.styles = data
        else:
            self.text += data

    def handle_comment(self, data: str) -> None:
        self.others.append(data)

    def handle_pi(self, data: str) -> None:
        self.others.append(data)


@st.composite
def panels(draw_: st.DrawFn) -> PanelView:
    return PanelView(
        panel=draw_(TEXTS),
        profile=draw_(TEXTS),
        can=[draw_(TEXTS)],
        up=draw_(st.booleans()),
        problem=draw_(st.none() | TEXTS),
        breaker=BreakerState.CLOSED,
        paused_until=draw_(st.none() | st.just(datetime(2026, 1, 1, tzinfo=UTC))),
        requests_per_minute=60.0,
        last_success_at=None,
        balance=draw_(st.none() | MONEY),
        currency=draw_(st.none() | TEXTS),
        low_balance=draw_(st.none() | MONEY),
        balance_at=None,
        orders_open=1,
        orders_guarded=2,
        orders_due=3,
        orders_stalled=draw_(st.integers(0, 2)),
        lag=draw_(st.none() | st.floats(0, 1e6)),
        actions_pending=0,
        actions_unresolved=0,
    )


@st.composite
def rules(draw_: st.DrawFn) -> RuleView:
    return RuleView(
        name=draw_(TEXTS),
        action="refill",
        panels=[],
        when=draw_(TEXTS),
        every=1.0,
        attempts=None,
        per_hour=200,
        dry_run=draw_(st.booleans()),
        evaluations=1,
        firings=2,
        failures=3,
        held={draw_(TEXTS): datetime(2026, 1, 1, tzinfo=UTC)},
    )


@st.composite
def actions(draw_: st.DrawFn) -> Action:
    return Action(
        id=draw_(st.integers(1, 99)),
        kind=draw_(st.sampled_from(Kind)),
        panel=draw_(TEXTS),
        order=draw_(st.none() | TEXTS),
        state=draw_(st.sampled_from(ActionState)),
        rule=draw_(st.none() | TEXTS),
        reason=draw_(TEXTS),
        planned_at=1_800_000_000.0,
        answer=draw_(st.none() | TEXTS),
    )


def seen(html: str) -> Reader:
    reader = Reader()
    reader.feed(html)
    reader.close()
    return reader


FEW = 3


def prospects() -> st.SearchStrategy[Prospect]:
    return st.builds(
        Prospect,
        at=st.none() | st.floats(0, 1e9),
        reason=TEXTS,
        within_hour=st.none() | st.floats(0, 1),
    )


@given(
    st.lists(panels(), max_size=FEW),
    st.lists(rules(), max_size=FEW),
    st.lists(actions(), max_size=FEW),
    st.lists(actions(), max_size=FEW),
    st.lists(st.builds(Check, TEXTS, TEXTS, prospects(), st.just(0.0)), max_size=FEW),
)
def test_no_text_becomes_anything_else(panel_views, rule_views, unresolved, latest, checks):
    page = seen(draw(panel_views, rule_views, unresolved, latest, checks))
    assert set(page.tags) <= TAGS
    assert {name for name, _ in page.attributes} <= ATTRIBUTES
    assert not page.others
    assert page.tags.count("style") == 1
    assert page.tags.count("meta") == 3
    links = {value for name, value in page.attributes if name == "href"}
    assert links == {"/metrics", "/v1/openapi.json"}
    for view in panel_views:
        assert view.panel in page.text
        assert view.problem is None or view.problem in page.text
    for rule in rule_views:
        assert rule.name in page.text
        assert rule.when in page.text
    for check in checks:
        assert check.order in page.text
        assert check.prospect.reason in page.text
    for action in latest:
        assert (action.answer or "") in page.text
        assert (action.order or "") in page.text
        assert (action.rule or action.reason) in page.text


def test_the_policy_lets_in_the_pages_own_style_alone():
    page = seen(draw([], [], [], [], []))
    assert page.styles == STYLE
    policy = policy_for(page.styles)
    assert "unsafe" not in policy
    assert "script" not in policy
    assert policy_for(STYLE + " ") != policy
