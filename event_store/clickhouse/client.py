"""Talk to one ClickHouse over HTTP: statements, and Arrow streams to insert; tried again while that may help.

In:    answers, `MAX_ANSWER_BYTES` of each at most.
Out:   POST requests over connections that are kept; redirects are not followed. User and password go in headers.
Drops: nothing; who asked is told, by an error that names the host, and never the password.
"""

from __future__ import annotations

import random
import ssl
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from datetime import UTC, datetime

import httpx
import structlog
import trio

from event_store.clickhouse.config import ClickHouseSettings
from plumbing.grpc_client import Backoff
from plumbing.reasons import reason
from plumbing.retry_after import retry_after_s
from plumbing.secret_files import read_secret
from plumbing.tls import client_context

log = structlog.get_logger(__name__)

MAX_ANSWER_BYTES = 4 << 20
MAX_RETRY_AFTER_S = 60.0
"""The longest that a `Retry-After` is heeded."""

_SHOWN = 300  # characters of an answer
_FIRST_RETRY_S, _MOST_RETRY_S = 0.2, 10.0
_LATER = (408, 429)


class ClickHouseUnavailable(ConnectionError):
    """It was not reached, or could not do it now: nothing is known of what was asked. Try again later."""

    retry_after_s: float | None = None


class ClickHouseRefused(Exception):
    """It answered, and will not do it: look at the message, at the settings and at what the user may do there."""


class ClickHouse:
    """Asks one ClickHouse."""

    def __init__(self, client: httpx.AsyncClient, settings: ClickHouseSettings, password: str) -> None:
        self.retries = 0
        """Requests that were made again."""
        self._client = client
        self._settings = settings
        self._password = password
        self._host = httpx.URL(settings.url).netloc.decode()
        self._backoff = Backoff(random.Random(), first_s=_FIRST_RETRY_S, most_s=_MOST_RETRY_S)

    async def ask(self, sql: str) -> bytes:
        """Run a statement, tried again for as long as the settings say. Raises ClickHouseUnavailable or -Refused."""
        return await self._tried(sql, b"", {"wait_end_of_query": "1"})

    async def insert(self, sql: str, rows: bytes, settings: Mapping[str, str]) -> None:
        """Run an INSERT with its rows; they must be such that it may come twice. Raises as `ask`."""
        await self._tried(sql, rows, settings)

    async def _tried(self, sql: str, body: bytes, settings: Mapping[str, str]) -> bytes:
        ends_at = trio.current_time() + self._settings.retry_s
        self._backoff.reset()
        while True:
            try:
                return await self._exchange(sql, body, settings)
            except ClickHouseUnavailable as error:
                wait_s = max(self._backoff.next_s(), error.retry_after_s or 0.0)
                if trio.current_time() + wait_s > ends_at:
                    raise
                log.warning("clickhouse_fails", error=str(error), again_in_s=round(wait_s, 1))
            self.retries += 1
            await trio.sleep(wait_s)

    async def _exchange(self, sql: str, body: bytes, settings: Mapping[str, str]) -> bytes:
        # The statement is in the address only where the body is something else: it may be longer than an address.
        query = {"database": self._settings.database, **settings, **({"query": sql} if body else {})}
        request = self._client.build_request("POST", self._settings.url, params=query)
        request.headers["Content-Length"] = str(len(body or sql.encode()))
        request.stream = _Body(body or sql.encode())
        try:
            with trio.fail_after(self._settings.timeout_s):
                response = await self._client.send(request, stream=True)
                try:
                    answer = await _read(response)
                finally:
                    with trio.move_on_after(1, shield=True):
                        await response.aclose()
        except trio.TooSlowError:
            raise ClickHouseUnavailable(f"{self._host}: no answer within {self._settings.timeout_s:g} s") from None
        except (httpx.HTTPError, httpx.StreamError, OSError) as error:
            raise ClickHouseUnavailable(f"{self._host}: {self._say(reason(error))}") from error
        self._judge(response, answer)
        return answer

    def _judge(self, response: httpx.Response, answer: bytes) -> None:
        status = response.status_code
        if status == httpx.codes.OK and "x-clickhouse-exception-code" not in response.headers:
            return
        said = f"{self._host}: HTTP {status}: {self._say(answer.decode(errors='replace'))}".rstrip(": ")
        if not (response.is_server_error or status in _LATER or response.is_success):
            raise ClickHouseRefused(said)
        error = ClickHouseUnavailable(said)
        error.retry_after_s = retry_after_s(
            response.headers.get("retry-after", ""), datetime.now(UTC), MAX_RETRY_AFTER_S
        )
        raise error

    def _say(self, text: str) -> str:
        """Return the beginning of a text on one line, without the password, should it repeat that."""
        text = text.replace(self._password, "…") if self._password else text
        return " ".join("".join(c if c.isprintable() else " " for c in text[: 4 * _SHOWN]).split())[:_SHOWN]


@asynccontextmanager
async def open_clickhouse(settings: ClickHouseSettings) -> AsyncIterator[ClickHouse]:
    """Give a ClickHouse for the time of the block; nothing is dialled yet. ConfigError for a bad password file."""
    password = read_secret(settings.password_file) if settings.password_file else ""
    headers = {"User-Agent": "standpipe", "Accept-Encoding": "identity"}
    if settings.username:
        headers |= {"X-ClickHouse-User": settings.username, "X-ClickHouse-Key": password}
    async with httpx.AsyncClient(
        verify=_trust(settings),
        trust_env=False,
        timeout=None,  # noqa: S113 - one deadline for everything is set with each request
        headers=headers,
    ) as client:
        yield ClickHouse(client, settings, password)


def _trust(settings: ClickHouseSettings) -> ssl.SSLContext:
    if settings.tls_ca is None:
        return ssl.create_default_context()
    return client_context(settings.tls_ca, settings.tls_cert, settings.tls_key)


class _Body(httpx.AsyncByteStream):
    """A body in one piece: that of httpx is an async generator, which a broken connection leaves before its end."""

    def __init__(self, content: bytes) -> None:
        self._pieces = [content]

    def __aiter__(self) -> AsyncIterator[bytes]:
        return self

    async def __anext__(self) -> bytes:
        if not self._pieces:
            raise StopAsyncIteration
        return self._pieces.pop()


async def _read(response: httpx.Response) -> bytes:
    content = bytearray()
    with trio.CancelScope() as rest:  # an end from within: the generators of httpx must not be left before theirs
        async for chunk in response.aiter_raw():
            content += chunk
            if len(content) >= MAX_ANSWER_BYTES:
                rest.cancel()
    return bytes(content[:MAX_ANSWER_BYTES])
