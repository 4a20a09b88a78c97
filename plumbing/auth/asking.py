"""Put questions to one authority over HTTPS: with a deadline and a bound, and nothing carried from one to the next.

In:    one exchange, on a connection of its own as with the original; redirects are not followed.
Out:   what a reader makes of status and body, or `Unanswered`.
"""

from __future__ import annotations

import ssl
from collections.abc import Callable, Mapping
from http.cookiejar import CookieJar, DefaultCookiePolicy
from typing import TypeVar

import anyio
import httpx
import structlog

from plumbing.auth.decisions import Tally

log = structlog.get_logger(__name__)

MAX_ANSWER_BYTES = 256 << 10
"""The longest body that is read, unless a longer one is asked for: room for a list of keys, or for every scope."""

_SHOWN = 200  # characters of a fault

A = TypeVar("A")


class Unanswered(Exception):
    """The authority could not be asked, or its answer makes no sense: let nobody in, and ask again another time."""


class Asker:
    """Asks one authority, at most `max_connections` questions at once; the others wait, within their deadline."""

    def __init__(
        self,
        name: str,
        tally: Tally,
        *,
        tls: ssl.SSLContext | None = None,
        timeout_s: float = 10.0,
        max_connections: int = 16,
        transport: httpx.AsyncBaseTransport | None = None,
    ) -> None:
        self.tally = tally
        self._name = name
        self._timeout_s = timeout_s
        self._tls = tls
        self._max_connections = max_connections
        self._transport = transport
        self._client: httpx.AsyncClient | None = None
        self._failing = False

    async def ask(
        self,
        method: str,
        url: str,
        read: Callable[[int, bytes], A],
        *,
        headers: Mapping[str, str] | None = None,
        form: Mapping[str, str] | None = None,
        credentials: tuple[str, str] | None = None,
        max_bytes: int = MAX_ANSWER_BYTES,
    ) -> A:
        """Return what `read` makes of status and body; raise `Unanswered`, as `read` may. Faults are counted.

        A body of more than `max_bytes` is no answer.
        """
        self.tally.asked += 1
        self._client = self._client or self._open()
        auth = httpx.BasicAuth(*credentials) if credentials else None
        request = self._client.build_request(method, url, headers=headers, data=form)
        try:
            answer = read(*await self._exchange(self._client, request, auth, max_bytes))
        except Unanswered as error:
            self.tally.failed += 1
            if not self._failing:
                log.warning("authority_fails", authority=self._name, reason=str(error))
            self._failing = True
            raise
        if self._failing:
            log.info("authority_answers_again", authority=self._name)
        self._failing = False
        return answer

    async def close(self) -> None:
        """Close what is open."""
        if self._client is not None:
            await self._client.aclose()
            self._client = None

    def _open(self) -> httpx.AsyncClient:
        return httpx.AsyncClient(
            verify=self._tls or True,
            transport=self._transport,
            trust_env=False,
            timeout=None,  # noqa: S113 - one deadline for everything is set below
            limits=httpx.Limits(max_connections=self._max_connections, max_keepalive_connections=0),
            cookies=CookieJar(DefaultCookiePolicy(allowed_domains=())),  # one user's must not go with another's request
            headers={"User-Agent": "standpipe", "Accept-Encoding": "identity", "Connection": "close"},
        )

    async def _exchange(
        self, client: httpx.AsyncClient, request: httpx.Request, auth: httpx.BasicAuth | None, max_bytes: int
    ) -> tuple[int, bytes]:
        with anyio.move_on_after(self._timeout_s):
            try:
                response = await client.send(request, auth=auth, stream=True)
                try:
                    return response.status_code, await _body(response, max_bytes)
                finally:
                    await response.aclose()
            except (httpx.HTTPError, OSError) as error:
                raise Unanswered(f"{type(error).__name__}: {error}".rstrip(": ")[:_SHOWN]) from error
        raise Unanswered(f"no answer within {self._timeout_s:g} s")


async def _body(response: httpx.Response, max_bytes: int) -> bytes:
    """Read a body as it comes, compressed or not; raise `Unanswered` if it is too long, and read no more of it."""
    body = bytearray()
    with anyio.CancelScope() as rest:  # an end from within: the generators of httpx must not be left before theirs
        async for chunk in response.aiter_raw():
            body += chunk
            if len(body) > max_bytes:
                body.clear()
                rest.cancel()
    if rest.cancel_called:
        raise Unanswered(f"an answer of more than {max_bytes} bytes")
    return bytes(body)
