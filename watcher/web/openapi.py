"""The OpenAPI description, made from the routes and the structs of their bodies."""

import re
from collections.abc import Mapping, Sequence
from http import HTTPStatus
from typing import Any

import msgspec

from watcher import __version__
from watcher.orders.fields import FIELDS
from watcher.web.context import Route
from watcher.web.rights import ACCESS, UNLISTED
from watcher.web.shapes import FaultAnswer, TrackItem

# What any call may answer besides what its route names.
_ALWAYS: dict[int, type[msgspec.Struct]] = dict.fromkeys(
    (400, 401, 403, 421, 429, 503), FaultAnswer
)
_WITH_BODY: dict[int, type[msgspec.Struct]] = dict.fromkeys((408, 413, 415), FaultAnswer)


def describe(routes: Sequence[Route], others: Mapping[str, Any]) -> dict[str, Any]:
    """Return an OpenAPI 3.1 document; `others` are paths described by hand."""
    shapes: set[type[msgspec.Struct]] = {TrackItem}
    for route in routes:
        shapes.update(kind for kind in (route.takes, *_answers(route).values()) if kind)
    kinds = sorted(shapes, key=lambda kind: kind.__name__)
    schemas, components = msgspec.json.schema_components(
        kinds, ref_template="#/components/schemas/{name}"
    )
    refs = dict(zip(kinds, schemas, strict=True))
    for field in FIELDS:
        if field.in_api and "OrderView" in components:
            components["OrderView"]["properties"][field.name]["description"] = field.text
    paths: dict[str, dict[str, Any]] = {}
    for route in routes:
        paths.setdefault(route.path, {})[route.method.lower()] = _operation(route, refs)
    return {
        "openapi": "3.1.0",
        "info": {
            "title": "watcher",
            "version": __version__,
            "summary": "Watches orders at SMM panels.",
        },
        "security": [{}, {"bearer": []}],
        "paths": {**paths, **others},
        "components": {
            "schemas": components,
            "securitySchemes": {"bearer": {"type": "http", "scheme": "bearer"}},
        },
    }


def _operation(route: Route, refs: dict[type[msgspec.Struct], dict[str, Any]]) -> dict[str, Any]:
    operation: dict[str, Any] = {
        "operationId": route.handler.__name__,
        "summary": route.summary,
        "description": _need(route),
        "parameters": _parameters(route),
        "responses": {
            str(status): {
                "description": HTTPStatus(status).phrase,
                "content": {"application/json": {"schema": refs[kind]}},
            }
            for status, kind in _answers(route).items()
        },
    }
    if route.takes is not None:
        operation["requestBody"] = {
            "required": True,
            "content": {"application/json": {"schema": refs[route.takes]}},
        }
    return operation


def _need(route: Route) -> str:
    """Return which right of a key the route needs."""
    access = ACCESS.get((route.method, route.path), UNLISTED)
    if access.right is None:
        return "Any key may."
    whole = ", for every panel" if access.is_whole else ""
    query = " A key that may only read may stand in the query, as `key`." * access.takes_query
    return f"Needs the right `{access.right}`{whole}.{query}"


def _parameters(route: Route) -> list[dict[str, Any]]:
    in_path = [
        {"name": name, "in": "path", "required": True, "schema": {"type": "string"}}
        for name in re.findall(r"\{(\w+)\}", route.path)
    ]
    others = [
        {
            "name": param.name,
            "in": param.place,
            "required": param.required,
            "description": param.text,
            "schema": param.schema,
        }
        for param in route.params
    ]
    return in_path + others


def _answers(route: Route) -> dict[int, type[msgspec.Struct]]:
    with_body = {} if route.takes is None else _WITH_BODY
    return dict(sorted({**_ALWAYS, **with_body, **route.gives}.items()))
