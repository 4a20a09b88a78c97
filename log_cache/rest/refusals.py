"""Every answer that is a refusal or an error, in the words and forms of the original (loggregator.md 4.3, 4.5)."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from enum import Enum

import orjson

from log_cache.promql.values import QueryError
from plumbing.http.refusal import Refusal


class Code(Enum):
    """gRPC's codes, as far as they are met: the number, and the HTTP status that stands for it."""

    CANCELLED = (1, 499)
    UNKNOWN = (2, 500)
    INVALID_ARGUMENT = (3, 400)
    DEADLINE_EXCEEDED = (4, 504)
    NOT_FOUND = (5, 404)
    PERMISSION_DENIED = (7, 403)
    RESOURCE_EXHAUSTED = (8, 429)
    UNIMPLEMENTED = (12, 501)
    INTERNAL = (13, 500)
    UNAVAILABLE = (14, 503)


def error(code: Code, message: str, *, status: int | None = None, headers: Mapping[str, str] | None = None) -> Refusal:
    """Say it as grpc-gateway does."""
    body = orjson.dumps({"code": code.value[0], "message": _text(message), "details": []}) + b"\n"
    return Refusal(status or code.value[1], body, {"Content-Type": "application/json", **(headers or {})})


def error_named(name: str, message: str) -> Refusal:
    """Say what another node said; a code that is not expected is unknown."""
    return error(Code[name] if name in Code.__members__ else Code.UNKNOWN, message)


def promql_error(kind: str, message: str) -> Refusal:
    """Say it as Prometheus does, but with a status of 400 for what the client did wrong and 500 for all else.

    Prometheus has 422 and 503 besides. The clients of a log cache read the JSON of 400 and 500 and tell their user no
    more than the number of any other; Grafana reads it whatever the status is.
    """
    body = {"status": "error", "errorType": kind, "error": _text(message)}
    return Refusal(400 if kind == "bad_data" else 500, orjson.dumps(body) + b"\n")


def query_error(failed: QueryError) -> Refusal:
    """Say why a query is not answered."""
    return promql_error(failed.kind, str(failed))


def method_not_allowed(allowed: Collection[str]) -> Refusal:
    """Say which methods there are."""
    return error(Code.UNIMPLEMENTED, "Method Not Allowed", status=405, headers={"Allow": ", ".join(allowed)})


def hidden() -> Refusal:
    """Refuse access: as far as the client is told, there is nothing here."""
    return Refusal(404)


def no_such_path() -> Refusal:
    """Say that there is nothing here, for anybody."""
    return error(Code.NOT_FOUND, "Not Found")


def no_sources() -> Refusal:
    """Refuse a query that asks for everything, or for nothing, in the words of the original."""
    return promql_error("bad_data", "query does not request any source_ids")


def no_promql() -> Refusal:
    """Say that this installation answers no PromQL."""
    return Refusal(501, b"Metrics not available", {"Content-Type": "text/plain; charset=utf-8"})


def _text(message: str) -> str:
    """Return what JSON can hold: a client's bytes may be in a message."""
    return message.encode("utf-8", "replace").decode()
