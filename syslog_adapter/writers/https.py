"""Write to a drain over HTTPS: one POST for each message, without the count of its bytes.

In:    batches.
Out:   requests, several at a time; an answer of 2xx is a message taken, any other one says to try again, and may say
       when (`Retry-After`).
Drops: nothing.
"""

from __future__ import annotations

import ssl
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from datetime import UTC, datetime

import httpx
import trio

from plumbing.retry_after import LATER, retry_after_s
from syslog_adapter.addresses import Addresses
from syslog_adapter.drain_url import DrainUrl
from syslog_adapter.retry import MOST_RETRY_AFTER_S
from syslog_adapter.writers.config import WriterSettings
from syslog_adapter.writers.dialling import CheckedTransport
from syslog_adapter.writers.writer import DrainUnavailable, Form, Messages, Written, reason_of

_MOST_ANSWER = 64 * 1024
_HEADERS = {"Content-Type": "text/plain", "User-Agent": "standpipe", "Accept-Encoding": "identity"}


class Poster:
    """What sends messages to one URL."""

    def __init__(self, client: httpx.AsyncClient, target: str, timeout_s: float) -> None:
        self._client = client
        self._target = target
        self._timeout_s = timeout_s

    async def post(self, body: bytes) -> DrainUnavailable | None:
        """Send messages; return why they were not taken, or None."""
        try:
            with trio.fail_after(2 * self._timeout_s):
                async with self._client.stream("POST", self._target, content=body, headers=_HEADERS) as answer:
                    await _read_little(answer)
                    return None if answer.is_success else _refusal(answer)
        except (httpx.TimeoutException, trio.TooSlowError):
            return DrainUnavailable("does not answer")
        except httpx.HTTPError as error:
            return DrainUnavailable(reason_of(error))


@asynccontextmanager
async def open_poster(
    drain: DrainUrl, settings: WriterSettings, context: ssl.SSLContext | None, addresses: Addresses
) -> AsyncIterator[Poster]:
    """Open what posts to a drain; redirects are not followed, proxies not used."""
    connections, verify = settings.https_connections, context or ssl.create_default_context()
    limits = httpx.Limits(max_connections=connections, max_keepalive_connections=connections, keepalive_expiry=90)
    async with httpx.AsyncClient(
        transport=CheckedTransport(addresses, verify, limits=limits) if addresses else None,
        verify=verify,
        limits=limits,
        trust_env=False,
        follow_redirects=False,
        timeout=httpx.Timeout(settings.https_timeout_s, connect=settings.dial_timeout_s),
    ) as client:
        yield Poster(client, drain.target, settings.https_timeout_s)


async def _read_little(answer: httpx.Response) -> None:
    """Read the body of an answer, so that the connection can be used again, unless it is long."""
    size = 0
    async for piece in answer.aiter_raw():
        size += len(piece)
        if size > _MOST_ANSWER:
            return


def _refusal(answer: httpx.Response) -> DrainUnavailable:
    asked = answer.headers.get("retry-after", "") if answer.status_code in LATER else ""
    wait_s = retry_after_s(asked, datetime.now(UTC), MOST_RETRY_AFTER_S)
    return DrainUnavailable(f"answers {answer.status_code}", retry_after_s=wait_s or 0.0)


class HttpsWriter:
    """An open drain that takes one message a request."""

    def __init__(self, poster: Poster, form: Form, connections: int) -> None:
        self._poster = poster
        self._form = form
        self._connections = connections

    async def write(self, batch: bytes) -> Written:
        """Send what an admitted batch says, or raise `DrainUnavailable`."""
        messages = self._form.messages(batch)
        places = messages.each()
        for first in range(0, len(places), self._connections):
            await self._send(messages, places[first : first + self._connections])
        return messages.written

    async def _send(self, messages: Messages, places: list[tuple[int, int]]) -> None:
        """Send some messages at once. Those behind the first that fails are sent again with it."""
        failures: list[DrainUnavailable | None] = [None] * len(places)

        async def send(index: int) -> None:
            start, end = places[index]
            failures[index] = await self._poster.post(messages.data[start:end])

        async with trio.open_nursery() as requests:
            for index in range(len(places)):
                requests.start_soon(send, index)
        for (start, _), failure in zip(places, failures, strict=True):
            if failure is not None:
                raise messages.unavailable(str(failure), start - 1, retry_after_s=failure.retry_after_s)
