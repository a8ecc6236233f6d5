"""The shapes of the Python client, as the OpenAPI description has them."""

import textwrap
from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path
from typing import Any

from watcher.web.server import description

PATH = Path(__file__).parents[2] / "clients" / "python" / "watcher_client" / "shapes.py"
# The operations that the client has: its functions have their names and parameters.
OPERATIONS = (
    "track submit list_orders show label untrack check check_all list_changes refill cancel"
    " show_action list_panels list_attention whoami"
).split()
_HEAD = '''"""What the API takes and gives. Made from its OpenAPI description: `make api`.

Times are ISO 8601 with their zone, money is text.
"""

from __future__ import annotations

from typing import Any, Literal, NotRequired, TypedDict
'''
_PREFIX = "#/components/schemas/"
_WIDTH = 100
_PLAIN = {
    "string": "str",
    "integer": "int",
    "number": "float",
    "boolean": "bool",
    "null": "None",
}


def operations(document: Mapping[str, Any]) -> dict[str, tuple[str, str, Mapping[str, Any]]]:
    """Return the method, the path and the description of each operation of the client."""
    return {
        operation["operationId"]: (method.upper(), path, operation)
        for path, methods in document["paths"].items()
        for method, operation in methods.items()
        if operation.get("operationId") in OPERATIONS
    }


def text() -> str:
    """Return the whole module."""
    document = description()
    schemas = document["components"]["schemas"]
    found = operations(document)
    wanted = _reached((operation for _, _, operation in found.values()), schemas)
    parts = [_HEAD]
    parts += [_shape(name, schemas[name]) for name in sorted(wanted, key=_words_first(schemas))]
    for name in OPERATIONS:
        if name in found:
            parts += _query(name, found[name][2])
    return "".join(map(_apart, parts)).lstrip() + "\n"


def _apart(part: str) -> str:
    """Put as many empty lines before a part as the formatter wants."""
    return ("\n\n\n" if part.startswith("class ") else "\n\n") + part.strip("\n")


def _words_first(schemas: Mapping[str, Any]) -> Any:
    return lambda name: ("enum" not in schemas[name], name)


def _reached(operations: Iterable[Mapping[str, Any]], schemas: Mapping[str, Any]) -> set[str]:
    """Return the names of the schemas that the operations take and give, and of their parts."""
    reached = {"TrackItem"}
    waiting: list[Any] = [schemas["TrackItem"]]
    for operation in operations:
        waiting.append(operation.get("requestBody"))
        waiting += [answer for status, answer in operation["responses"].items() if status < "400"]
    while waiting:
        part = waiting.pop()
        if isinstance(part, Mapping):
            name = str(part.get("$ref", "")).removeprefix(_PREFIX)
            if name in schemas and name not in reached:
                reached.add(name)
                waiting.append(schemas[name])
            waiting += part.values()
        elif isinstance(part, list):
            waiting += part
    return reached


def _shape(name: str, shape: Mapping[str, Any]) -> str:
    if "enum" in shape:
        return f"{name} = {_literal(shape['enum'])}"
    required = shape.get("required", ())
    fields = [
        (field, schema, field in required) for field, schema in shape.get("properties", {}).items()
    ]
    return "\n".join(_typed_dict(name, shape.get("description", name), fields))


def _query(operation: str, described: Mapping[str, Any]) -> Iterator[str]:
    """Yield the shape of a query that has several parameters."""
    parameters = [p for p in described["parameters"] if p["in"] == "query"]
    if len(parameters) < 2:
        return
    name = "".join(word.title() for word in operation.split("_")) + "Query"
    words = "\n\n".join([f"The query of `{operation}`.", *(_about(p) for p in parameters)])
    fields = [(p["name"], p["schema"], p["required"]) for p in parameters]
    yield "\n".join(_typed_dict(name, words, fields))


def _about(parameter: Mapping[str, Any]) -> str:
    return f"`{parameter['name']}`: {parameter['description']}"


def _typed_dict(
    name: str, about: str, fields: Iterable[tuple[str, Mapping[str, Any], bool]]
) -> Iterator[str]:
    yield f"class {name}(TypedDict):"
    yield from _docstring(about)
    yield ""
    for field, schema, is_required in fields:
        kind = _type(schema)
        yield f"    {field}: {kind if is_required else f'NotRequired[{kind}]'}"


def _docstring(about: str) -> list[str]:
    paragraphs = [" ".join(part.split()) for part in about.strip().split("\n\n")]
    lines: list[str] = []
    for paragraph in paragraphs:
        lines += ["", *textwrap.wrap(paragraph, _WIDTH - 10)]
    lines = lines[1:]
    lines[0] = f'"""{lines[0]}'
    if len(lines) > 1:
        lines.append('"""')
    else:
        lines[0] += '"""'
    return [f"    {line}".rstrip() for line in lines]


def _type(schema: Mapping[str, Any]) -> str:
    if "$ref" in schema:
        return str(schema["$ref"]).removeprefix(_PREFIX)
    if "anyOf" in schema:
        # {} is what the daemon refuses by itself: a caller need not know of it.
        return " | ".join(dict.fromkeys(_type(one) for one in schema["anyOf"] if one))
    if "enum" in schema:
        return "str"  # words of a query: one that is none is refused with the list of all
    if "const" in schema:
        return f"Literal[{schema['const']!r}]"
    kind = schema.get("type")
    if kind == "array":
        return f"list[{_type(schema.get('items', {}))}]"
    if kind == "object":
        return f"dict[str, {_type(schema.get('additionalProperties', {}))}]"
    return _PLAIN.get(str(kind), "Any")


def _literal(words: Iterable[str]) -> str:
    lines = "".join(f'\n    "{word}",' for word in words)
    return f"Literal[{lines}\n]"
