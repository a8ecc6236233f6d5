"""The caller's own words on an order: what is taken, and one sentence for what is not."""

import re
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.unit.factories import an_order
from watcher.errors import RequestError
from watcher.model import Labels, Order
from watcher.orders.fields import LABELS, tags_of, tags_text
from watcher.orders.labels import (
    LINE,
    LINES,
    LONGEST,
    changed_labels,
    labels_from,
    missing_labels,
    tags_in,
)
from watcher.orders.lifecycle import label
from watcher.orders.tracking import new_order


def test_labels_are_fields_of_an_order() -> None:
    assert set(Labels.__struct_fields__) == LABELS
    assert set(Order.__struct_fields__) > LABELS


def test_what_is_given_is_taken_without_blanks_around_it() -> None:
    given = {
        "reference": " 1042 ",
        "customer": 7,
        "tags": [" vip", "may ", "vip"],
        "note": "a\r\nb",
    }
    assert labels_from({**given, "quantity": 3}) == Labels(
        reference="1042", customer="7", tags=("vip", "may"), note="a\nb"
    )
    assert labels_from({"reference": "", "customer": "  ", "tags": None, "note": None}) == Labels()
    assert labels_from({"customer": "علی\u200cرضا 👩‍🚀"}).customer == "علی\u200cرضا 👩‍🚀"


@pytest.mark.parametrize(
    ("given", "sentence"),
    [
        ({"reference": "r" * 101}, "reference: 101 characters; 100 are the most"),
        ({"customer": "c" * 201}, "customer: 201 characters; 200 are the most"),
        ({"note": "n" * 2001}, "note: 2,001 characters; 2,000 are the most"),
        ({"tags": [str(n) for n in range(11)]}, "tags: 11 of them; 10 are the most"),
        ({"tags": ["t" * 51]}, "tags: one has 51 characters; 50 are the most"),
        ({"tags": ["a", " "]}, "tags: one of them is empty"),
        ({"tags": ["a,b"]}, "tags: a comma separates tags; none can have one"),
        ({"reference": "a\nb"}, "reference: it has a control character or line break, or"),
        ({"customer": "a\u2028b"}, "customer: it has a control character or line break, or"),
        ({"tags": ["a\tb"]}, "tags: it has a control character or line break, or"),
        ({"note": "a\x00b"}, "note: it has a control character, or is not Unicode text"),
        ({"note": "a\udc80"}, "note: it has a control character, or is not Unicode text"),
        ({"reference": "\ud800"}, "or is not Unicode text"),
    ],
)
def test_what_is_not_taken_is_told_in_a_sentence(given: dict[str, Any], sentence: str) -> None:
    with pytest.raises(RequestError, match=re.escape(sentence)) as error:
        labels_from(given)
    assert "\n" not in str(error.value)
    with pytest.raises(RequestError):
        new_order("p", "1", 0.0, **given)


words = st.text(st.characters(exclude_categories=["Cs"]), max_size=120)


@given(words, words, st.lists(words, max_size=12), words)
def test_what_is_taken_fits_everywhere(
    reference: str, customer: str, tags: list[str], note: str
) -> None:
    given = {"reference": reference, "customer": customer, "tags": tags, "note": note}
    try:
        labels = labels_from(given)
    except RequestError:
        return
    for line in (labels.reference, labels.customer, *labels.tags):
        assert line is None or re.fullmatch(LINE, line)
        assert line is None or (line == line.strip() != "" and len(line.splitlines()) == 1)
    assert labels.note is None or re.fullmatch(LINES, labels.note)
    assert all(len(getattr(labels, name) or "") <= most for name, most in LONGEST.items())
    assert tags_of(tags_text(labels.tags)) == labels.tags
    assert tuple(tags_in(", ".join(labels.tags))) == labels.tags
    again = {name: getattr(labels, name) for name in LABELS}
    assert labels_from(again) == labels


def test_only_what_is_given_changes() -> None:
    assert changed_labels({"note": None, "tags": ["a"]}) == {"note": None, "tags": ("a",)}
    order = an_order(reference="7", tags=("a",))
    labels = Labels(reference="8", tags=("b",), note="n")
    assert missing_labels(labels, order) == {"note": "n"}


def test_the_history_says_that_personal_data_changed_but_not_to_what() -> None:
    order = an_order(customer="ann", tags=("a",))
    change = label(order, {"customer": "bob", "note": "n", "tags": ("b",)}, 5.0)
    assert change is not None
    assert change.changes == {
        "customer": (None, None),
        "note": (None, None),
        "tags": (("a",), ("b",)),
    }
    assert (change.after.customer, change.after.note, change.after.tags) == ("bob", "n", ("b",))
    assert label(order, {"customer": "ann"}, 5.0) is None
