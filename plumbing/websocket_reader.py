"""Read a stream of the traffic controller: lists of messages out of a WebSocket, many at a time.

In:    v1 envelopes, one to a frame, over TLS.
Out:   `read` and `follow` yield whatever has arrived as a list of bytes.
Drops: nothing.
"""

from __future__ import annotations

import random
import ssl
from collections.abc import AsyncGenerator, Callable, Iterator
from contextlib import aclosing, contextmanager, suppress
from dataclasses import dataclass, field
from typing import TypeAlias

import trio
from websockets.frames import CloseCode
from websockets.uri import WebSocketURI

from plumbing.grpc_client import Backoff
from plumbing.reasons import reason
from plumbing.websocket_conversation import Conversation, StreamEnded, StreamError, StreamUnavailable

OPEN_TIMEOUT_S = 10.0
SILENCE_S = 30.0
"""After so long without a byte the server is asked for a sign of life, and given as long again."""
GOODBYE_S = 1.0
FIRST_WAIT_S = 0.5
MOST_WAIT_S = 30.0
_RECEIVE_BYTES = 256 << 10

TlsStream: TypeAlias = trio.SSLStream[trio.SocketStream]


class ServerNotTrusted(StreamError):
    """What answers there is not who it should be: its certificate does not prove it."""

    retry = False


@dataclass(frozen=True, slots=True, kw_only=True)
class Source:
    """Where a stream is, and what opens it."""

    host: str
    port: int
    server_name: str
    """The name that the server's certificate must carry."""
    tls: ssl.SSLContext
    token: str = field(repr=False)
    """Empty: none is shown."""
    path: str
    query: str = ""


async def read(source: Source) -> AsyncGenerator[list[bytes], None]:
    """Yield an empty list once the stream is open, then messages as they arrive; at the end raises a `StreamError`.

    Whoever leaves before that does so through `contextlib.aclosing`; the server is told.
    """
    conversation = Conversation(WebSocketURI(True, source.host, source.port, source.path, source.query), source.token)
    with _in_time(), _translated():
        stream = await _dial(source)
    try:
        with _in_time(), _translated():
            messages = await _open(stream, conversation)
        yield []
        while True:
            if messages:
                yield messages
            if ended := conversation.ended:
                raise ended
            with _translated():
                messages = await _hear(stream, conversation)
    finally:
        with trio.move_on_after(GOODBYE_S, shield=True), suppress(StreamError), _translated():
            await _say_goodbye(stream, conversation)
        await trio.aclose_forcefully(stream)


async def follow(
    find: Callable[[], Source], lost: Callable[[StreamError], None], rng: random.Random, *, insist: bool = False
) -> AsyncGenerator[list[bytes], None]:
    """Read on and on: when the stream ends, open it anew. Yields as `read` does, once more for each stream.

    `lost` is told how a stream ended. Raises the `StreamError` of the first attempt, and any that has no hope of being
    better the next time; those who `insist` are not given up on, and `lost` is told of each new reason.
    """
    backoff = Backoff(rng, first_s=FIRST_WAIT_S, most_s=MOST_WAIT_S)
    ever_open = open_now = False
    told = ""
    while True:
        try:
            async with aclosing(read(find())) as arrivals:
                async for messages in arrivals:
                    ever_open = open_now = True
                    backoff.reset()
                    yield messages
        except StreamError as error:
            if not (insist or (ever_open and error.retry)):
                raise
            if open_now or (insist and str(error) != told):
                lost(error)
            told = str(error)
        open_now = False
        await trio.sleep(backoff.next_s())


async def _dial(source: Source) -> TlsStream:
    connection = await trio.open_tcp_stream(source.host, source.port)
    stream = trio.SSLStream(connection, source.tls, server_hostname=source.server_name, https_compatible=True)
    try:
        await stream.do_handshake()
    except BaseException as error:
        await trio.aclose_forcefully(connection)
        if not isinstance(error, trio.BrokenResourceError):
            raise
        if isinstance(error.__cause__, ssl.SSLCertVerificationError):
            raise ServerNotTrusted(reason(error)) from error
        raise StreamUnavailable(f"no TLS there: {reason(error)}") from error
    return stream


async def _open(stream: TlsStream, conversation: Conversation) -> list[bytes]:
    """Ask for the stream; the messages returned came together with the answer."""
    while True:
        messages = await _hear(stream, conversation)
        if conversation.is_open or conversation.ended:
            return messages


async def _hear(stream: TlsStream, conversation: Conversation) -> list[bytes]:
    """Answer what has to be answered, then wait for bytes.

    In this order, a ping is answered once the messages before it have been taken: the server believes that whoever
    answers has read that far, and gives the rest to the subscription's next reader if this one dies.
    """
    if answer := conversation.to_send():
        with suppress(trio.BrokenResourceError):  # it has hung up, and what it said before that still counts
            await stream.send_all(answer)
    data = await _receive(stream, conversation)
    if not data:
        raise conversation.receive_end()
    return conversation.receive(data)


async def _receive(stream: TlsStream, conversation: Conversation) -> bytes | bytearray:
    with trio.move_on_after(SILENCE_S):
        return await stream.receive_some(_RECEIVE_BYTES)
    if conversation.is_open:
        conversation.ping()
        await stream.send_all(conversation.to_send())
    with trio.move_on_after(SILENCE_S):
        return await stream.receive_some(_RECEIVE_BYTES)
    raise StreamEnded(CloseCode.ABNORMAL_CLOSURE, f"nothing heard for {2 * SILENCE_S:g} s")


async def _say_goodbye(stream: TlsStream, conversation: Conversation) -> None:
    was_open = conversation.is_open
    conversation.close()
    await stream.send_all(conversation.to_send())
    while was_open and await stream.receive_some(_RECEIVE_BYTES):
        pass  # what was on its way; the server's own goodbye ends it


@contextmanager
def _in_time() -> Iterator[None]:
    try:
        with trio.fail_after(OPEN_TIMEOUT_S):
            yield
    except trio.TooSlowError:
        raise StreamUnavailable(f"no answer within {OPEN_TIMEOUT_S:g} s") from None


@contextmanager
def _translated() -> Iterator[None]:
    """Turn what sockets and TLS raise into errors of ours."""
    try:
        yield
    except OSError as error:
        raise StreamUnavailable(reason(error)) from error
    except trio.BrokenResourceError as error:
        raise StreamEnded(CloseCode.ABNORMAL_CLOSURE, reason(error)) from error
