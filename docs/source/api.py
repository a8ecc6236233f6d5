"""docs/api.md: the HTTP API as its OpenAPI description has it, for people."""

from collections.abc import Iterable, Iterator, Mapping
from typing import Any

from watcher.web.server import description

_INTRO = """\
# The HTTP API

Made from the OpenAPI description that the daemon serves at `GET /v1/openapi.json` (`make api`).

- The daemon listens at `http://127.0.0.1:9466`, unless `listen` says otherwise. Where a token is
  configured, each call has the header `Authorization: Bearer TOKEN`, with the token or a
  [key](security.md#keys-with-rights) that has the right that the call needs.
- Bodies are JSON, with the content type `application/json`. Times are ISO 8601 with their zone,
  money is text with its digits as the panel told it, ids are text.
- Lists come in pages of `limit`; `next` is the `cursor` of the page after it, null on the last.
- Every error has the form [`FaultAnswer`](#faultanswer): `code` for programs, `message` for people.
- Beside these there are `/metrics`, `/healthz`, `/readyz`, `/v1/backup` (a copy of the database)
  and the [status page](page.md).

"""
_FAULTS = "FaultAnswer"


def text() -> str:
    """The whole file."""
    document = description()
    lines = [_INTRO, "## Calls\n"]
    for path, methods in document["paths"].items():
        for method, operation in methods.items():
            lines += _call(method.upper(), path, operation)
    lines.append("## Shapes\n")
    for name, shape in sorted(document["components"]["schemas"].items()):
        lines += _shape(name, shape)
    return "\n".join(lines).rstrip() + "\n"


def _call(method: str, path: str, operation: Mapping[str, Any]) -> Iterator[str]:
    need = operation.get("description", "")
    yield f"### `{method} {path}`\n\n{operation['summary']} {need}".rstrip() + "\n"
    parameters = operation.get("parameters", ())
    yield from _table(
        ("parameter", "in", "type", ""),
        (
            (f"`{p['name']}`", p["in"], _type(p["schema"]), p.get("description", ""))
            for p in parameters
        ),
    )
    for kind, content in operation.get("requestBody", {}).get("content", {}).items():
        yield from _body(kind, content["schema"])
    answers = {
        status: schema
        for status, answer in operation["responses"].items()
        for content in answer["content"].values()
        if (schema := content["schema"])
    }
    good = [f"{code} {_type(schema)}" for code, schema in answers.items() if int(code) < 400]
    bad = ", ".join(code for code in answers if int(code) >= 400)
    yield f"Answers: {', '.join(good)}. Errors: {bad}.\n"


def _body(kind: str, schema: Mapping[str, Any]) -> Iterator[str]:
    if "$ref" in schema:
        yield f"Body: {_type(schema)}\n"
    else:
        yield f"Body, as `{kind}`:\n"
        yield from _fields(schema)


def _shape(name: str, shape: Mapping[str, Any]) -> Iterator[str]:
    words = " ".join(shape.get("description", "").split())
    yield f"### {name}\n\n{words}\n"
    if "enum" in shape:
        yield f"One of {_type(shape)}.\n"
    else:
        yield from _fields(shape)


def _fields(shape: Mapping[str, Any]) -> Iterator[str]:
    required = shape.get("required", ())
    yield from _table(
        ("field", "type", ""),
        (
            (f"`{name}`", _type(schema), "" if name in required else "may be left out")
            for name, schema in shape["properties"].items()
        ),
    )


def _type(schema: Mapping[str, Any]) -> str:
    """The type in few words, with a link where it is a shape."""
    if "$ref" in schema:
        name = schema["$ref"].rsplit("/", 1)[1]
        return f"[`{name}`](#{name.lower()})"
    if "anyOf" in schema:
        return " or ".join(_type(one) for one in schema["anyOf"] if one)
    if "enum" in schema:
        return ", ".join(f"`{word}`".lower() for word in schema["enum"])
    if schema.get("format") == "date-time":
        return "time"
    kind = schema.get("type", "any")
    if kind == "array":
        return f"list of {_type(schema.get('items', {}))}"
    if kind == "object" and "additionalProperties" in schema:
        return f"names to {_type(schema['additionalProperties'])}"
    words = kind if isinstance(kind, str) else " or ".join(kind)
    return " ".join(filter(None, (words, _bounds(schema))))


def _bounds(schema: Mapping[str, Any]) -> str:
    low, high = schema.get("minimum"), schema.get("maximum")
    if low is not None and high is not None and high < 2**53:
        return f"from {low:,} to {high:,}"
    if low is not None:
        return f"from {low:,}"
    most = schema.get("maxLength")
    return f"of {most:,} characters at most" if most else ""


def _table(head: Iterable[str], rows: Iterable[Iterable[str]]) -> Iterator[str]:
    body = [f"| {' | '.join(row)} |" for row in rows]
    if body:
        names = list(head)
        yield "\n".join([f"| {' | '.join(names)} |", "|" + "---|" * len(names), *body, ""])
