"""Requests that commands send to the daemon, and how their answers are shown."""

from collections.abc import Callable, Mapping, Sequence
from typing import Any, Generic, NamedTuple, TypeVar

import typer

from watcher.cli.api_client import ApiClient, Declined, Query, Unreachable, path_of
from watcher.cli.output import say, show_json, show_json_pages, warn
from watcher.common.wording import counted

Shape = TypeVar("Shape")
Ask = Callable[[str], tuple[Shape, str]]


class Request(NamedTuple, Generic[Shape]):
    """One request to the daemon's API. `show` prints its answer for people."""

    path: str
    shape: type[Shape]
    show: Callable[[Shape], None]
    query: Query | None = None
    body: Mapping[str, object] | None = None
    method: str = ""  # GET without a body, else POST


def send(client: ApiClient, request: Request[Any], *, json: bool) -> None:
    """Send the request and print its answer."""
    method = request.method or ("GET" if request.body is None else "POST")
    raw = client.ask(method, request.path, query=request.query, body=request.body)[1]
    if json:
        show_json(raw)
    else:
        request.show(client.shaped(raw, request.shape))


def show_listing(
    client: ApiClient,
    name: str,
    query: Query,
    view: type[Shape],
    show: Callable[[list[Shape]], None],
    *,
    most: int | None,
    json: bool,
) -> None:
    """Print a listing page by page; `most` None is all of it."""
    pages = client.pages(path_of(name), name, query, most)
    if json:
        show_json_pages(name, pages)
        return
    after, shown = None, 0
    for items, after in pages:  # noqa: B007 -- the last page tells whether there are more
        if items:
            show(client.shaped(items, list[view]))  # type: ignore[valid-type]
            shown += len(items)
    if not shown:
        if panel := query.get("panel"):
            client.check_panel(str(panel))
        say(f"no {name}")
    if after is not None:
        warn(f"there are more than these {shown:,}: --all shows all of them")


def send_each(orders: Sequence[str], ask: Ask[object], *, name: str, look: str, json: bool) -> None:
    """Send one request per order, as `send_all`. Exit code 1 if any order was refused."""
    done = send_all(orders, ask, look=look, is_quiet=json)
    if json:
        show_json({name: done})
    if len(done) < len(orders):
        raise typer.Exit(1)


def send_all(
    orders: Sequence[str], ask: Ask[Shape], *, look: str, is_quiet: bool = False
) -> list[Shape]:
    """Send one request per order; return what was done. A refusal does not stop the others.

    `ask` returns what was done, and in words, which are printed unless `is_quiet`. If no answer
    arrives, `look` is the command that shows whether it was done.
    """
    done = []
    for place, order in enumerate(orders, 1):
        try:
            document, words = ask(order)
        except Declined as error:
            warn(f"{order}: {error}")
        except Unreachable as error:
            raise _broken_off(error, order, len(orders) - place, look) from None
        else:
            done.append(document)
            if not is_quiet:
                say(f"{order}: {words}")
    return done


def _broken_off(error: Unreachable, order: str, left: int, look: str) -> Unreachable:
    """Add what is known of the order that was being asked for, and of those after it."""
    if error.sent:
        state = f"order {order} may have been taken: see `{look}`"
    else:
        state = f"order {order} was not asked for"
    after = f"; nor were {counted(left, 'order')} after it" if left else ""
    return Unreachable(f"{error}; {state}{after}", sent=error.sent)
