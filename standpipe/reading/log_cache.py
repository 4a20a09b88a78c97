"""Ask a log cache over its REST interface (loggregator.md 4.3): ours, or an original one.

In:    JSON, `MAX_ANSWER_BYTES` of an answer at most; a stream of server-sent events.
Out:   envelopes as JSON, one `Envelope` each.
Drops: nothing; an answer that is too large is asked for again, half as much.
"""

from __future__ import annotations

import ssl
from collections.abc import AsyncGenerator, AsyncIterator, Iterator, Mapping, Sequence
from contextlib import aclosing, asynccontextmanager, contextmanager
from typing import cast
from urllib.parse import quote

import httpx
import orjson
import trio

from plumbing.reasons import reason
from plumbing.tls import TlsError, client_context
from standpipe.errors import AccessDenied, CommandFailed, NotRunning
from standpipe.reading.log_cache_answers import (
    MAX_PAGE,
    TOO_LARGE,
    LogCacheError,
    LogCacheNotTrusted,
    LogCacheRefused,
    LogCacheUnavailable,
    NoEventStream,
    Page,
    making_sense,
    page_of,
    page_of_event,
    words_of,
)
from standpipe.reading.server_sent_events import EventParser
from standpipe.system import System

NAME = "log_cache.rest"
MAX_ANSWER_BYTES = 256 << 20
ANSWER_S = 60.0
"""For a whole answer; a query may take the server ten seconds, and the way here may be slow."""
CONNECT_S = 10.0
SILENCE_S = 30.0
"""A stream without a byte for so long is dead: the server sends a comment every ten seconds."""

_EVENT_STREAM = "text/event-stream"
_HIDDEN = 404  # whoever may not know that a source is there
_DENIED = (401, 403)
_LATER = (429, 502, 503, 504)
_CHUNK_BYTES = 256 << 10


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
                if error.status != TOO_LARGE or asked == 1:
                    raise
                self._page = asked // 2
                continue
            with making_sense():
                return page_of(response.headers, orjson.loads(content)["envelopes"]["batch"], asked)

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
            async with _closing(response.aiter_raw()) as chunks, aclosing(_pages(chunks)) as pages:
                async for page in pages:
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
        if error.status == _HIDDEN:
            raise AccessDenied(f"{where}: no such source, or no access to it with this token (HTTP 404)") from error
        if error.status in _DENIED:
            raise AccessDenied(f"{where} refused: {error}") from error
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
    status = response.status_code
    raise LogCacheRefused(status, words_of(body) or httpx.codes.get_reason_phrase(status))


async def _body(response: httpx.Response) -> bytes:
    content = bytearray()
    async with _closing(response.aiter_bytes(_CHUNK_BYTES)) as chunks:
        async for chunk in chunks:
            content += chunk
            if len(content) > MAX_ANSWER_BYTES:
                raise LogCacheRefused(TOO_LARGE, f"the answer has more than {MAX_ANSWER_BYTES >> 20} MiB")
    return bytes(content)


def _closing(chunks: AsyncIterator[bytes]) -> aclosing[AsyncGenerator[bytes, None]]:
    """Close a generator of httpx's, which calls them by less than they are."""
    return aclosing(cast("AsyncGenerator[bytes, None]", chunks))


async def _pages(chunks: AsyncGenerator[bytes, None]) -> AsyncGenerator[Page, None]:
    parser = EventParser()
    while True:
        with _translated(), making_sense():
            try:
                events = parser.feed(await anext(chunks))
            except StopAsyncIteration:
                return
            pages = [page_of_event(event.name, orjson.loads(event.data), event.id) for event in events]
        for page in pages:
            yield page
        if parser.last_id:
            yield Page(cursor=parser.last_id)  # what was passed over is behind the reader too


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
