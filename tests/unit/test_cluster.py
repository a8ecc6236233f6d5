"""A node of a cluster: whom it trusts, what it leads, and whom it refuses to join."""

from collections.abc import Sequence
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from watcher.config import Config, Secrets, parse
from watcher.daemon.balancing import to_claim, to_hand_over
from watcher.daemon.cluster import check
from watcher.daemon.leadership import OUTLETS, Leader, Leadership, Node
from watcher.errors import ConfigError, Conflict, NotLed, StartError
from watcher.store.nodes import Candidate, ClusterView

TOKEN = "0123456789abcdef"


def a_node(name: str, panels: Sequence[str] = (), keys: Sequence[str] = "pqrs") -> Node:
    digests = dict.fromkeys((*keys, *panels), "k") | {":token": "t", ":lease": "l"}
    return Node(
        name, f"http://{name}.example", ord(name[0]), 99.0, 1.0, "1", tuple(sorted(panels)), digests
    )


def view(*nodes: Node, ahead: float = 0.0, duties: str = "") -> ClusterView:
    led = {p: Leader(n.name, n.url, 1.0) for n in nodes for p in n.panels}
    if duties:
        led[OUTLETS] = Leader(duties, "", 1.0)
    return ClusterView(at=1.0, ahead=ahead, nodes=nodes, lost=[], leaders=led, newest_change=0)


class Ticks:
    """A monotonic clock that tests advance."""

    now = 100.0

    def __call__(self) -> float:
        return self.now


# --- leadership ---


def test_a_daemon_alone_leads_everything_always() -> None:
    leadership = Leadership()
    assert leadership.leads("p")
    assert leadership.owns(OUTLETS)
    assert leadership.is_trusted()
    assert leadership.leader("p") is not None
    assert leadership.problems((), ("p",)) == []
    leadership.check_leads("p", is_open=False)
    leadership.check_over(100.0, 20.0, 100.0)


def test_a_lease_is_trusted_from_the_question_on_and_a_tenth_less() -> None:
    clock = Ticks()
    leadership = Leadership("a", 10.0, monotonic=clock)
    leadership.learn(view(a_node("a", "p"), a_node("b", "q"), duties="a"))
    assert not leadership.leads("p"), "a row alone is no lease"
    leadership.renewed(clock.now - 2.0)
    assert leadership.leads("p")
    assert leadership.owns(OUTLETS)
    assert not leadership.leads("q")
    assert leadership.trust_left() == pytest.approx(7.0)
    clock.now += 6.9
    assert leadership.leads("p")
    clock.now += 0.2
    assert not leadership.leads("p")
    assert not leadership.is_trusted()
    assert leadership.held() == {"p", OUTLETS}, "until others take it"


def test_who_does_not_lead_says_who_does() -> None:
    leadership = Leadership("a", 10.0, monotonic=Ticks())
    leadership.renewed(100.0)
    leadership.learn(view(a_node("a", "p"), a_node("b", "q")))
    leadership.check_leads("p")
    with pytest.raises(NotLed, match="q is led by b"):
        leadership.check_leads("q")
    with pytest.raises(NotLed, match="no node leads r now"):
        leadership.check_leads("r")
    with pytest.raises(NotLed, match="p is changing its leader"):
        leadership.check_leads("p", is_open=False)
    with pytest.raises(NotLed, match="q is led by b"):
        leadership.check_leads("q", is_open=False)
    assert leadership.problems(("p",), "pqr") == []
    (problem,) = leadership.problems((), "pqr")
    assert problem == "panels are being taken over: p"
    leadership.drop("p")
    assert leadership.leader("p") is None
    leadership.distrust()
    assert leadership.problems((), ()) == ["this node has no lease: others may lead its panels"]


def test_an_action_is_settled_only_once_a_stopped_node_can_not_send_it_any_more() -> None:
    leadership = Leadership("a", 10.0, monotonic=Ticks())
    with pytest.raises(Conflict, match="try again in 31 seconds"):
        leadership.check_over(1000.0, 20.0, 1000.0)
    with pytest.raises(Conflict):
        leadership.check_over(1000.0, 20.0, 1030.9)
    leadership.check_over(1000.0, 20.0, 1031.0)
    leadership.check_over(None, 20.0, 0.0)


# --- balance ---


def test_what_nobody_leads_goes_to_who_has_least() -> None:
    nodes = [a_node("a", "pq"), a_node("b"), a_node("c", keys="xyz")]
    assert to_claim("b", nodes, "rs") == ["r", "s"]
    assert to_claim("a", nodes, "rs") == []
    assert to_claim("c", nodes, "rsx") == ["x"], "only what its configuration has"
    assert to_claim("a", nodes, ["nowhere"]) == []


def test_panels_move_one_by_one_until_they_are_even() -> None:
    nodes = [a_node("a", "pqrs"), a_node("b")]
    assert to_hand_over("a", nodes) == ("p", nodes[1])
    assert to_hand_over("b", nodes) is None
    assert to_hand_over("a", [a_node("a", "pqr"), a_node("b", "s")]) == ("p", a_node("b", "s"))
    assert to_hand_over("a", [a_node("a", "pq"), a_node("b", "s")]) is None
    assert to_hand_over("a", [a_node("a", "pqrs"), a_node("b", keys="x")]) is None
    assert to_hand_over("gone", nodes) is None


