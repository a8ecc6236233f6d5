"""The engines that a test of the store is run on."""

from collections.abc import Iterator

import pytest

from tests.support import postgres
from tests.unit.store_kit import CURRENT


def pytest_generate_tests(metafunc: pytest.Metafunc) -> None:
    """Run what is marked `engines("sqlite", "postgresql")` on each of them."""
    marker = metafunc.definition.get_closest_marker("engines")
    if marker is not None:
        metafunc.parametrize("engine", marker.args, indirect=True)


@pytest.fixture(autouse=True)
def engine(request: pytest.FixtureRequest) -> Iterator[str]:
    """The kind of database that `store_kit.opened` opens: SQLite, but where a test names others."""
    name = getattr(request, "param", "sqlite")
    if name != "postgresql":
        yield name
        return
    problem = postgres.why_not()
    if problem is not None:
        pytest.skip(problem)
    CURRENT.engine = name
    try:
        yield name
    finally:
        CURRENT.engine = "sqlite"
        spoilt = request.node.get_closest_marker("spoils_tables") is not None
        postgres.databases().give_back(spoilt=spoilt)
