"""`watcher submit`: place an order and track it."""

import uuid
from pathlib import Path
from typing import Annotated

import typer

from watcher.cli.api_client import ApiClient, Unreachable, path_of
from watcher.cli.command import command
from watcher.cli.options import (
    CustomerOption,
    Json,
    NoteOption,
    PanelArgument,
    ReferenceOption,
    TagsOption,
    read_labels,
)
from watcher.cli.output import say, show_json, warn
from watcher.cli.show import show_order
from watcher.cli.waiting import unsettled
from watcher.panels.protocol import name_problem
from watcher.web.shapes import ActionAnswer

_PATIENCE = 90.0  # the daemon itself waits for the panel


@command(
    "Orders",
    examples=(
        "watcher submit mypanel --service 1 --link https://example.com/a --quantity 100",
        "watcher submit mypanel --service 9 --link https://example.com/a --param runs=5",
    ),
)
def submit(
    client: ApiClient,
    panel: PanelArgument,
    service: Annotated[str, typer.Option(metavar="ID", help="The service's id.")],
    link: Annotated[
        str | None, typer.Option(metavar="LINK", help="The link to deliver to.")
    ] = None,
    quantity: Annotated[int | None, typer.Option(metavar="N", min=0, help="How many.")] = None,
    comments_file: Annotated[
        Path | None, typer.Option(metavar="FILE", help="A text file with one comment a line.")
    ] = None,
    param: Annotated[
        list[str] | None,
        typer.Option(metavar="NAME=VALUE", help="Another parameter of the service's type."),
    ] = None,
    reference: ReferenceOption = None,
    customer: CustomerOption = None,
    tag: TagsOption = None,
    note: NoteOption = None,
    idempotency_key: Annotated[
        str | None, typer.Option(metavar="KEY", help="The same key never orders twice.")
    ] = None,
    json: Json = False,
) -> None:
    """Place an order and track it."""
    params = _params(param or [])
    if comments_file is not None:
        params["comments"] = _comments(comments_file)
    labels = read_labels(reference=reference, customer=customer, tags=tag, note=note)
    key = _checked_key(idempotency_key) or str(uuid.uuid4())
    # Shown before anything is sent, so that it is known however the sending ends.
    warn(f"idempotency key: {key}")
    body = {
        "panel": panel,
        "service": service,
        "link": link,
        "quantity": quantity,
        "params": params,
        **labels,
    }
    status, raw = _send(client, body, key)
    answer = client.shaped(raw, ActionAnswer)
    if json:
        show_json(raw)
    elif answer.order is not None:
        show_order(answer.order)
    if status != 201:
        warn(*unsettled(answer.action))
        raise typer.Exit(1)
    if answer.order is None and not json:
        say(f"action {answer.action.id} is {answer.action.state}")


def _send(client: ApiClient, body: object, key: str) -> tuple[int, object]:
    try:
        headers = {"Idempotency-Key": key}
        return client.post(path_of("submit"), body, headers=headers, patience=_PATIENCE)
    except Unreachable as error:
        if not error.sent:
            raise
        hint = f"to ask again without ordering twice, add --idempotency-key {key}"
        raise Unreachable(f"{error}; the order may have been taken: {hint}") from None


def _params(given: list[str]) -> dict[str, str]:
    params = {}
    for text in given:
        name, equals, value = text.partition("=")
        if not name or not equals:
            raise typer.BadParameter(f"{text!r} is not NAME=VALUE", param_hint="--param")
        problem = name_problem(name)
        if problem:
            raise typer.BadParameter(problem, param_hint="--param")
        if name in params:
            raise typer.BadParameter(f"{name!r} is given twice", param_hint="--param")
        params[name] = value
    return params


def _comments(file: Path) -> str:
    try:
        return file.read_text("utf-8-sig").strip("\n")
    except UnicodeDecodeError:
        cause = "not UTF-8"
    except OSError as error:
        cause = error.strerror or str(error)
    raise typer.BadParameter(f"{file}: {cause}", param_hint="--comments-file")


def _checked_key(key: str | None) -> str | None:
    if key is not None and not (key.isascii() and key.isprintable() and 1 <= len(key) <= 200):
        cause = "1 to 200 printable ASCII characters are wanted"
        raise typer.BadParameter(cause, param_hint="--idempotency-key")
    return key
