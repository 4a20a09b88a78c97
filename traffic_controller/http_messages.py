"""One HTTP request as it came in, and the answer to it. No I/O, no clock.

The parser is `h11`; a head is at most `MAX_HEAD_BYTES` long, a body `MAX_BODY_BYTES`. A connection is for one request:
what comes behind it is not looked at, and every answer closes.
"""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from email.utils import formatdate
from http import HTTPStatus

import h11

MAX_HEAD_BYTES = 16 << 10
MAX_BODY_BYTES = 4 << 10

Headers = Sequence[tuple[str, str]]


@dataclass(frozen=True, slots=True)
class Request:
    """A request's head: `target` is the path with the query, untouched; names of headers are in lower case."""

    method: str
    target: str
    headers: Headers = ()

    @property
    def path(self) -> str:
        """The target without its query."""
        return self.target.partition("?")[0]

    def header(self, name: str) -> str:
        """Return the value of a header, all its lines joined; empty without one."""
        return ", ".join(value for each, value in self.headers if each == name)

    def tokens(self, name: str) -> set[str]:
        """Return the members of a header that lists tokens, in lower case."""
        return {token.strip().lower() for token in self.header(name).split(",")}


@dataclass(frozen=True, slots=True)
class Answer:
    """What a client is told. Lengths, date and the end of the connection are added when it is written."""

    status: HTTPStatus
    body: bytes = b""
    headers: Headers = field(default=())


class BadRequest(Exception):
    """What came in is no request, or one too large: answer with `status` and go on to no other."""

    def __init__(self, status: HTTPStatus) -> None:
        super().__init__(status.phrase)
        self.status = status


class RequestReader:
    """Reads one request as its bytes arrive, and writes the answer."""

    def __init__(self) -> None:
        self.answered = False
        self._connection = h11.Connection(h11.SERVER, max_incomplete_event_size=MAX_HEAD_BYTES)
        self._received = 0
        self._request: Request | None = None
        self._body = b""

    def head(self, arrived: bytes) -> Request | None:
        """Take in bytes; returns the request once its head is complete, or raises `BadRequest`."""
        self._received += len(arrived)
        event = self._next(arrived)
        if not isinstance(event, h11.Request):
            if event is not h11.NEED_DATA:
                raise BadRequest(HTTPStatus.BAD_REQUEST)
            return None
        if self._received - len(self.rest) > MAX_HEAD_BYTES:
            raise BadRequest(HTTPStatus.REQUEST_HEADER_FIELDS_TOO_LARGE)
        if event.http_version not in (b"1.0", b"1.1"):
            raise BadRequest(HTTPStatus.HTTP_VERSION_NOT_SUPPORTED)
        if event.method == b"CONNECT":
            raise BadRequest(HTTPStatus.METHOD_NOT_ALLOWED)
        self._request = Request(
            method=event.method.decode("ascii"),
            target=event.target.decode("ascii"),
            headers=tuple((name.decode("ascii"), value.decode("latin-1")) for name, value in event.headers),
        )
        return self._request

    def body(self, arrived: bytes | None = None) -> bytes | None:
        """Take in more bytes; returns the body once it is complete, or raises `BadRequest`."""
        event = self._next(arrived)
        while isinstance(event, h11.Data):
            self._body += event.data
            if len(self._body) > MAX_BODY_BYTES:
                raise BadRequest(HTTPStatus.BAD_REQUEST)
            event = self._next(None)
        if isinstance(event, h11.EndOfMessage):
            return self._body
        if event is not h11.NEED_DATA:
            raise BadRequest(HTTPStatus.BAD_REQUEST)
        return None

    @property
    def rest(self) -> bytes:
        """What has arrived behind what was read."""
        return self._connection.trailing_data[0]

    def has_more(self) -> bool:
        """Tell whether the client has said, or may still say, more than was read."""
        if self._connection.their_state is h11.SEND_BODY:
            with suppress(BadRequest):
                self._next(None)
        return self._connection.their_state in (h11.IDLE, h11.SEND_BODY, h11.ERROR) or bool(self.rest)

    def go_ahead(self) -> bytes:
        """Return what a client wants to hear before it sends its body; mostly nothing."""
        if not self._connection.they_are_waiting_for_100_continue:
            return b""
        return self._connection.send(h11.InformationalResponse(status_code=100, headers=[])) or b""

    def write(self, answer: Answer, now_s: float) -> bytes:
        """Return the bytes of the only answer; HEAD is answered without a body."""
        headers = [
            *answer.headers,
            ("Date", formatdate(now_s, usegmt=True)),
            ("Content-Length", str(len(answer.body))),
            ("Connection", "close"),
        ]
        response = h11.Response(
            status_code=answer.status,
            reason=answer.status.phrase.encode(),
            headers=[(name.encode("ascii"), value.encode("latin-1")) for name, value in headers],
        )
        written = self._connection.send(response) or b""
        if self._request is None or self._request.method != "HEAD":
            written += self._connection.send(h11.Data(data=answer.body)) or b""
        self.answered = True
        return written

    def _next(self, arrived: bytes | None) -> object:
        try:
            if arrived is not None:
                self._connection.receive_data(arrived)
            return self._connection.next_event()
        except h11.RemoteProtocolError as error:
            raise BadRequest(HTTPStatus(error.error_status_hint)) from error


def text(status: HTTPStatus, words: str, headers: Headers = ()) -> Answer:
    """Answer in plain text, as Go's `http.Error` does."""
    plain = (("Content-Type", "text/plain; charset=utf-8"), ("X-Content-Type-Options", "nosniff"))
    return Answer(status, words.encode(), (*headers, *plain))


NOT_FOUND = text(HTTPStatus.NOT_FOUND, "404 page not found\n")
TOO_MANY_READERS = text(HTTPStatus.SERVICE_UNAVAILABLE, "too many readers\n")
TOO_MANY_REQUESTS = text(HTTPStatus.SERVICE_UNAVAILABLE, "too many requests\n")
FAULT = text(HTTPStatus.INTERNAL_SERVER_ERROR, "Internal Server Error\n")
