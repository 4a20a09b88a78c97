"""Every answer that is no stream (loggregator.md 3.2)."""

from __future__ import annotations

import orjson

from plumbing.http.refusal import Refusal


def _refusal(status: int, body: bytes) -> Refusal:
    """Give it the headers of Go's `http.Error`."""
    headers = {
        "Content-Type": "text/plain; charset=utf-8",
        "X-Content-Type-Options": "nosniff",
        "Content-Length": str(len(body)),
    }
    return Refusal(status, body, headers)


def _in_json(status: int, error: str, message: str) -> Refusal:
    """The encoder of the original ends its line, and what sends the line ends it once more."""
    return _refusal(status, orjson.dumps({"message": message, "error": error}) + b"\n\n")


METHOD_NOT_ALLOWED = _in_json(405, "method_not_allowed", "method not allowed")
EMPTY_QUERY = _in_json(400, "empty_query", "query cannot be empty")
MISSING_TYPE = _in_json(400, "missing_envelope_type", "query must provide at least one envelope type")
NO_COUNTER_NAME = _in_json(400, "missing_counter_name", "counter.name is invalid without value")
NO_GAUGE_NAME = _in_json(400, "missing_gauge_name", "gauge.name is invalid without value")
TOO_MUCH = _in_json(400, "too_many_selectors", "query asks for too much")
STREAMING_UNSUPPORTED = _in_json(500, "streaming_unsupported", "request does not support streaming")
STREAMING_UNAVAILABLE = _in_json(503, "streaming_unavailable", "streaming is temporarily unavailable")
NOT_FOUND = _in_json(404, "not_found", "resource not found")
NO_SUCH_PAGE = _refusal(404, b"404 page not found\n")
FAULT = Refusal(500, headers={"Connection": "close"})  # what hypercorn says for an application that failed