@given(
    st.lists(st.sampled_from("abcde"), min_size=1, max_size=5, unique=True),
    st.sets(st.sampled_from("pqrstuvw")),
    st.data(),
)
def test_every_panel_gets_one_node_and_the_rest_is_settled(
    names: list[str], panels: set[str], data: st.DataObject
) -> None:
    """All nodes decide alike: each panel is claimed once, and moving comes to an end."""
    led: dict[str, set[str]] = {name: set() for name in names}
    for panel in sorted(panels):
        if data.draw(st.booleans()):
            led[data.draw(st.sampled_from(names))].add(panel)

    def nodes() -> list[Node]:
        return [a_node(name, sorted(led[name]), sorted(panels)) for name in sorted(names)]

    free = panels - set().union(*led.values())
    before = nodes()
    claimed = [panel for name in names for panel in to_claim(name, before, free)]
    assert sorted(claimed) == sorted(free)
    for name in names:
        led[name].update(to_claim(name, before, free))
    for _ in range(len(panels) + 1):
        moves = [(name, move) for name in names if (move := to_hand_over(name, nodes()))]
        if not moves:
            break
        name, (panel, to) = moves[0]
        led[name].remove(panel)
        led[to.name].add(panel)
    sizes = [len(led[name]) for name in names]
    assert max(sizes) - min(sizes) <= 1
    assert sum(sizes) == len(panels)


# --- joining ---


def candidate(**keys: str) -> Candidate:
    return Candidate(
        name="a", url="http://a", version="1", keys={":token": "t", ":lease": "l", "p": "k", **keys}
    )


def test_who_does_not_fit_is_refused() -> None:
    fits = view(a_node("a", keys="x"), a_node("b"))
    check(candidate(), fits)
    check(candidate(new="k"), fits)
    for ahead, words in ((2.5, "2.5 seconds ahead of"), (-3600.0, "3600.0 seconds behind")):
        with pytest.raises(StartError, match=words):
            check(candidate(), view(ahead=ahead))
    with pytest.raises(StartError, match="node b has another token"):
        check(candidate(**{":token": "other"}), fits)
    with pytest.raises(StartError, match="node b has another lease in"):
        check(candidate(**{":lease": "other"}), fits)
    with pytest.raises(StartError, match="node b has another key for p, q: a panel is one account"):
        check(candidate(p="other", q="other", new="other"), fits)
    check(candidate(p="other"), view(a_node("a")))  # its own row is its own matter


# --- configuration ---

POSTGRES = '[daemon]\ndatabase = "postgresql://u@h/d"\n'
PANELS = '[panels.a]\nurl = "https://a.example/api/v2"\n'


def configured(text: str, directory: Path, daemon: str = POSTGRES, token: str = TOKEN) -> Config:
    (directory / "cluster.token").write_text(token)
    env = {"A_KEY": "key-of-a", "CREDENTIALS_DIRECTORY": str(directory)}
    return parse(daemon + PANELS + text, Secrets(env, directory), directory)


def test_a_cluster_is_configured_by_its_url(tmp_path: Path) -> None:
    config = configured('[cluster]\nurl = "http://10.0.0.1:9466/"\nname = "a-1.x"\n', tmp_path)
    assert config.cluster is not None
    assert (config.cluster.name, config.cluster.url, config.cluster.lease) == (
        "a-1.x",
        "http://10.0.0.1:9466",
        10.0,
    )
    assert TOKEN in config.secrets()
    assert TOKEN not in repr(config)
    assert configured("", tmp_path).cluster is None


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("", "cluster.url: is missing"),
        ('url = "h:1"', "is not an http"),
        ('url = "http://u:p@h:1"', "may hold a secret"),
        ('url = "http://h:1/x"', "nothing comes after the port"),
        ('url = "http://h:1"\nname = "a b"', "cluster.name: 'a b' is not letters"),
        ('url = "http://h:1"\nlease = "1s"', "cluster.lease: from 2s to 5m"),
        ('url = "http://h:1"\nlease = "1h"', "cluster.lease: from 2s to 5m"),
        ('url = "http://h:1"\nnmae = "a"', "did you mean 'name'"),
        ('url = "http://h:1"\ntoken_file = "none"', ""),
    ],
)
def test_what_is_wrong_with_it_is_said(tmp_path: Path, text: str, words: str) -> None:
    if not words:
        assert configured(f"[cluster]\n{text}\n", tmp_path).cluster, "the credential goes first"
        return
    with pytest.raises(ConfigError, match=words):
        configured(f"[cluster]\n{text}\n", tmp_path)


def test_it_needs_a_server_and_a_token(tmp_path: Path) -> None:
    text = '[cluster]\nurl = "http://h:1"\n'
    with pytest.raises(ConfigError, match="cluster: nodes share a PostgreSQL"):
        configured(text, tmp_path, daemon="")
    with pytest.raises(ConfigError, match="token is shorter"):
        configured(text, tmp_path, token="short")
    with pytest.raises(ConfigError, match="visible ASCII"):
        configured(text, tmp_path, token="with blanks in it, and long")
    with pytest.raises(ConfigError, match=r"cluster\.token_file: there is none"):
        parse(POSTGRES + PANELS + text, Secrets({"A_KEY": "k"}, tmp_path), tmp_path)
