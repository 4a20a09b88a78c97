"""Ask a log cache over its REST interface (loggregator.md 4.3): ours, or an original one.

In:    JSON, `MAX_ANSWER_BYTES` of an answer at most; a stream of server-sent events.
Out:   envelopes as JSON, one `Envelope` each.
Drops: nothing; an answer that is too large is asked for again, half as much.
"""

from __future__ import annotations

import ssl
from collections.abc import AsyncGenerator, AsyncIterator, Iterator, Mapping, Sequence
from contextlib import asynccontextmanager, contextmanager
from dataclasses import dataclass
from typing import Any
from urllib.parse import quote

import httpx
import orjson
import trio

from plumbing.tls import TlsError, client_context
from standpipe.errors import AccessDenied, CommandFailed, NotRunning
from standpipe.reading.server_sent_events import EventParser
from standpipe.reasons import reason
from standpipe.system import System

NAME = "log_cache.rest"
MAX_PAGE = 1000
MAX_ANSWER_BYTES = 256 << 20
ANSWER_S = 60.0
"""For a whole answer; a query may take the server ten seconds, and the way here may be slow."""
CONNECT_S = 10.0
SILENCE_S = 30.0
"""A stream without a byte for so long is dead: the server sends a comment every ten seconds."""
EARLIEST, LATEST = -(1 << 63), (1 << 63) - 1
"""The bounds of all times, in nanoseconds since 1970."""

_EVENT_STREAM = "text/event-stream"
_DENIED = (401, 403, 404)
_TOO_LARGE = 429
_LATER = (429, 502, 503, 504)
_CHUNK_BYTES = 256 << 10


class LogCacheError(Exception):
    """The log cache did not give what it was asked for; `retry` tells whether it may do so later."""

    retry = True


class LogCacheUnavailable(LogCacheError):
    """It was not reached, or gave no answer that makes sense."""


class LogCacheNotTrusted(LogCacheError):
    """What answers there is not who it should be: its certificate does not prove it."""

    retry = False


class LogCacheRefused(LogCacheError):
    """It answered, and refused."""

    def __init__(self, status: int, answer: str) -> None:
        super().__init__(f"{answer} (HTTP {status})" if answer else f"no reason given (HTTP {status})")
        self.status = status
        self.retry = status >= 500 or status == _TOO_LARGE


class NoEventStream(LogCacheError):
    """It answered, and not with a stream of events: it is a log cache that has none."""

    retry = False


@dataclass(frozen=True, slots=True)
class Envelope:
    """An envelope as the log cache wrote it."""

    time: int
    """Nanoseconds since 1970."""
    json: bytes
    """protojson, on one line."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Page:
    """What one read found, or one event of a stream brought."""

    envelopes: Sequence[Envelope] = ()
    cursor: str | None = None
    """Where to read on in order of arrival; None: this log cache has no cursors."""
    missed: int | None = 0
    """How many envelopes expired before they could be read; None: some, or none, nobody knows."""
    rest: bool = False
    """Whether more had arrived than this page could hold."""
    asked: int = MAX_PAGE
    """How many it could have held."""

    @property
    def is_full(self) -> bool:
        """Whether there may be more."""
        return len(self.envelopes) >= self.asked


class LogCache:
    """A connection to one log cache, with the token of whoever asks."""

    def __init__(self, client: httpx.AsyncClient, server_name: str) -> None:
        self._client = client
        self._extensions = {"sni_hostname": server_name}
        self._page = MAX_PAGE

    async def read(self, source: str, query: Mapping[str, str | Sequence[str]], limit: int = MAX_PAGE) -> Page:
        """Read up to `limit` envelopes of a source, fewer if the log cache says that so many are too much."""
        while True:
            asked = min(limit, self._page)
            try:
                response, content = await self._get(_read_path(source), {**query, "limit": str(asked)})
            except LogCacheRefused as error:
                if error.status != _TOO_LARGE or asked == 1:
                    raise
                self._page = asked // 2
                continue
            with making_sense():
                return _page(response.headers, orjson.loads(content)["envelopes"]["batch"], asked)

    async def stream(self, source: str, query: Mapping[str, str | Sequence[str]]) -> AsyncGenerator[Page, None]:
        """Yield what arrives, as it does; the first page is empty and says that the stream is open.

        Each cursor is that of everything up to here. The log cache ends a stream now and then, and expects another
        request. Raises `NoEventStream` where there is none. Whoever leaves early does so through `contextlib.aclosing`.
        """
        headers = {"Accept": _EVENT_STREAM, "Accept-Encoding": "identity"}
        timeout = httpx.Timeout(CONNECT_S, read=SILENCE_S)
        with _translated():
            request = self._client.build_request(
                "GET", _read_path(source), params=query, headers=headers, timeout=timeout, extensions=self._extensions
            )
            response = await self._client.send(request, stream=True)
        try:
            await _check(response)
            if not response.headers.get("content-type", "").startswith(_EVENT_STREAM):
                raise NoEventStream("the log cache has no stream of events")
            yield Page()
            async for page in _pages(response):
                yield page
        finally:
            with trio.move_on_after(1, shield=True):
                await response.aclose()

    async def ask(self, path: str, query: Mapping[str, str | Sequence[str]]) -> bytes:
        """Ask for anything else and return the answer as it came."""
        _, content = await self._get(path, query)
        return content

    async def _get(self, path: str, query: Mapping[str, str | Sequence[str]]) -> tuple[httpx.Response, bytes]:
        with _translated(), trio.fail_after(ANSWER_S):
            async with self._client.stream("GET", path, params=query, extensions=self._extensions) as response:
                await _check(response)
                return response, await _body(response)


@asynccontextmanager
async def open_log_cache(system: System) -> AsyncIterator[LogCache]:
    """Give a client of a system's log cache, for the time of the block; nothing has been dialled yet."""
    context = _context(system)
    headers = {"Authorization": f"bearer {system.token()}"}
    async with httpx.AsyncClient(
        base_url=f"https://{system.address(NAME)}",
        verify=context,
        trust_env=False,
        timeout=httpx.Timeout(CONNECT_S, read=ANSWER_S),
        headers=headers,
    ) as client:
        yield LogCache(client, system.server_name(NAME))


