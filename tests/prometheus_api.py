"""Prometheus's HTTP API v1: the shape of every answer as JSON schemas, and Grafana's data source, which asks by it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Literal

import httpx
from jsonschema import Draft202012Validator

Schema = dict[str, Any]


def _exactly(required: Mapping[str, Schema], optional: Mapping[str, Schema] | None = None) -> Schema:
    properties = {**required, **(optional or {})}
    return {"type": "object", "properties": properties, "required": list(required), "additionalProperties": False}


def _list(items: Schema) -> Schema:
    return {"type": "array", "items": items}


def _pair(second: Schema) -> Schema:
    return {"type": "array", "prefixItems": [{"type": "number"}, second], "items": False, "minItems": 2}


_TEXT: Schema = {"type": "string"}
_NAME: Schema = {"type": "string", "minLength": 1}
_LABELS: Schema = {"type": "object", "additionalProperties": _TEXT, "propertyNames": _NAME}
_NUMBER: Schema = {"type": "string", "pattern": r"^(-?[0-9]+(\.[0-9]+)?|NaN|[+-]Inf)$"}
_POINT = _pair(_NUMBER)
_RESULTS: dict[str, Schema] = {
    "vector": _list(_exactly({"metric": _LABELS, "value": _POINT})),
    "matrix": _list(_exactly({"metric": _LABELS, "values": {**_list(_POINT), "minItems": 1}})),
    "scalar": _POINT,
    "string": _pair(_TEXT),
}
_TYPES = ["counter", "gauge", "histogram", "gaugehistogram", "summary", "info", "stateset", "unknown"]

LABEL_LIST = _list(_NAME)
VALUE_LIST = _list(_TEXT)
SERIES = _list(_LABELS)
METADATA: Schema = {
    "type": "object",
    "additionalProperties": _list(_exactly({"type": {"enum": _TYPES}, "help": _TEXT, "unit": _TEXT})),
    "propertyNames": {"pattern": "^[a-zA-Z_:][a-zA-Z0-9_:]*$"},
}
BUILD_INFO = _exactly(dict.fromkeys(("version", "revision", "branch", "buildUser", "buildDate", "goVersion"), _TEXT))
FAILURE = _exactly(
    {
        "status": {"const": "error"},
        "errorType": {"enum": ["timeout", "canceled", "execution", "bad_data", "internal", "unavailable", "not_found"]},
        "error": _NAME,
    },
    {"data": {}, "warnings": _list(_TEXT), "infos": _list(_TEXT)},
)


def success(data: Schema) -> Schema:
    """What an answer with such data looks like."""
    notes = {"warnings": _list(_TEXT), "infos": _list(_TEXT)}
    return _exactly({"status": {"const": "success"}, "data": data}, notes)


def query_result(kind: str) -> Schema:
    """What the answer to a query looks like, by its `resultType`."""
    return success(_exactly({"resultType": {"const": kind}, "result": _RESULTS[kind]}))


def check(answer: httpx.Response, schema: Schema) -> Any:
    """Validate an answer; return its JSON."""
    assert answer.headers["content-type"].partition(";")[0] == "application/json"
    body = answer.json()
    Draft202012Validator(schema).validate(body)
    return body


_GET_ONLY = ("label/", "metadata", "targets", "rules", "alerts", "status/")


@dataclass
class Grafana:
    """The data source, set up to ask by one method or the other."""

    http: httpx.AsyncClient
    method: Literal["GET", "POST"]

    async def instant(self, query: str, time_s: float) -> httpx.Response:
        """Evaluate at a moment."""
        return await self._ask(self.method, "query", {"query": query, "time": _time(time_s)})

    async def range(self, query: str, start_s: float, end_s: float, step_s: float) -> httpx.Response:
        """Evaluate at several."""
        times = {"start": _time(start_s), "end": _time(end_s), "step": _time(step_s)}
        return await self._ask(self.method, "query_range", {"query": query, **times})

    async def exemplars(self, query: str, start_s: float, end_s: float) -> httpx.Response:
        """Ask for exemplars of a query's series."""
        return await self._ask(
            self.method, "query_exemplars", {"query": query, "start": _time(start_s), "end": _time(end_s)}
        )

    async def resource(self, path: str, **given: Any) -> httpx.Response:
        """Ask for anything else; where a form is not taken, again by a query."""
        given = {name.replace("match", "match[]"): value for name, value in given.items()}
        method = "GET" if path.startswith(_GET_ONLY) else self.method
        answer = await self._ask(method, path, given)
        if answer.status_code in (400, 405):
            answer = await self._ask("GET", path, given)
        return answer

    async def _ask(self, method: str, path: str, given: Mapping[str, Any]) -> httpx.Response:
        if method == "GET":
            return await self.http.get(f"/api/v1/{path}", params=given)
        return await self.http.post(f"/api/v1/{path}", data=given)


def _time(seconds: float) -> str:
    """Write a number of seconds as Go's `FormatFloat(seconds, 'f', -1, 64)` does, for such as times are."""
    return repr(seconds).removesuffix(".0")
