"""Who asks for what, and whether they may: a request's path and token become a stream or a refusal.

The rules are loggregator.md 3.1. No I/O, no clock.
"""

from __future__ import annotations

import http
import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from urllib.parse import parse_qs, unquote

from envelope.kinds import Keep, Kind
from envelope.selectors import make_request
from plumbing.auth import AccessDenied, Verifier

_FIREHOSE = re.compile(r"/firehose/(?P<id>[^/]+)/?")
_APP_STREAM = re.compile(r"/apps/(?P<id>[^/]+)/stream/?")
_FILTERS = {
    "logs": (Kind.LOG, Keep.LOGS),
    "metrics": (Kind.COUNTER | Kind.GAUGE | Kind.TIMER | Kind.EVENT, Keep.METRICS),
}
_EVERYTHING = (Kind.TYPED, Keep.ALL)
_MAX_ID = 256


@dataclass(frozen=True, slots=True, kw_only=True)
class Stream:
    """What a client gets: a request for the Dopplers, and which v1 envelopes of the answer it asked for."""

    endpoint: str
    name: str
    request: bytes
    keep: Keep
    explain: bool


@dataclass(frozen=True, slots=True)
class Refusal:
    """An HTTP answer instead of a stream."""

    status: http.HTTPStatus
    body: str
    headers: Mapping[str, str] = field(default_factory=dict)


NOT_FOUND = Refusal(http.HTTPStatus.NOT_FOUND, "404 page not found\n")
FULL = Refusal(http.HTTPStatus.SERVICE_UNAVAILABLE, "too many readers\n")
NOT_A_WEBSOCKET = Refusal(http.HTTPStatus.BAD_REQUEST, "Bad Request\n")


def knock(target: str, token: str | None, verifier: Verifier, now: float) -> Stream | Refusal:
    """Decide about one request; `target` is its path with the query, as it came in."""
    path, _, query_string = target.partition("?")
    path, query = unquote(path), parse_qs(query_string, keep_blank_values=True)
    if (match := _FIREHOSE.fullmatch(path)) and len(match["id"]) <= _MAX_ID:
        kinds, keep = _FILTERS.get(query.get("filter-type", [""])[0], _EVERYTHING)
        stream = Stream(
            endpoint="firehose",
            name=match["id"],
            request=make_request(kinds, shard_id=match["id"]),
            keep=keep,
            explain=_explain(query),
        )
    elif (match := _APP_STREAM.fullmatch(path)) and len(match["id"]) <= _MAX_ID:
        stream = Stream(
            endpoint="stream",
            name=match["id"],
            request=make_request(Kind.LOG | Kind.GAUGE | Kind.TIMER, sources=[match["id"]]),
            keep=Keep.APP,
            explain=_explain(query),
        )
    else:
        return NOT_FOUND
    return _refusal(stream, token, verifier, now) or stream


def _refusal(stream: Stream, token: str | None, verifier: Verifier, now: float) -> Refusal | None:
    if token is None:
        return _unauthorized("authorization not provided")
    try:
        grant = verifier.verify(token, now)
    except AccessDenied:
        return _unauthorized("invalid authorization")
    allowed = grant.may_read_firehose() if stream.endpoint == "firehose" else grant.may_read_source(stream.name)
    return None if allowed else _unauthorized("invalid authorization")


def _unauthorized(reason: str) -> Refusal:
    return Refusal(http.HTTPStatus.UNAUTHORIZED, f"You are not authorized. {reason}", {"WWW-Authenticate": "Basic"})


def _explain(query: Mapping[str, list[str]]) -> bool:
    return query.get("explain", ["0"])[0] not in ("", "0", "false")
