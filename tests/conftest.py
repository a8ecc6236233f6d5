"""What all tests share."""

import os
from collections.abc import Iterator

import pytest
import structlog
from hypothesis import settings

NO_SKIPS = "WATCHER_TEST_NO_SKIPS"

# Where nothing may be skipped, chance does not decide either.
_EXACT = NO_SKIPS in os.environ
settings.register_profile("watcher", deadline=None, print_blob=True, derandomize=_EXACT)
settings.load_profile("watcher")


@pytest.fixture(autouse=True)
def _fresh_logging() -> Iterator[None]:
    """A test that configures logging leaves nothing of it to the next."""
    yield
    structlog.reset_defaults()


def pytest_sessionfinish(session: pytest.Session, exitstatus: int) -> None:
    """In CI nothing may be skipped: what a test needs is installed there."""
    reporter = session.config.pluginmanager.get_plugin("terminalreporter")
    skipped = len(reporter.stats.get("skipped", ())) if reporter else 0
    if os.environ.get(NO_SKIPS) and skipped:
        reporter.write_line(f"{skipped} skipped, and {NO_SKIPS} is set: that fails", red=True)
        session.exitstatus = pytest.ExitCode.TESTS_FAILED
