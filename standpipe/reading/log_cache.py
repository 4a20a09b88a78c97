"""Ask a log cache over its REST interface (loggregator.md 4.3): ours, or an original one.

In:    JSON, `MAX_ANSWER_BYTES` of an answer at most; a stream of server-sent events.
Out:   envelopes as JSON, one `Envelope` each.
Drops: nothing; an answer that is too large is asked for again, half as much.
"""

from __future__ import annotations

from collections.abc import AsyncGenerator, AsyncIterator, Iterator, Mapping, Sequence
from contextlib import aclosing, asynccontextmanager, contextmanager
from urllib.parse import quote

import httpx
import orjson
import trio

from standpipe.errors import AccessDenied, CommandFailed
from standpipe.reading import https_client
from standpipe.reading.https_client import (
    ANSWER_S,
    CONNECT_S,
    SILENCE_S,
    TOO_LARGE,
    ServerRefused,
    body_of,
    check,
    closing,
    making_sense,
    open_client,
    translated,
)
from standpipe.reading.log_cache_answers import MAX_PAGE, NoEventStream, Page, page_of, page_of_event
from standpipe.reading.server_sent_events import EventParser
from standpipe.system import System

NAME = "log_cache.rest"

_EVENT_STREAM = "text/event-stream"
_HIDDEN = 404  # whoever may not know that a source is there


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
            except ServerRefused as error:
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
        with translated():
            request = self._client.build_request(
                "GET", _read_path(source), params=query, headers=headers, timeout=timeout, extensions=self._extensions
            )
            response = await self._client.send(request, stream=True)
        try:
            await check(response)
            if not response.headers.get("content-type", "").startswith(_EVENT_STREAM):
                raise NoEventStream("the log cache has no stream of events")
            yield Page()
            async with closing(response.aiter_raw()) as chunks, aclosing(_pages(chunks)) as pages:
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
        with translated(), trio.fail_after(ANSWER_S):
            async with self._client.stream("GET", path, params=query, extensions=self._extensions) as response:
                await check(response)
                return response, await body_of(response)


@asynccontextmanager
async def open_log_cache(system: System) -> AsyncIterator[LogCache]:
    """Give a client of a system's log cache, for the time of the block; nothing has been dialled yet."""
    async with open_client(system, NAME) as client:
        yield LogCache(client, system.server_name(NAME))


@contextmanager
def explained(system: System) -> Iterator[None]:
    """Turn what a log cache did not do into the error of a command."""
    try:
        with https_client.explained(system, NAME):
            yield
    except CommandFailed as error:
        if isinstance(refused := error.__cause__, ServerRefused) and refused.status == _HIDDEN:
            where = f"{NAME} at {system.address(NAME)}"
            raise AccessDenied(f"{where}: no such source, or no access to it with this token (HTTP 404)") from refused
        raise


def _read_path(source: str) -> str:
    return f"/api/v1/read/{quote(source, safe='')}"


async def _pages(chunks: AsyncGenerator[bytes, None]) -> AsyncGenerator[Page, None]:
    parser = EventParser()
    while True:
        with translated(), making_sense():
            try:
                events = parser.feed(await anext(chunks))
            except StopAsyncIteration:
                return
            pages = [page_of_event(event.name, orjson.loads(event.data), event.id) for event in events]
        for page in pages:
            yield page
        if parser.last_id:
            yield Page(cursor=parser.last_id)  # what was passed over is behind the reader too
