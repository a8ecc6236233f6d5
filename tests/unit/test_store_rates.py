"""What was learnt of panels' limits is on record."""

from pathlib import Path

import pytest

from tests.unit.store_kit import opened
from watcher.panels.rate import RememberedRate

pytestmark = pytest.mark.engines("sqlite", "postgresql")


async def test_a_rate_outlives_the_process(tmp_path: Path) -> None:
    learnt = RememberedRate(rate=54.0, ceiling=60.0, punishes_until=1e9)
    async with opened(tmp_path) as store:
        assert await store.schedule.rate("p") is None
        await store.schedule.save_rate("p", RememberedRate(rate=30.0), now=1.0)
        await store.schedule.save_rate("q", RememberedRate(rate=31.0), now=1.0)
        await store.schedule.save_rate("p", learnt, now=2.0)
    async with opened(tmp_path) as store:
        assert await store.schedule.rate("p") == learnt
        assert await store.schedule.rate("q") == RememberedRate(rate=31.0)
