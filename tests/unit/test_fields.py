"""The table of an order's fields and what is written by hand beside it say the same."""

from typing import get_args, get_type_hints

import pytest

from tests.unit.factories import an_order
from watcher.model import Observation, Order
from watcher.orders.columns.table import OrderTable
from watcher.orders.fields import FIELDS, Field, FieldKind, FieldSource, names_of
from watcher.rules.variables import ORDER
from watcher.store.schema import order_states, orders
from watcher.web.shapes import OrderView
from watcher.web.views import order_view

IDENTITY = {"panel", "id", "key"}
NAMES = {field.name for field in FIELDS}
TYPES = {"WHOLE": int, "SMALL": int, "TIME": float, "WORD": str, "TEXT": str, "TAGS": str}
EXAMPLES = an_order(**{field.name: field.example for field in FIELDS})


def test_an_order_has_the_fields_of_the_table_and_says_which_it_is() -> None:
    assert set(Order.__struct_fields__) == NAMES | IDENTITY
    assert len(NAMES) == len(FIELDS)


def test_an_observation_has_what_panels_tell() -> None:
    assert set(Observation.__struct_fields__) == set(names_of(source=FieldSource.PANEL))


@pytest.mark.parametrize("field", FIELDS, ids=lambda field: field.name)
def test_the_types_are_those_of_the_table(field: Field) -> None:
    hint = get_type_hints(Order)[field.name]
    if field.kind is FieldKind.CODE:
        assert hint is field.codes
    elif field.kind is not FieldKind.MONEY:
        assert TYPES[field.kind.name] in (get_args(hint) or (hint,))
    if type(None) in get_args(hint):
        assert not field.required


def test_the_api_has_the_fields_of_the_table() -> None:
    told = {field.name for field in FIELDS if field.in_api}
    others = {"panel", "order", "stalled", "next_check_at", "submitted_known"}
    assert set(OrderView.__struct_fields__) == told | others
    view = order_view(EXAMPLES, None, None, 0.0, None)
    for field in FIELDS:
        if field.in_api and field.example is not None:
            assert getattr(view, field.name) is not None


def test_the_database_has_the_fields_of_the_table() -> None:
    assert set(orders.c.keys()) == {
        "key", "panel", "order_id", "tracked_at", *names_of(source=FieldSource.CALLER)
    }  # fmt: skip
    given = set(names_of(source=FieldSource.CALLER))
    assert set(order_states.c.keys()) == {"key", "changed_at", "last_change"} | NAMES - given


def test_rules_see_the_fields_of_the_table() -> None:
    seen = {field.name for field in FIELDS if field.in_rules}
    assert set(ORDER) == {
        "panel", "id", "drop", "age", "idle", "finished_ago", "attempts", *seen
    }  # fmt: skip


def test_memory_gives_back_every_field() -> None:
    records = OrderTable("p")
    slot = records.add(EXAMPLES)
    assert records.order(slot) == EXAMPLES
    told = records.last_observation(slot)
    assert told == Observation(
        **{name: getattr(EXAMPLES, name) for name in Observation.__struct_fields__}
    )
