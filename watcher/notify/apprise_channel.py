"""Messages to people by Apprise: chats, push services, e-mail. Needs the extra `notify`."""

import asyncio
import threading
from typing import Any

from watcher.common.apprise_urls import receiver
from watcher.common.transport import failure
from watcher.errors import Undelivered
from watcher.notify.messages import NotifyMessage

_WITHIN = 45.0  # seconds: Apprise has its own limits for each connection
_MOST_UNDER_WAY = 2  # threads: a receiver that never ends its answer keeps one for ever


class AppriseChannel:
    """One receiver by its Apprise URL, which no error contains. ValueError if it is invalid."""

    def __init__(self, url: str) -> None:
        self._apprise = receiver(url)
        self._waiting: set[asyncio.Future[bool]] = set()
        self._under_way = 0  # threads

    async def send(self, message_id: str, message: NotifyMessage, now: float) -> None:
        """Send the message; raise Undelivered if it may not have arrived."""
        if self._under_way >= _MOST_UNDER_WAY:
            raise Undelivered("earlier messages are still under way")
        arriving = asyncio.get_running_loop().create_future()
        self._waiting.add(arriving)
        try:
            self._begin(arriving, message)
            async with asyncio.timeout(_WITHIN):
                arrived = await arriving
        except TimeoutError:
            raise Undelivered("no answer in time") from None
        except Undelivered:
            raise
        except Exception as error:  # noqa: BLE001  whatever a plug-in of Apprise may raise
            raise Undelivered(f"Apprise failed: {failure(error)}") from None
        finally:
            self._waiting.discard(arriving)
        if not arrived:
            raise Undelivered("Apprise could not deliver it")

    async def close(self) -> None:
        """Give up messages under way; the receiver decides when its thread ends."""
        for arriving in self._waiting:
            if not arriving.done():
                arriving.set_exception(Undelivered("the daemon stops"))

    def _begin(self, arriving: asyncio.Future[bool], message: NotifyMessage) -> None:
        """Run Apprise in a daemon thread, for which the end of the process does not wait.

        The process would wait for an executor's thread, and a receiver can keep that for ever.
        """
        loop = asyncio.get_running_loop()
        self._under_way += 1

        def end(result: bool | BaseException) -> None:
            self._under_way -= 1
            if arriving.done():
                return
            if isinstance(result, BaseException):
                arriving.set_exception(result)
            else:
                arriving.set_result(result)

        def work() -> None:
            result: bool | BaseException
            try:
                result = bool(self._notify(message))
            except Exception as error:  # noqa: BLE001  raised where the message is awaited
                result = error
            try:
                loop.call_soon_threadsafe(end, result)
            except RuntimeError:
                return  # the daemon has stopped meanwhile

        threading.Thread(target=work, name="apprise", daemon=True).start()

    def _notify(self, message: NotifyMessage) -> Any:
        return self._apprise.notify(title=message.title, body=message.text, body_format="text")
