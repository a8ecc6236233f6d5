"""What only one database has is in few modules, and what the store says compiles for both."""

import ast
import re
from collections.abc import Iterator
from pathlib import Path

import pytest
from sqlalchemy import Dialect
from sqlalchemy.dialects import postgresql, sqlite
from sqlalchemy.schema import CreateIndex, CreateTable

import watcher
from watcher.store import dialect, events, outbox, schedule
from watcher.store.schema import metadata, orders, panels, services

HOME = Path(watcher.__file__).parent
KNOW = {"store/sqlite.py", "store/postgres.py", "store/dialect.py"}
ONLY_THERE = re.compile(
    r"PRAGMA|sqlite_master|BEGIN IMMEDIATE|OR REPLACE|OR IGNORE|json_each|json_group|json_array"
)
DIALECTS: list[Dialect] = [sqlite.dialect(), postgresql.dialect()]
PARTIAL = {
    "orders_by_reference",
    "orders_by_customer",
    "orders_personal",
    "order_states_not_closed",
    "order_states_rare",
    "order_states_problem",
    "actions_one_unsettled",
    "actions_large",
    "outbox_queued",
    "refills_rejected",
    "actions_refused",
}


def modules() -> Iterator[tuple[str, str]]:
    for path in HOME.rglob("*.py"):
        name = path.relative_to(HOME).as_posix()
        if name not in KNOW:
            yield name, path.read_text()


def imported(text: str) -> Iterator[str]:
    for node in ast.walk(ast.parse(text)):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom) and node.module:
            yield from (f"{node.module}.{alias.name}" for alias in node.names)


def test_no_other_module_knows_a_driver_or_a_dialect() -> None:
    drivers = ("sqlite3", "aiosqlite", "psycopg", "sqlalchemy.dialects")
    found = [
        name for name, text in modules() for what in imported(text) if what.startswith(drivers)
    ]
    assert found == []


def test_no_other_module_says_what_only_sqlite_understands() -> None:
    assert [name for name, text in modules() if ONLY_THERE.search(text)] == []


@pytest.mark.parametrize("to", DIALECTS, ids=lambda to: to.name)
def test_a_partial_index_is_partial(to: Dialect) -> None:
    made = {
        str(index.name): str(CreateIndex(index).compile(dialect=to))
        for table in metadata.sorted_tables
        for index in table.indexes
    }
    assert {name for name, text in made.items() if " WHERE " in text} == PARTIAL
    assert made["actions_one_unsettled"].startswith("CREATE UNIQUE INDEX")


def test_numbers_have_64_bits_and_ranges_go_by_bytes() -> None:
    made = {
        table.name: str(CreateTable(table).compile(dialect=postgresql.dialect()))
        for table in metadata.sorted_tables
    }
    assert not [name for name, text in made.items() if re.search(r"\b(INTEGER|SERIAL)\b", text)]
    assert 'link TEXT COLLATE "C"' in made["orders"]


@pytest.mark.parametrize("to", DIALECTS, ids=lambda to: to.name)
def test_an_upsert_names_its_target(to: Dialect) -> None:
    for statement in (
        outbox._UPSERT,
        events._UPSERT,
        events._BURY,
        schedule._UPSERT,
        dialect.upsert(services, {"gone_at": 1.0}),
    ):
        assert re.search(r"ON CONFLICT \(\w+", str(statement.compile(dialect=to)))
    ignoring = str(dialect.insert_or_ignore(panels).compile(dialect=to))
    assert "ON CONFLICT DO NOTHING" in ignoring


def test_a_part_of_a_text_is_found_in_any_case() -> None:
    found = dialect.has_part(orders.c.link, "50%_/")
    sqlite_text, other = (str(found.compile(dialect=to)) for to in DIALECTS)
    assert " LIKE " in sqlite_text
    assert " ILIKE " in other
    assert "'%50/%/_//%'" in str(
        found.compile(dialect=sqlite.dialect(), compile_kwargs={"literal_binds": True})
    )
