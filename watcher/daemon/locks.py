"""One lock a panel, for all who change its orders, actions and refills."""

import asyncio
from collections import defaultdict
from collections.abc import AsyncIterator, Collection
from contextlib import AsyncExitStack, asynccontextmanager


class PanelLocks:
    """Hold a panel's lock from the first read of what changes until memory has changed, too."""

    def __init__(self) -> None:
        self._locks: defaultdict[str, asyncio.Lock] = defaultdict(asyncio.Lock)

    @asynccontextmanager
    async def hold(self, panels: Collection[str]) -> AsyncIterator[None]:
        """Hold the locks of these panels."""
        async with AsyncExitStack() as stack:
            for panel in sorted(panels):  # always in the same order: two never wait for each other
                await stack.enter_async_context(self._locks[panel])
            yield
