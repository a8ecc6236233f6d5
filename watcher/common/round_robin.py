"""Lets much work pass piece by piece, and the loop's other work in between.

All that is ready runs in one round of the event loop: a hundred answers that came together, or ten
panels that waited for one commit, would hold up timers and whoever asks the daemon for something
until the last of them is done.
"""

import asyncio
from collections import deque


class RoundRobin:
    """One turn in each round of the event loop, first come, first served."""

    def __init__(self) -> None:
        self._waiting: deque[asyncio.Future[None]] = deque()

    async def take(self) -> None:
        """Wait for one's turn; it lasts until the caller awaits something."""
        loop = asyncio.get_running_loop()
        turn = loop.create_future()
        self._waiting.append(turn)
        if len(self._waiting) == 1:
            loop.call_soon(self._next)
        await turn

    def _next(self) -> None:
        turn = self._waiting.popleft()
        if not turn.done():  # else whoever waited has given up
            turn.set_result(None)
        if self._waiting:
            asyncio.get_running_loop().call_soon(self._next)
