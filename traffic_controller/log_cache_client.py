"""Ask a log cache for what an app sent lately, over its REST interface (loggregator.md 4.3). Lives on the island.

In:    JSON from the log cache, `log_cache_max_bytes` of it at most.
Out:   v1 envelopes.
Drops: nothing; what does not fit is asked for again, half as much.
"""

from __future__ import annotations

import asyncio
from collections.abc import Iterable
from typing import Any
from urllib.parse import quote

import httpx
import orjson
from google.protobuf.json_format import ParseDict, ParseError

from envelope import kernel
from envelope.framing import frame
from envelope.pb import dropsonde_pb2 as v1
from envelope.pb import loggregator_v2_pb2 as v2
from plumbing.tls import client_context
from traffic_controller.config import Config

_AT_A_TIME = 20  # envelopes read between two looks at the loop: about a millisecond's work


class LogCacheFailed(Exception):
    """The log cache could not be asked, or refused: tell the client; another try may succeed."""


class _TooLarge(Exception):
    """The answer was too large for one side or the other."""


class LogCache:
    """A client of one log cache. Each question carries the token of whoever asks."""

    def __init__(self, config: Config) -> None:
        tls = config.tls
        context = client_context(config.log_cache_ca or tls.ca, tls.cert, tls.key)
        self._url = config.log_cache_url.rstrip("/")
        self._max_bytes = config.log_cache_max_bytes
        self._timeout_s = config.log_cache_timeout_s
        self._client = httpx.AsyncClient(verify=context, timeout=self._timeout_s, trust_env=False)

    async def close(self) -> None:
        """Hang up."""
        await self._client.aclose()

    async def newest(
        self, source_id: str, kind: str, *, limit: int, token: str | None, since_ns: int = 0
    ) -> list[v1.Envelope]:
        """Return the newest envelopes of one kind (`LOG`, `GAUGE`), the newest first, as v1; or `LogCacheFailed`."""
        try:
            async with asyncio.timeout(self._timeout_s):
                return await _converted(await self._read(source_id, kind, limit, token, since_ns))
        except TimeoutError as error:
            raise LogCacheFailed("the log cache did not answer in time") from error
        except httpx.HTTPError as error:
            raise LogCacheFailed(f"the log cache could not be asked: {type(error).__name__}") from error
        except (ValueError, KeyError, TypeError, AttributeError, ParseError) as error:
            raise LogCacheFailed("the log cache gave an answer that makes no sense") from error

    async def _read(
        self, source_id: str, kind: str, limit: int, token: str | None, since_ns: int
    ) -> list[dict[str, Any]]:
        query = {"envelope_types": kind, "limit": str(limit), "descending": "true", "start_time": str(since_ns)}
        try:
            content = await self._get(f"/api/v1/read/{quote(source_id, safe='')}", query, token)
        except _TooLarge:
            if limit <= 1:
                raise LogCacheFailed("the log cache's answer is too large") from None
            return await self._read(source_id, kind, limit // 2, token, since_ns)
        batch = orjson.loads(content)["envelopes"]["batch"]
        if not isinstance(batch, list):
            raise TypeError("batch")
        return batch

    async def _get(self, path: str, query: dict[str, str], token: str | None) -> bytes:
        headers = {"Accept-Encoding": "identity", **({"Authorization": f"bearer {token}"} if token else {})}
        async with self._client.stream("GET", self._url + path, params=query, headers=headers) as response:
            if response.status_code == httpx.codes.TOO_MANY_REQUESTS:  # how a log cache says: message too large
                raise _TooLarge
            if response.status_code != httpx.codes.OK:
                raise LogCacheFailed(f"the log cache answered {response.status_code}")
            content = bytearray()
            async for chunk in response.aiter_raw():
                content += chunk
                if len(content) > self._max_bytes:
                    raise _TooLarge
        return bytes(content)


async def _converted(batch: Iterable[Any]) -> list[v1.Envelope]:
    """Read a few at a time: streams share the thread. What would become too much of v1 is left out by the kernel."""
    framed: list[bytes] = []
    for index, each in enumerate(batch):
        if index % _AT_A_TIME == 0:
            await asyncio.sleep(0)
        framed.append(frame(ParseDict(each, v2.Envelope(), ignore_unknown_fields=True).SerializeToString()))
    return [v1.Envelope.FromString(message) for message in kernel.v1_messages(b"".join(framed))]
