"""Client of watcher's HTTP API: `Client`, for asyncio `watcher_client.aio.AsyncClient`."""

from watcher_client.client import Client
from watcher_client.errors import (
    ApiError,
    BadSignature,
    Conflict,
    Forbidden,
    Limited,
    NotFound,
    StaleCursor,
    Unauthorized,
    Unclear,
    Unreachable,
    WatcherError,
)
from watcher_client.events import Event, verify

__all__ = [
    "ApiError",
    "BadSignature",
    "Client",
    "Conflict",
    "Event",
    "Forbidden",
    "Limited",
    "NotFound",
    "StaleCursor",
    "Unauthorized",
    "Unclear",
    "Unreachable",
    "WatcherError",
    "verify",
]
__version__ = "0.1.0"