@contextmanager
def explained(system: System) -> Iterator[None]:
    """Turn what a log cache did not do into the error of a command."""
    where = f"{NAME} at {system.address(NAME)}"
    try:
        yield
    except LogCacheRefused as error:
        if error.status in _DENIED:
            meaning = "no such source, or no access to it with this token" if error.status == 404 else "access denied"
            raise AccessDenied(f"{where}: {meaning}: {error}") from error
        kind = NotRunning if error.status in _LATER else CommandFailed
        raise kind(f"{where} refused: {error}") from error
    except LogCacheNotTrusted as error:
        raise NotRunning(f"{where} is not to be trusted: {error}") from error
    except LogCacheError as error:
        raise system.unreachable(NAME, error) from error


def _context(system: System) -> ssl.SSLContext:
    try:
        return client_context(system.ca)
    except TlsError as error:
        raise CommandFailed(str(error)) from error


def _read_path(source: str) -> str:
    return f"/api/v1/read/{quote(source, safe='')}"


async def _check(response: httpx.Response) -> None:
    """Raise `LogCacheRefused` for anything but a 200, in the server's own words."""
    if response.status_code == httpx.codes.OK:
        return
    with _translated():
        body = await _body(response)
    raise LogCacheRefused(response.status_code, _words(body) or response.reason_phrase)


def _words(body: bytes) -> str:
    """Find what an error says: `message` of the gateway's, `error` of Prometheus's, or all of the text."""
    try:
        fields = orjson.loads(body)
        return str(fields.get("message") or fields["error"])
    except (ValueError, KeyError, TypeError, AttributeError):
        return body[:1000].decode("utf-8", "replace").strip()


async def _body(response: httpx.Response) -> bytes:
    content = bytearray()
    async for chunk in response.aiter_bytes(_CHUNK_BYTES):
        content += chunk
        if len(content) > MAX_ANSWER_BYTES:
            raise LogCacheRefused(_TOO_LARGE, f"the answer has more than {MAX_ANSWER_BYTES >> 20} MiB")
    return bytes(content)


async def _pages(response: httpx.Response) -> AsyncGenerator[Page, None]:
    parser = EventParser()
    chunks = response.aiter_raw()
    while True:
        with _translated(), making_sense():
            try:
                events = parser.feed(await anext(chunks))
            except StopAsyncIteration:
                return
            pages = [_page_of_event(event.name, orjson.loads(event.data), event.id) for event in events]
        for page in pages:
            yield page
        if parser.last_id:
            yield Page(cursor=parser.last_id)  # what was passed over is behind the reader too


def _page_of_event(name: str, value: Any, cursor: str) -> Page:
    if name == "missed":
        return Page(missed=value["missed"] if value["missed"] is None else int(value["missed"]), cursor=cursor or None)
    envelopes = value["batch"] if name == "message" else ()
    return Page(envelopes=[_envelope(each) for each in envelopes], cursor=cursor or None)


def _page(headers: httpx.Headers, batch: Any, asked: int) -> Page:
    missed = headers.get("standpipe-missed", "0")
    return Page(
        envelopes=[_envelope(each) for each in batch],
        cursor=headers.get("standpipe-cursor"),
        missed=int(missed) if missed.isdecimal() else None,
        rest=headers.get("standpipe-rest") == "1",
        asked=asked,
    )


def _envelope(value: Mapping[str, Any]) -> Envelope:
    return Envelope(int(value.get("timestamp", 0)), orjson.dumps(value))


@contextmanager
def making_sense() -> Iterator[None]:
    """Turn what comes of reading an answer of another form than expected into `LogCacheUnavailable`."""
    try:
        yield
    except (ValueError, KeyError, TypeError, AttributeError) as error:
        raise LogCacheUnavailable(f"an answer that makes no sense: {error}") from error


@contextmanager
def _translated() -> Iterator[None]:
    """Turn what httpx raises into errors of ours."""
    try:
        yield
    except trio.TooSlowError:
        raise LogCacheUnavailable(f"no answer within {ANSWER_S:g} s") from None
    except httpx.TimeoutException as error:
        raise LogCacheUnavailable("nothing was heard for too long") from error
    except (httpx.HTTPError, httpx.InvalidURL) as error:
        if _is_of_certificates(error):
            raise LogCacheNotTrusted(reason(error)) from error
        raise LogCacheUnavailable(reason(error)) from error


def _is_of_certificates(error: BaseException | None) -> bool:
    while error is not None:
        if isinstance(error, ssl.SSLCertVerificationError):
            return True
        error = error.__cause__ or error.__context__
    return False
