"""Requests to end the daemon: by a signal, or by a part that can't continue."""

import asyncio


class Stop:
    """A request to end the daemon; the first one counts."""

    def __init__(self) -> None:
        self._requested = asyncio.Event()
        self._error: Exception | None = None

    @property
    def is_requested(self) -> bool:
        """Whether the daemon was asked to end."""
        return self._requested.is_set()

    def request(self, error: Exception | None = None) -> None:
        """Ask the daemon to end, with an error if it can't continue."""
        if not self._requested.is_set():
            self._error = error
            self._requested.set()

    def abort(self, error: Exception) -> None:
        """End at once: what this process knows and does may not go on.

        This asks for an end with the error; a process of its own replaces itself.
        """
        self.request(error)

    async def wait(self) -> None:
        """Wait for the request; raise its error."""
        await self._requested.wait()
        if self._error is not None:
            raise self._error
