"""What all tests share."""

import logging
import os
import signal
import sys
from collections.abc import Iterator

import pytest
import structlog
from hypothesis import Phase, settings

from tests.support import postgres
from tests.support.database import CURRENT

NO_SKIPS = "WATCHER_TEST_NO_SKIPS"

# Where nothing may be skipped, chance does not decide either, but each night.
_EXACT = NO_SKIPS in os.environ and "WATCHER_TEST_EXAMPLES" not in os.environ
settings.register_profile("watcher", deadline=None, print_blob=True, derandomize=_EXACT)
# For `make check`: the others are played by `make test`.
settings.register_profile("quick", settings.get_profile("watcher"), max_examples=20)
# For `make canaries`: an example that fails is enough, the smallest one takes minutes.
settings.register_profile(
    "canaries", settings.get_profile("watcher"), phases=[Phase.explicit, Phase.generate]
)
settings.load_profile("watcher")


# Compiled once, also where the environment forbids it: each worker and program would do it anew.
os.environ.pop("PYTHONDONTWRITEBYTECODE", None)
sys.dont_write_bytecode = False

# A shell has what it runs in the background ignore them, and so would every program started here.
for _number in (signal.SIGINT, signal.SIGQUIT):
    if signal.getsignal(_number) is signal.SIG_IGN:
        signal.signal(_number, signal.SIG_DFL)


@pytest.fixture(autouse=True)
def _fresh_process() -> Iterator[None]:
    """A test that sets up the process as `watcher run` does leaves nothing of it to the next."""
    root = logging.getLogger()
    handlers, level, switch_after = root.handlers, root.level, sys.getswitchinterval()
    yield
    structlog.reset_defaults()
    logging.captureWarnings(False)
    root.handlers, root.level = handlers, level
    sys.setswitchinterval(switch_after)


def pytest_generate_tests(metafunc: pytest.Metafunc) -> None:
    """Run what is marked `engines("sqlite", "postgresql")` on each of them."""
    marker = metafunc.definition.get_closest_marker("engines")
    if marker is not None:
        engines = [pytest.param(name, marks=getattr(pytest.mark, name)) for name in marker.args]
        metafunc.parametrize("engine", engines, indirect=True)


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


def pytest_sessionfinish(session: pytest.Session, exitstatus: int) -> None:
    """In CI nothing may be skipped: what a test needs is installed there."""
    monitor = session.config.pluginmanager.get_plugin("terminalreporter")
    skipped = len(monitor.stats.get("skipped", ())) if monitor else 0
    if os.environ.get(NO_SKIPS) and skipped:
        monitor.write_line(f"{skipped} skipped, and {NO_SKIPS} is set: that fails", red=True)
        session.exitstatus = pytest.ExitCode.TESTS_FAILED
