"""Ask a component over HTTPS, with a token: what its clients share, and what goes wrong with servers.

In:    answers, `MAX_ANSWER_BYTES` of each at most; streams.
Out:   their bytes, or a `ServerError`.
"""

from __future__ import annotations

import ssl
from collections.abc import AsyncGenerator, AsyncIterator, Iterator
from contextlib import aclosing, asynccontextmanager, contextmanager
from typing import Any, cast

import httpx
import orjson
import trio

from plumbing.reasons import reason
from plumbing.tls import TlsError, client_context
from standpipe.errors import AccessDenied, CommandFailed, NotRunning
from standpipe.system import System

MAX_ANSWER_BYTES = 256 << 20
ANSWER_S = 60.0
"""For a whole answer; a query may take the server a while, and the way here may be slow."""
CONNECT_S = 10.0
SILENCE_S = 30.0
"""A stream without a byte for so long is dead: the server sends a comment every ten seconds."""
TOO_LARGE = 429
"""The status that says: ask for less."""

_DENIED = (401, 403)
_LATER = (429, 502, 503, 504)
_CHUNK_BYTES = 256 << 10


class ServerError(Exception):
    """The server did not give what it was asked for; `retry` tells whether it may do so later."""

    retry = True


class ServerUnavailable(ServerError):
    """It was not reached, or gave no answer that makes sense."""


class ServerNotTrusted(ServerError):
    """What answers there is not who it should be: its certificate does not prove it."""

    retry = False


class ServerRefused(ServerError):
    """It answered, and refused; `answer` is what it said, `body` all of that."""

    def __init__(self, status: int, answer: str, body: bytes = b"") -> None:
        super().__init__(f"{answer or 'no reason given'} (HTTP {status})")
        self.status = status
        self.body = body
        self.retry = status >= 500 or status == TOO_LARGE


@asynccontextmanager
async def open_client(system: System, name: str) -> AsyncIterator[httpx.AsyncClient]:
    """Give a client of a component that shows the token, for the time of the block; nothing has been dialled yet."""
    try:
        context = client_context(system.ca)
    except TlsError as error:
        raise CommandFailed(str(error)) from error
    async with httpx.AsyncClient(
        base_url=f"https://{system.address(name)}",
        verify=context,
        trust_env=False,
        timeout=httpx.Timeout(CONNECT_S, read=ANSWER_S),
        headers={"Authorization": f"bearer {system.token()}"},
    ) as client:
        yield client


@contextmanager
def explained(system: System, name: str) -> Iterator[None]:
    """Turn what a component did not do into the error of a command, whose cause it is."""
    where = f"{name} at {system.address(name)}"
    try:
        yield
    except ServerRefused as error:
        kind = AccessDenied if error.status in _DENIED else NotRunning if error.status in _LATER else CommandFailed
        raise kind(f"{where} refused: {error}") from error
    except ServerNotTrusted as error:
        raise NotRunning(f"{where} is not to be trusted: {error}") from error
    except ServerError as error:
        raise system.unreachable(name, error) from error


@contextmanager
def translated(within_s: float = ANSWER_S) -> Iterator[None]:
    """Turn what httpx raises into errors of ours; `within_s` is the time that the caller allows."""
    try:
        yield
    except trio.TooSlowError:
        raise ServerUnavailable(f"no answer within {within_s:g} s") from None
    except httpx.TimeoutException as error:
        raise ServerUnavailable("nothing was heard for too long") from error
    except (httpx.HTTPError, httpx.InvalidURL) as error:
        if _is_of_certificates(error):
            raise ServerNotTrusted(reason(error)) from error
        raise ServerUnavailable(reason(error)) from error


@contextmanager
def making_sense() -> Iterator[None]:
    """Turn what comes of reading an answer of another form than expected into `ServerUnavailable`."""
    try:
        yield
    except (ValueError, KeyError, TypeError, AttributeError, IndexError) as error:
        raise ServerUnavailable(f"an answer that makes no sense: {error}") from error


async def check(response: httpx.Response) -> None:
    """Raise `ServerRefused` for anything but a 200, in the server's own words."""
    if response.status_code == httpx.codes.OK:
        return
    with translated():
        body = await body_of(response)
    status = response.status_code
    raise ServerRefused(status, words_of(body) or httpx.codes.get_reason_phrase(status), body)


async def body_of(response: httpx.Response) -> bytes:
    """Read an answer."""
    content = bytearray()
    async with closing(response.aiter_bytes(_CHUNK_BYTES)) as chunks:
        async for chunk in chunks:
            content += chunk
            if len(content) > MAX_ANSWER_BYTES:
                raise ServerRefused(TOO_LARGE, f"the answer has more than {MAX_ANSWER_BYTES >> 20} MiB")
    return bytes(content)


def closing(chunks: AsyncIterator[bytes]) -> aclosing[AsyncGenerator[bytes, None]]:
    """Close a generator of httpx's, which calls them by less than they are."""
    return aclosing(cast("AsyncGenerator[bytes, None]", chunks))


def words_of(body: bytes) -> str:
    """Find what an error says: `message` of a gateway's, `error` of Prometheus's or the event store's, or all of it."""
    try:
        fields = orjson.loads(body)
        said: Any = fields.get("message") or fields["error"]
        return str(said["message"] if isinstance(said, dict) else said)
    except (ValueError, KeyError, TypeError, AttributeError):
        return body[:1000].decode("utf-8", "replace").strip()


def _is_of_certificates(error: BaseException | None) -> bool:
    while error is not None:
        if isinstance(error, ssl.SSLCertVerificationError):
            return True
        error = error.__cause__ or error.__context__
    return False
