"""Reads the page's forms, and answers them."""

from urllib.parse import parse_qs

from aiohttp import web

from watcher.errors import RequestError
from watcher.web.context import SMALL_BODY, check_size, whole_body
from watcher.web.guard import FORM, BadBody, is_page

MOST_FIELDS = 20


async def read_form(request: web.Request) -> dict[str, str]:
    """Return the fields of one of the page's forms."""
    return {name: values[-1] for name, values in (await read_lists(request, MOST_FIELDS)).items()}


async def read_lists(request: web.Request, most: int) -> dict[str, list[str]]:
    """Return the fields of one of the page's forms, each with all of its values."""
    if not is_page(request) or request.content_type != FORM:
        raise BadBody("a form is wanted")
    check_size(request.content_length or 0, SMALL_BODY)
    body = await whole_body(request)
    check_size(len(body), SMALL_BODY)
    try:
        return parse_qs(body.decode(), max_num_fields=most)
    except ValueError:
        raise RequestError("the form can't be read") from None


def may_be_id(text: str) -> bool:
    """Return whether a panel may have given this id."""
    return 0 < len(text) <= 64 and not any(c.isspace() or c == "," for c in text)


def redirect_to(url: str) -> web.Response:
    """Return a redirection to another page (303)."""
    return web.Response(status=303, headers={"Location": url})


def own_path(url: str, otherwise: str) -> str:
    """Return the given path if it is one of the status page's, else the other one."""
    is_own = url.startswith("/") and not url.startswith(("//", "/\\", "/logout", "/login"))
    return url if is_own and url.isprintable() and url.isascii() else otherwise
