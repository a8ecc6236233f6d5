"""Receivers by their Apprise URLs. Needs the extra `notify`."""

import importlib.util
import logging
from typing import Any


def is_installed() -> bool:
    """Return whether Apprise is installed; imports nothing."""
    return importlib.util.find_spec("apprise") is not None


def receiver(url: str) -> Any:
    """Return an `apprise.Apprise` with one receiver; ValueError, without the URL, if it is invalid.

    Imports Apprise here: that takes half a second, and few need it.
    """
    import apprise

    logging.getLogger("apprise").disabled = True  # its lines may hold parts of the URL
    found = apprise.Apprise()
    if not found.add(url):
        raise ValueError("Apprise does not understand the URL")
    return found
