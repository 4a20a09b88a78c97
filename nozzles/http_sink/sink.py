"""Post bodies to one sink over HTTP, and tell what its answers mean for a batch.

In:    bodies; answers, of which `MAX_ANSWER_BYTES` are read.
Out:   POST requests on connections that are kept; redirects are not followed.
Drops: nothing; who posted decides.
"""

from __future__ import annotations

import gzip
import ssl
from collections.abc import AsyncIterator, Iterable, Mapping
from contextlib import asynccontextmanager
from datetime import UTC, datetime

import httpx
import trio
import zstandard

from nozzles.http_sink.credentials import read_credentials
from nozzles.http_sink.settings import HttpSettings
from nozzles.sdk import SinkDenied, SinkRefused, SinkUnavailable
from plumbing.retry_after import LATER, retry_after_s
from plumbing.tls import client_context

MAX_ANSWER_BYTES = 1 << 20
MAX_RETRY_AFTER_S = 300.0
"""The longest that a sink's `Retry-After` is heeded."""

_SHOWN = 200  # characters of an answer
_SECRET_CHARACTERS = 6  # a shorter header value is no secret, and would be cut out of ordinary words
_IN_A_THREAD_BYTES = 64 << 10  # a body of this size or more is compressed beside the loop
_OF_THE_TRANSFER = frozenset(("content-encoding", "content-length", "transfer-encoding"))
_TIMED_OUT = 408
_TOO_LARGE = 413
_DENIED = (401, 403, 407)  # by somebody who can be told who we are, or to let us in


class HttpRefused(SinkRefused):
    """The sink answered that it will never take a body: `status`, and the beginning of `answer`."""

    def __init__(self, message: str, status: int, answer: bytes) -> None:
        super().__init__(message, reason="too_large" if status == _TOO_LARGE else "refused")
        self.status = status
        self.answer = answer


class HttpSink:
    """Posts bodies to one sink, over connections that are kept open between them."""

    def __init__(self, client: httpx.AsyncClient, settings: HttpSettings, secrets: Iterable[str], remedy: str) -> None:
        self._client = client
        self._settings = settings
        self._url = httpx.URL(settings.url).copy_with(username=None, password=None)
        self._remedy = remedy
        self._secrets = sorted({one for one in secrets if len(one) >= _SECRET_CHARACTERS}, key=len, reverse=True)

    async def post(
        self,
        body: bytes,
        *,
        content_type: str,
        path: str = "",
        headers: Mapping[str, str] | None = None,
        query: Mapping[str, str] | None = None,
    ) -> httpx.Response:
        """Post `body`, compressed as the settings say, to the URL followed by `path`.

        Returns a 2xx with its content. Raises `SinkUnavailable` where another time is better: 408, 429, 5xx, no
        answer in time, half of one; and `SinkDenied` for 401, 403 and 407. Raises `HttpRefused` for every other
        answer, in the sink's own words.
        """
        sent = {"Content-Type": content_type, **(headers or {})}
        if self._settings.compression != "none":
            sent["Content-Encoding"] = self._settings.compression
            body = await _compress(body, self._settings.compression)
        response = await self._exchange(body, self._target(path, query), sent)
        self._judge(response)
        return response

    def denied(self, what: str) -> SinkDenied:
        """Make the error that says which settings to look at, since the sink said `what`."""
        return SinkDenied(f"{what}; {self._remedy}")

    def say(self, answer: bytes) -> str:
        """Return the first characters of an answer on one line, without anything secret that it repeats."""
        text = answer.decode(errors="replace")
        for secret in self._secrets:
            text = text.replace(secret, "…")
        return " ".join("".join(c if c.isprintable() else " " for c in text[: 4 * _SHOWN]).split())[:_SHOWN]

    def _target(self, path: str, query: Mapping[str, str] | None) -> httpx.URL:
        url = self._url.copy_with(path=self._url.path.rstrip("/") + path) if path else self._url
        return url.copy_merge_params(query) if query else url

    async def _exchange(self, body: bytes, url: httpx.URL, headers: Mapping[str, str]) -> httpx.Response:
        request = self._client.build_request("POST", url, content=body, headers=headers)
        request.stream = _Body(body)
        try:
            with trio.fail_after(self._settings.timeout_s):
                response = await self._client.send(request, stream=True)
                try:
                    content = await _content(response)
                finally:
                    with trio.move_on_after(1, shield=True):
                        await response.aclose()
        except trio.TooSlowError:
            raise SinkUnavailable(f"no answer within {self._settings.timeout_s:g} s") from None
        except (httpx.HTTPError, httpx.StreamError, OSError) as error:
            raise SinkUnavailable(f"{type(error).__name__}: {self.say(str(error).encode())}".rstrip(": ")) from error
        kept = [(name, value) for name, value in response.headers.multi_items() if name not in _OF_THE_TRANSFER]
        return httpx.Response(response.status_code, headers=kept, content=content)

    def _judge(self, response: httpx.Response) -> None:
        """Raise for anything but a 2xx."""
        status = response.status_code
        if response.is_success:
            return
        message = f"HTTP {status}: {self.say(response.content)}".rstrip(": ")
        if status in LATER:
            wait_s = retry_after_s(response.headers.get("retry-after", ""), datetime.now(UTC), MAX_RETRY_AFTER_S)
            raise SinkUnavailable(message, retry_after_s=wait_s)
        if status == _TIMED_OUT or response.is_server_error:
            raise SinkUnavailable(message)
        if status in _DENIED:
            raise self.denied(message)
        raise HttpRefused(message, status, response.content)


