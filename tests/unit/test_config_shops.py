"""[[shops]]: every fault is told, and service ids lead where they should."""

import re
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from watcher.config import Config, Secret, Secrets, Shop, parse
from watcher.config.sections import ShopSection
from watcher.errors import ConfigError

KEY = "0123456789abcdef"
ENV = {"A_KEY": "key-of-a", "B_KEY": "key-of-b", "SHOP_MAIN_KEY": KEY, "SHORT": "short"}
PANELS = '[panels.a]\nprofile = "smmxz"\n[panels.b]\nprofile = "smmgenie"\n'
ONE = '[panels.a]\nprofile = "smmxz"\n'


def read(text: str, tmp_path: Path) -> Config:
    return parse(text, Secrets(ENV, tmp_path), tmp_path)


def test_a_shop_of_the_only_panel_needs_a_name_and_a_key(tmp_path: Path) -> None:
    (shop,) = read(ONE + '[[shops]]\nname = "main"\n', tmp_path).shops
    assert shop.panels == ("a",)
    assert shop.panel == "a"
    assert shop.rights == {"read", "order"}
    assert shop.duplicate_within == 60
    assert shop.service("42") == ("a", "42")
    assert shop.own_ids("a", "42") == ["42"]
    assert KEY not in repr(shop)


def test_the_guard_can_be_switched_off(tmp_path: Path) -> None:
    text = ONE + '[[shops]]\nname = "main"\nduplicate_within = "0s"\n'
    assert read(text, tmp_path).shops[0].duplicate_within == 0


@pytest.mark.parametrize(
    ("shop", "problem"),
    [
        ("", "shops[1].name: is missing"),
        ('name = "a b"', "shops[1].name: a shop's name is letters"),
        ('name = "main"', "shops[1].panels: is missing"),
        ('name = "main"\npanels = ["c"]', "shops[1].panels: there is no panel 'c'"),
        ('name = "main"\npanels = ["a", "b"]', "shops[1]: no service leads to 'a'"),
        ('name = "main"\npanels = ["a"]\nkey_env = "NONE"', "shops[1].key_env: no key: set $NONE"),
        ('name = "main"\npanels = ["a"]\nkey_env = "SHORT"', "shops[1]: the key is shorter"),
        (
            'name = "main"\npanels = ["a"]\nrights = ["all"]',
            "shops[1].rights: there is no 'all'; there are: read, order",
        ),
        ('name = "main"\npanels = ["a"]\nservices = { 7 = "9" }', "shops[1].services.7: '9' is"),
        ('name = "main"\npanels = ["a"]\nservices = { 7 = "b:9" }', "shops[1].services.7: 'b' is"),
        ('name = "main"\npanels = ["a"]\noffsets = { b = 1 }', "shops[1].offsets: 'b' is not"),
        (
            'name = "main"\npanels = ["a", "b"]\noffsets = { a = 5, b = 5 }',
            "shops[1].offsets: two panels have the same",
        ),
        ('name = "main"\npanels = ["a"]\nduplicate_within = "-1s"', "shops[1].duplicate_within"),
    ],
)
def test_every_fault_is_told(tmp_path: Path, shop: str, problem: str) -> None:
    with pytest.raises(ConfigError) as caught:
        read(f"{PANELS}[[shops]]\n{shop}\n", tmp_path)
    assert any(told.startswith(problem) for told in caught.value.problems), caught.value.problems
    assert "short" not in str(caught.value).replace("is shorter", "")


def test_the_example_is_accepted(tmp_path: Path) -> None:
    text = (Path(__file__).parents[2] / "config.example.toml").read_text()
    found = re.search(r"(?m)^# \[\[shops\]\]\n(?:# .*\n)+", text)
    assert found is not None
    shown = re.sub(r"(?m)^# ", "", found[0])
    panels = PANELS.replace("panels.a", "panels.myxz").replace("panels.b", "panels.smmgenie")
    env = {"MYXZ_KEY": "k", "SMMGENIE_KEY": "k", "SHOP_KEY": KEY}
    path = tmp_path / "shop.key"
    path.write_text(KEY)
    path.chmod(0o600)
    (shop,) = parse(panels + shown, Secrets(env, tmp_path), tmp_path).shops
    assert shop.duplicate_within == ShopSection(name="x").duplicate_within
    assert shop.requests_per_minute == ShopSection(name="x").requests_per_minute
    assert shop.rights == set(ShopSection(name="x").rights)


def test_names_and_keys_are_used_once(tmp_path: Path) -> None:
    two = '[[shops]]\nname = "main"\npanels = ["a"]\n' * 2
    with pytest.raises(ConfigError) as caught:
        read(PANELS + two, tmp_path)
    assert caught.value.problems == [
        "shops[2].name: 'main' is used twice",
        "shops[2]: has the key of shop 'main': each needs its own",
    ]


def a_shop(services: dict[str, tuple[str, str]], offsets: dict[str, int]) -> Shop:
    return Shop(
        name="main",
        key=Secret(KEY),
        panels=("a", "b"),
        services=services,
        offsets=offsets,
        rights=frozenset(),
        requests_per_minute=60,
        duplicate_within=0,
    )


def test_a_named_service_goes_before_an_offset() -> None:
    shop = a_shop({"1001": ("b", "7"), "vip": ("a", "9")}, {"a": 0, "b": 1000})
    assert shop.service("999") == ("a", "999")
    assert shop.service("1000") == ("a", "1000")
    assert shop.service("1001") == ("b", "7")
    assert shop.service("1002") == ("b", "2")
    assert shop.service("vip") == ("a", "9")
    assert shop.service("none") is None
    assert shop.own_ids("b", "7") == ["1001", "1007"]
    assert shop.own_ids("b", "1") == []  # its place is taken
    assert shop.own_ids("a", "1002") == []  # beyond its part of the numbers


@given(
    st.dictionaries(
        st.integers(1, 50).map(str),
        st.tuples(st.sampled_from("ab"), st.integers(1, 50).map(str)),
    ),
    st.integers(0, 30),
    st.integers(0, 30),
)
def test_what_is_listed_can_be_ordered(
    services: dict[str, tuple[str, str]], first: int, second: int
) -> None:
    shop = a_shop(services, {"a": first, "b": second + first + 1})
    for panel in "ab":
        for service in map(str, range(1, 60)):
            for own in shop.own_ids(panel, service):
                assert shop.service(own) == (panel, service)
