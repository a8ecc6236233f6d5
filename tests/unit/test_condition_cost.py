"""Conditions that would take too long are refused before anybody evaluates them."""

import time

import pytest

from watcher.rules.condition import Condition
from watcher.rules.condition_cost import LONGEST, check_cost

TEN = "[1,2,3,4,5,6,7,8,9,10]"


def nested(macro: str, deep: int, items: str = TEN) -> str:
    text = "true"
    for level in range(deep):
        text = f"{items}.{macro}(v{level}, {text})"
    return text


REFUSED = {
    "all seven deep": nested("all", 7),
    "exists three deep": nested("exists", 3),
    "exists_one three deep": nested("exists_one", 3),
    "with blanks": nested("all", 3).replace(".all(", " . all ("),
    "a list that grows": "[[1]].all(a, [a+a].all(b, [b+b].all(c, [c+c].all(d, size(d) > 0))))",
    "in a receiver": f"{TEN}.map(a, {TEN}.filter(b, {TEN}.all(c, true))).size() > 0",
    "two deep with long lists": nested("all", 2, f"[{','.join('1' * 30)}]"),
    "one deep with a longer list": nested("all", 1, f"[{','.join('1' * 1001)}]"),
    "a long list": f"order.quantity in [{','.join('1' * 9_999)},1,1]",
    "long": "true" + " && true" * (LONGEST // 8),
    "a pattern of many words": r"order.link.matches('\\w{200}')",
    "a pattern of raw words": r"order.link.matches(r'\w{200}')",
    "a pattern in groups": r"order.link.matches('(\\w{5}){10}')",
    "any character": "order.link.matches('.{1,500}')",
    "a class": r"order.link.matches('[^/]{500}')",
    "many patterns": " || ".join([r"order.link.matches('\\w+')"] * 31),
    "a pattern that is not written down": "order.link.matches(order.status_text)",
    "a pattern put together": "order.link.matches('a' + 'b')",
    "a comment between": nested("all", 4).replace("(v2, ", "(v2, // ) it's\n"),
    "a raw backslash": r"r'\' != 'x' && " + nested("all", 4),
    "three quotes": "order.link == '''a'''",
}
FINE = [
    "order.status == 'completed' && service.refill && order.finished_ago > duration('24h')",
    "order.link.matches('^https://(www\\\\.)?instagram\\\\.com/[A-Za-z0-9_.]{1,30}/?$')",
    r"order.link.matches('\\w{1,15}')",
    "['a', 'b'].exists(word, order.link.contains(word))",
    "['a', 'b'].exists(a, ['c', 'd'].exists(b, order.link.contains(a + b)))",
    f"order.service in [{','.join(repr(str(n)) for n in range(2_000))}]",
    "order.link.contains('.all(x, y.all(z, (((')",
]


@pytest.mark.parametrize("text", REFUSED.values(), ids=REFUSED)
def test_a_condition_that_takes_too_long_is_refused_at_once(text: str):
    began = time.process_time()
    with pytest.raises(ValueError, match=r"takes too long to evaluate|in quotes|in three"):
        Condition(text)
    assert time.process_time() - began < 1.0


@pytest.mark.parametrize("text", FINE)
def test_what_people_write_is_not(text: str):
    check_cost(text)
    Condition(text)
