"""How the daemon is asked to end: by a signal, or by what can't go on."""

import asyncio


class Stop:
    """A request to end the daemon; the first one counts."""

    def __init__(self) -> None:
        self._requested = asyncio.Event()
        self._error: Exception | None = None

    def request(self, error: Exception | None = None) -> None:
        """Ask the daemon to end, with an error where it can't go on."""
        if not self._requested.is_set():
            self._error = error
            self._requested.set()

    async def wait(self) -> None:
        """Wait for the request; raise its error."""
        await self._requested.wait()
        if self._error is not None:
            raise self._error