class _Body(httpx.AsyncByteStream):
    """A body in one piece: that of httpx is an async generator, which a broken connection leaves before its end."""

    def __init__(self, content: bytes) -> None:
        self._content = content
        self._pieces = iter((content,))

    def __aiter__(self) -> AsyncIterator[bytes]:
        self._pieces = iter((self._content,))
        return self

    async def __anext__(self) -> bytes:
        for piece in self._pieces:
            return piece
        raise StopAsyncIteration


@asynccontextmanager
async def open_http(
    settings: HttpSettings,
    *,
    headers: Mapping[str, str] | None = None,
    secrets: Iterable[str] = (),
) -> AsyncIterator[HttpSink]:
    """Give a sink for the time of the block; nothing is dialled yet.

    `headers` go with every request, and so does what the settings say of us. These, and `secrets`, are cut out of what
    is told of the sink's answers.
    """
    credentials = read_credentials(settings)
    sent = httpx.Headers(
        {
            "User-Agent": "standpipe",
            "Accept-Encoding": "identity",  # so that the bound on what is read is one on what it takes
        }
    )
    for more in (settings.headers, headers or {}, credentials.headers):
        sent.update(more)
    async with httpx.AsyncClient(
        verify=_trust(settings),
        trust_env=False,
        timeout=None,  # noqa: S113 - one deadline for everything is set with each request
        headers=sent,
    ) as client:
        yield HttpSink(
            client, settings, [*secrets, *credentials.secrets, *(headers or {}).values()], credentials.remedy
        )


def _trust(settings: HttpSettings) -> ssl.SSLContext:
    if settings.tls_ca is not None:
        return client_context(settings.tls_ca, settings.tls_cert, settings.tls_key)
    context = ssl.create_default_context()
    if settings.tls_cert is not None:
        context.load_cert_chain(settings.tls_cert, settings.tls_key)
    return context


async def _compress(body: bytes, how: str) -> bytes:
    if len(body) < _IN_A_THREAD_BYTES:
        return _compressed(body, how)
    return await trio.to_thread.run_sync(_compressed, body, how)


def _compressed(body: bytes, how: str) -> bytes:
    return gzip.compress(body, 5, mtime=0) if how == "gzip" else zstandard.compress(body, 3)


async def _content(response: httpx.Response) -> bytes:
    """Read a body as it comes; of one that is too long, the beginning."""
    content = bytearray()
    with trio.CancelScope() as rest:  # an end from within: the generators of httpx must not be left before theirs
        async for chunk in response.aiter_raw():
            content += chunk
            if len(content) >= MAX_ANSWER_BYTES:
                rest.cancel()
    return bytes(content[:MAX_ANSWER_BYTES])
