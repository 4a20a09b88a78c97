"""A client whose log cache answers in memory."""

from base64 import b64decode
from collections.abc import AsyncIterator, Iterable
from contextlib import asynccontextmanager

import httpx
import orjson

from standpipe.reading.log_cache import LogCache
from standpipe.reading.log_cache_answers import Envelope
from tests.fakes.cursor_log_cache import CursorLogCache
from tests.fakes.https_in_trio import Cut


class _Transport(httpx.AsyncBaseTransport):
    def __init__(self, fake: CursorLogCache) -> None:
        self._fake = fake

    async def handle_async_request(self, request: httpx.Request) -> httpx.Response:
        response = await self._fake.answer(request)
        if not response.is_closed:
            response.stream = _Stream(response.stream)
        return response


class _Stream(httpx.AsyncByteStream):
    def __init__(self, stream: httpx.AsyncByteStream) -> None:
        self._stream = stream

    async def __aiter__(self) -> AsyncIterator[bytes]:
        try:
            async for chunk in self._stream:
                yield chunk
        except Cut as cut:
            raise httpx.ReadError("the connection was cut") from cut


@asynccontextmanager
async def client_of(fake: CursorLogCache) -> AsyncIterator[LogCache]:
    """Give a client of a log cache, for the time of the block."""
    headers = {"Authorization": f"bearer {fake.token}"}
    async with httpx.AsyncClient(base_url="https://cache", transport=_Transport(fake), headers=headers) as client:
        yield LogCache(client, "log-cache")


def texts(envelopes: Iterable[Envelope]) -> list[str]:
    """Return what logs say."""
    return [b64decode(orjson.loads(each.json)["log"]["payload"]).decode() for each in envelopes]
