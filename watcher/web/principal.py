"""Who sends a request, and what they may do: handlers read it with `principal_of`."""

from collections.abc import Iterable

import msgspec
from aiohttp import web

from watcher.config import Right
from watcher.errors import RequestError, no_such


class Forbidden(RequestError):
    """The key lacks a right, or does not reach all panels."""

    status = 403
    code = "forbidden"


class Principal(msgspec.Struct, frozen=True):
    """Who sends a request. `panels` None means every panel.

    `name` is that of a key in [[keys]]; "token" for who has the token, "local" if none is needed.
    """

    name: str
    rights: frozenset[Right]
    panels: frozenset[str] | None = None

    @property
    def listed(self) -> list[str]:
        """Its rights, as the configuration's documentation orders them."""
        return [word.value for word in Right if word in self.rights]

    def may(self, right: Right) -> bool:
        """Return whether it has the right."""
        return right in self.rights or Right.ADMIN in self.rights

    def reaches(self, panel: str | None) -> bool:
        """Return whether it sees the panel; None stands for what concerns the whole daemon."""
        return self.panels is None or panel in self.panels

    def check_right(self, right: Right) -> None:
        """Raise Forbidden, which names the missing right."""
        if not self.may(right):
            *others, last = self.listed
            may = f"{', '.join(others)} and {last}" if others else last
            raise Forbidden(f"this key may {may}; it lacks `{right}`")

    def check_whole(self) -> None:
        """Raise Forbidden if it is restricted to some panels."""
        if self.panels is not None:
            names = ", ".join(sorted(self.panels))
            raise Forbidden(f"this key reaches only {names}; this concerns all panels")

    def check_panel(self, panel: str) -> None:
        """Raise NotFound, as for a panel that does not exist, if it does not reach the panel."""
        if self.panels is not None and panel not in self.panels:
            raise no_such("panel", panel, self.panels)

    def among(self, panels: Iterable[str]) -> list[str]:
        """Return those of the panels that it reaches."""
        return [panel for panel in panels if self.reaches(panel)]


PRINCIPAL = web.RequestKey("principal", Principal)
TOKEN = Principal("token", frozenset({Right.ADMIN}))
LOCAL = Principal("local", frozenset({Right.ADMIN}))


def principal_of(request: web.Request) -> Principal:
    """Return who sends the request; every request that is let in has one, but those of shops."""
    return request[PRINCIPAL]
