"""Cooperative scheduling: one piece of heavy work in each iteration of the event loop.

asyncio runs everything that is ready in one iteration: a hundred answers that came together, or ten
panels that waited for one commit, would delay timers and HTTP requests until the last is done.
"""

import asyncio
from collections import deque


class RoundRobin:
    """A FIFO queue of turns, one in each iteration of the event loop."""

    def __init__(self) -> None:
        self._waiting: deque[asyncio.Future[None]] = deque()

    async def take(self) -> None:
        """Wait for a turn; it lasts until the caller awaits something."""
        loop = asyncio.get_running_loop()
        turn = loop.create_future()
        self._waiting.append(turn)
        if len(self._waiting) == 1:
            loop.call_soon(self._next)
        await turn

    def _next(self) -> None:
        turn = self._waiting.popleft()
        if not turn.done():  # else the waiter was cancelled
            turn.set_result(None)
        if self._waiting:
            asyncio.get_running_loop().call_soon(self._next)
