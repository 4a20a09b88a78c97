"""The OpenAPI document of the API, made of its routes."""

from __future__ import annotations

from functools import cache
from typing import Any

from event_store.http.formats import ARROW_TYPE, CSV_TYPE, JSON_TYPE, NDJSON_TYPE, json_bytes
from event_store.http.refusals import STATUS
from event_store.http.routes import ROUTES, Parameter, Route

_FORM = "application/x-www-form-urlencoded"
_TEXT, _NUMBER, _INTEGER = {"type": "string"}, {"type": "number"}, {"type": "integer"}
_TIME = {"type": "string", "format": "date-time"}
_ANY: dict[str, Any] = {}


def _object(required: dict[str, Any], optional: dict[str, Any] | None = None) -> dict[str, Any]:
    return {"type": "object", "properties": {**required, **(optional or {})}, "required": list(required)}


def _list(of: dict[str, Any]) -> dict[str, Any]:
    return {"type": "array", "items": of}


def _of(name: str) -> dict[str, Any]:
    return {"$ref": f"#/components/schemas/{name}"}


_NULLABLE = {"type": ["string", "null"]}
_WARNINGS = {"warnings": _list(_TEXT)}
SCHEMAS: dict[str, dict[str, Any]] = {
    "Error": _object(
        {
            "error": _object(
                {"code": {"enum": list(STATUS)}, "message": _TEXT}, {"column": _INTEGER, "suggestion": _TEXT}
            )
        }
    ),
    "Stats": _object(
        {"elapsed_ms": _NUMBER},
        dict.fromkeys(("rows_scanned", "bytes_scanned", "segments", "segments_skipped"), _INTEGER),
    ),
    "Table": _object(
        {
            "columns": _list(
                _object({"name": _TEXT, "type": {"enum": ["time", "text", "number", "integer", "object"]}})
            ),
            "rows": _list(_list(_ANY)),
            "warnings": _list(_TEXT),
            "stats": _of("Stats"),
        },
        {"span": _object({"start": _TIME, "end": _TIME})},
    ),
    "Line": {
        "oneOf": [
            _object({"progress": _object({"done": _NUMBER}, {"rows_scanned": _INTEGER})}),
            _object({"result": _of("Table")}),
            _of("Error"),
        ]
    },
    "Timeseries": _object(
        {
            "start": _TIME,
            "step_ms": _INTEGER,
            "times": _list(_INTEGER),
            "series": _list(_object({"name": _NULLABLE, "values": _list(_INTEGER)})),
            "stats": _of("Stats"),
        },
        _WARNINGS,
    ),
    "Facets": _object(
        {
            "field": _TEXT,
            "values": _list(_object({"value": _ANY, "count": _INTEGER})),
            "other": _INTEGER,
            "missing": _INTEGER,
            "total": _INTEGER,
            "stats": _of("Stats"),
        },
        _WARNINGS,
    ),
    "Fields": _object(
        {
            "fields": _list(
                _object(
                    {
                        "name": _TEXT,
                        "kind": {"enum": ["fixed", "tag", "field"]},
                        "type": {"enum": ["time", "text", "number", "integer"]},
                        "count": {"type": ["integer", "null"]},
                    }
                )
            )
        },
        _WARNINGS,
    ),
    "StoreStats": _object(
        {
            "events": _INTEGER,
            "segments": _INTEGER,
            "bytes": _INTEGER,
            "wal_bytes": _INTEGER,
            "hot_events": _INTEGER,
            "oldest": _NULLABLE,
            "newest": _NULLABLE,
            "columns": _INTEGER,
            "writer": {"type": "object"},
        }
    ),
    "Event": _object(
        {
            "time": _TIME,
            **dict.fromkeys(("source_id", "instance_id", "type", "severity", "stream", "message", "name"), _NULLABLE),
            "value": {"type": ["number", "string", "null"]},
            "unit": _NULLABLE,
            "duration": {"type": ["integer", "null"]},
            "seq": _INTEGER,
            "fields": {"type": "object"},
        }
    ),
}
"""What is answered."""

_TABLE = {JSON_TYPE: _of("Table"), CSV_TYPE: _TEXT, ARROW_TYPE: _TEXT, NDJSON_TYPE: _of("Line")}
_ANSWERS: dict[str, dict[str, dict[str, Any]]] = {
    "query": _TABLE,
    "sql": _TABLE,
    "tail": {"text/event-stream": _TEXT},
    "timeseries": {JSON_TYPE: _of("Timeseries")},
    "facets": {JSON_TYPE: _of("Facets")},
    "fields": {JSON_TYPE: _of("Fields")},
    "stats": {JSON_TYPE: _of("StoreStats")},
    "openapi": {JSON_TYPE: {"type": "object"}},
    "page": {"text/html": _TEXT},
}


@cache
def document() -> bytes:
    """Return the document."""
    paths = {
        path: {method.lower(): _operation(route, method) for method in route.methods} for path, route in ROUTES.items()
    }
    return json_bytes(
        {
            "openapi": "3.1.0",
            "info": {"title": "Standpipe event store", "version": "1"},
            "security": [{"token": []}],
            "paths": paths,
            "components": {
                "schemas": SCHEMAS,
                "securitySchemes": {"token": {"type": "http", "scheme": "bearer"}},
            },
        }
    )


def _operation(route: Route, method: str) -> dict[str, Any]:
    body = {"content": {kind: {"schema": _form(route)} for kind in (_FORM, JSON_TYPE)}}
    answers = {kind: {"schema": schema} for kind, schema in _ANSWERS[route.name].items()}
    error = {"description": "Why not.", "content": {JSON_TYPE: {"schema": _of("Error")}}}
    operation: dict[str, Any] = {
        "operationId": f"{method.lower()}_{route.name}",
        "summary": route.summary,
        "responses": {"200": {"description": "The answer.", "content": answers}, "default": error},
    }
    if route.is_open:
        operation["security"] = []
    if method == "POST":
        return {**operation, "requestBody": body}
    own = [*(_parameter(each) for each in route.parameters), *(_parameter(each, "header") for each in route.headers)]
    return {**operation, "parameters": own}


def _parameter(parameter: Parameter, place: str = "query") -> dict[str, Any]:
    return {
        "name": parameter.name,
        "in": place,
        "description": parameter.meaning,
        "required": parameter.required,
        "schema": _schema(parameter),
    }


def _form(route: Route) -> dict[str, Any]:
    properties = {each.name: {**_schema(each), "description": each.meaning} for each in route.parameters}
    required = [each.name for each in route.parameters if each.required]
    return {"type": "object", "properties": properties, **({"required": required} if required else {})}


def _schema(parameter: Parameter) -> dict[str, Any]:
    return {"type": parameter.kind, **({"enum": list(parameter.choices)} if parameter.choices else {})}
