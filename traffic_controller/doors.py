"""Who asks for what, and whether they may: a request's path and token become a stream, another errand, or a refusal.

The rules are loggregator.md 3.1. No I/O (the authority does its own), no clock.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from enum import StrEnum
from http import HTTPStatus
from urllib.parse import parse_qs, unquote

from envelope.kinds import Keep, Kind
from envelope.selectors import make_request
from plumbing.auth import INVALID, Access, Authority
from plumbing.auth.capi import GUID
from traffic_controller.http_messages import Answer, Headers, Request, text

_PATHS = re.compile(
    r"/firehose/(?P<subscription>[^/#]+)/?"
    r"|/apps/(?P<app>[^/#]+)/(?P<errand>stream|recentlogs|containermetrics)/?"
    r"|/set-cookie/?"
)
_FILTERS = {
    "logs": (Kind.LOG, Keep.LOGS),
    "metrics": (Kind.COUNTER | Kind.GAUGE | Kind.TIMER | Kind.EVENT, Keep.METRICS),
}
_EVERYTHING = (Kind.TYPED, Keep.ALL)
_BAD_ESCAPE = re.compile(r"%(?![0-9a-fA-F]{2})")
_NOT_IN_A_NAME = re.compile(r"[/\x00-\x1f\x7f]")
_MAX_NAME = 256
_MAX_FORWARDED_FOR = 256


class Endpoint(StrEnum):
    """What can be asked for."""

    FIREHOSE = "firehose"
    STREAM = "stream"
    RECENT_LOGS = "recentlogs"
    CONTAINER_METRICS = "containermetrics"
    SET_COOKIE = "set-cookie"


@dataclass(frozen=True, slots=True)
class Door:
    """What a path leads to; `name` is a subscription's or an app's."""

    endpoint: Endpoint
    name: str
    query: Mapping[str, Sequence[str]]

    @property
    def is_a_stream(self) -> bool:
        """Whether a WebSocket is behind it."""
        return self.endpoint in (Endpoint.FIREHOSE, Endpoint.STREAM)


@dataclass(frozen=True, slots=True, kw_only=True)
class Stream:
    """What a client gets: a request for the Dopplers, and which v1 envelopes of the answer it asked for.

    `remote`, `forwarded_for` and `path` say who the client is, for whoever has to be told of it.
    """

    endpoint: Endpoint
    name: str
    request: bytes
    keep: Keep
    explain: bool
    remote: str = ""
    forwarded_for: str = ""
    path: str = ""


def find_door(target: str) -> Door | None:
    """Return what a target leads to; None for every path there is not.

    The path is taken apart before anything in it is unquoted, and nothing in it is resolved: a name with a slash in
    it, however written, is none, so that a name a token is good for cannot turn into another on its way.
    """
    path, _, query_string = target.partition("?")
    match = _PATHS.fullmatch(path)
    if match is None:
        return None
    query = parse_qs(query_string, keep_blank_values=True)
    if (quoted := match["subscription"] or match["app"]) is None:
        return Door(Endpoint.SET_COOKIE, "", query)
    name = _unquoted(quoted)
    return Door(Endpoint(match["errand"] or Endpoint.FIREHOSE), name, query) if name else None


async def refuse(door: Door, token: str | None, authority: Authority, *, guids_only: bool) -> Answer | None:
    """Return the answer to whoever may not enter; None to whoever may. With `guids_only` apps have GUIDs for names.

    The original says why to whoever asks for a firehose, and nothing but a status to whoever asks for an app.
    """
    if door.endpoint is Endpoint.SET_COOKIE:
        return None
    if door.endpoint is Endpoint.FIREHOSE:
        decision = await authority.firehose(token)
        reason = decision.reason if decision.access is Access.DENIED else INVALID
        return None if decision.access is Access.GRANTED else _unauthorized(reason)
    if guids_only and not GUID.fullmatch(door.name):
        return Answer(HTTPStatus.UNAUTHORIZED)
    decision = await authority.source(token, door.name)
    match decision.access:
        case Access.GRANTED:
            return None
        case Access.DENIED:
            return _unauthorized("" if guids_only else decision.reason)
        case Access.HIDDEN:
            return Answer(HTTPStatus.NOT_FOUND)
        case Access.UNKNOWN:
            return Answer(HTTPStatus.INTERNAL_SERVER_ERROR)


def make_stream(door: Door, request: Request, remote: str) -> Stream:
    """Say what a client that was let in gets, and who it is: `remote` is the other end of its connection."""
    if door.endpoint is Endpoint.FIREHOSE:
        kinds, keep = _FILTERS.get(door.query.get("filter-type", [""])[0], _EVERYTHING)
        wanted = make_request(kinds, shard_id=door.name)
    else:
        keep = Keep.APP
        wanted = make_request(Kind.LOG | Kind.GAUGE | Kind.TIMER, sources=[door.name])
    return Stream(
        endpoint=door.endpoint,
        name=door.name,
        request=wanted,
        keep=keep,
        explain=door.query.get("explain", ["0"])[0] not in ("", "0", "false"),
        remote=remote,
        forwarded_for=forwarded_for(request),
        path=request.path,
    )


def cross_origin(door: Door, request: Request) -> Headers:
    """Return what lets a page of any origin read the answer, with its cookies: of two doors, for all they answer."""
    if door.endpoint not in (Endpoint.RECENT_LOGS, Endpoint.SET_COOKIE):
        return ()
    origin = request.header("origin")
    headers = [("Access-Control-Allow-Origin", origin)] if origin else []
    headers.append(("Access-Control-Allow-Credentials", "true"))
    if door.endpoint is Endpoint.SET_COOKIE:
        headers.append(("Access-Control-Allow-Headers", "Content-Type"))
    return headers


def forwarded_for(request: Request) -> str:
    """Return for whom the proxies before us say they speak; its first 256 characters."""
    return request.header("x-forwarded-for")[:_MAX_FORWARDED_FOR]


def _unquoted(quoted: str) -> str | None:
    if _BAD_ESCAPE.search(quoted):
        return None
    try:
        name = unquote(quoted, errors="strict")
    except UnicodeDecodeError:
        return None
    if len(name) > _MAX_NAME or name in (".", "..") or _NOT_IN_A_NAME.search(name):
        return None
    return name


def _unauthorized(reason: str) -> Answer:
    challenge = (("WWW-Authenticate", "Basic"),)
    if not reason:
        return Answer(HTTPStatus.UNAUTHORIZED, headers=challenge)
    return text(HTTPStatus.UNAUTHORIZED, f"You are not authorized. {reason}", challenge)
