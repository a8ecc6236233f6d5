"""Messages to people by Apprise: chats, push services, e-mail. Needs the extra `notify`."""

import asyncio
import importlib.util
import logging
from typing import Any

from watcher.errors import Undelivered
from watcher.telling.letters import Letter

_WITHIN = 45.0  # seconds: Apprise has its own limits for each connection


def is_there() -> bool:
    """Whether Apprise is installed; nothing is imported."""
    return importlib.util.find_spec("apprise") is not None


class Messenger:
    """One receiver by its Apprise URL, which stands in no error. ValueError: it has no meaning."""

    def __init__(self, url: str) -> None:
        # Imported late: it takes half a second, and few need it.
        import apprise

        logging.getLogger("apprise").disabled = True  # its lines may hold parts of the URL
        self._apprise: Any = apprise.Apprise()
        self._format = apprise.NotifyFormat.TEXT
        if not self._apprise.add(url):
            raise ValueError("Apprise does not understand the URL")

    async def send(self, message_id: str, letter: Letter, now: float) -> None:
        """Deliver the message; Undelivered: it may not have arrived."""
        telling = asyncio.to_thread(self._tell, letter.title, letter.text)
        try:
            arrived = await asyncio.wait_for(telling, timeout=_WITHIN)
        except TimeoutError:
            raise Undelivered("no answer in time") from None
        except Exception as error:  # noqa: BLE001  whatever a plug-in of Apprise may raise
            raise Undelivered(type(error).__name__) from None
        if not arrived:
            raise Undelivered("Apprise could not deliver it")

    async def close(self) -> None:
        """Nothing is left open."""

    def _tell(self, title: str, text: str) -> bool:
        return bool(self._apprise.notify(title=title, body=text, body_format=self._format))
