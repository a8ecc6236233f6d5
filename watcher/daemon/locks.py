"""One lock a panel, for everything that changes its orders, actions and refills."""

import asyncio
from collections import defaultdict
from collections.abc import AsyncIterator, Collection
from contextlib import AsyncExitStack, asynccontextmanager


class PanelLocks:
    """Locks by panel. Hold one from the first read until memory has the change too."""

    def __init__(self) -> None:
        self._locks: defaultdict[str, asyncio.Lock] = defaultdict(asyncio.Lock)

    @asynccontextmanager
    async def hold(self, panels: Collection[str]) -> AsyncIterator[None]:
        """Hold the locks of these panels."""
        async with AsyncExitStack() as stack:
            for panel in sorted(panels):  # always in this order, to avoid deadlocks
                await stack.enter_async_context(self._locks[panel])
            yield
